//! The swarms: the only file that names `iroh_gossip`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use iroh::address_lookup::memory::MemoryLookup;
use iroh::protocol::Router;
use iroh::{Endpoint, Watcher};
use iroh_gossip::api::{Event, GossipReceiver, GossipSender};
use iroh_gossip::net::{GOSSIP_ALPN, Gossip};
use iroh_gossip::proto::TopicId as IrohTopic;
use iroh_metrics::{MetricsSource, Registry};
use kukuri_contract::{
    DialResult, EndpointAddr, EndpointId, EndpointKey, Lease, LocalAddresses, TopicId,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::ask::{ASK_ALPN, Answerer, Line};
use crate::config::Config;
use crate::door::{Door, Links};
use crate::endpoint::{addresses, bind, from_iroh, to_iroh};
use crate::error::GossipError;

/// Largest gossip message in bytes, with all that the protocol adds (iroh-gossip's default).
const MAX_MESSAGE_BYTES: usize = 4096;
/// What the protocol adds to a payload at most: topic, message id, round, lengths (measured: 75).
const OVERHEAD_BYTES: usize = 96;
/// Largest payload of a broadcast in bytes. iroh-gossip answers Ok to a larger one and drops it.
pub const MAX_PAYLOAD_BYTES: usize = MAX_MESSAGE_BYTES - OVERHEAD_BYTES;
/// Events of all topics that wait for the actor; beyond, iroh-gossip keeps 2048 more per topic and
/// then says that it lagged.
const EVENTS: usize = 1024;
/// Time for a graceful end; the whole node has 2 s.
const CLOSE_LIMIT: Duration = Duration::from_millis(1200);

/// The endpoint with its swarms.
#[derive(Debug, Clone)]
pub struct Swarms {
    endpoint: Endpoint,
    gossip: Gossip,
    router: Router,
    links: Links,
    lookup: MemoryLookup,
    events: mpsc::Sender<SwarmEvent>,
    dial_timeout: Duration,
    config: Config,
}

/// What happened at the endpoint.
#[derive(Debug)]
pub enum SwarmEvent {
    /// Something in the swarm of a topic, as this subscription saw it.
    In(TopicId, Subscription, TopicEvent),
    /// Others may dial this endpoint elsewhere now.
    AddressChanged,
}

/// What happened in the swarm of a topic.
#[derive(Debug)]
pub enum TopicEvent {
    /// A peer is a neighbor.
    Up(EndpointId),
    /// A peer is no neighbor any more.
    Down(EndpointId),
    /// A broadcast came in.
    Received(Bytes, EndpointId),
    /// Events were lost, neighbors' among them: the subscription must be made anew.
    Lagged,
}

/// Numbers the subscriptions of a node. Events of an earlier one may still wait when the next one
/// begins, and what they say of neighbors is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription(pub u64);

/// A swarm that was entered, and that nobody listens to yet.
#[derive(Debug)]
pub struct Entered {
    topic: TopicId,
    sender: GossipSender,
    receiver: GossipReceiver,
    events: mpsc::Sender<SwarmEvent>,
}

/// The sending side of one swarm; the receiving side is a task that ends with it.
#[derive(Debug)]
pub struct Swarm {
    sender: GossipSender,
    task: tokio::task::JoinHandle<()>,
}

impl Entered {
    /// Hands the swarm's events on from now on, the neighbors that there are first.
    pub fn listen(self, subscription: Subscription) -> Swarm {
        let events = forward(self.topic, subscription, self.receiver, self.events);
        Swarm {
            sender: self.sender,
            task: tokio::spawn(events),
        }
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Swarms {
    /// Binds the endpoint, accepts gossip and the questions of neighbors.
    ///
    /// # Errors
    /// The endpoint can't be bound.
    pub async fn start(
        config: &Config,
        key: &EndpointKey,
        answerer: Answerer,
    ) -> Result<(Self, mpsc::Receiver<SwarmEvent>), GossipError> {
        let lookup = MemoryLookup::new();
        let endpoint = bind(config, key, lookup.clone()).await?;
        let gossip = Gossip::builder()
            .max_message_size(MAX_MESSAGE_BYTES)
            .spawn(endpoint.clone());
        let links = Links::default();
        let door = Door {
            links: links.clone(),
            inner: gossip.clone(),
        };
        let router = Router::builder(endpoint.clone())
            .accept(GOSSIP_ALPN, door)
            .accept(ASK_ALPN, answerer)
            .spawn();
        let (events, received) = mpsc::channel(EVENTS);
        tokio::spawn(watch_addresses(endpoint.clone(), events.clone()));
        let swarms = Self {
            endpoint,
            gossip,
            router,
            links,
            lookup,
            events,
            dial_timeout: Duration::from_millis(config.dial_timeout_ms),
            config: config.clone(),
        };
        Ok((swarms, received))
    }

    /// This endpoint's id.
    pub fn id(&self) -> EndpointId {
        from_iroh(self.endpoint.id())
    }

    /// Where it is bound, and where others may dial it.
    pub fn addresses(&self) -> LocalAddresses {
        addresses(&self.endpoint, &self.config)
    }

    /// Enters the swarm of a topic, with nobody in it yet. `None` if gossip has ended.
    pub async fn enter(&self, topic: TopicId) -> Option<Entered> {
        let id = IrohTopic::from_bytes(*topic.as_bytes());
        let (sender, receiver) = self.gossip.subscribe(id, Vec::new()).await.ok()?.split();
        Some(Entered {
            topic,
            sender,
            receiver,
            events: self.events.clone(),
        })
    }

    /// The way to a neighbor that is to be asked.
    pub fn line(&self, peer: EndpointId) -> Option<Line> {
        let limit = Duration::from_millis(self.config.question_timeout_ms);
        Line::new(self.endpoint.clone(), peer, limit)
    }

    /// Connects to a peer, so that gossip finds the connection when it wants to talk to it.
    ///
    /// Gossip would dial by itself, but never say how that ended.
    pub async fn dial(&self, peer: &EndpointAddr) -> (DialResult, Duration) {
        let started = Instant::now();
        let Some(address) = to_iroh(peer) else {
            return (DialResult::Failed, started.elapsed());
        };
        // Gossip must find the addresses too: before it hears of the peer.
        self.lookup.set_endpoint_info(address.clone());
        let connect = self.endpoint.connect(address, GOSSIP_ALPN);
        let result = match timeout(self.dial_timeout, connect).await {
            Ok(Ok(connection)) => {
                self.links.add(&connection);
                match self.gossip.handle_connection(connection).await {
                    Ok(()) => DialResult::Connected,
                    Err(_) => DialResult::Failed,
                }
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = ?peer.id, %error, "dial failed");
                DialResult::Failed
            }
            Err(_) => DialResult::TimedOut,
        };
        (result, started.elapsed())
    }

    /// Forgets the addresses of a peer that nobody needs any more.
    pub fn forget(&self, peer: EndpointId) {
        if let Ok(id) = iroh::EndpointId::from_bytes(peer.as_bytes()) {
            self.lookup.remove_endpoint_info(id);
        }
    }

    /// Ends the gossip connections with a peer.
    pub fn hang_up(&self, peer: EndpointId) {
        if let Ok(id) = iroh::EndpointId::from_bytes(peer.as_bytes()) {
            self.links.end(id, Duration::ZERO);
        }
    }

    /// The counters of endpoint and gossip as OpenMetrics text, without the final `# EOF`.
    pub fn counters(&self) -> String {
        let mut registry = Registry::default();
        registry.register_all(self.endpoint.metrics());
        registry.register(self.gossip.metrics().clone());
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
        let closed = self.endpoint.closed();
        tokio::select! {
            () = lease.ended() => self.close().await,
            // In good order. Held on to, the endpoint would keep its socket.
            _ = closed => {}
        }
    }

    /// Leaves all swarms and closes the endpoint.
    pub async fn close(&self) {
        let close = async {
            // Neighbors are told, then the connections end.
            if let Err(error) = self.router.shutdown().await {
                tracing::debug!(%error, "router ended badly");
            }
            self.endpoint.close().await;
        };
        if timeout(CLOSE_LIMIT, close).await.is_err() {
            tracing::debug!("the endpoint did not close in time");
        }
    }
}

impl Swarm {
    /// A handle that sends without this value.
    pub fn sender(&self) -> SwarmSender {
        SwarmSender(self.sender.clone())
    }

    /// Hears nothing any more, but stays in the swarm.
    pub fn mute(&self) {
        self.task.abort();
    }
}

/// Sends to a swarm.
#[derive(Debug, Clone)]
pub struct SwarmSender(GossipSender);

impl SwarmSender {
    /// Broadcasts a payload of at most [`MAX_PAYLOAD_BYTES`]. False if gossip has ended.
    pub async fn broadcast(&self, payload: Bytes) -> bool {
        self.0.broadcast(payload).await.is_ok()
    }

    /// Asks a peer into the swarm, over the connection that there is by now.
    pub async fn ask(&self, peer: EndpointId) {
        if let Ok(id) = iroh::EndpointId::from_bytes(peer.as_bytes()) {
            // An error means that gossip has ended.
            let _ended = self.0.join_peers(vec![id]).await;
        }
    }
}

/// Hands a swarm's events on until it is left.
async fn forward(
    topic: TopicId,
    subscription: Subscription,
    mut from: GossipReceiver,
    to: mpsc::Sender<SwarmEvent>,
) {
    while let Some(event) = from.next().await {
        let event = match event {
            Ok(Event::NeighborUp(peer)) => TopicEvent::Up(from_iroh(peer)),
            Ok(Event::NeighborDown(peer)) => TopicEvent::Down(from_iroh(peer)),
            Ok(Event::Received(message)) => {
                TopicEvent::Received(message.content, from_iroh(message.delivered_from))
            }
            Ok(Event::Lagged) => TopicEvent::Lagged,
            Err(error) => {
                tracing::debug!(?topic, %error, "swarm ended");
                return;
            }
        };
        let event = SwarmEvent::In(topic, subscription, event);
        if to.send(event).await.is_err() {
            return;
        }
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
