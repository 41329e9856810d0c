//! The discovery protocol as a state machine: inputs and the time in, effects out.
//!
//! Nothing in here reads a clock, draws a random number, opens a socket or waits. The actor gives
//! the time and the randomness in, and carries the [`Effect`]s out, so that every rule can be
//! tested, and thousands of nodes simulated, on a virtual clock.
//!
//! Read top-down: [`machine`] ties the parts together. [`topic`] is what is known of one topic,
//! [`given`] its peers that need no looking; [`nearby`] is what other sources show and see;
//! [`board`] reads and writes records on the DHT itself, on the pages of [`page`];
//! [`lookup`] picks the entries of one query that get a hello; [`exchange`] has the hellos under
//! way; [`announce`] is the schedule and budget of writes; [`swarm`] is what is known of the swarm as
//! a whole: its [`root`], its [`crowd`], members to be [`remembered`]; [`patience`] is how long a DHT
//! node is waited for; [`reach`] whether others reach the hello port, [`votes`] what they say where it
//! is; [`verdict`] says what came of it all.
//! [`record`], [`hello`], [`dialback`], [`beacon`] and [`page`] are the wire formats of
//! `docs/PROTOCOL.md`; [`signature`] verifies what they say.

pub mod address;
pub mod announce;
pub mod backoff;
pub mod beacon;
pub mod board;
pub mod crowd;
pub mod dialback;
pub mod exchange;
pub mod given;
pub mod guard;
pub mod hello;
pub mod lookup;
pub mod machine;
pub mod nearby;
pub mod own;
pub mod page;
pub mod patience;
pub mod reach;
pub mod record;
pub mod remembered;
pub mod root;
pub mod signature;
pub mod swarm;
#[cfg(test)]
pub mod testing;
pub mod topic;
pub mod verdict;
pub mod votes;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{
    AnnounceError, AnnounceResult, Announced, DiscoveryEvent, EndpointAddr, EndpointId, Epoch,
    EpochKeys, InfoHash, KeyBytes, LookupStats, Signature, Source, TopicId, UnixMillis,
};

pub use machine::Core;

use board::write::PutResult;
use nearby::{Beacon, Instance, Sighting};

/// The time as the shell tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since some fixed start; never goes back.
    pub mono: Duration,
    /// What the wall clock says; may jump.
    pub unix: UnixMillis,
}

/// Randomness as the shell gives it.
pub trait Entropy {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// A random number below `bound`; 0 if `bound` is 0.
    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        // The bias of the remainder is below 2^-40 for all bounds in use (times in milliseconds).
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }

    /// 24 random bytes, for a nonce.
    fn nonce(&mut self) -> [u8; 24] {
        let mut nonce = [0; 24];
        self.fill(&mut nonce);
        nonce
    }
}

/// The routing table counts as filled with as many nodes as one bucket of Kademlia holds (BEP5: 8).
pub const FILLED: usize = 8;

/// Names one DHT query from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// Names a request of another actor that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Whether there is a DHT node here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhtState {
    /// Turned off.
    Off,
    /// About to start, for example while bootstrap names are resolved.
    Starting,
    /// No bootstrap node is known, so there is nobody to ask.
    NoBootstrap,
    /// This machine has no IPv4.
    NoIpv4,
    /// Queries are possible; so many nodes are in the routing table.
    Up {
        /// Nodes in the routing table.
        routing_table: usize,
    },
}

