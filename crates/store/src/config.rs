//! Settings of the store.

use serde::{Deserialize, Serialize};

use crate::core::limits::Limits;

/// Settings of the implementation `sqlite`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most writes in one transaction. 256, as many as can be under way: whoever waits for the
    /// disk waits together.
    pub max_batch: usize,
    /// Peers remembered per topic; beyond, those seen longest ago are forgotten. 256: a restarted
    /// node needs a few that still live.
    pub max_peers_per_topic: usize,
    /// Most posts in one answer; a reader with more to read asks again. A guess that bounds the
    /// memory of an answer to some 60 MB.
    pub max_posts_per_query: usize,
    /// Days after which a post is dropped, counted from when it came. 30: a guess at how long
    /// somebody who was away wants to catch up with.
    pub retention_days: u32,
    /// Posts kept per topic; beyond, those of the authors with the most are dropped, of each the lowest
    /// numbers first. 100 000 bounds a topic to
    /// some 600 MB on disk, if all posts are as long as they may be.
    pub max_posts_per_topic: usize,
    /// Days after which a peer is forgotten, counted from when it was last seen. 14: who was away
    /// for longer has most likely other addresses by now. A guess.
    pub max_peer_age_days: u32,
}

impl Config {
    /// The same without any retention: for a reader, whose config may be another one than that of the
    /// node that keeps the posts.
    pub fn keeping_everything(self) -> Self {
        Self {
            retention_days: u32::MAX,
            max_posts_per_topic: u32::MAX as usize,
            max_peer_age_days: u32::MAX,
            ..self
        }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_peers_per_topic: self.max_peers_per_topic,
            max_posts_per_query: self.max_posts_per_query,
            retention_days: self.retention_days,
            max_posts_per_topic: self.max_posts_per_topic,
            max_peer_age_days: self.max_peer_age_days,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_batch: 256,
            max_peers_per_topic: 256,
            max_posts_per_query: 10_000,
            retention_days: 30,
            max_posts_per_topic: 100_000,
            max_peer_age_days: 14,
        }
    }
}

/// Settings of the implementation `memory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Peers remembered per topic; beyond, those seen longest ago are forgotten. As many as on disk.
    pub max_peers_per_topic: usize,
    /// Most posts in one answer; a reader with more to read asks again. As many as from disk.
    pub max_posts_per_query: usize,
    /// Days after which a post is dropped, counted from when it came. As on disk: what others still
    /// keep would be asked for again.
    pub retention_days: u32,
    /// Posts kept per topic; beyond, those of the authors with the most are dropped, of each the lowest
    /// numbers first. 10 000, a tenth of what is kept on disk: memory is dearer. Some 60 MB per topic,
    /// if all posts are as long as they may be.
    pub max_posts_per_topic: usize,
    /// Days after which a peer is forgotten, counted from when it was last seen. As on disk.
    pub max_peer_age_days: u32,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        let Config {
            max_batch: _,
            max_peers_per_topic,
            max_posts_per_query,
            retention_days,
            max_posts_per_topic: _,
            max_peer_age_days,
        } = Config::default();
        Self {
            max_peers_per_topic,
            max_posts_per_query,
            retention_days,
            max_posts_per_topic: 10_000,
            max_peer_age_days,
        }
    }
}

impl MemoryConfig {
    #[cfg(feature = "memory")]
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_peers_per_topic: self.max_peers_per_topic,
            max_posts_per_query: self.max_posts_per_query,
            retention_days: self.retention_days,
            max_posts_per_topic: self.max_posts_per_topic,
            max_peer_age_days: self.max_peer_age_days,
        }
    }
}
