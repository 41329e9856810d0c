//! The discovery service: from a topic to the endpoints in it.
//!
//! [`Discover`] starts all sources of a topic at once and keeps looking, with capped back-off, for
//! as long as [`SetNeighbors`] says that there is no neighbor; with neighbors it only keeps the
//! topic's announcement fresh. Each peer found is told once per source as
//! [`DiscoveryEvent::PeerFound`], whose record was verified; while there is no neighbor it may be told again.
//!
//! An implementation tells `PeerFound`, `LookupEnded`, `AnnounceEnded`, `VerdictChanged` and each drop. All
//! other events, and the fields of [`DhtHealth`], are for those that have what they tell of: a DHT, a socket,
//! a router, a board.
//!
//! It may be without three things. One whose peers are all named finds nobody else. One that has nothing to
//! announce (all is named, or heard at once as on a local network) answers each [`Announce`] with
//! [`SkipReason::NoDht`], and may tell others between look-ups only. One without beacons (`BeaconDue`, `SwarmChanged`, `PartFound`,
//! `PartsJoined`) does not mend a swarm that the network has split; it drops those that it hears, as it does
//! with what it can't read.
//!
//! What makes a peer a member is the implementation's to say, but it is more than its own word: a code or a
//! seal under a key of the topic's. Gossip has it prove that again.

mod reasons;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

pub use reasons::{AnnounceResult, BeaconDrop, HelloDrop, SkipReason};

use crate::board::{BoardResult, PageDrop};
use crate::event::Event;
use crate::ids::{EndpointId, TopicId};
use crate::peer::{EndpointAddr, Source};
use crate::port::{Never, request, service};
use crate::reachability::Reachability;
use crate::verdict::Verdict;

service! {
    /// The discovery service: from a topic to the endpoints in it.
    DiscoveryService, DiscoveryPort, "discovery" {
        /// Starts discovery of a topic, or gives a running one more static peers.
        discover: Discover,
        /// Ends discovery of a topic; its announcements run out by themselves. Unknown topics are fine.
        forget: Forget,
        /// Says which neighbors a topic has now. Idempotent; unknown topics are fine.
        set_neighbors: SetNeighbors,
        /// Hands over a beacon that came in by gossip.
        hear_beacon: HearBeacon,
        /// Says at which addresses this node's endpoint can be dialed, for all topics. Idempotent; the last
        /// one counts. Nothing is announced before it.
        set_address: SetAddress,
        /// Announces a topic now, within its budget; answers when others can find it.
        announce: Announce,
        /// Looks once in all sources; answers when the look-up has ended. Nobody there is no error.
        lookup: Lookup,
        /// How this node and the DHT get along; of what there is not, it says so.
        health: DhtHealthQuery,
    }
}

request! {
    Discover => (), DiscoverError;
    Forget => (), Never;
    SetNeighbors => (), Never;
    HearBeacon => (), Never;
    SetAddress => (), SetAddressError;
    Announce => Announced, AnnounceError;
    Lookup => LookupStats, LookupError;
    DhtHealthQuery => DhtHealth, Never;
}

/// Starts discovery of a topic that the identity service knows. Repeating it adds the peers.
#[derive(Debug, Clone)]
pub struct Discover {
    /// The topic.
    pub topic: TopicId,
    /// Peers that the user named: the source [`Source::Static`].
    pub peers: Vec<EndpointAddr>,
    /// Peers that an earlier run found: the source [`Source::Cache`].
    pub cached: Vec<EndpointAddr>,
}

/// Why discovery of a topic did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The node looks for as many topics as it may.
    #[error("this node looks for {limit} topics already, the most it may; leave one first")]
    TooManyTopics {
        /// Most topics at once.
        limit: usize,
    },
    /// Each topic has sockets of its own, and this one gets none.
    #[error("the topic gets no sockets of its own: {0}")]
    NoSocket(String),
}

/// Ends discovery of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Forget {
    /// The topic.
    pub topic: TopicId,
}

