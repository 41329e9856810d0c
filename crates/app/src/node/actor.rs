//! The node's actor: hears the services' events and ties them together.
//!
//! A peer that discovery finds is dialed by gossip and remembered by the store; a neighbor that
//! gossip has ends the search of discovery; a broadcast becomes a verified, stored post. What it
//! tells the services once may be lost, with the service or on the way, so it also tells them again
//! now and then: `topics.rs` reconciles. `posts.rs` sends and receives posts, `repair.rs` repairs
//! gaps, `bans.rs` bans who misbehaves, `swarm.rs` keeps swarms whole, `neighbors.rs` follows the
//! neighbors, `links.rs` sees to author links and their revocations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use kukuri_contract::{
    AuthorLinks, CallError, Dial, DialReason, DiscoveryEvent, DiscoveryPort, EndpointAddr,
    EndpointId, GossipEvent, GossipPort, LocalAddresses, MemberKeys, Never, NodeEvent, PostDrop,
    Probe, Remember, RememberContacts, Source, Stop, StoreEvent, StorePort, TopicId, TopicName,
    Verdict, WallClock,
};
use tokio::sync::broadcast;

use super::posts::INBOX;
use super::topic::TopicEvent;
use super::wanted::{Replaced, Wanted};
use crate::compose::{Ports, Wires};
use crate::core::bucket::{Authors, Bucket};
use crate::core::copies::Copies;
use crate::core::inbox::{Inbox, Waiting};
use crate::core::score::{SENT, Scores};
use crate::core::topic::TopicState;

/// Messages that wait for this actor; beyond, events are counted as missed.
const MAILBOX: usize = 4096;
/// How often the actor looks whether a repair is due.
const TICK: Duration = Duration::from_secs(1);
/// How often the services are told again what they should know: a lost message costs at most so
/// long.
const RECONCILE: Duration = Duration::from_secs(10);

/// The actor of a node.
pub struct NodeActor {
    pub(super) wires: Option<Wires>,
    pub(super) clock: WallClock,
    pub(super) wanted: Wanted,
    /// Where others may dial this node.
    pub(super) address: Option<LocalAddresses>,
    pub(super) topics: BTreeMap<TopicId, OpenTopic>,
    /// Posts that were told, of topics that have two secrets.
    pub(super) copies: BTreeMap<TopicId, Copies>,
    pub(super) inbox: Inbox,
    pub(super) receiving: usize,
    /// Topics are going to be joined again soon.
    pub(super) resuming: bool,
    /// Repairs of neighbors that are being answered.
    pub(super) answering: usize,
    /// In whose name this node writes, and whom it has revoked.
    pub(super) links: AuthorLinks,
    /// Revocations that are being written, and whatever looks which are due.
    pub(super) revoking: usize,
    /// What peers have done.
    pub(super) scores: Scores,
    /// Those that gossip was told to be banned.
    pub(super) banned: BTreeSet<EndpointId>,
    /// The bans of earlier runs are known.
    pub(super) bans_loaded: bool,
    /// What authors have written.
    pub(super) authors: Authors,
    /// Own posts that may be broadcast.
    pub(super) sending: Bucket,
    /// Topics whose posts will be sent again soon.
    pub(super) resending: BTreeSet<TopicId>,
    pub(super) start: Instant,
}

/// A topic that is joined.
pub(super) struct OpenTopic {
    pub(super) name: TopicName,
    pub(super) secret: bool,
    pub(super) state: TopicState,
    pub(super) keys: Option<MemberKeys>,
    pub(super) events: broadcast::Sender<TopicEvent>,
    /// The topic of the secret before.
    pub(super) former: Option<TopicId>,
    /// This one is the topic of the secret before.
    pub(super) replaced: Option<Replaced>,
}

