//! Settings of identity.

use serde::{Deserialize, Serialize};

/// Settings of the implementation `keyring`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the node's keys are kept.
    pub store: StoreChoice,
    /// Most topics at once; the same bound as discovery's and gossip's.
    pub max_topics: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreChoice::Auto,
            max_topics: 64,
        }
    }
}

/// Where the node's keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreChoice {
    /// Where they are already; else in the keyring of the operating system, and where there is
    /// none, in a file.
    Auto,
    /// In the keyring of the operating system, or not at all.
    Os,
    /// In a file of the data directory that only its owner may read. It is not encrypted.
    File,
    /// In memory: each start is a new identity.
    Memory,
}
