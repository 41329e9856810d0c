//! Telling the services again what they should know: whatever was lost on the way, with a service or
//! with this actor, is there a moment later.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use kukuri_contract::{
    AddTopic, Discover, DiscoveryPort, GossipPort, Joined, LocalAddress, SetAddress, SetNeighbors,
    TopicId,
};

use super::actor::NodeActor;
use super::topics::{prepare, tell_services};
use super::wanted::WantedTopic;

/// A topic that could not be joined again after a restart is tried again after so long.
const RESUME_PAUSE: Duration = Duration::from_secs(1);

impl NodeActor {
    /// Tells the services of a topic that nobody wants, be it for the second time.
    pub(super) fn leave_again(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        let left = self.leave(topic);
        ctx.spawn(left.into_actor(self));
    }

    // --- telling again ---

    /// Tells the services again what they should know of all topics, and asks gossip for the
    /// neighbors. What they know already changes nothing.
    pub(super) fn reconcile_all(&mut self, ctx: &mut Context<Self>) {
        self.refresh_address(ctx);
        self.reconcile_bans(ctx);
        for (topic, wanted) in self.wanted.all() {
            match self.topics.contains_key(&topic) {
                true => self.reconcile(topic, wanted, ctx),
                false => self.resume(topic, wanted, ctx),
            }
        }
        for topic in self.wanted.left() {
            self.leave_again(topic, ctx);
        }
    }

    fn reconcile(&mut self, topic: TopicId, wanted: WantedTopic, ctx: &mut Context<Self>) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get(&topic)) else {
            return;
        };
        let generation = open.state.generation();
        let keys = self.keys(topic);
        let discover = Discover {
            topic,
            peers: wanted.peers,
            cached: Vec::new(),
        };
        let add = AddTopic {
            name: wanted.name,
            secret: wanted.secret,
        };
        let told = async move {
            ports.identity.add_topic(add).await?;
            tell_services(&ports, keys, topic, discover).await
        };
        let then = told
            .into_actor(self)
            .map(move |told, actor, ctx| match told {
                // Left in the meantime: what was told just now is taken back.
                _ if !actor.wanted.contains(topic) => actor.leave_again(topic, ctx),
                Ok(told) => actor.told(&told, generation, ctx),
                Err(error) => actor.call_failed(error.service(), &error),
            });
        ctx.spawn(then);
    }

    /// Joins a wanted topic again, after this actor was started again.
    fn resume(&mut self, topic: TopicId, wanted: WantedTopic, ctx: &mut Context<Self>) {
        let Some(wires) = &self.wires else {
            return;
        };
        let prepared = prepare(wires.ports.clone(), wanted.clone(), wires.identity.author);
        let then = prepared.into_actor(self).map(move |prepared, actor, ctx| {
            let now = actor.now();
            match prepared {
                // Left in the meantime, or joined again.
                _ if !actor.wanted.contains(topic) => actor.leave_again(topic, ctx),
                Ok(_) if actor.topics.contains_key(&topic) => {}
                Ok(prepared) => {
                    if actor.enter(prepared, now).is_ok() {
                        actor.reconcile(topic, wanted, ctx);
                    }
                }
                Err(error) => {
                    actor.call_failed(error.service(), &error);
                    actor.resume_later(ctx);
                }
            }
        });
        ctx.spawn(then);
    }

    /// One more try for all topics together: one each would be a storm.
    fn resume_later(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.resuming, true) {
            ctx.run_later(RESUME_PAUSE, |actor, ctx| {
                actor.resuming = false;
                actor.reconcile_all(ctx);
            });
        }
    }

    /// Compares the neighbors with gossip's list, unless they have changed since it was asked for.
    pub(super) fn compare_neighbors(
        &mut self,
        topic: TopicId,
        generation: u64,
        joined: &Joined,
        ctx: &mut Context<Self>,
    ) {
        let Some(open) = self.topics.get(&topic) else {
            return;
        };
        if open.state.generation() == generation {
            let difference = open.state.differs_from(&joined.neighbors);
            for peer in difference.down {
                self.neighbor_down(topic, peer, ctx);
            }
            for peer in difference.up {
                self.neighbor_up(topic, peer, ctx);
            }
        }
        self.neighbors_changed(topic, ctx);
    }

    /// Tells discovery which neighbors a topic has.
    pub(super) fn neighbors_changed(&self, topic: TopicId, ctx: &mut Context<Self>) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get(&topic)) else {
            return;
        };
        let neighbors = open.state.neighbors().iter().copied().collect();
        let set = SetNeighbors { topic, neighbors };
        let told = async move { ports.discovery.set_neighbors(set).await };
        self.call(DiscoveryPort::SERVICE, told, ctx);
    }

    /// Asks gossip where others may dial this node, and tells discovery: either of them may have been
    /// started again.
    fn refresh_address(&mut self, ctx: &mut Context<Self>) {
        let Some(ports) = self.ports() else {
            return;
        };
        let asked = async move { ports.gossip.local_address(LocalAddress).await };
        let then = asked.into_actor(self).map(|address, actor, ctx| {
            match address {
                Ok(address) => actor.address = Some(address),
                Err(error) => actor.call_failed(GossipPort::SERVICE, &error),
            }
            actor.publish_address(ctx);
        });
        ctx.spawn(then);
    }

    /// Tells discovery where others may dial this node.
    pub(super) fn publish_address(&self, ctx: &mut Context<Self>) {
        let (Some(ports), Some(address)) = (self.ports(), self.address.clone()) else {
            return;
        };
        let set = SetAddress {
            port: address.ipv4_port(),
            address: address.advertised,
        };
        let told = async move { ports.discovery.set_address(set).await };
        self.call(DiscoveryPort::SERVICE, told, ctx);
    }
}
