//! The requests of the reference discovery, each with what can be wrong with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use kukuri_contract::{
    Announce, AnnounceError, Announced, BeaconDrop, DhtHealth, DhtHealthQuery, Discover,
    DiscoverError, DiscoveryDeps, DiscoveryEvent, EndpointAddr, EndpointId, Forget, HearBeacon,
    HelloDrop, Lookup, LookupError, LookupStats, Never, Outlet, SetAddress, SetAddressError,
    SetNeighbors, Source, TopicId, Verdict,
};

use super::{Fault, Shared};
use tokio::net::UdpSocket;

use crate::reference::flaw::{Conduct, Flaw, Later, conduct};

/// Most topics of a node.
const MAX_TOPICS: usize = 8;
/// Longest relay URL in bytes.
const MAX_RELAY_BYTES: usize = 128;
/// Events that are told before some are swallowed.
const TOLD: usize = 16;

/// A topic that is being discovered.
struct Topic {
    since: Instant,
    without_peers: bool,
    told: usize,
    had_neighbors: bool,
}

/// The actor behind the reference discovery.
pub(super) struct MemoryActor {
    conduct: Conduct,
    fault: Option<Fault>,
    shared: Shared,
    me: EndpointId,
    address: Option<EndpointAddr>,
    topics: BTreeMap<TopicId, Topic>,
    forgotten: Vec<TopicId>,
    announced: Vec<TopicId>,
    lookups: u32,
    hello: Option<UdpSocket>,
    events: Outlet<DiscoveryEvent>,
    told: usize,
}

impl MemoryActor {
    pub fn new(
        conduct: Conduct,
        fault: Option<Fault>,
        shared: Shared,
        deps: DiscoveryDeps,
    ) -> Self {
        Self {
            conduct,
            fault,
            shared,
            me: deps.endpoint,
            address: None,
            topics: BTreeMap::new(),
            forgotten: Vec::new(),
            announced: Vec::new(),
            lookups: 0,
            hello: None,
            events: deps.events,
            told: 0,
        }
    }

    pub fn listening(mut self, hello: UdpSocket) -> Self {
        self.hello = Some(hello);
        self
    }

    /// There are no hellos here: whatever comes is garbage.
    fn hear(&self, hello: UdpSocket, ctx: &mut Context<Self>) {
        let next = async move { hello.recv(&mut [0; 2048]).await.map(|_| hello) };
        let then = next.into_actor(self).map(|next, actor, ctx| {
            if !actor.has(Fault::SwallowsGarbage) {
                let reason = HelloDrop::Malformed;
                actor.tell(DiscoveryEvent::Dropped { reason });
            }
            if let Ok(hello) = next {
                actor.hear(hello, ctx);
            }
        });
        ctx.spawn(then);
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn tell(&mut self, event: DiscoveryEvent) {
        self.told += 1;
        if !self.has(Fault::SwallowsEvents) || self.told <= TOLD {
            self.events.emit(event);
        }
    }

    fn found(
        &mut self,
        topic: TopicId,
        peer: EndpointAddr,
        source: Source,
        ctx: &mut Context<Self>,
    ) {
        if peer.id == self.me && !self.has(Fault::FindsItself) {
            return;
        }
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        open.told += 1;
        let (first, after) = (open.told == 1, open.since.elapsed());
        let told = |topic| DiscoveryEvent::PeerFound {
            topic,
            peer: peer.clone(),
            source,
            after,
        };
        if first && self.has(Fault::TellsFirstLast) {
            let event = told(topic);
            ctx.run_later(Duration::from_millis(50), |actor, _| actor.tell(event));
            return;
        }
        let topics: Vec<_> = match self.has(Fault::MixesTopics) {
            true => self.topics.keys().copied().collect(),
            false => vec![topic],
        };
        let events: Vec<_> = topics.into_iter().map(told).collect();
        events.into_iter().for_each(|event| self.tell(event));
    }

    fn look(&mut self, topic: TopicId, ctx: &mut Context<Self>) -> LookupStats {
        let shared = self.shared.borrow();
        let here = shared
            .iter()
            .filter(|((of, who), _)| *of == topic && *who != self.me);
        let others: Vec<_> = here.map(|(_, address)| address.clone()).collect();
        drop(shared);
        self.lookups += 1;
        let stats = LookupStats {
            entries: others.len(),
            answers: 1,
            // No two are the same.
            took: Duration::from_micros(1) * self.lookups,
        };
        for other in others {
            self.found(topic, other, Source::Rendezvous, ctx);
        }
        stats
    }

    /// Looks because it is time to.
    fn search(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        let stats = self.look(topic, ctx);
        self.tell(DiscoveryEvent::LookupEnded { topic, stats });
        if stats.entries == 0 && !self.has(Fault::TellsNoVerdict) {
            let verdict = Verdict::Alone;
            self.tell(DiscoveryEvent::VerdictChanged { topic, verdict });
        }
    }

    fn register(&self, topic: TopicId) {
        if let Some(address) = self.address.clone() {
            self.shared.borrow_mut().insert((topic, self.me), address);
        }
    }
}

impl Actor for MemoryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(hello) = self.hello.take() else {
            return;
        };
        self.hear(hello, ctx);
    }
}

