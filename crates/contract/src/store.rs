//! The store service: what survives a restart. A reply means that it is on disk.
//!
//! One that keeps all in memory promises the same for as long as it runs.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::ban::Ban;
use crate::event::Event;
use crate::ids::{AuthorId, TopicId, UnixMillis};
use crate::peer::{EndpointAddr, Source};
use crate::port::{request, service};

service! {
    /// The store service: what survives a restart. A reply means that it is on disk.
    StoreService, StorePort, "store" {
        /// Remembers a peer of a topic, with the newest addresses; one that is there is replaced.
        remember: Remember,
        /// The peers of a topic, last seen first; none of an unknown topic.
        known_peers: KnownPeers,
        /// Saves a post; saving it again changes nothing.
        save_post: SavePost,
        /// The posts of a topic, oldest first; without revocations, which have no text.
        posts: Posts,
        /// The highest sequence number that a writer has used in a topic, also of posts that were dropped;
        /// `None` if none was. A number is never used twice.
        last_seq: LastSeq,
        /// Which posts of a topic are here, for gap repair.
        holdings: Holdings,
        /// The posts of a topic that somebody with other holdings lacks.
        posts_beyond: PostsBeyond,
        /// Which revocations an author should send to a topic.
        revocations_due: RevocationsDue,
        /// Keeps DHT contacts to start from next time; the newest replace the oldest.
        remember_contacts: RememberContacts,
        /// DHT contacts to start from, last seen first.
        contacts: Contacts,
        /// Keeps a ban; one of the same peer is replaced.
        save_ban: SaveBan,
        /// All bans, also those that have ended: the next one of such a peer is longer.
        bans: Bans,
    }
}

request! {
    Remember => (), StoreError;
    KnownPeers => Vec<KnownPeer>, StoreError;
    SavePost => Saved, StoreError;
    Posts => Vec<Post>, StoreError;
    LastSeq => Option<u64>, StoreError;
    Holdings => Vec<Holding>, StoreError;
    PostsBeyond => Beyond, StoreError;
    RevocationsDue => Vec<Revocation>, StoreError;
    RememberContacts => (), StoreError;
    Contacts => Vec<SocketAddr>, StoreError;
    SaveBan => (), StoreError;
    Bans => Vec<Ban>, StoreError;
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
    /// In whose name: the writer itself, or who has let it write by a link.
    pub author: AuthorId,
    /// Which key wrote it. It has a log of its own in each topic, and no two nodes have the same.
    pub writer: AuthorId,
    /// Its number among the writer's posts in this topic, from 1 on.
    pub seq: u64,
    /// When, by the writer's clock.
    pub time: UnixMillis,
    /// What it says.
    pub body: Bytes,
    /// It is no text, but says that another writer may no longer write in the author's name.
    pub revokes: Option<Revocation>,
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

/// What an author says when it no longer lets a writer write in its name, in one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The writer.
    pub writer: AuthorId,
    /// The numbers of the writer's posts that stay good: ranges, both ends included, ascending,
    /// with gaps between; at most [`MAX_KEPT`].
    pub kept: Vec<(u64, u64)>,
}

/// Most ranges of posts that a revocation keeps. 16: a writer leaves out no numbers, so one is the
/// rule; whoever makes many gaps has stolen its key.
pub const MAX_KEPT: usize = 16;

impl Revocation {
    /// Whether a post of the writer in the author's name stays good.
    pub fn keeps(&self, seq: u64) -> bool {
        let mut kept = self.kept.iter();
        kept.any(|(first, last)| (*first..=*last).contains(&seq))
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
    /// Its author has revoked its writer. It was not saved; its number is settled.
    pub revoked: bool,
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

/// Asks which revocations an author should send to a topic: those that it has not sent there, or so
/// long ago that they will soon be dropped by the retention, or are gone already.
#[derive(Debug, Clone)]
pub struct RevocationsDue {
    /// The topic.
    pub topic: TopicId,
    /// The author.
    pub author: AuthorId,
    /// Whom it no longer lets write.
    pub writers: Vec<AuthorId>,
}

/// Asks for the highest sequence number that a writer has used in a topic.
#[derive(Debug, Clone, Copy)]
pub struct LastSeq {
    /// The topic.
    pub topic: TopicId,
    /// The writer.
    pub author: AuthorId,
}

/// Asks which posts of a topic are here.
#[derive(Debug, Clone, Copy)]
pub struct Holdings {
    /// The topic.
    pub topic: TopicId,
    /// Only authors from this one on, in the order of their ids.
    pub from: AuthorId,
    /// Most authors to tell.
    pub limit: usize,
}

/// Which posts of one writer are settled: here, or once here and dropped by the retention or for a
/// revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The writer.
    pub author: AuthorId,
    /// Settled numbers as ranges, both ends included, ascending, with gaps between.
    pub ranges: Vec<(u64, u64)>,
}

impl Holding {
    /// Whether a number is settled.
    pub fn has(&self, seq: u64) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&seq))
    }
}

/// Asks for the posts of a topic that somebody lacks, in the order of author and number.
#[derive(Debug, Clone)]
pub struct PostsBeyond {
    /// The topic.
    pub topic: TopicId,
    /// Only authors from this one on.
    pub from: AuthorId,
    /// Only authors up to this one.
    pub to: AuthorId,
    /// What the asker has of them.
    pub have: Vec<Holding>,
    /// Most posts to give.
    pub max_posts: usize,
    /// Most bytes of their envelopes together.
    pub max_bytes: usize,
}

/// Answer to [`PostsBeyond`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// The posts.
    pub posts: Vec<Post>,
    /// There are more that did not fit.
    pub more: bool,
}

/// Keeps DHT contacts.
#[derive(Debug, Clone)]
pub struct RememberContacts {
    /// Addresses of DHT nodes that answered lately.
    pub contacts: Vec<SocketAddr>,
    /// When.
    pub seen_at: UnixMillis,
}

/// Asks for DHT contacts.
#[derive(Debug, Clone, Copy)]
pub struct Contacts {
    /// Most contacts to tell.
    pub limit: usize,
}

/// Keeps a ban.
#[derive(Debug, Clone, Copy)]
pub struct SaveBan(pub Ban);

/// Asks for all bans.
#[derive(Debug, Clone, Copy)]
pub struct Bans {
    /// Most bans to tell: those that end last.
    pub limit: usize,
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
    /// Posts and peers were dropped by the retention.
    Pruned {
        /// Posts.
        posts: u64,
        /// Peers.
        peers: u64,
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
