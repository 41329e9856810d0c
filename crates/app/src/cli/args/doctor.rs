//! Flags of `kukuri doctor`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::HomeArgs;

/// Flags of `kukuri doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// DHT node to start from; may be given several times. Default: the public ones.
    #[arg(long, value_name = "HOST:PORT")]
    pub dht_bootstrap: Vec<String>,
    /// Check this machine only, without the network.
    #[arg(long)]
    pub offline: bool,
    /// Whose node it is.
    #[command(flatten)]
    pub home: HomeArgs,
}

impl DoctorArgs {
    /// The flags that were given, in the shape of the config.
    pub fn overrides(&self) -> Value {
        let mut flags = self.home.overrides();
        if !self.dht_bootstrap.is_empty() {
            let mut discovery = Map::new();
            discovery.insert("bootstrap".into(), json!(self.dht_bootstrap));
            flags["discovery"] = discovery.into();
        }
        flags
    }
}
