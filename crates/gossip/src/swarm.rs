//! One topic's swarm: the only file that names `iroh_gossip`.
//!
//! Each topic has an iroh-gossip of its own, and connections of its own. An iroh-gossip that carries
//! several topics serves each of them to whoever is connected for one, so a member of one topic could
//! ask for any other. This one knows one topic, and gets only connections whose other side has
//! proven to be a member of it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use iroh::Endpoint;
use iroh::endpoint::Connection;
use iroh_gossip::api::{Event, GossipReceiver, GossipSender};
use iroh_gossip::net::Gossip;
use iroh_gossip::proto::TopicId as IrohTopic;
use iroh_metrics::{Counter, MetricsGroup};
use kukuri_contract::{EndpointId, MemberKeys, TopicId};
use tokio::sync::mpsc;

use crate::door::Links;
use crate::endpoint::from_iroh;
use crate::swarms::SwarmEvent;

/// What iroh-gossip counts.
pub use iroh_gossip::metrics::Metrics;

/// Largest gossip message in bytes, with all that the protocol adds (iroh-gossip's default).
const MAX_MESSAGE_BYTES: usize = 4096;
/// What the protocol adds to a payload at most: topic, message id, round, lengths (measured: 75).
const OVERHEAD_BYTES: usize = 96;
/// Largest payload of a broadcast in bytes. iroh-gossip answers Ok to a larger one and drops it.
pub const MAX_PAYLOAD_BYTES: usize = MAX_MESSAGE_BYTES - OVERHEAD_BYTES;
/// Events of a topic that are handed to the actor at once, if so many are there. 64: to wake the
/// actor's thread costs as much as to handle some ten events.
const BATCH: usize = 64;
/// Broadcasts of a topic that were accepted and wait for iroh-gossip; beyond, their replies wait. 128:
/// half of what the port admits, so that a burst of posts is taken at once.
const OUTGOING: usize = 128;

/// What happened in the swarm of a topic.
#[derive(Debug)]
pub enum TopicEvent {
    /// A peer is a neighbor.
    Up(EndpointId),
    /// A peer is no neighbor any more.
    Down(EndpointId),
    /// A broadcast came in from a neighbor, which says whether it is the first to send it.
    Received(Bytes, EndpointId, bool),
    /// Events were lost, neighbors' among them: the subscription must be made anew.
    Lagged,
}

/// Numbers the subscriptions of a node. Events of an earlier one may still wait when the next one
/// begins, and what they say of neighbors is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription(pub u64);

/// Names the room of a topic. A topic that is left and joined again has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomId(pub u64);

/// A topic's own iroh-gossip, and the connections that it was given.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    pub id: RoomId,
    /// The topic.
    pub topic: TopicId,
    /// Its connections.
    pub links: Links,
    keys: Mutex<MemberKeys>,
    gossip: Gossip,
}

impl Room {
    /// A room with nobody in it. Where its iroh-gossip wants to dial, it asks the endpoint for the
    /// protocol `alpn`, which is not one.
    pub fn new(
        id: RoomId,
        topic: TopicId,
        keys: MemberKeys,
        endpoint: Endpoint,
        alpn: &[u8],
    ) -> Self {
        Self {
            id,
            topic,
            links: Links::default(),
            keys: Mutex::new(keys),
            gossip: Gossip::builder()
                .max_message_size(MAX_MESSAGE_BYTES)
                .alpn(alpn)
                .spawn(endpoint),
        }
    }

    /// The keys that prove who is a member.
    pub fn keys(&self) -> MemberKeys {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    /// Takes in the keys of another time.
    pub fn set_keys(&self, keys: MemberKeys) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Gives the swarm a connection whose other side has proven to be a member. False if the room is
    /// closed.
    pub async fn let_in(&self, connection: Connection) -> bool {
        self.links.add(&connection);
        self.gossip.handle_connection(connection).await.is_ok()
    }

    /// Enters the swarm, or listens to it anew. `None` if the room is closed.
    pub async fn enter(&self, events: mpsc::Sender<SwarmEvent>) -> Option<Entered> {
        let id = IrohTopic::from_bytes(*self.topic.as_bytes());
        let (sender, receiver) = self.gossip.subscribe(id, Vec::new()).await.ok()?.split();
        Some(Entered {
            topic: self.topic,
            sender,
            receiver,
            events,
        })
    }

    /// Ends the swarm and its connections.
    pub async fn close(&self) {
        // An error means that it has ended.
        let _ended = self.gossip.shutdown().await;
        self.links.end_all();
    }

    /// Its counters.
    pub fn counters(&self) -> &Metrics {
        self.gossip.metrics()
    }
}

/// Adds counters to others.
pub fn add(to: &Metrics, more: &Metrics) {
    for (to, more) in to.iter().zip(more.iter()) {
        let (to, more) = (to.as_any(), more.as_any());
        if let (Some(to), Some(more)) =
            (to.downcast_ref::<Counter>(), more.downcast_ref::<Counter>())
        {
            to.inc_by(more.get());
        }
    }
}

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
            let first_hand = message.scope.is_direct();
            TopicEvent::Received(
                message.content,
                from_iroh(message.delivered_from),
                first_hand,
            )
        }
        Event::Lagged => TopicEvent::Lagged,
    }
}