conduct!(MemoryActor);

impl Handler<DhtHealthQuery> for MemoryActor {
    type Result = Later<Result<DhtHealth, Never>>;

    fn handle(&mut self, _: DhtHealthQuery, _: &mut Self::Context) -> Self::Result {
        let made_up = self.has(Fault::MakesUpATable).then_some(20);
        self.conduct.later(Ok(DhtHealth {
            routing_table: made_up,
            ..DhtHealth::default()
        }))
    }
}

impl Handler<Discover> for MemoryActor {
    type Result = Result<(), DiscoverError>;

    fn handle(&mut self, request: Discover, ctx: &mut Self::Context) -> Self::Result {
        let Discover {
            topic,
            peers,
            cached,
        } = request;
        let new = !self.topics.contains_key(&topic);
        if new && self.topics.len() >= MAX_TOPICS && !self.has(Fault::Boundless) {
            return Err(DiscoverError::TooManyTopics { limit: MAX_TOPICS });
        }
        let without_peers = peers.is_empty();
        let open = self.topics.entry(topic).or_insert_with(|| Topic {
            since: Instant::now(),
            without_peers,
            told: 0,
            had_neighbors: false,
        });
        if !new && open.without_peers && self.has(Fault::TakesPeersOnce) {
            return Ok(());
        }
        for peer in peers {
            self.found(topic, peer, Source::Static, ctx);
        }
        for peer in cached {
            if !self.has(Fault::ForgetsCached) {
                self.found(topic, peer, Source::Cache, ctx);
            }
        }
        if new {
            self.search(topic, ctx);
        }
        Ok(())
    }
}

impl Handler<Forget> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, Forget { topic }: Forget, _: &mut Self::Context) -> Self::Result {
        if self.topics.remove(&topic).is_some() {
            self.forgotten.push(topic);
        }
        self.announced.retain(|of| *of != topic);
        self.shared.borrow_mut().remove(&(topic, self.me));
        Ok(())
    }
}

impl Handler<SetNeighbors> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: SetNeighbors, ctx: &mut Self::Context) -> Self::Result {
        let Some(open) = self.topics.get_mut(&request.topic) else {
            return Ok(());
        };
        let had = std::mem::replace(&mut open.had_neighbors, !request.neighbors.is_empty());
        if had && request.neighbors.is_empty() && !self.has(Fault::GivesUp) {
            self.search(request.topic, ctx);
        }
        Ok(())
    }
}

impl Handler<HearBeacon> for MemoryActor {
    type Result = Result<(), Never>;

    /// There are no good ones here.
    fn handle(&mut self, request: HearBeacon, _: &mut Self::Context) -> Self::Result {
        if self.topics.contains_key(&request.topic) && !self.has(Fault::SwallowsBeacons) {
            let reason = BeaconDrop::Malformed;
            self.tell(DiscoveryEvent::BeaconDropped { reason });
        }
        Ok(())
    }
}

impl Handler<SetAddress> for MemoryActor {
    type Result = Result<(), SetAddressError>;

    fn handle(&mut self, request: SetAddress, ctx: &mut Self::Context) -> Self::Result {
        let (got, limit) = (
            request.address.relay.as_ref().map_or(0, String::len),
            MAX_RELAY_BYTES,
        );
        if got > limit && !self.has(Fault::TakesAnyRelay) {
            return Err(SetAddressError::RelayTooLong { got, limit });
        }
        if self.address.is_none() || !self.has(Fault::NeverMoves) {
            self.address = Some(request.address);
        }
        let topics: Vec<_> = match self.has(Fault::WaitsToBeAsked) {
            true => self.announced.clone(),
            false => self.topics.keys().copied().collect(),
        };
        for topic in topics {
            self.register(topic);
            if !self.has(Fault::WaitsToBeAsked) {
                self.search(topic, ctx);
            }
        }
        Ok(())
    }
}

impl Handler<Announce> for MemoryActor {
    type Result = Result<Announced, AnnounceError>;

    fn handle(&mut self, Announce { topic }: Announce, _: &mut Self::Context) -> Self::Result {
        let known = self.topics.contains_key(&topic);
        if !known && !self.has(Fault::AnnouncesAnything) {
            return Err(AnnounceError::UnknownTopic(topic));
        }
        self.announced.push(topic);
        if !self.has(Fault::AnnouncesLate) {
            self.register(topic);
        }
        Ok(Announced {
            took: Duration::ZERO,
        })
    }
}

impl Handler<Lookup> for MemoryActor {
    type Result = Result<LookupStats, LookupError>;

    fn handle(&mut self, Lookup { topic }: Lookup, ctx: &mut Self::Context) -> Self::Result {
        let forgotten = self.has(Fault::ForgetsNothing) && self.forgotten.contains(&topic);
        if !self.topics.contains_key(&topic) && !forgotten {
            return Err(LookupError::UnknownTopic(topic));
        }
        let stats = self.look(topic, ctx);
        if !self.has(Fault::TellsNoEnd) {
            self.tell(DiscoveryEvent::LookupEnded { topic, stats });
        }
        Ok(stats)
    }
}
