//! The store service: what survives a restart. A reply means that it is on disk.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::event::Event;
use crate::ids::{AuthorId, TopicId, UnixMillis};
use crate::peer::{EndpointAddr, Source};
use crate::port::{request, service};

service! {
    /// The store service: what survives a restart. A reply means that it is on disk.
    StoreService, StorePort, "store" {
        /// Remembers a peer of a topic, with the newest addresses.
        remember: Remember,
        /// The peers of a topic, last seen first.
        known_peers: KnownPeers,
        /// Saves a post; saving it again changes nothing.
        save_post: SavePost,
        /// The posts of a topic, oldest first.
        posts: Posts,
        /// The highest sequence number that an author has used in a topic.
        last_seq: LastSeq,
    }
}

request! {
    Remember => (), StoreError;
    KnownPeers => Vec<KnownPeer>, StoreError;
    SavePost => Saved, StoreError;
    Posts => Vec<Post>, StoreError;
    LastSeq => Option<u64>, StoreError;
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full.
    #[error("the disk is full: free some space, then try again ({0})")]
    DiskFull(String),
    /// The file can't be written.
    #[error("the database can't be written; check the permissions of the data directory ({0})")]
    ReadOnly(String),
    /// The file is damaged.
    #[error("the database is damaged; restore it from a backup or move it away ({0})")]
    Corrupt(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Failed(String),
    /// The store is stopping.
    #[error("the store is stopping")]
    Stopping,
}

/// Remembers a peer of a topic.
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

/// Asks for the peers of a topic.
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

/// A post whose signature was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// The topic.
    pub topic: TopicId,
    /// Who wrote it.
    pub author: AuthorId,
    /// Its number among the author's posts in this topic, from 1 on.
    pub seq: u64,
    /// When, by the author's clock.
    pub time: UnixMillis,
    /// What it says.
    pub body: Bytes,
    /// The signed envelope without seal, so that the post can be handed on.
    pub envelope: Bytes,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic, author, seq, ..
        } = self;
        write!(
            f,
            "Post({topic:?}, {author:?}, {seq}, {} bytes)",
            self.body.len()
        )
    }
}

/// Saves a post.
#[derive(Debug, Clone)]
pub struct SavePost(pub Post);

/// Answer to [`SavePost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The post was not there before.
    pub new: bool,
}

/// Asks for the posts of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Posts {
    /// The topic.
    pub topic: TopicId,
    /// Only posts written at this time or later.
    pub since: UnixMillis,
    /// The newest so many.
    pub limit: usize,
}

/// Asks for the highest sequence number that an author has used in a topic.
#[derive(Debug, Clone, Copy)]
pub struct LastSeq {
    /// The topic.
    pub topic: TopicId,
    /// The author.
    pub author: AuthorId,
}

/// What happened in the store.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum StoreEvent {
    /// Writes are on disk.
    Committed {
        /// Requests in one transaction.
        requests: usize,
        /// From the start of the transaction to its end.
        took: Duration,
    },
    /// Requests failed.
    Failed {
        /// Requests in the transaction.
        requests: usize,
        /// Why.
        error: StoreError,
    },
    /// The listener missed events.
    Lagged(u64),
}

impl Event for StoreEvent {
    fn lagged(missed: u64) -> Self {
        Self::Lagged(missed)
    }
}
