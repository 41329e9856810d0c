//! The endpoint with the swarms of all topics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use iroh::address_lookup::memory::MemoryLookup;
use iroh::protocol::Router;
use iroh::{Endpoint, Watcher};
use iroh_metrics::{MetricsSource, Registry};
use kukuri_contract::{
    DialResult, EndpointAddr, EndpointId, EndpointKey, GossipEvent, Lease, LocalAddresses,
    MemberKeys, Outlet, TopicId,
};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

use crate::ask::{ASK_ALPN, Answerer, Line};
use crate::config::Config;
use crate::core::banned::Banned;
use crate::dialer::{Dialer, Wishes, room_alpn};
use crate::door::Door;
use crate::endpoint::{Lent, addresses, bind, from_iroh, to_iroh};
use crate::error::GossipError;
use crate::member::GOSSIP_ALPN;
use crate::rooms::Rooms;
use crate::swarm::{Entered, Room, Subscription, TopicEvent};

/// Batches of all topics that wait for the actor: 4096 events, 16 MiB at most. A quarter of it lost
/// three times as many broadcasts of a flood (measured). Beyond, iroh-gossip keeps 2048 more per topic
/// and then says that it lagged.
const BATCHES: usize = 64;
/// Time for the last word to the neighbors of a topic that was left, before their connections end.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Time for a graceful end; the whole node has 2 s.
const CLOSE_LIMIT: Duration = Duration::from_millis(1200);

/// The endpoint with its swarms.
#[derive(Debug, Clone)]
pub struct Swarms {
    me: EndpointId,
    endpoint: Lent,
    rooms: Rooms,
    dialer: Dialer,
    lookup: MemoryLookup,
    events: mpsc::Sender<SwarmEvent>,
    config: Config,
    /// Where it was bound at the start.
    bound: LocalAddresses,
    /// Taken by who closes all of it.
    router: Arc<Mutex<Option<Router>>>,
}

/// What happened at the endpoint.
#[derive(Debug)]
pub enum SwarmEvent {
    /// What happened in the swarm of a topic, as this subscription saw it.
    In(TopicId, Subscription, Vec<TopicEvent>),
    /// Others may dial this endpoint elsewhere now.
    AddressChanged,
}

impl Swarms {
    /// Binds the endpoint, accepts members and the questions of neighbors, and nobody who is `banned`;
    /// tells `failed` of proofs of membership that failed.
    ///
    /// # Errors
    /// The endpoint can't be bound.
    pub async fn start(
        config: &Config,
        key: &EndpointKey,
        answerer: Answerer,
        failed: Outlet<GossipEvent>,
        banned: watch::Receiver<Banned>,
    ) -> Result<(Self, mpsc::Receiver<SwarmEvent>), GossipError> {
        let lookup = MemoryLookup::new();
        let (hook, wishes) = Wishes::new();
        let endpoint = bind(config, key, lookup.clone(), hook).await?;
        let rooms = Rooms::default();
        let me = from_iroh(endpoint.id());
        let door = Door::new(me, rooms.clone(), failed.clone(), banned.clone());
        let lent = Lent::new(endpoint.clone());
        let dialer = Dialer {
            endpoint: lent.clone(),
            me,
            rooms: rooms.clone(),
            events: failed,
            banned,
            limit: Duration::from_millis(config.dial_timeout_ms),
        };
        tokio::spawn(dialer.clone().grant(wishes));
        let router = Router::builder(endpoint.clone())
            .accept(GOSSIP_ALPN, door)
            .accept(ASK_ALPN, answerer)
            .spawn();
        let (events, received) = mpsc::channel(BATCHES);
        tokio::spawn(watch_addresses(endpoint.clone(), events.clone()));
        let swarms = Self {
            me,
            endpoint: lent,
            rooms,
            dialer,
            lookup,
            events,
            config: config.clone(),
            bound: addresses(&endpoint, config),
            router: Arc::new(Mutex::new(Some(router))),
        };
        Ok((swarms, received))
    }

    /// This endpoint's id.
    pub fn id(&self) -> EndpointId {
        self.me
    }

    /// Where it is bound, and where others may dial it.
    pub fn addresses(&self) -> LocalAddresses {
        match self.endpoint.get() {
            Some(endpoint) => addresses(&endpoint, &self.config),
            None => self.bound.clone(),
        }
    }

    /// Opens the room of a topic and enters its swarm, with nobody in it yet. `None` if the endpoint
    /// has ended.
    pub async fn open(&self, topic: TopicId, keys: MemberKeys) -> Option<(Arc<Room>, Entered)> {
        let endpoint = self.endpoint.get()?;
        let room = self.rooms.open(topic, |id| {
            Room::new(id, topic, keys, endpoint, &room_alpn(id))
        });
        let entered = room.enter(self.events.clone()).await?;
        Some((room, entered))
    }

    /// Listens to the swarm of a topic anew. `None` if it was left, or the endpoint has ended.
    pub async fn enter(&self, topic: TopicId) -> Option<Entered> {
        let room = self.rooms.of(topic)?;
        room.enter(self.events.clone()).await
    }

    /// Whether this room is still the topic's.
    pub fn is_open(&self, room: &Room) -> bool {
        self.rooms.named(room.id).is_some()
    }

