//! What the node's actor tells a service that was started again, and what it does itself when it was.

use actix::{ActorFutureExt, Context, Handler, ResponseActFuture};
use kukuri_contract::{Dial, DialReason, EndpointAddr, GossipPort, Join, Never, NodeEvent};

use super::actor::NodeActor;
use super::service::{Resync, Wire};
use crate::supervise::Service;

impl NodeActor {
    /// A fresh gossip service has no neighbors, and perhaps another address.
    fn gossip_restarted(&mut self, ctx: &mut Context<Self>) {
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            let lost = self.topics[&topic].state.neighbors().clone();
            for peer in lost {
                self.neighbor_down(topic, peer, ctx);
            }
        }
        // First of all: a fresh one lets in anybody.
        self.tell_bans(ctx);
        self.reconcile_all(ctx);
        self.dial_everybody(ctx);
    }

    /// Hands all peers that were found to a fresh gossip service; discovery tells each only once.
    fn dial_everybody(&mut self, ctx: &mut Context<Self>) {
        let Some(ports) = self.ports() else {
            return;
        };
        for (topic, open) in &self.topics {
            let peers: Vec<EndpointAddr> = open.state.addresses().cloned().collect();
            let topic = *topic;
            let (ports, keys) = (ports.clone(), self.keys(topic));
            let dial = Dial {
                topic,
                peers,
                reason: DialReason::Found,
            };
            let dialed = async move {
                // Its reply is for the next comparison; this must come before the dials. Without
                // keys they fail, as they do without identity.
                if let Ok(keys) = keys.of(&ports.identity, topic).await {
                    let _joined = ports.gossip.join(Join { topic, keys }).await;
                }
                ports.gossip.dial(dial).await
            };
            self.call(GossipPort::SERVICE, dialed, ctx);
        }
    }

    /// Fresh metrics know nothing of what goes on.
    fn metrics_restarted(&self) {
        self.say_started();
        for (topic, open) in &self.topics {
            self.emit(NodeEvent::TopicResumed {
                topic: *topic,
                neighbors: open.state.neighbors().len(),
                verdict: open.state.verdict(),
            });
        }
    }

    fn say_started(&self) {
        if let Some(wires) = &self.wires {
            self.emit(NodeEvent::Started {
                version: env!("CARGO_PKG_VERSION"),
                secret_store: wires.identity.store,
            });
            let peers = self.banned.len();
            self.emit(NodeEvent::BansChanged { peers });
        }
    }
}

impl Handler<Wire> for NodeActor {
    type Result = ResponseActFuture<Self, Result<(), Never>>;

    fn handle(&mut self, Wire(wires): Wire, _: &mut Self::Context) -> Self::Result {
        self.address = Some(wires.address.clone());
        self.links = wires.identity.links.clone();
        self.wires = Some(wires);
        self.say_started();
        // Who is banned must be known before anybody is met.
        let told = self
            .load_bans()
            .then(|(), actor: &mut Self, _| actor.say_bans());
        let then = told.map(|(), actor, ctx| {
            // After a restart of this actor, there are topics to join again, and perhaps other links.
            actor.reconcile_all(ctx);
            actor.look_at_links(ctx);
            Ok(())
        });
        Box::pin(then)
    }
}

impl Handler<Resync> for NodeActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, Resync(service): Resync, ctx: &mut Self::Context) -> Self::Result {
        match service {
            Service::Identity | Service::Discovery => self.reconcile_all(ctx),
            Service::Gossip => self.gossip_restarted(ctx),
            Service::Metrics => self.metrics_restarted(),
            // A fresh store has all there is; a fresh node was wired.
            Service::Store | Service::Node => {}
        }
        Ok(())
    }
}
