//! Settings of metrics.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

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

/// Settings of the implementation `otlp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where the collector takes metrics by OTLP over HTTP, with the path. The default is that of a
    /// collector on this machine. No proxy is used.
    pub endpoint: String,
    /// How often all series are sent, in seconds. 15: as often as Prometheus scrapes.
    pub every_s: u64,
    /// Longest export, in milliseconds; then the next one brings the same. 5 s: a collector is near.
    pub timeout_ms: u64,
    /// The name of this node among those of the collector (`service.instance.id`, Prometheus'
    /// `instance`). Empty: a random one for each start, which tells nobody who this is.
    pub instance_id: String,
    /// Events of each kind that wait for this service; beyond, they are counted as missed.
    pub mailbox: usize,
    /// Further attributes of this node, such as `deployment.environment.name`; they replace
    /// `service.name` (`kukuri`) and others of that name.
    pub resource: BTreeMap<String, String>,
    /// Headers of each request, such as one with an API key. Their values are shown nowhere.
    pub headers: Headers,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        let Config { mailbox, .. } = Config::default();
        Self {
            endpoint: "http://127.0.0.1:4318/v1/metrics".to_owned(),
            every_s: 15,
            timeout_ms: 5_000,
            instance_id: String::new(),
            mailbox,
            resource: BTreeMap::new(),
            headers: Headers::default(),
        }
    }
}

/// Headers by name. Neither `Debug` nor what is written of them has their values.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Written in the place of a value. Read again, it is an error.
    pub const HIDDEN: &str = "(hidden)";

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(headers: [(&str, &str); N]) -> Self {
        let owned = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(BTreeMap::from(owned))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers(..)")
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.keys().map(|name| (name, Self::HIDDEN)))
    }
}
