//! The node's actor: hears the services' events and ties them together.
//!
//! A peer that discovery finds is dialed by gossip and remembered by the store; a neighbor that
//! gossip has ends the search of discovery; a broadcast becomes a verified, stored post.
//! `topics.rs` opens and leaves topics, `posts.rs` sends and receives posts.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use bytes::Bytes;
use kukuri_contract::{
    CallError, Dial, DiscoveryEvent, DiscoveryPort, EndpointAddr, GossipEvent, GossipPort,
    NeighborCount, NodeEvent, PostDrop, Remember, SetAddress, Source, StoreEvent, StorePort,
    TopicId, TopicName, Verdict, WallClock,
};
use tokio::sync::broadcast;

use crate::compose::{Composed, Ports};
use crate::core::topic::TopicState;
use crate::node::handle::TopicEvent;

/// Messages that wait for this actor; beyond, events are counted as missed.
const MAILBOX: usize = 4096;
/// A network service that does not stop is left behind after so long: the whole node has 2 s, and
/// the store needs some of it to write what was accepted.
const STOP_LIMIT: Duration = Duration::from_millis(1300);
/// The same for each service after that.
const STOP_LIMIT_LOCAL: Duration = Duration::from_millis(400);
/// A post that could not be sent is tried again after so long.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

/// The actor of a node.
pub struct NodeActor {
    pub(super) wired: Option<Composed>,
    pub(super) clock: WallClock,
    pub(super) topics: BTreeMap<TopicId, OpenTopic>,
    pub(super) inbox: VecDeque<(TopicId, Bytes)>,
    pub(super) receiving: usize,
    start: Instant,
}

/// A topic that is joined.
pub(super) struct OpenTopic {
    pub(super) name: TopicName,
    pub(super) secret: bool,
    pub(super) state: TopicState,
    pub(super) events: broadcast::Sender<TopicEvent>,
}

impl NodeActor {
    /// Starts the actor; it works once [`Wire`] has come.
    pub fn start(clock: WallClock) -> actix::Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            Self {
                wired: None,
                clock,
                topics: BTreeMap::new(),
                inbox: VecDeque::new(),
                receiving: 0,
                start: Instant::now(),
            }
        })
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn ports(&self) -> Option<Ports> {
        self.wired.as_ref().map(|wired| wired.ports.clone())
    }

    pub(super) fn emit(&self, event: NodeEvent) {
        if let Some(wired) = &self.wired {
            wired.events.emit(event);
        }
    }

    pub(super) fn tell(&self, topic: TopicId, event: TopicEvent) {
        if let Some(open) = self.topics.get(&topic) {
            // Nobody listens: fine.
            let _listeners = open.events.send(event);
        }
    }

    pub(super) fn drop_post(&self, reason: PostDrop) {
        self.emit(NodeEvent::PostDropped { reason });
    }

    /// Asks another service for something whose only sign of failure is a count.
    pub(super) fn call<T: 'static, E: std::error::Error + 'static>(
        &self,
        service: &'static str,
        request: impl Future<Output = Result<T, CallError<E>>> + 'static,
        ctx: &mut Context<Self>,
    ) {
        let then = request.into_actor(self).map(move |reply, actor, _| {
            if let Err(error) = reply {
                tracing::debug!(service, %error, "request failed");
                actor.emit(NodeEvent::CallFailed { service });
            }
        });
        ctx.spawn(then);
    }

    fn missed(&self, service: &'static str, missed: u64) {
        tracing::debug!(service, missed, "events missed");
        self.emit(NodeEvent::EventsMissed { service, missed });
    }

    // --- discovery ---

    fn peer_found(
        &mut self,
        topic: TopicId,
        peer: EndpointAddr,
        source: Source,
        ctx: &mut Context<Self>,
    ) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get_mut(&topic)) else {
            return;
        };
        open.state.found(peer.id, source);
        let dial = Dial {
            topic,
            peers: vec![peer.clone()],
        };
        let gossip = ports.gossip;
        self.call(
            GossipPort::SERVICE,
            async move { gossip.dial(dial).await },
            ctx,
        );
        let remember = Remember {
            topic,
            peer,
            source,
            seen_at: self.clock.now(),
        };
        let store = ports.store;
        self.call(
            StorePort::SERVICE,
            async move { store.remember(remember).await },
            ctx,
        );
    }

    pub(super) fn verdict(&mut self, topic: TopicId, verdict: Verdict) {
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        // A verdict that was on its way when the first neighbor came is out of date.
        let joined = matches!(verdict, Verdict::Joined { .. });
        if open.state.neighbors() > 0 && !joined {
            return;
        }
        if let Some(from) = open.state.set_verdict(verdict) {
            self.emit(NodeEvent::VerdictChanged { from, to: verdict });
            self.tell(topic, TopicEvent::Verdict(verdict));
        }
    }

    // --- gossip ---

    fn neighbor_up(
        &mut self,
        topic: TopicId,
        peer: kukuri_contract::EndpointId,
        neighbors: usize,
        ctx: &mut Context<Self>,
    ) {
        let now = self.now();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        let first = open.state.neighbor_up(peer, neighbors, now);
        if let Some(first) = first {
            let (source, after) = (first.source, first.after);
            let after_ms = after.as_millis() as u64;
            self.emit(NodeEvent::FirstNeighbor { source, after });
            if !first.again {
                self.tell(topic, TopicEvent::Joined { source, after });
            }
            self.verdict(topic, Verdict::Joined { source, after_ms });
        }
        let endpoint = peer;
        self.tell(
            topic,
            TopicEvent::NeighborUp {
                endpoint,
                neighbors,
            },
        );
        self.neighbors_changed(topic, neighbors, ctx);
        self.send_unsent(topic, ctx);
    }

    fn neighbor_down(
        &mut self,
        topic: TopicId,
        endpoint: kukuri_contract::EndpointId,
        neighbors: usize,
        ctx: &mut Context<Self>,
    ) {
        let now = self.now();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        open.state.neighbor_down(neighbors, now);
        self.tell(
            topic,
            TopicEvent::NeighborDown {
                endpoint,
                neighbors,
            },
        );
        self.neighbors_changed(topic, neighbors, ctx);
    }

    fn neighbors_changed(&self, topic: TopicId, neighbors: usize, ctx: &mut Context<Self>) {
        if let Some(ports) = self.ports() {
            let count = NeighborCount { topic, neighbors };
            let discovery = ports.discovery;
            let request = async move { discovery.neighbor_count(count).await };
            self.call(DiscoveryPort::SERVICE, request, ctx);
        }
    }

    pub(super) fn publish_address(&self, address: EndpointAddr, ctx: &mut Context<Self>) {
        if let Some(ports) = self.ports() {
            let discovery = ports.discovery;
            let request = async move { discovery.set_address(SetAddress { address }).await };
            self.call(DiscoveryPort::SERVICE, request, ctx);
        }
    }

    pub(super) fn send_later(&self, topic: TopicId, ctx: &mut Context<Self>) {
        ctx.run_later(RESEND_PAUSE, move |actor, ctx| {
            let open = actor.topics.get(&topic);
            if open.is_some_and(|open| open.state.neighbors() > 0) {
                actor.send_unsent(topic, ctx);
            }
        });
    }
}