/// What happens to the core.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "an input is moved once or twice, and keys come a few times in an epoch"
)]
pub enum Input {
    /// Start discovery of a topic, or add peers to a running one.
    Discover {
        /// The topic.
        topic: TopicId,
        /// Static peers.
        peers: Vec<EndpointAddr>,
        /// Peers of an earlier run.
        cached: Vec<EndpointAddr>,
    },
    /// End discovery of a topic.
    Forget(TopicId),
    /// A topic has these neighbors now.
    Neighbors(TopicId, Vec<EndpointId>),
    /// A beacon came in by gossip.
    Beacon(TopicId, Vec<u8>),
    /// This node's endpoint can be dialed here.
    Address(EndpointAddr),
    /// The local port of the endpoint's IPv4 socket, if it has one.
    EndpointPort(Option<u16>),
    /// What DHT nodes say this node's public IP address is.
    PublicIp(Option<Ipv4Addr>),
    /// The router forwards this address to the hello socket, or nothing any more.
    Mapped(Option<SocketAddrV4>),
    /// The keys that [`Effect::FetchKeys`] asked for.
    Keys(TopicId, Epoch, EpochKeys),
    /// The signature that [`Effect::SignRecord`] asked for.
    Signed {
        /// The topic.
        topic: TopicId,
        /// What was signed.
        body: Vec<u8>,
        /// By the endpoint's key.
        signature: Signature,
    },
    /// [`Effect::FetchKeys`] brought nothing; they may be asked for again.
    NoKeys(TopicId, Epoch),
    /// [`Effect::SignRecord`] brought nothing; it may be asked for again.
    NotSigned(TopicId),
    /// The signature that [`Effect::SignHeartbeat`] asked for.
    Beat(TopicId, UnixMillis, Signature),
    /// [`Effect::SignHeartbeat`] brought nothing.
    NoBeat(TopicId),
    /// There is a DHT node here, or not.
    Dht(DhtState),
    /// What came of [`Effect::ProbeDht`].
    DhtReplies {
        /// DHT nodes that were asked.
        asked: u32,
        /// Those that answered in time.
        answered: u32,
    },
    /// A source other than the DHT sees a beacon: new, or with something new.
    Sighted(Source, Sighting),
    /// A beacon is shown no more.
    Gone(Instance),
    /// A look-up has brought entries: one reply of one DHT node.
    Entries(QueryId, Vec<SocketAddrV4>),
    /// A look-up has ended.
    LookupEnded(QueryId),
    /// A try of an announcement has ended.
    AnnounceTryEnded(QueryId, AnnounceResult),
    /// A storing node has returned this value of a page, with its sequence number.
    PageSeen(QueryId, Vec<u8>, i64),
    /// A read of a page has ended.
    PageReadEnded(QueryId),
    /// A put of a page has ended.
    PageWritten(QueryId, PutResult),
    /// A datagram came in at the hello socket.
    Datagram(SocketAddrV4, Vec<u8>),
    /// Announce now.
    AnnounceNow(TopicId, Ticket),
    /// Look now.
    LookupNow(TopicId, Ticket),
    /// Time has passed.
    Tick,
}

/// What the shell must do.
#[derive(Debug)]
pub enum Effect {
    /// Ask identity for the keys of a topic in an epoch.
    FetchKeys(TopicId, Epoch),
    /// Ask identity to sign a record.
    SignRecord {
        /// The topic.
        topic: TopicId,
        /// The epoch the record is issued in.
        epoch: Epoch,
        /// The record without its signature.
        body: Vec<u8>,
    },
    /// Ask identity to sign a heartbeat of this node.
    SignHeartbeat(TopicId, UnixMillis),
    /// Ask the DHT who is under an infohash.
    StartLookup(QueryId, InfoHash),
    /// Announce the hello port under an infohash.
    StartAnnounce(QueryId, InfoHash),
    /// Ask the DHT for all values of a page.
    ReadPage(QueryId, PageAt),
    /// Put a page.
    WritePage {
        /// Names the put.
        query: QueryId,
        /// Where.
        at: PageAt,
        /// The value.
        page: Vec<u8>,
        /// Its sequence number.
        seq: i64,
        /// The number of the value that it may replace (BEP44 `cas`).
        cas: i64,
    },
    /// Count how many DHT nodes answer, as [`Input::DhtReplies`].
    ProbeDht,
    /// Put another DHT node in the place of this one, which waits for replies so long.
    WaitForReplies(Duration),
    /// Have the sources other than the DHT show this, in place of what they show now.
    Show(Beacon),
    /// Send a datagram from the hello socket.
    Send(SocketAddrV4, Vec<u8>),
    /// Send a datagram from a socket that nothing else is ever sent from.
    DialBack(SocketAddrV4, Vec<u8>),
    /// Tell the listeners.
    Emit(DiscoveryEvent),
    /// Answer a request.
    AnswerAnnounce(Ticket, Result<Announced, AnnounceError>),
    /// Answer a request.
    AnswerLookup(Ticket, LookupStats),
}

/// Where a page of the board is: a mutable item of BEP44.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAt {
    /// Seed of the Ed25519 key.
    pub key: KeyBytes,
    /// The salt.
    pub salt: [u8; 16],
}

/// Who this node is: what the core must know of itself.
#[derive(Debug, Clone, Copy)]
pub struct Me {
    /// This node's endpoint.
    pub endpoint: EndpointId,
    /// Where the hello socket is bound.
    pub hello: SocketAddrV4,
}