    /// Closes the room of a topic, once its neighbors were told that this node leaves.
    pub fn leave(&self, topic: TopicId) {
        let Some(room) = self.rooms.remove(topic, || self.forget_lookups()) else {
            return;
        };
        let rooms = self.rooms.clone();
        let closed = self.endpoint.get().map(|endpoint| endpoint.closed());
        tokio::spawn(async move {
            if let Some(closed) = closed {
                // Held on to, the room would keep the socket of an endpoint that was closed.
                let _either = timeout(LAST_WORD, closed).await;
            }
            room.close().await;
            rooms.closed(&room);
        });
    }

    /// Each iroh-gossip gives the endpoint a place to look addresses up at, and never takes it back.
    /// Without any of them, all can go but the own one.
    fn forget_lookups(&self) {
        // Nothing, or an error, means that the endpoint is closed.
        let endpoint = self.endpoint.get();
        if let Some(Ok(lookups)) = endpoint.as_ref().map(Endpoint::address_lookup) {
            lookups.clear();
            lookups.add(self.lookup.clone());
        }
    }

    /// The way to a neighbor that is to be asked.
    pub fn line(&self, peer: EndpointId) -> Option<Line> {
        let limit = Duration::from_millis(self.config.question_timeout_ms);
        Line::new(self.endpoint.clone(), peer, limit)
    }

    /// Connects to a peer for a topic, so that gossip finds the connection when it wants to talk to it.
    ///
    /// Gossip would dial by itself, but never say how that ended.
    pub async fn dial(&self, topic: TopicId, peer: &EndpointAddr) -> (DialResult, Duration) {
        let started = Instant::now();
        let (Some(room), Some(address)) = (self.rooms.of(topic), to_iroh(peer)) else {
            return (DialResult::Failed, started.elapsed());
        };
        // Gossip must find the addresses too: before it hears of the peer.
        self.lookup.set_endpoint_info(address.clone());
        // A task of its own lets go of the endpoint, also while the actor hangs.
        let dialer = self.dialer.clone();
        let dialed = tokio::spawn(async move { dialer.dial(&room, address).await });
        let result = dialed.await.unwrap_or(DialResult::Failed);
        (result, started.elapsed())
    }

    /// Forgets the addresses of a peer that nobody needs any more.
    pub fn forget(&self, peer: EndpointId) {
        if let Ok(id) = iroh::EndpointId::from_bytes(peer.as_bytes()) {
            self.lookup.remove_endpoint_info(id);
        }
    }

    /// Ends the connections with a peer in a topic.
    pub fn hang_up(&self, topic: TopicId, peer: EndpointId) {
        if let (Some(room), Ok(id)) = (
            self.rooms.of(topic),
            iroh::EndpointId::from_bytes(peer.as_bytes()),
        ) {
            room.links.end(id, Duration::ZERO);
        }
    }

    /// Peers whose connections in a topic are all at least so old.
    pub fn connected(&self, topic: TopicId, at_least: Duration) -> Vec<EndpointId> {
        let room = self.rooms.of(topic);
        let settled = room.map(|room| room.links.settled(at_least));
        settled.into_iter().flatten().map(from_iroh).collect()
    }

    /// The counters of endpoint and gossip as OpenMetrics text, without the final `# EOF`.
    pub fn counters(&self) -> String {
        let mut registry = Registry::default();
        if let Some(endpoint) = self.endpoint.get() {
            registry.register_all(endpoint.metrics());
        }
        registry.register(Arc::new(self.rooms.counters()));
        let text = registry
            .encode_openmetrics_to_string()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "iroh's counters can't be shown");
                String::new()
            });
        text.trim_end().trim_end_matches("# EOF").to_owned()
    }

    /// Closes the endpoint when the lease ends: an endpoint that outlives its actor would be taken
    /// for this node by its neighbors, because it has the same id.
    pub async fn close_with(self, lease: Lease) {
        let Some(closed) = self.endpoint.get().map(|endpoint| endpoint.closed()) else {
            return;
        };
        tokio::select! {
            () = lease.ended() => self.close().await,
            // In good order. Held on to, the endpoint would keep its socket.
            _ = closed => {}
        }
    }

    /// Leaves all swarms and closes the endpoint. Whoever closes it too returns when it is closed, not
    /// before: a second `Stop` would end the actor in the middle of the first.
    pub async fn close(&self) {
        let mut closing = self.router.lock().await;
        let (Some(router), Some(endpoint)) = (closing.take(), self.endpoint.get()) else {
            return;
        };
        let close = async {
            // Neighbors are told, then the connections end.
            if let Err(error) = router.shutdown().await {
                tracing::debug!(%error, "router ended badly");
            }
            endpoint.close().await;
        };
        if timeout(CLOSE_LIMIT, close).await.is_err() {
            tracing::debug!("the endpoint did not close in time");
        }
        self.endpoint.end();
    }
}

async fn watch_addresses(endpoint: Endpoint, to: mpsc::Sender<SwarmEvent>) {
    let mut changes = endpoint.watch_addr().stream();
    let closed = endpoint.closed();
    // Held on to, the endpoint would keep its socket open after it was closed.
    drop(endpoint);
    let hand_on = async {
        while changes.next().await.is_some() {
            if to.send(SwarmEvent::AddressChanged).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = hand_on => {}
        _ = closed => {}
    }
}