impl Actor for NodeActor {
    type Context = Context<Self>;
}

/// Gives the actor the services.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wire(pub Composed);

impl Handler<Wire> for NodeActor {
    type Result = ();

    fn handle(&mut self, Wire(composed): Wire, ctx: &mut Self::Context) {
        let address = composed.addresses.advertised.clone();
        let secret_store = composed.identity.store;
        self.wired = Some(composed);
        self.emit(NodeEvent::Started {
            version: env!("CARGO_PKG_VERSION"),
            secret_store,
        });
        self.publish_address(address, ctx);
    }
}

impl Handler<DiscoveryEvent> for NodeActor {
    type Result = ();

    fn handle(&mut self, event: DiscoveryEvent, ctx: &mut Self::Context) {
        match event {
            DiscoveryEvent::PeerFound {
                topic,
                peer,
                source,
                ..
            } => self.peer_found(topic, peer, source, ctx),
            DiscoveryEvent::VerdictChanged { topic, verdict } => self.verdict(topic, verdict),
            DiscoveryEvent::Lagged(missed) => self.missed(DiscoveryPort::SERVICE, missed),
            // The rest is for the metrics.
            _ => {}
        }
    }
}

impl Handler<GossipEvent> for NodeActor {
    type Result = ();

    fn handle(&mut self, event: GossipEvent, ctx: &mut Self::Context) {
        match event {
            GossipEvent::NeighborUp {
                topic,
                peer,
                neighbors,
            } => self.neighbor_up(topic, peer, neighbors, ctx),
            GossipEvent::NeighborDown {
                topic,
                peer,
                neighbors,
            } => self.neighbor_down(topic, peer, neighbors, ctx),
            GossipEvent::Received { topic, payload, .. } => self.received(topic, payload, ctx),
            GossipEvent::TopicLagged { topic } => self.tell(topic, TopicEvent::Lagged(1)),
            GossipEvent::AddressChanged(address) => self.publish_address(address, ctx),
            GossipEvent::Lagged(missed) => self.missed(GossipPort::SERVICE, missed),
            // The rest is for the metrics.
            _ => {}
        }
    }
}

impl Handler<StoreEvent> for NodeActor {
    type Result = ();

    fn handle(&mut self, event: StoreEvent, _: &mut Self::Context) {
        match event {
            StoreEvent::Failed { error, .. } => tracing::warn!(%error, "the store failed"),
            StoreEvent::Lagged(missed) => self.missed(StorePort::SERVICE, missed),
            // The rest is for the metrics.
            _ => {}
        }
    }
}

/// Stops every service in good order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown;

impl Handler<Shutdown> for NodeActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        self.topics.clear();
        let ports = self.ports();
        Box::pin(async move {
            let Some(ports) = ports else {
                return;
            };
            // First those that bring new work, then the store, which writes what it has accepted.
            let network = async {
                _ = tokio::join!(ports.discovery.stop(), ports.gossip.stop());
            };
            limited("network", STOP_LIMIT, network).await;
            let local = async {
                _ = tokio::join!(
                    ports.store.stop(),
                    ports.identity.stop(),
                    ports.metrics.stop()
                );
            };
            limited("store", STOP_LIMIT_LOCAL, local).await;
        })
    }
}

async fn limited(what: &str, limit: Duration, stop: impl Future<Output = ()>) {
    if tokio::time::timeout(limit, stop).await.is_err() {
        tracing::warn!(what, "did not stop in time; left behind");
    }
}
