//! The one list of every implementation in use.
//!
//! To add one, add its line: the name that chooses it (`<section>.kind`; where nobody chooses, the first
//! that the build has is used), the cargo feature that brings it, its settings, and what makes it. Nothing
//! else changes, dashboards included. One from a crate outside needs no line here: it is given to
//! [`NodeBuilder`](crate::NodeBuilder).

use figment::Figment;
use kukuri_contract::{
    DiscoveryMaker, GossipMaker, IdentityMaker, Maker, MetricsMaker, StoreMaker,
};
#[cfg(feature = "discovery-lan")]
use kukuri_discovery::LocalNetwork;
#[cfg(feature = "discovery-mainline")]
use kukuri_discovery::Mainline;
#[cfg(feature = "discovery-static")]
use kukuri_discovery::StaticPeers;
#[cfg(feature = "gossip-iroh")]
use kukuri_gossip::IrohGossip;
#[cfg(feature = "identity-file")]
use kukuri_identity::FileIdentity;
#[cfg(feature = "identity-keyring")]
use kukuri_identity::KeyringIdentity;
#[cfg(feature = "identity-memory")]
use kukuri_identity::MemoryIdentity;
use kukuri_identity::{Prompt, Setup};
#[cfg(feature = "metrics-none")]
use kukuri_metrics::NoMetrics;
#[cfg(feature = "metrics-prometheus")]
use kukuri_metrics::PrometheusMetrics;
#[cfg(feature = "metrics-otlp")]
use kukuri_metrics::{OtlpMetrics, OtlpSetup};
#[cfg(feature = "store-sqlite")]
use kukuri_store::SqliteStore;
#[cfg(feature = "store-memory")]
use kukuri_store::{InMemoryStore, MemorySetup};
use serde::{Serialize, Serializer};

use crate::compose::Makers;
use crate::config::Config;
pub use crate::config::section::Kind;
use crate::config::section::{self, Written, section};
use crate::error::{ConfigError, HistoryError, UnknownKind};

/// Name of the database in the data directory.
#[cfg(feature = "store-sqlite")]
const DATABASE: &str = "kukuri.db";

section! {
    /// Keys and secrets.
    IdentityConfig, IdentityMaker, "identity" {
        "keyring" in "identity-keyring" => keyring: kukuri_identity::Config,
            |config, prompt| Maker::of::<KeyringIdentity>(setup(config, prompt));
        "file" in "identity-file" => file: kukuri_identity::FileConfig,
            |config, prompt| Maker::of::<FileIdentity>(setup(config, prompt));
        "memory" in "identity-memory" => memory: kukuri_identity::MemoryConfig,
            |config, prompt| Maker::of::<MemoryIdentity>(setup(config, prompt));
    }
}

section! {
    /// How peers are found.
    DiscoveryConfig, DiscoveryMaker, "discovery" {
        "mainline" in "discovery-mainline" => mainline: kukuri_discovery::Config,
            |config, _| Maker::of::<Mainline>(config);
        "static" in "discovery-static" => named: kukuri_discovery::StaticConfig,
            |config, _| Maker::of::<StaticPeers>(config);
        "lan" in "discovery-lan" => lan: kukuri_discovery::LanConfig,
            |config, _| Maker::of::<LocalNetwork>(config);
    }
}

section! {
    /// Transport and swarm.
    GossipConfig, GossipMaker, "gossip" {
        "iroh" in "gossip-iroh" => iroh: kukuri_gossip::Config,
            |config, _| Maker::of::<IrohGossip>(config);
    }
}

section! {
    /// What survives a restart.
    StoreConfig, StoreMaker, "store" {
        "sqlite" in "store-sqlite" => sqlite: kukuri_store::Config,
            |config, _| Maker::of::<SqliteStore>(config);
        "memory" in "store-memory" => memory: kukuri_store::MemoryConfig,
            |config, _| Maker::of::<InMemoryStore>(MemorySetup::from(config));
    }
}

section! {
    /// Series about the node.
    MetricsConfig, MetricsMaker, "metrics" {
        "prometheus" in "metrics-prometheus" => prometheus: kukuri_metrics::Config,
            |config, _| Maker::of::<PrometheusMetrics>(config);
        "otlp" in "metrics-otlp" => otlp: kukuri_metrics::OtlpConfig,
            |config, _| Maker::of::<OtlpMetrics>(OtlpSetup::from(config));
        "none" in "metrics-none" => none: kukuri_metrics::NoneConfig,
            |config, _| Maker::of::<NoMetrics>(config);
    }
}

