//! Stores with a clock that the test sets, and posts to put into them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use kukuri_conformance::EventLog;
use kukuri_contract::{
    AuthorId, Holding, Holdings, Post, Posts, SavePost, StoreEvent, StorePort, TopicId, UnixMillis,
    WallClock,
};
use kukuri_store::Config;

pub use crate::open::try_open;

pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Noon of a day in 2026.
pub const NOW: u64 = 1_790_000_000_000;

/// A clock that a test sets.
#[derive(Clone)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    pub fn at(now: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now)))
    }

    pub fn advance_days(&self, days: u64) {
        self.0.fetch_add(days * DAY_MS, Ordering::SeqCst);
    }

    pub fn clock(&self) -> WallClock {
        let hands = self.0.clone();
        WallClock::new(move || UnixMillis(hands.load(Ordering::SeqCst)))
    }
}

pub async fn open(dir: &Path) -> (StorePort, EventLog<StoreEvent>) {
    let clock = Hands::at(NOW).clock();
    try_open(dir, Config::default(), clock).await.unwrap()
}

pub const fn author(n: u8) -> AuthorId {
    AuthorId::from_bytes([n; 32])
}

pub fn post(n: u8, seq: u64) -> Post {
    Post {
        topic: TOPIC,
        author: author(n),
        writer: author(n),
        seq,
        time: UnixMillis(seq),
        body: Bytes::from(format!("post {seq}")),
        revokes: None,
        envelope: Bytes::from(format!("signed post {seq} of {n}")),
    }
}

/// Saves posts, all at once. Tells how many were new.
pub async fn save(port: &StorePort, posts: impl IntoIterator<Item = Post>) -> usize {
    let posts: Vec<_> = posts.into_iter().collect();
    let mut new = 0;
    // No more than the port admits.
    for some in posts.chunks(200) {
        let writes = some
            .iter()
            .map(|post| port.save_post(SavePost(post.clone())));
        let saved = join_all(writes).await;
        new += saved
            .into_iter()
            .filter(|s| s.as_ref().unwrap().new)
            .count();
    }
    new
}

pub async fn all(port: &StorePort, topic: TopicId) -> Vec<Post> {
    let posts = Posts {
        topic,
        since: UnixMillis(0),
        limit: usize::MAX,
    };
    port.posts(posts).await.unwrap()
}

pub async fn seqs(port: &StorePort) -> Vec<u64> {
    let posts = all(port, TOPIC).await;
    posts.iter().map(|post| post.seq).collect()
}

pub async fn holdings(port: &StorePort) -> Vec<Holding> {
    let holdings = Holdings {
        topic: TOPIC,
        from: author(0),
        limit: usize::MAX,
    };
    port.holdings(holdings).await.unwrap()
}

pub fn holding(n: u8, ranges: &[(u64, u64)]) -> Holding {
    Holding {
        author: author(n),
        ranges: ranges.to_vec(),
    }
}