/// Tells which neighbors a topic has now. Without any the search starts again; those that were
/// there before are remembered, so that a swarm that the network has split can heal.
#[derive(Debug, Clone)]
pub struct SetNeighbors {
    /// The topic.
    pub topic: TopicId,
    /// The neighbors in its swarm.
    pub neighbors: Vec<EndpointId>,
}

/// Hands over the payload of a [`DiscoveryEvent::BeaconDue`] of another member, as it came in by
/// gossip. What is wrong with one is counted ([`DiscoveryEvent::BeaconDropped`]).
#[derive(Debug, Clone)]
pub struct HearBeacon {
    /// The topic in whose swarm it was broadcast.
    pub topic: TopicId,
    /// The payload, not verified yet.
    pub payload: Bytes,
}

/// Tells at which addresses this node's endpoint can be dialed; goes into its records.
#[derive(Debug, Clone)]
pub struct SetAddress {
    /// The addresses to publish, best first; those that don't fit a record are left out.
    pub address: EndpointAddr,
    /// The local UDP port of the endpoint's IPv4 socket: with this node's public IP address, as the
    /// DHT and other members see it, a further address. `None`: there is no such socket.
    pub port: Option<u16>,
}

/// Why an address can't be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetAddressError {
    /// The relay URL does not fit a record.
    #[error("the relay URL has {got} bytes, a record holds at most {limit}")]
    RelayTooLong {
        /// Bytes that the URL has.
        got: usize,
        /// Bytes that a record holds.
        limit: usize,
    },
}

/// Announces a topic now.
#[derive(Debug, Clone, Copy)]
pub struct Announce {
    /// The topic.
    pub topic: TopicId,
}

/// Answer to [`Announce`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// From the request until others can find it, retries included.
    pub took: Duration,
}

/// Why a topic is not announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// [`Discover`] was not asked for this topic.
    #[error("topic {0:?} is not being discovered; start it first")]
    UnknownTopic(TopicId),
    /// The topic's budget of writes is used up.
    #[error("not announced: {}; the next scheduled announcement will be", .0.as_str())]
    Skipped(SkipReason),
    /// None of the tries was acknowledged.
    #[error("no DHT node acknowledged the announcement: {0}")]
    NotStored(String),
}

/// Looks once in all sources.
#[derive(Debug, Clone, Copy)]
pub struct Lookup {
    /// The topic.
    pub topic: TopicId,
}

/// Why there was no look-up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// [`Discover`] was not asked for this topic.
    #[error("topic {0:?} is not being discovered; start it first")]
    UnknownTopic(TopicId),
}

/// What one look-up brought. The peers themselves come as [`DiscoveryEvent::PeerFound`], as they
/// are found: acting on the stream is many times faster than waiting for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupStats {
    /// Distinct entries that were there, right or wrong.
    pub entries: usize,
    /// Places (DHT nodes, servers, folders) that answered with entries.
    pub answers: usize,
    /// From its start to its end.
    pub took: Duration,
}

/// First byte of a broadcast that is a beacon; all others belong to the node.
pub const BEACON: u8 = 2;
/// Largest beacon in bytes: far less than a broadcast may have.
pub const MAX_BEACON_BYTES: usize = 512;

/// Asks how this node and the DHT get along.
#[derive(Debug, Clone, Copy)]
pub struct DhtHealthQuery;

/// How this node and the DHT get along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DhtHealth {
    /// DHT nodes in the routing table; `None` where no DHT node runs here.
    pub routing_table: Option<usize>,
    /// Where the DHT socket is bound.
    pub dht_address: Option<SocketAddr>,
    /// Where the hello socket is bound.
    pub hello_address: Option<SocketAddr>,
    /// This node answers queries of other DHT nodes.
    pub serves: bool,
    /// Whether others reach the hello port.
    pub reachability: Reachability,
    /// The hello port's address at the router that forwards it to this node.
    pub mapped_address: Option<SocketAddr>,
}