/// All sections with the implementations that there are, and the one in use by default.
pub fn all() -> [(&'static str, &'static [Kind], &'static str); 5] {
    [
        (IdentityConfig::SECTION, IdentityConfig::KINDS),
        (DiscoveryConfig::SECTION, DiscoveryConfig::KINDS),
        (GossipConfig::SECTION, GossipConfig::KINDS),
        (StoreConfig::SECTION, StoreConfig::KINDS),
        (MetricsConfig::SECTION, MetricsConfig::KINDS),
    ]
    .map(|(section, kinds)| (section, kinds, section::default_kind(kinds)))
}

/// The number of a post is never used twice by an author, so what it was has to last as long as the author.
///
/// # Errors
/// The config chooses a store that forgets, and an identity that stays.
pub fn check_together(config: &Config) -> Result<(), ConfigError> {
    match config.store.kind == "memory" && stays(&config.identity) {
        true => Err(ConfigError::StoreForgets),
        false => Ok(()),
    }
}

/// Whether the author of a node is the same after its next start.
fn stays(identity: &IdentityConfig) -> bool {
    match identity.kind.as_str() {
        #[cfg(feature = "identity-keyring")]
        "keyring" => identity.keyring.store != kukuri_identity::StoreChoice::Memory,
        kind => kind == "file",
    }
}

/// Implementations that the program gives, each in the place of what the config chooses.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Keys and secrets.
    pub identity: Option<IdentityMaker>,
    /// How peers are found.
    pub discovery: Option<DiscoveryMaker>,
    /// Transport and swarm.
    pub gossip: Option<GossipMaker>,
    /// What survives a restart.
    pub store: Option<StoreMaker>,
    /// Series about the node.
    pub metrics: Option<MetricsMaker>,
}

/// The implementations of a node: those that are given, and else those that its config chooses.
///
/// # Errors
/// This build does not have one that the config chooses.
pub fn makers(
    config: &Config,
    prompt: Option<Prompt>,
    given: Given,
) -> Result<Makers, UnknownKind> {
    Ok(Makers {
        identity: or(given.identity, || config.identity.maker(prompt))?,
        discovery: or(given.discovery, || config.discovery.maker(None))?,
        gossip: or(given.gossip, || config.gossip.maker(None))?,
        store: or(given.store, || config.store.maker(None))?,
        metrics: or(given.metrics, || config.metrics.maker(None))?,
    })
}

fn or<M, E>(given: Option<M>, chosen: impl FnOnce() -> Result<M, E>) -> Result<M, E> {
    given.map_or_else(chosen, Ok)
}

/// What the keys of a node that does not run are opened with, to be changed or handed out. `None` for an
/// identity that keeps them in a place of its own.
pub fn keys(config: IdentityConfig, prompt: Option<Prompt>) -> Option<Setup> {
    match config.kind.as_str() {
        #[cfg(feature = "identity-keyring")]
        "keyring" => Some(setup(config.keyring, prompt)),
        #[cfg(feature = "identity-file")]
        "file" => Some(setup(config.file, prompt).general()),
        #[cfg(feature = "identity-memory")]
        "memory" => Some(setup(config.memory, prompt).general()),
        _ => None,
    }
}

fn setup<C>(config: C, prompt: Option<Prompt>) -> Setup<C> {
    Setup {
        prompt,
        ..Setup::from(config)
    }
}

/// A store of what there is on a disk, to be read without a node, and the name of its file in the data
/// directory: opening would make it, and who only reads must not. It drops nothing.
///
/// # Errors
/// The kind of choice has nothing on a disk, or does not give so many posts at once.
pub fn stored(config: &Config, limit: usize) -> Result<(StoreMaker, &'static str), HistoryError> {
    match config.store.kind.as_str() {
        #[cfg(feature = "store-sqlite")]
        "sqlite" => {
            let settings = config.store.sqlite.clone();
            let most = settings.max_posts_per_query;
            if limit > most {
                return Err(HistoryError::Limit { limit, most });
            }
            let maker = Maker::of::<SqliteStore>(settings.keeping_everything());
            Ok((maker, DATABASE))
        }
        kind => Err(HistoryError::NothingKept(kind.to_owned())),
    }
}

/// Applies the last column of the lists above.
fn make<C, M>(config: C, prompt: Option<Prompt>, how: impl FnOnce(C, Option<Prompt>) -> M) -> M {
    how(config, prompt)
}
