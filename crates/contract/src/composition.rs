//! What each service is given when it is made, and what it gives back: one pair per service, the same
//! for every implementation.
//!
//! Whatever one implementation alone needs is in its config. All of this is `Send`: it is made on the
//! composition root's thread and used on the service's own, or the other way around.

use std::net::SocketAddr;
use std::path::PathBuf;

use actix::Recipient;

use crate::clock::WallClock;
use crate::discovery::{DiscoveryEvent, DiscoveryPort};
use crate::event::Outlet;
use crate::factory::Maker;
use crate::gossip::{GossipEvent, GossipPort, LocalAddresses};
use crate::identity::{EndpointKey, IdentityInfo, IdentityPort, KeyBytes};
use crate::ids::EndpointId;
use crate::lease::Lease;
use crate::metrics::{MetricsPort, NodeEvent};
use crate::store::{StoreEvent, StorePort};

/// Makes an identity service.
pub type IdentityMaker = Maker<IdentityDeps, IdentityRunning>;
/// Makes a discovery service.
pub type DiscoveryMaker = Maker<DiscoveryDeps, DiscoveryRunning>;
/// Makes a gossip service.
pub type GossipMaker = Maker<GossipDeps, GossipRunning>;
/// Makes a store.
pub type StoreMaker = Maker<StoreDeps, StoreRunning>;
/// Makes a metrics service.
pub type MetricsMaker = Maker<MetricsDeps, MetricsRunning>;

/// What identity is given.
#[derive(Debug, Clone)]
pub struct IdentityDeps {
    /// The directory whose node this is; it exists.
    pub data_dir: PathBuf,
    /// The wall clock.
    pub clock: WallClock,
}

/// A running identity service.
#[derive(Debug)]
pub struct IdentityRunning {
    /// The way to it.
    pub port: IdentityPort,
    /// Who this node is: the same after each restart of the service while the node runs, and after
    /// each start of the node unless the keys are in memory.
    pub info: IdentityInfo,
    /// One sentence on where the keys are kept, and why there, for a user to read.
    pub store_note: String,
    /// The endpoint's secret key, for the gossip service alone; its public half is `info.endpoint`.
    pub endpoint_key: EndpointKey,
    /// Seals what the node keeps for its user beside the keys: the list of topics with their secrets.
    /// It comes from the node's keys, so it is as safe as they are and the same as long as they are.
    /// Where the keys are in memory, that list is too.
    pub book_key: KeyBytes,
}

/// What discovery is given.
#[derive(Debug, Clone)]
pub struct DiscoveryDeps {
    /// This node's endpoint.
    pub endpoint: EndpointId,
    /// Derives keys and signs records.
    pub identity: IdentityPort,
    /// Who hears the events.
    pub events: Outlet<DiscoveryEvent>,
    /// The wall clock.
    pub clock: WallClock,
    /// What an earlier run told by [`DiscoveryEvent::DhtContacts`], the newest first: where to start
    /// from. Empty at the first start; it may come from another implementation, and be of no use.
    pub contacts: Vec<SocketAddr>,
}

/// A running discovery service.
#[derive(Debug, Clone)]
pub struct DiscoveryRunning {
    /// The way to it.
    pub port: DiscoveryPort,
    /// Where others ask this node over UDP whether it is a member; `None` where nobody does. Port 0:
    /// each topic has a port of its own.
    pub hello_address: Option<SocketAddr>,
}

/// What gossip is given.
#[derive(Debug)]
pub struct GossipDeps {
    /// This node's endpoint.
    pub endpoint: EndpointId,
    /// The endpoint's secret key.
    pub key: EndpointKey,
    /// Who hears the events.
    pub events: Outlet<GossipEvent>,
    /// When it ends, whatever else speaks as this endpoint falls silent, even if the actor hangs: the
    /// next gossip service has the same endpoint.
    pub lease: Lease,
}

/// A running gossip service.
#[derive(Debug, Clone)]
pub struct GossipRunning {
    /// The way to it.
    pub port: GossipPort,
    /// Where the endpoint is bound, and where others may dial it.
    pub addresses: LocalAddresses,
}

/// What the store is given.
#[derive(Debug, Clone)]
pub struct StoreDeps {
    /// The directory to keep files in; it exists. All of one implementation begin with its name or another
    /// of its own (`kukuri.db` is that of `sqlite`). Taken are `node.lock`, `kukuri.toml`, and all that begins
    /// with `identity.`, `topics.` or `author.`. Posts are private: files are for their owner only (0600).
    pub data_dir: PathBuf,
    /// The wall clock, by which the retention counts: it may be wrong, and may jump.
    pub clock: WallClock,
    /// Who hears the events.
    pub events: Outlet<StoreEvent>,
}

/// A running store.
#[derive(Debug, Clone)]
pub struct StoreRunning {
    /// The way to it.
    pub port: StorePort,
}

/// What metrics is given: nothing. It is made first, and hears of everything by events.
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsDeps {}

/// A running metrics service.
#[derive(Debug, Clone)]
pub struct MetricsRunning {
    /// The way to it.
    pub port: MetricsPort,
    /// Hears discovery.
    pub discovery: Recipient<DiscoveryEvent>,
    /// Hears gossip.
    pub gossip: Recipient<GossipEvent>,
    /// Hears the store.
    pub store: Recipient<StoreEvent>,
    /// Hears the node.
    pub node: Recipient<NodeEvent>,
}