/// What happened in discovery.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// A member of a topic, by a verified record or by the user's word.
    PeerFound {
        /// The topic.
        topic: TopicId,
        /// Who, and where to dial.
        peer: EndpointAddr,
        /// How.
        source: Source,
        /// Since [`Discover`].
        after: Duration,
    },
    /// A look-up brought its first entry.
    FirstEntry {
        /// The topic.
        topic: TopicId,
        /// Since the start of the look-up.
        after: Duration,
    },
    /// A look-up ended.
    LookupEnded {
        /// The topic.
        topic: TopicId,
        /// What it brought.
        stats: LookupStats,
    },
    /// An announcement ended.
    AnnounceEnded {
        /// The topic.
        topic: TopicId,
        /// How.
        result: AnnounceResult,
        /// Retries included.
        took: Duration,
    },
    /// An announcement was not made.
    AnnounceSkipped {
        /// The topic.
        topic: TopicId,
        /// Why.
        reason: SkipReason,
    },
    /// A hello was sent (a retry counts again).
    HelloSent,
    /// A member answered a hello.
    HelloAnswered {
        /// From the first try to the reply.
        after: Duration,
    },
    /// A member's hello was answered.
    HelloServed,
    /// Something was not used.
    Dropped {
        /// Why.
        reason: HelloDrop,
    },
    /// Slots of the board were read.
    BoardRead {
        /// The topic.
        topic: TopicId,
        /// Different pages that could be read.
        pages: u32,
        /// Endpoints with a verified record on them, this one not counted.
        records: u32,
        /// From the first to the last slot.
        took: Duration,
    },
    /// A write of the board ended.
    BoardWritten {
        /// The topic.
        topic: TopicId,
        /// How.
        result: BoardResult,
        /// Retries and reading back included.
        took: Duration,
    },
    /// A page of the board, or a record on it, was not used.
    PageDropped {
        /// Why.
        reason: PageDrop,
    },
    /// A beacon must be broadcast in the topic's swarm.
    BeaconDue {
        /// The topic.
        topic: TopicId,
        /// What to broadcast, at most [`MAX_BEACON_BYTES`].
        payload: Bytes,
    },
    /// A beacon was not used.
    BeaconDropped {
        /// Why.
        reason: BeaconDrop,
    },
    /// What is known of a topic's swarm as a whole has changed.
    SwarmChanged {
        /// The topic.
        topic: TopicId,
        /// Its root: the member whose heartbeats name this part of the swarm. `None` until one is
        /// known.
        root: Option<EndpointId>,
        /// How many members it is taken to have, this node included.
        members: u64,
    },
    /// A member of another part of the swarm answers: to be dialed, whatever the neighbors.
    PartFound {
        /// The topic.
        topic: TopicId,
        /// Who, and where to dial.
        peer: EndpointAddr,
    },
    /// Two parts of a swarm have become one again, as far as this node sees.
    PartsJoined {
        /// The topic.
        topic: TopicId,
        /// Since the other part was seen first.
        after: Duration,
    },
    /// How this node and the DHT get along has changed.
    DhtHealthChanged(DhtHealth),
    /// What is known of the hello port's reachability has changed.
    ReachabilityChanged(Reachability),
    /// The router forwards another port to the hello port now, or none any more.
    PortMapped(Option<SocketAddr>),
    /// No router could be found that forwards a port; it is tried again later.
    PortMappingFailed,
    /// DHT nodes that answered lately: contacts to start from next time.
    DhtContacts(Vec<SocketAddr>),
    /// What came of looking for a topic's peers has changed. First told 10 s after [`Discover`], or after the
    /// last neighbor went, if there is still none: before that, nothing is known. A user reads it, so an
    /// implementation tells what it can tell apart, at least [`Verdict::Alone`] from
    /// [`Verdict::FoundButUnreachable`]. Never [`Verdict::Joined`]: that the node knows by itself.
    VerdictChanged {
        /// The topic.
        topic: TopicId,
        /// The outcome.
        verdict: Verdict,
    },
    /// The listener missed events.
    Lagged(u64),
}

impl Event for DiscoveryEvent {
    fn lagged(missed: u64) -> Self {
        Self::Lagged(missed)
    }
}
