//! The store service: what survives a restart.
//!
//! # Acknowledged is kept
//!
//! A reply to a write means that it is on disk (written *and* synced): it survives the end of the process
//! and of the machine, at any moment. A reader may see a write before it is acknowledged. What was asked
//! before [`Stop`](crate::Stop) is carried out first. A write that fails changes nothing, also where others
//! share its transaction; the next one is tried anew. A store that no longer knows what is on its disk ends,
//! and a fresh one is made. One that keeps all in memory promises the same for as long as the process runs,
//! whatever becomes of its actor.
//!
//! All values come back as they were given: any bytes, any time up to 2^63 - 1 ms, any address. A value that
//! a store can't keep is refused as [`StoreError::Failed`].
//!
//! # Logs and floors
//!
//! A *log* is what one writer has in one topic: its numbered posts. A number is *settled* once a post of it
//! was saved, or was not because its writer is revoked. No other post of a settled number is ever saved, and
//! none is asked for. When a post is dropped, the *floor* of its log rises to its number: all numbers up to
//! the floor are settled from then on, also those that never came. Posts below the floor that are still here
//! are told and handed on like others. Floors are kept for good, over restarts, by topic and writer.
//!
//! # Retention
//!
//! The store drops posts (also those that revoke, and numbers of revoked posts) some time after they *came*,
//! by its own clock: what writers say of the time counts for nothing. A topic has a bound of posts; beyond
//! it, the writers with the most give theirs, one after the other, each its lowest number first, so that
//! nobody drives out what others wrote. Peers go when they were not seen for some time, and are not told any
//! more from then on. How long and how many are settings of the implementation; by default posts stay for less
//! than a hundred years. What is dropped is told as [`StoreEvent::Pruned`].
//!
//! The retention runs at the start, with the first request that finds the clock an hour away from the last
//! run (ahead or behind), and now and then while posts come. It may go on between the requests that follow.
//! It trusts the clock: where that jumps ahead, posts are old and go for good; where it is set back, they
//! stay longer.
//!
//! # Revocations
//!
//! Whoever saves a post that revokes a writer ([`Post::revokes`]) has the store remember the [`Revocation`]
//! by topic, author and writer: for good, over restarts and beyond the post. Of several with the same three the
//! first one stays as it is. An author has at most [`MAX_REVOKED`](crate::MAX_REVOKED) in a topic: of one more, the post is
//! saved as usual and nothing remembered. From then on a post in this author's name by this writer, in this
//! topic, whose number is not kept, is not saved; its number is settled. Posts that are here already stay.
//! Nothing else is hit: not the writer's posts in other names or its own, not the author's own posts, no
//! other topic.
//!
//! # Bounds
//!
//! Peers of a topic, contacts and bans are bounded: some hundreds, by default never more than
//! [`MAX_LISTED`]. Every answer is bounded by its `limit`, of which 0 is none, and may be by the store:
//! whoever gets as many as the store tells at once asks again. A limit may be as large as it likes.
//!
//! # More than one at a time
//!
//! An actor that hangs leaves its threads behind, and a fresh one starts beside them with a clone of the same
//! config. The store sees to it that this harms nobody: both work on the same (by locks in the file, or
//! by what clones of the config share), or the one before gets nothing done any more, and says so. What either
//! acknowledges, the fresh one has. Another *process* may read posts while a node runs (`kukuri posts`), where
//! the store is one that other processes can open: then its reading changes nothing and drops nothing.

mod peers;
mod posts;
mod repair;

use std::net::SocketAddr;
use std::time::Duration;

pub use peers::{Bans, Contacts, KnownPeer, KnownPeers, Remember, RememberContacts, SaveBan};
pub use posts::{LastSeq, MAX_KEPT, Post, Posts, Revocation, RevocationsDue, SavePost, Saved};
pub use repair::{Beyond, Holding, Holdings, MAX_RANGES, PostsBeyond};

use crate::ban::Ban;
use crate::event::Event;
use crate::port::{request, service};

/// Most peers of a topic, most contacts and most bans that a store keeps by default. 1024: it may keep far
/// fewer, and a node uses some hundreds.
pub const MAX_LISTED: usize = 1024;

service! {
    /// The store service: what survives a restart. A reply means that it is on disk.
    StoreService, StorePort, "store" {
        /// Remembers a peer of a topic, with the newest addresses.
        remember: Remember,
        /// The peers of a topic, last seen first.
        known_peers: KnownPeers,
        /// Saves a post; saving it again changes nothing.
        save_post: SavePost,
        /// The posts of a topic, oldest first; without revocations, which have no text.
        posts: Posts,
        /// The highest settled number of a writer in a topic.
        last_seq: LastSeq,
        /// Which numbers of a topic are settled, for gap repair.
        holdings: Holdings,
        /// The posts of a topic that somebody with other holdings lacks.
        posts_beyond: PostsBeyond,
        /// Which revocations an author should send to a topic.
        revocations_due: RevocationsDue,
        /// Keeps DHT contacts to start from next time.
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
    /// There is no room: the disk is full, or a quota used up.
    #[error("the disk is full: free some space, then try again ({0})")]
    DiskFull(String),
    /// What is kept can't be written: no permission, a disk mounted for reading, a file that can't be opened.
    #[error("the store can't be written; check the permissions of the data directory ({0})")]
    ReadOnly(String),
    /// What is kept can't be read any more: it was damaged, or makes no sense.
    #[error("the store is damaged; restore it from a backup or move it away ({0})")]
    Corrupt(String),
    /// The store has as many requests to do as may wait: callers that went away leave theirs behind. Told
    /// to the caller alone.
    #[error("{limit} requests wait for the store already; try again later")]
    Busy {
        /// Most requests that wait.
        limit: usize,
    },
    /// Anything else: a value that is out of bounds, another fault of the disk.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is stopping, or another one has taken its place. Told to the caller alone.
    #[error("the store is stopping")]
    Stopping,
}

/// What happened in the store.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum StoreEvent {
    /// Writes are on disk. Each that is acknowledged counts once, also one that changed nothing.
    Committed {
        /// Requests in one transaction.
        requests: usize,
        /// From the start of the transaction to its end.
        took: Duration,
    },
    /// Posts and peers were dropped by the retention: told after the run, or in parts. Each counts once;
    /// nothing is told where nothing was dropped. Peers that others have displaced do not count.
    Pruned {
        /// Posts, and numbers of revoked ones.
        posts: u64,
        /// Peers.
        peers: u64,
    },
    /// Requests failed: writes, reads, or a run of the retention, which counts as one. Writes of one
    /// transaction may be tried again one by one; then those that fail again are told again.
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
