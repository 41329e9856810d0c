//! Flags of `kukuri health`.

use std::net::SocketAddr;

use clap::Args;

/// Flags of `kukuri health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the node serves /readyz. Default: the setting `node.http`.
    #[arg(long, value_name = "ADDR:PORT")]
    pub http: Option<SocketAddr>,
}
