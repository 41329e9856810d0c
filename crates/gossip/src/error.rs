//! Why gossip can't start.

use std::net::SocketAddr;

/// Why gossip can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GossipError {
    /// A field of the config is wrong.
    #[error("gossip.{field} is wrong: {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A field of a network's config is wrong.
    #[error("{field} of the network in memory is wrong: {problem}")]
    Network {
        /// The field.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The endpoint can't be bound.
    #[error("can't bind the endpoint to {address}: choose another address with --bind")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The network in memory has no place for another endpoint.
    #[error(
        "the network in memory has {most} endpoints already, the most it may have; stop a node"
    )]
    NetworkFull {
        /// Most endpoints.
        most: usize,
    },
}
