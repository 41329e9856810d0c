//! The implementations without a DHT. Each is the same actor and the same core as
//! [`Mainline`](super::Mainline), with fewer ways to find somebody: the rules, the events and the
//! verdicts are the same.

use kukuri_contract::{DiscoveryDeps, DiscoveryPort, DiscoveryRunning, Factory};

use super::{Mainline, Way, sources, spawn};
use crate::config::{LanConfig, MemoryConfig, StaticConfig};
use crate::directory::Directory;
use crate::error::DiscoveryError;

/// The implementation `static` of discovery: the peers that its config names, those that a user names
/// (`Discover::peers`) and those of an earlier run, and no others. It looks for nobody and opens no
/// socket, so nobody learns that this node runs but those that it dials.
///
/// Without hellos it can't ask members that it has lost, so a swarm that the network has split heals
/// only by the peers that were named.
#[derive(Debug, Clone, Copy)]
pub struct StaticPeers;

/// The implementation `lan` of discovery: members on the same local network find each other by mDNS
/// and a hello; neither DHT nor internet.
#[derive(Debug, Clone, Copy)]
pub struct LocalNetwork;

/// The implementation `memory` of discovery: nodes of one process find each other in a
/// [`Directory`], for tests of what is built on kukuri. It opens no socket.
#[derive(Debug, Clone, Copy)]
pub struct SharedDirectory;

/// What a [`SharedDirectory`] is made from.
#[derive(Debug, Clone, Default)]
pub struct DirectorySetup {
    /// The settings.
    pub config: MemoryConfig,
    /// Where it finds others: the same handle for all that are to meet.
    pub directory: Directory,
}

impl Factory for StaticPeers {
    const SERVICE: &'static str = DiscoveryPort::SERVICE;
    const NAME: &'static str = "static";
    const CONTRACT: u32 = 1;
    type Config = StaticConfig;
    type Deps = DiscoveryDeps;
    type Running = DiscoveryRunning;
    type Error = DiscoveryError;

    fn check(config: &StaticConfig) -> Result<(), DiscoveryError> {
        config.named()?;
        Mainline::check(&config.as_mainline())
    }

    async fn spawn(
        config: StaticConfig,
        deps: DiscoveryDeps,
    ) -> Result<DiscoveryRunning, DiscoveryError> {
        let named = config.named()?;
        spawn(config.as_mainline(), deps, Way::Named(named)).await
    }
}

impl Factory for LocalNetwork {
    const SERVICE: &'static str = DiscoveryPort::SERVICE;
    const NAME: &'static str = "lan";
    const CONTRACT: u32 = 1;
    type Config = LanConfig;
    type Deps = DiscoveryDeps;
    type Running = DiscoveryRunning;
    type Error = DiscoveryError;

    fn check(config: &LanConfig) -> Result<(), DiscoveryError> {
        Mainline::check(&config.as_mainline())
    }

    async fn spawn(
        config: LanConfig,
        deps: DiscoveryDeps,
    ) -> Result<DiscoveryRunning, DiscoveryError> {
        let config = config.as_mainline();
        let sources = sources(&config);
        spawn(config, deps, Way::Socket(sources)).await
    }
}

impl Factory for SharedDirectory {
    const SERVICE: &'static str = DiscoveryPort::SERVICE;
    const NAME: &'static str = "memory";
    const CONTRACT: u32 = 1;
    type Config = DirectorySetup;
    type Deps = DiscoveryDeps;
    type Running = DiscoveryRunning;
    type Error = DiscoveryError;

    fn check(setup: &DirectorySetup) -> Result<(), DiscoveryError> {
        Mainline::check(&setup.config.as_mainline())
    }

    async fn spawn(
        setup: DirectorySetup,
        deps: DiscoveryDeps,
    ) -> Result<DiscoveryRunning, DiscoveryError> {
        let way = Way::Directory(setup.directory);
        spawn(setup.config.as_mainline(), deps, way).await
    }
}
