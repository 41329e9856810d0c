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
/// Events of a topic that are handed to the actor at once, if so many are there. 64: to wake the
/// actor's thread costs as much as to handle some ten events.
const BATCH: usize = 64;
/// Batches of all topics that wait for the actor: 4096 events, 16 MiB at most. A quarter of it lost
/// three times as many broadcasts of a flood (measured). Beyond, iroh-gossip keeps 2048 more per topic
/// and then says that it lagged.
const BATCHES: usize = 64;
/// Broadcasts of a topic that were accepted and wait for iroh-gossip; beyond, their replies wait. 128:
/// half of what the port admits, so that a burst of posts is taken at once.
const OUTGOING: usize = 128;
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
    /// What happened in the swarm of a topic, as this subscription saw it.
    In(TopicId, Subscription, Vec<TopicEvent>),
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
    outgoing: mpsc::Sender<Bytes>,
    task: tokio::task::JoinHandle<()>,
}

impl Entered {
    /// Hands the swarm's events on from now on, the neighbors that there are first.
    pub fn listen(self, subscription: Subscription) -> Swarm {
        let events = forward(self.topic, subscription, self.receiver, self.events);
        let (outgoing, waiting) = mpsc::channel(OUTGOING);
        // Ends with the queue, once all that was accepted is sent.
        tokio::spawn(send(waiting, self.sender.clone()));
        Swarm {
            sender: self.sender,
            outgoing,
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
        let (events, received) = mpsc::channel(BATCHES);
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

    /// Peers whose gossip connections are all at least so old.
    pub fn connected(&self, at_least: Duration) -> Vec<EndpointId> {
        let settled = self.links.settled(at_least);
        settled.into_iter().map(from_iroh).collect()
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
    /// A handle that works without this value.
    pub fn sender(&self) -> SwarmSender {
        SwarmSender(self.sender.clone())
    }

    /// Where payloads of at most [`MAX_PAYLOAD_BYTES`] go to be broadcast. Closed if gossip has ended.
    pub fn outgoing(&self) -> &mpsc::Sender<Bytes> {
        &self.outgoing
    }

    /// Hears nothing any more, but stays in the swarm.
    pub fn mute(&self) {
        self.task.abort();
    }
}

/// Asks peers into a swarm.
#[derive(Debug, Clone)]
pub struct SwarmSender(GossipSender);

impl SwarmSender {
    /// Asks a peer into the swarm, over the connection that there is by now.
    pub async fn ask(&self, peer: EndpointId) {
        if let Ok(id) = iroh::EndpointId::from_bytes(peer.as_bytes()) {
            // An error means that gossip has ended.
            let _ended = self.0.join_peers(vec![id]).await;
        }
    }
}

/// Broadcasts what comes. A task beside gossip's own: where it waits for them, as it does in a
/// flood, no other thread has to wake.
async fn send(mut waiting: mpsc::Receiver<Bytes>, to: GossipSender) {
    while let Some(payload) = waiting.recv().await {
        if to.broadcast(payload).await.is_err() {
            return;
        }
    }
}

/// Hands a swarm's events on until it is left.
async fn forward(
    topic: TopicId,
    subscription: Subscription,
    from: GossipReceiver,
    to: mpsc::Sender<SwarmEvent>,
) {
    let mut from = from.ready_chunks(BATCH);
    while let Some(events) = from.next().await {
        let events = events.into_iter().map_while(|event| match event {
            Ok(event) => Some(translate(event)),
            // The stream ends with it.
            Err(error) => {
                tracing::debug!(?topic, %error, "swarm ended");
                None
            }
        });
        let events = SwarmEvent::In(topic, subscription, events.collect());
        if to.send(events).await.is_err() {
            return;
        }
    }
}

fn translate(event: Event) -> TopicEvent {
    match event {
        Event::NeighborUp(peer) => TopicEvent::Up(from_iroh(peer)),
        Event::NeighborDown(peer) => TopicEvent::Down(from_iroh(peer)),
        Event::Received(message) => {
            TopicEvent::Received(message.content, from_iroh(message.delivered_from))
        }
        Event::Lagged => TopicEvent::Lagged,
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
