//! The one list of every implementation in use.
//!
//! To swap a crate, change its line. Nothing else changes, dashboards included.

use std::path::Path;

use kukuri_contract::{Factory, IdentityMaker, Maker, StoreMaker};
use kukuri_discovery::Mainline;
use kukuri_gossip::IrohGossip;
use kukuri_identity::{KeyringIdentity, Prompt, Setup};
use kukuri_metrics::PrometheusMetrics;
use kukuri_store::SqliteStore;

use crate::compose::Makers;
use crate::config::Config;

/// Settings of identity.
pub type IdentityConfig = kukuri_identity::Config;
/// Settings of discovery.
pub type DiscoveryConfig = <Mainline as Factory>::Config;
/// Settings of gossip.
pub type GossipConfig = <IrohGossip as Factory>::Config;
/// Settings of the store.
pub type StoreConfig = <SqliteStore as Factory>::Config;
/// Settings of metrics.
pub type MetricsConfig = <PrometheusMetrics as Factory>::Config;

/// Name of the database in the data directory.
const DATABASE: &str = "kukuri.db";

/// The implementations that a config chooses.
pub fn makers(config: &Config, prompt: Option<Prompt>) -> Makers {
    Makers {
        identity: identity(config, prompt),
        discovery: Maker::of::<Mainline>(config.discovery.clone()),
        gossip: Maker::of::<IrohGossip>(config.gossip.clone()),
        store: Maker::of::<SqliteStore>(config.store.clone()),
        metrics: Maker::of::<PrometheusMetrics>(config.metrics.clone()),
    }
}

/// The identity alone.
pub fn identity(config: &Config, prompt: Option<Prompt>) -> IdentityMaker {
    Maker::of::<KeyringIdentity>(setup(config, prompt))
}

/// What the identity's keys are opened with.
pub fn setup(config: &Config, prompt: Option<Prompt>) -> Setup {
    Setup {
        config: config.identity.clone(),
        prompt,
        ..Setup::default()
    }
}

/// A store of what there is in a data directory, to be read without a node: it drops nothing. `None`
/// where there is nothing; opening would make it.
pub fn stored(config: &Config, data_dir: &Path) -> Option<StoreMaker> {
    let there = data_dir.join(DATABASE).exists();
    there.then(|| Maker::of::<SqliteStore>(config.store.clone().keeping_everything()))
}
