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
use kukuri_contract::{DialResult, EndpointAddr, EndpointId, EndpointKey, LocalAddresses, TopicId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::config::Config;
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
    lookup: MemoryLookup,
    events: mpsc::Sender<SwarmEvent>,
    dial_timeout: Duration,
    config: Config,
}

/// What happened in a swarm.
#[derive(Debug)]
pub enum SwarmEvent {
    /// A peer is a neighbor.
    Up(TopicId, EndpointId),
    /// A peer is no neighbor any more.
    Down(TopicId, EndpointId),
    /// A broadcast came in.
    Received(TopicId, Bytes, EndpointId),
    /// Events were lost, neighbors' among them: the subscription must be made anew.
    Lagged(TopicId),
    /// Others may dial this endpoint elsewhere now.
    AddressChanged,
}

/// The sending side of one swarm; the receiving side is a task that ends with it.
#[derive(Debug)]
pub struct Swarm {
    sender: GossipSender,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Swarms {
    /// Binds the endpoint and accepts gossip.
    ///
    /// # Errors
    /// The endpoint can't be bound.
    pub async fn start(
        config: &Config,
        key: &EndpointKey,
    ) -> Result<(Self, mpsc::Receiver<SwarmEvent>), GossipError> {
        let lookup = MemoryLookup::new();
        let endpoint = bind(config, key, lookup.clone()).await?;
        let gossip = Gossip::builder()
            .max_message_size(MAX_MESSAGE_BYTES)
            .spawn(endpoint.clone());
        let router = Router::builder(endpoint.clone())
            .accept(GOSSIP_ALPN, gossip.clone())
            .spawn();
        let (events, received) = mpsc::channel(EVENTS);
        tokio::spawn(watch_addresses(endpoint.clone(), events.clone()));
        let swarms = Self {
            endpoint,
            gossip,
            router,
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
    pub async fn enter(&self, topic: TopicId) -> Option<Swarm> {
        let id = IrohTopic::from_bytes(*topic.as_bytes());
        let (sender, receiver) = self.gossip.subscribe(id, Vec::new()).await.ok()?.split();
        let task = tokio::spawn(forward(topic, receiver, self.events.clone()));
        Some(Swarm { sender, task })
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
            Ok(Ok(connection)) => match self.gossip.handle_connection(connection).await {
                Ok(()) => DialResult::Connected,
                Err(_) => DialResult::Failed,
            },
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
async fn forward(topic: TopicId, mut from: GossipReceiver, to: mpsc::Sender<SwarmEvent>) {
    while let Some(event) = from.next().await {
        let event = match event {
            Ok(Event::NeighborUp(peer)) => SwarmEvent::Up(topic, from_iroh(peer)),
            Ok(Event::NeighborDown(peer)) => SwarmEvent::Down(topic, from_iroh(peer)),
            Ok(Event::Received(message)) => {
                SwarmEvent::Received(topic, message.content, from_iroh(message.delivered_from))
            }
            Ok(Event::Lagged) => SwarmEvent::Lagged(topic),
            Err(error) => {
                tracing::debug!(?topic, %error, "swarm ended");
                return;
            }
        };
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