impl NodeActor {
    /// Starts the actor; it works once it is wired.
    pub fn start(clock: WallClock, wanted: Wanted) -> actix::Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            Self {
                wires: None,
                clock,
                wanted,
                address: None,
                topics: BTreeMap::new(),
                copies: BTreeMap::new(),
                inbox: Inbox::new(INBOX),
                receiving: 0,
                resuming: false,
                answering: 0,
                links: AuthorLinks::default(),
                revoking: 0,
                scores: Scores::default(),
                banned: BTreeSet::new(),
                bans_loaded: false,
                authors: Authors::default(),
                sending: Bucket::full(SENT, Duration::ZERO),
                resending: BTreeSet::new(),
                start: Instant::now(),
            }
        })
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn ports(&self) -> Option<Ports> {
        self.wires.as_ref().map(|wires| wires.ports.clone())
    }

    pub(super) fn emit(&self, event: NodeEvent) {
        if let Some(wires) = &self.wires {
            wires.events.emit(event);
        }
    }

    pub(super) fn tell(&self, topic: TopicId, event: TopicEvent) {
        if let Some(open) = self.topics.get(&topic) {
            // What two topics are for the node is one for its user.
            let is_told = matches!(event, TopicEvent::Post(_) | TopicEvent::Joined { .. });
            if open.replaced.is_some() && !is_told {
                return;
            }
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
                actor.call_failed(service, &error);
            }
        });
        ctx.spawn(then);
    }

    pub(super) fn call_failed(&self, service: &'static str, error: &dyn std::error::Error) {
        tracing::debug!(service, %error, "request failed");
        self.emit(NodeEvent::CallFailed { service });
    }

    /// Events of a service were missed: what they said is asked for.
    fn missed(&mut self, service: &'static str, missed: u64, ctx: &mut Context<Self>) {
        tracing::debug!(service, missed, "events missed");
        self.emit(NodeEvent::EventsMissed { service, missed });
        self.reconcile_all(ctx);
        let now = self.now();
        let topics = self.topics.values_mut();
        topics.for_each(|open| open.state.repairs.gap(now));
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
        open.state.found(&peer, source);
        let peers = vec![peer.clone()];
        let reason = DialReason::Found;
        let dial = Dial {
            topic,
            peers,
            reason,
        };
        let gossip = ports.gossip;
        let dialed = async move { gossip.dial(dial).await };
        self.call(GossipPort::SERVICE, dialed, ctx);
        // What comes from the store need not go back there.
        if source != Source::Cache {
            self.remember(topic, peer, source, ctx);
        }
    }

    /// Remembers a peer that was just seen, for the next start.
    pub(super) fn remember(
        &self,
        topic: TopicId,
        peer: EndpointAddr,
        source: Source,
        ctx: &mut Context<Self>,
    ) {
        let Some(ports) = self.ports() else {
            return;
        };
        let remember = Remember {
            topic,
            peer,
            source,
            seen_at: self.clock.now(),
        };
        let remembered = async move { ports.store.remember(remember).await };
        self.call(StorePort::SERVICE, remembered, ctx);
    }

    fn remember_contacts(&self, contacts: Vec<std::net::SocketAddr>, ctx: &mut Context<Self>) {
        let Some(ports) = self.ports() else {
            return;
        };
        let seen_at = self.clock.now();
        let request = RememberContacts { contacts, seen_at };
        let remembered = async move { ports.store.remember_contacts(request).await };
        self.call(StorePort::SERVICE, remembered, ctx);
    }

    pub(super) fn verdict(&mut self, topic: TopicId, verdict: Verdict) {
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        // A verdict that was on its way when the first neighbor came is out of date.
        let joined = matches!(verdict, Verdict::Joined { .. });
        if !open.state.neighbors().is_empty() && !joined {
            return;
        }
        if let Some(from) = open.state.set_verdict(verdict) {
            let to = verdict;
            self.emit(NodeEvent::VerdictChanged { topic, from, to });
            // Whoever is found under the secret before is found.
            if joined || !self.former_has_neighbors(topic) {
                self.tell(topic, TopicEvent::Verdict(verdict));
            }
        }
    }
}

impl Actor for NodeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, |actor, ctx| {
            actor.end_bans(ctx);
            for topic in actor.topics.keys().copied().collect::<Vec<_>>() {
                actor.repair_if_due(topic, ctx);
            }
            actor.end_overlaps(ctx);
        });
        ctx.run_interval(RECONCILE, |actor, ctx| {
            actor.reconcile_all(ctx);
            actor.look_at_links(ctx);
        });
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
            DiscoveryEvent::PartFound { topic, peer } => self.part_found(topic, peer, ctx),
            DiscoveryEvent::BeaconDue { topic, payload } => self.send_beacon(topic, payload, ctx),
            DiscoveryEvent::SwarmChanged {
                topic,
                root,
                members,
            } => self.tell(topic, TopicEvent::Swarm { root, members }),
            DiscoveryEvent::DhtContacts(contacts) => self.remember_contacts(contacts, ctx),
            DiscoveryEvent::Lagged(missed) => self.missed(DiscoveryPort::SERVICE, missed, ctx),
            // The rest is for the metrics.
            _ => {}
        }
    }
}

impl Handler<GossipEvent> for NodeActor {
    type Result = ();

    fn handle(&mut self, event: GossipEvent, ctx: &mut Self::Context) {
        match event {
            GossipEvent::NeighborUp { topic, peer, .. } => self.neighbor_up(topic, peer, ctx),
            GossipEvent::NeighborDown { topic, peer, .. } => self.neighbor_down(topic, peer, ctx),
            GossipEvent::Received {
                topic,
                payload,
                from,
                first_hand,
            } => self.received(
                Waiting {
                    topic,
                    payload,
                    from,
                    first_hand,
                },
                ctx,
            ),
            GossipEvent::AskDropped { peer, reason } => self.ask_dropped(peer, reason, ctx),
            GossipEvent::ProofDropped { peer, reason, .. } => {
                self.proof_dropped(peer, reason, ctx);
            }
            GossipEvent::Asked {
                topic,
                from,
                id,
                payload,
            } => self.asked(topic, from, id, payload, ctx),
            GossipEvent::TopicLagged { topic } => {
                let now = self.now();
                if let Some(open) = self.topics.get_mut(&topic) {
                    open.state.repairs.gap(now);
                }
            }
            GossipEvent::AddressChanged(address) => {
                // Before it is known where the endpoint is bound, the composition root asks.
                if let Some(known) = &mut self.address {
                    known.advertised = address;
                }
                self.publish_address(ctx);
            }
            GossipEvent::Lagged(missed) => self.missed(GossipPort::SERVICE, missed, ctx),
            // The rest is for the metrics.
            _ => {}
        }
    }
}

impl Handler<StoreEvent> for NodeActor {
    type Result = ();

    fn handle(&mut self, event: StoreEvent, ctx: &mut Self::Context) {
        match event {
            StoreEvent::Failed { error, .. } => tracing::warn!(%error, "the store failed"),
            StoreEvent::Lagged(missed) => self.missed(StorePort::SERVICE, missed, ctx),
            // The rest is for the metrics.
            _ => {}
        }
    }
}

impl Handler<Probe> for NodeActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(NodeActor);

impl Handler<Stop> for NodeActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        self.topics.clear();
        ctx.stop();
        Ok(())
    }
}
