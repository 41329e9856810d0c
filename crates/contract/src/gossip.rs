//! The gossip service: one endpoint, the swarms of its topics, broadcast.
//!
//! A *neighbor* in a topic is a peer with a live connection, which counts this node as its neighbor too; for a
//! moment after a crash it may not ([`AskError::OneSided`]). Before that, each side has proved to the other
//! that it has the endpoint's secret key and is a member ([`MemberKeys`]); who does not is told as
//! [`GossipEvent::ProofDropped`] and hears nothing of the topic. A node has few neighbors, whatever the size
//! of the swarm: those whom it is not a neighbor of, it reaches over others.
//!
//! A broadcast is for the other members, never for this node itself. It gets to all that are connected by
//! neighbors, soon, and is not promised: it may be lost, come twice, or come before another that was sent
//! earlier. Who wants more asks neighbors for it ([`Ask`]), as kukuri's gap repair does. Payloads are opaque:
//! nothing is kept, opened or judged.
//!
//! A fresh service is in no topic and knows nobody. The node tells it who is banned first, then joins its
//! topics and hands over all peers that it knows. It has the same endpoint, so whatever the one before held
//! has to be gone by then ([`Lease`](crate::Lease)).

mod reasons;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

pub use reasons::{AskDrop, DialResult};

use crate::event::Event;
use crate::ids::{EndpointId, TopicId};
use crate::member::{MemberKeys, ProofDrop, ProofSide};
use crate::peer::EndpointAddr;
use crate::port::{Never, request, service};

service! {
    /// The gossip service: one endpoint, the swarms of its topics, broadcast.
    GossipService, GossipPort, "gossip" {
        /// Takes part in a topic's swarm, at first with nobody. Idempotent; the keys are those of the last one.
        join: Join,
        /// Leaves a topic's swarm; the neighbors notice at once. Unknown topics are fine.
        leave: Leave,
        /// Hands over peers to dial. They are dialed as far as the swarm needs them.
        dial: Dial,
        /// Has nothing to do with these peers, and only these, from now on. Idempotent.
        set_banned: SetBanned,
        /// Sends to all members of a topic; answers when it is on its way. It may be lost, and come twice.
        broadcast: Broadcast,
        /// Asks one neighbor something; answers with its answer.
        ask: Ask,
        /// Answers a neighbor's [`GossipEvent::Asked`].
        answer: Answer,
        /// Where this node's endpoint is bound and can be dialed.
        local_address: LocalAddress,
        /// The transport's own counters as OpenMetrics text, without the final `# EOF`; may be empty.
        counters: Counters,
    }
}

request! {
    Join => Joined, JoinError;
    Leave => (), Never;
    Dial => (), DialError;
    SetBanned => (), Never;
    Broadcast => (), BroadcastError;
    Ask => Bytes, AskError;
    Answer => (), AnswerError;
    LocalAddress => LocalAddresses, Never;
    Counters => String, Never;
}

/// Takes part in a topic's swarm. Joined already, the topic gets these keys.
#[derive(Debug, Clone)]
pub struct Join {
    /// The topic.
    pub topic: TopicId,
    /// What proves that this node is a member, and others are.
    pub keys: MemberKeys,
}

/// Answer to [`Join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The topic's neighbors now: none at first, all of them where it was joined already.
    pub neighbors: Vec<EndpointId>,
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

/// Hands over peers to dial. Each that is dialed is told as [`GossipEvent::DialEnded`], each that there is no
/// room for as [`GossipEvent::DialDropped`]; who is a neighbor already, or this node itself, is passed over. A
/// peer may be handed over again at any time, with other addresses.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The topic they are in.
    pub topic: TopicId,
    /// Who, and where.
    pub peers: Vec<EndpointAddr>,
    /// What for.
    pub reason: DialReason,
}

/// What peers are handed over for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialReason {
    /// They were found: dialed as far as the swarm needs them, the others once neighbors are missing.
    Found,
    /// They are in another part of the swarm: dialed soon, whatever the neighbors.
    Heal,
}

