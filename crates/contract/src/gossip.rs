//! The gossip service: one endpoint, the swarms of its topics, broadcast.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::event::Event;
use crate::ids::{EndpointId, TopicId};
use crate::peer::EndpointAddr;
use crate::port::{Never, request, service};

service! {
    /// The gossip service: one endpoint, the swarms of its topics, broadcast.
    GossipService, GossipPort, "gossip" {
        /// Takes part in a topic's swarm, at first with nobody. Idempotent.
        join: Join,
        /// Leaves a topic's swarm; the neighbors notice at once.
        leave: Leave,
        /// Hands over peers to dial. They are dialed as far as the swarm needs them.
        dial: Dial,
        /// Sends to all members of a topic.
        broadcast: Broadcast,
        /// Where this node's endpoint is bound and can be dialed.
        local_address: LocalAddress,
        /// The transport's own counters as OpenMetrics text, without the final `# EOF`.
        counters: Counters,
    }
}

request! {
    Join => (), JoinError;
    Leave => (), Never;
    Dial => (), DialError;
    Broadcast => (), BroadcastError;
    LocalAddress => LocalAddresses, Never;
    Counters => String, Never;
}

/// Takes part in a topic's swarm.
#[derive(Debug, Clone, Copy)]
pub struct Join {
    /// The topic.
    pub topic: TopicId,
}

/// Why a topic was not joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The node is in as many topics as it may be.
    #[error("this node is in {limit} topics already, the most it may be in; leave one first")]
    TooManyTopics {
        /// Most topics at once.
        limit: usize,
    },
    /// The transport is closed.
    #[error("the gossip transport is closed")]
    Closed,
}

/// Leaves a topic's swarm.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// The topic.
    pub topic: TopicId,
}

/// Hands over peers to dial.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The topic they are in.
    pub topic: TopicId,
    /// Who, and where.
    pub peers: Vec<EndpointAddr>,
}

/// Why peers are not dialed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The topic was not joined.
    #[error("topic {0:?} is not joined; join it first")]
    UnknownTopic(TopicId),
}

/// Sends to all members of a topic.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// The topic.
    pub topic: TopicId,
    /// What is sent; the transport's limit is in [`BroadcastError::TooLarge`].
    pub payload: Bytes,
}

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The topic was not joined.
    #[error("topic {0:?} is not joined; join it first")]
    UnknownTopic(TopicId),
    /// Larger than a broadcast may be.
    #[error("a broadcast has at most {limit} bytes, this one has {got}")]
    TooLarge {
        /// Bytes given.
        got: usize,
        /// Most bytes.
        limit: usize,
    },
    /// The transport is closed.
    #[error("the gossip transport is closed")]
    Closed,
}

/// Asks where this node's endpoint is bound and can be dialed.
#[derive(Debug, Clone, Copy)]
pub struct LocalAddress;

/// Answer to [`LocalAddress`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAddresses {
    /// Sockets that the endpoint is bound to.
    pub bound: Vec<SocketAddr>,
    /// What others may dial: loopback where it is bound to loopback, else public addresses, and
    /// private ones only where configured.
    pub advertised: EndpointAddr,
}

/// Asks for the transport's own counters.
#[derive(Debug, Clone, Copy)]
pub struct Counters;

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialResult {
    /// Connected.
    Connected,
    /// No answer in time.
    TimedOut,
    /// The transport gave up: no address, refused, wrong key.
    Failed,
}

impl DialResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Connected, Self::TimedOut, Self::Failed];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }
}

/// What happened in a swarm.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum GossipEvent {
    /// A peer is a neighbor now.
    NeighborUp {
        /// The topic.
        topic: TopicId,
        /// Who.
        peer: EndpointId,
        /// Neighbors of the topic now.
        neighbors: usize,
    },
    /// A peer is no neighbor any more; the transport does not say why.
    NeighborDown {
        /// The topic.
        topic: TopicId,
        /// Who.
        peer: EndpointId,
        /// Neighbors of the topic now.
        neighbors: usize,
    },
    /// A broadcast came in. Nothing about it is verified yet.
    Received {
        /// The topic.
        topic: TopicId,
        /// What was sent.
        payload: Bytes,
        /// The neighbor that handed it on; not the author.
        from: EndpointId,
    },
    /// The swarm was faster than this node: broadcasts of a topic were lost.
    TopicLagged {
        /// The topic.
        topic: TopicId,
    },
    /// A dial ended.
    DialEnded {
        /// The topic it was for.
        topic: TopicId,
        /// Who was dialed.
        peer: EndpointId,
        /// How.
        result: DialResult,
        /// From the start.
        took: Duration,
    },
    /// A peer was not dialed: the queue of dials is full.
    DialDropped {
        /// The topic.
        topic: TopicId,
    },
    /// The addresses that others may dial have changed.
    AddressChanged(EndpointAddr),
    /// The listener missed events.
    Lagged(u64),
}

impl Event for GossipEvent {
    fn lagged(missed: u64) -> Self {
        Self::Lagged(missed)
    }
}
