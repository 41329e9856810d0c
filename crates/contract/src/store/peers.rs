//! Peers of topics, DHT contacts and bans.

use std::net::SocketAddr;

use crate::ban::Ban;
use crate::ids::{TopicId, UnixMillis};
use crate::peer::{EndpointAddr, Source};

/// Remembers a peer of a topic. One that is there is replaced as a whole, if it was not seen later than this;
/// of two sights of one time, the one saved last counts. Beyond the bound, those seen longest ago go. A time
/// ahead of the clock is taken as it is.
#[derive(Debug, Clone)]
pub struct Remember {
    /// The topic.
    pub topic: TopicId,
    /// Who, and where.
    pub peer: EndpointAddr,
    /// How it was found.
    pub source: Source,
    /// When it was last seen.
    pub seen_at: UnixMillis,
}

/// Asks for the peers of a topic, last seen first, of one time in any order; not those that the retention
/// would drop.
#[derive(Debug, Clone, Copy)]
pub struct KnownPeers {
    /// The topic.
    pub topic: TopicId,
    /// Most peers to tell.
    pub limit: usize,
}

/// A remembered peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    /// Who, and where.
    pub peer: EndpointAddr,
    /// How it was found.
    pub source: Source,
    /// When it was last seen.
    pub seen_at: UnixMillis,
}

/// Keeps DHT contacts. One that is there keeps the later of the two times. Beyond the bound, those seen
/// longest ago go; of a request with more than the store keeps, the first ones stay. No time makes them too
/// old.
#[derive(Debug, Clone)]
pub struct RememberContacts {
    /// Addresses of DHT nodes that answered lately.
    pub contacts: Vec<SocketAddr>,
    /// When.
    pub seen_at: UnixMillis,
}

/// Asks for DHT contacts, last seen first, of one time in any order.
#[derive(Debug, Clone, Copy)]
pub struct Contacts {
    /// Most contacts to tell.
    pub limit: usize,
}

/// Keeps a ban in place of an earlier one of the same peer, whichever ends later. Beyond the bound, those
/// that end first go.
#[derive(Debug, Clone, Copy)]
pub struct SaveBan(pub Ban);

/// Asks for all bans, those that end last first, of one end in any order. They do not go with time.
#[derive(Debug, Clone, Copy)]
pub struct Bans {
    /// Most bans to tell: those that end last.
    pub limit: usize,
}