/// Why peers are not dialed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The topic was not joined.
    #[error("topic {0:?} is not joined; join it first")]
    UnknownTopic(TopicId),
}

/// Names all peers that are banned: their connections end, in every topic; they are neither dialed nor
/// let in, and what they ask is not answered. Whoever is not named (any more) is free.
#[derive(Debug, Clone)]
pub struct SetBanned {
    /// Who.
    pub peers: BTreeSet<EndpointId>,
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

/// Largest question in bytes.
pub const MAX_ASK_BYTES: usize = 64 * 1024;
/// Largest answer in bytes.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Asks one neighbor of a topic something. The transport proves to each side who the other one is
/// (its endpoint key), and that it is a neighbor in the topic; nothing about the payload.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The topic.
    pub topic: TopicId,
    /// The neighbor.
    pub peer: EndpointId,
    /// The question, at most [`MAX_ASK_BYTES`].
    pub payload: Bytes,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The topic was not joined.
    #[error("topic {0:?} is not joined; join it first")]
    UnknownTopic(TopicId),
    /// Only neighbors are asked.
    #[error("{0:?} is no neighbor in this topic")]
    NoNeighbor(EndpointId),
    /// Larger than a question may be.
    #[error("a question has at most {MAX_ASK_BYTES} bytes, this one has {0}")]
    TooLarge(usize),
    /// As many questions are under way as may be.
    #[error("{limit} questions are under way already; try again later")]
    Busy {
        /// Most questions at once.
        limit: usize,
    },
    /// The neighbor does not answer: it is busy, does not want to, or speaks another version.
    #[error("the neighbor does not answer this: {0}")]
    Refused(String),
    /// The peer is a neighbor here, and does not count this node as one.
    #[error("the neighbor does not know this node as one")]
    OneSided,
    /// No answer in time, or the connection was lost.
    #[error("no answer: {0}")]
    Failed(String),
}

/// Names a neighbor's question from [`GossipEvent::Asked`] to [`Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// Answers a neighbor's question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which question.
    pub id: AskId,
    /// The answer, at most [`MAX_ANSWER_BYTES`]; `None` refuses one.
    pub payload: Option<Bytes>,
}

/// Why an answer was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Nobody waits for it any more: the neighbor went away, or it took too long.
    #[error("nobody waits for this answer any more")]
    Gone,
    /// Larger than an answer may be.
    #[error("an answer has at most {MAX_ANSWER_BYTES} bytes, this one has {0}")]
    TooLarge(usize),
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

impl LocalAddresses {
    /// The port of the IPv4 socket, if there is one.
    pub fn ipv4_port(&self) -> Option<u16> {
        let bound = self.bound.iter().find(|address| address.is_ipv4());
        bound.map(SocketAddr::port)
    }
}

/// Asks for the transport's own counters.
#[derive(Debug, Clone, Copy)]
pub struct Counters;

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
        /// The neighbor says that it is the first to send this: it answers for it. Otherwise it may
        /// only have handed on what it had no time to look at.
        first_hand: bool,
    },
    /// A neighbor asks something. [`Answer`] it within seconds, or refuse: it does not wait longer than
    /// [`Limits::timeout`](crate::Limits::timeout).
    Asked {
        /// The topic.
        topic: TopicId,
        /// Who asks.
        from: EndpointId,
        /// Names the question.
        id: AskId,
        /// The question. Nothing about it is verified yet.
        payload: Bytes,
    },
    /// A neighbor's question was not passed on.
    AskDropped {
        /// Whose.
        peer: EndpointId,
        /// Why.
        reason: AskDrop,
    },
    /// A connection was not let into a topic.
    ProofDropped {
        /// The other side.
        peer: EndpointId,
        /// Which side this node was.
        side: ProofSide,
        /// Why.
        reason: ProofDrop,
    },
    /// The swarm was faster than this node: broadcasts of a topic were lost, nobody knows how many.
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
        /// From the start of the dial, not from the request.
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
