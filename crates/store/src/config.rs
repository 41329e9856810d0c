//! Settings of the store.

use serde::{Deserialize, Serialize};

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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_batch: 256,
            max_peers_per_topic: 256,
            max_posts_per_query: 10_000,
        }
    }
}
