//! Settings of metrics.

use serde::{Deserialize, Serialize};

/// Settings of the implementation `prometheus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often observations are sorted into their buckets, in seconds. They wait in memory until
    /// then, also where nobody scrapes. 5: a burst of posts stays below a megabyte.
    pub upkeep_s: u64,
    /// Events of each kind that wait for this service; beyond, they are counted as missed.
    pub mailbox: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            upkeep_s: 5,
            mailbox: 4096,
        }
    }
}

/// Settings of the implementation `none`: there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoneConfig {}
