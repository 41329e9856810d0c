//! Settings of the store.

use kukuri_contract::UnixMillis;
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

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

impl Config {
    /// Posts that came before are dropped.
    pub(crate) fn oldest_post(&self, now: UnixMillis) -> UnixMillis {
        days_before(now, self.retention_days)
    }

    /// What was said before is to be said again, while those who heard it last still keep it.
    pub(crate) fn half_a_retention_ago(&self, now: UnixMillis) -> UnixMillis {
        UnixMillis(
            now.0
                .saturating_sub(u64::from(self.retention_days) * DAY_MS / 2),
        )
    }

    /// Peers last seen before are forgotten.
    pub(crate) fn oldest_peer(&self, now: UnixMillis) -> UnixMillis {
        days_before(now, self.max_peer_age_days)
    }
}

fn days_before(now: UnixMillis, days: u32) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(u64::from(days) * DAY_MS))
}
