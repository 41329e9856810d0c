//! Settings of the folder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

// doc: config
/// Settings of the implementation `folder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder that all nodes share; it exists.
    pub dir: PathBuf,
    /// How often it is looked at, in milliseconds. 1 s: what a person hardly notices.
    pub every_ms: u64,
    /// Most topics at once; the same bound as identity's and gossip's.
    pub max_topics: usize,
}
// end

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            every_ms: 1000,
            max_topics: 64,
        }
    }
}
