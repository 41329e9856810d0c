//! Why discovery can't start.

use std::io;
use std::net::SocketAddrV4;

/// Why discovery can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// A field of the config is wrong.
    #[error("discovery.{field} is wrong: {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A source of peers is turned on that this build does not have.
    #[error(
        "discovery.sources.{field} is on, and this build leaves it out; turn it off, or build kukuri with \
         the feature \"discovery-{feature}\""
    )]
    LeftOut {
        /// The source.
        field: &'static str,
        /// What brings it: a feature of this crate, and with `discovery-` before it, of kukuri.
        feature: &'static str,
    },
    /// The hello socket can't be bound.
    #[error("can't bind the hello socket to {address}: choose another address with --hello-bind")]
    HelloBind {
        /// The address.
        address: SocketAddrV4,
        /// Why.
        source: io::Error,
    },
    /// The DHT socket can't be bound.
    #[error("can't bind the DHT socket to {address}: choose another address with --dht-bind")]
    DhtBind {
        /// The address.
        address: SocketAddrV4,
        /// Why.
        source: io::Error,
    },
    /// The local network can't be used as a source.
    #[error("can't use mDNS on the local network: {0}; turn discovery.sources.lan off")]
    Lan(String),
    /// All seats of a directory are taken.
    #[error(
        "{} nodes are in the directory already, the most that may be; take another one",
        crate::directory::MAX_SEATS
    )]
    DirectoryFull,
    /// A local DHT can't be started.
    #[error("can't start the local DHT: {0}")]
    LocalDht(#[source] io::Error),
}
