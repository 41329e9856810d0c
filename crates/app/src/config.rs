//! The whole config: defaults, then a file, then `KUKURI_*` variables, then flags.

pub(crate) mod section;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::Prompt;
use crate::compose::Makers;
use crate::error::ConfigError;
use crate::kinds::{
    self, DiscoveryConfig, Given, GossipConfig, IdentityConfig, MetricsConfig, StoreConfig,
};

/// Name of the config file in the data directory.
pub const CONFIG_FILE: &str = "kukuri.toml";
/// Prefix of environment variables; `__` separates sections: `KUKURI_GOSSIP__BIND`.
pub const ENV_PREFIX: &str = "KUKURI_";

/// Where a value is from that is from the command line.
pub(crate) const FLAG: &str = "a flag";

/// The variable `KUKURI_PASSPHRASE_FILE`, without its prefix: short, because it is set by hand.
const PASSPHRASE_FILE: &str = "passphrase_file";

/// The config of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Config {
    /// The node itself.
    pub node: NodeConfig,
    /// Keys and secrets.
    pub identity: IdentityConfig,
    /// How peers are found.
    pub discovery: DiscoveryConfig,
    /// Transport and swarm.
    pub gossip: GossipConfig,
    /// What survives a restart.
    pub store: StoreConfig,
    /// Series about the node.
    pub metrics: MetricsConfig,
}

/// What there may be in a config. The sections of services are read once their kind is known.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    node: NodeConfig,
    #[serde(rename = "identity")]
    _identity: IgnoredAny,
    #[serde(rename = "discovery")]
    _discovery: IgnoredAny,
    #[serde(rename = "gossip")]
    _gossip: IgnoredAny,
    #[serde(rename = "store")]
    _store: IgnoredAny,
    #[serde(rename = "metrics")]
    _metrics: IgnoredAny,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Where identity, database and lock are. Empty: the platform's data directory.
    pub data_dir: Option<PathBuf>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served, over plain HTTP. Empty: nowhere.
    pub http: Option<SocketAddr>,
    /// Threads for gossip's network. 2: a node is waiting most of the time.
    pub worker_threads: usize,
    /// Events of a topic that wait for a slow subscriber; beyond, it misses the oldest.
    pub event_buffer: usize,
    /// How often each service is probed, in milliseconds.
    pub probe_every_ms: u64,
    /// A probe that is not answered within so many milliseconds has failed; two in a row, and the
    /// service is started again. 5 s: the longest a healthy one is ever busy is a slow disk.
    pub probe_timeout_ms: u64,
    /// Most restarts of one service within the window; one more, and the node gives up, so that
    /// whoever runs it starts all of it anew. A guess that covers a bad minute.
    pub restart_limit: usize,
    /// The window of `restart_limit`, in seconds. 300: a service that hangs at once each time is
    /// found after 20 s, so that six ends take two minutes.
    pub restart_window_s: u64,
    /// Pause before the second restart within the window, in milliseconds; it doubles each time.
    /// The first one is at once.
    pub restart_pause_ms: u64,
    /// Longest pause before a restart, in milliseconds.
    pub restart_pause_max_ms: u64,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data_dir: None,
            http: None,
            worker_threads: 2,
            event_buffer: 1024,
            probe_every_ms: 5_000,
            probe_timeout_ms: 5_000,
            restart_limit: 5,
            restart_window_s: 300,
            restart_pause_ms: 100,
            restart_pause_max_ms: 10_000,
        }
    }
}

impl Config {
    /// Reads the config: defaults, the file, the environment, then `flags`.
    ///
    /// A file that was named must be there; the one in the data directory may be missing.
    ///
    /// # Errors
    /// Names the field, where its value came from, and what is wrong.
    pub fn load(file: Option<&Path>, flags: &impl Serialize) -> Result<Self, ConfigError> {
        let environment = || {
            let variables = Env::prefixed(ENV_PREFIX).split("__");
            let variables = variables.ignore(&["config", "log"]);
            variables.map(|key| match key == PASSPHRASE_FILE {
                true => "identity.passphrase_file".into(),
                false => key.into(),
            })
        };
        let over_file = Figment::from(environment()).merge(Flags(flags));
        let file = match file {
            Some(file) if !file.exists() => return Err(ConfigError::NoFile(file.to_owned())),
            Some(file) => Some(file.to_owned()),
            None => {
                let data_dir = over_file.extract_inner("node.data_dir").ok();
                let file = data_dir
                    .or_else(default_data_dir)
                    .map(|dir: PathBuf| dir.join(CONFIG_FILE));
                file.filter(|file| file.exists())
            }
        };
        let mut figment = Figment::new();
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        let config = Self::read(&figment.merge(over_file))?;
        config.check()?;
        Ok(config)
    }

    /// Reads a config from the text of a file alone; what it does not say is as by default. It is not
    /// checked yet.
    ///
    /// # Errors
    /// Names the field, and what is wrong.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::read(&Figment::from(Toml::string(text)))
    }

    fn read(figment: &Figment) -> Result<Self, ConfigError> {
        let Sections { node, .. } = figment.extract()?;
        Ok(Self {
            node,
            identity: IdentityConfig::read(figment)?,
            discovery: DiscoveryConfig::read(figment)?,
            gossip: GossipConfig::read(figment)?,
            store: StoreConfig::read(figment)?,
            metrics: MetricsConfig::read(figment)?,
        })
    }

    /// Checks the config as far as that is possible without side effects.
    ///
    /// # Errors
    /// The first section that is wrong, with the reason.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.makers(None, Given::default())?;
        Ok(())
    }

    /// What makes the services of a node: what is given, and else what the config chooses. Checks the
    /// config of those.
    pub(crate) fn makers(
        &self,
        prompt: Option<Prompt>,
        given: Given,
    ) -> Result<Makers, ConfigError> {
        self.check_node()?;
        if given.store.is_none() && given.identity.is_none() {
            kinds::check_together(self)?;
        }
        let makers = kinds::makers(self, prompt, given)?;
        makers.check().map_err(ConfigError::Section)?;
        Ok(makers)
    }

    fn check_node(&self) -> Result<(), ConfigError> {
        let node = &self.node;
        let positive = [
            ("worker_threads", node.worker_threads as u64),
            ("event_buffer", node.event_buffer as u64),
            ("probe_every_ms", node.probe_every_ms),
            ("probe_timeout_ms", node.probe_timeout_ms),
            ("restart_window_s", node.restart_window_s),
        ];
        if let Some((field, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Node(field));
        }
        Ok(())
    }

    /// The data directory in use.
    ///
    /// # Errors
    /// None is set, and the platform names none.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        let dir = self.node.data_dir.clone().or_else(default_data_dir);
        dir.ok_or(ConfigError::NoDataDir)
    }
}

/// Flags of the command line, which errors name as such.
struct Flags<'a, T>(&'a T);

impl<T: Serialize> Provider for Flags<'_, T> {
    fn metadata(&self) -> Metadata {
        Metadata::named(FLAG)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(self.0).data()
    }
}

fn default_data_dir() -> Option<PathBuf> {
    ProjectDirs::from("", "", "kukuri").map(|dirs| dirs.data_dir().to_owned())
}
