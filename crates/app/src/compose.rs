//! The composition root: the one list of every implementation in use.
//!
//! To swap a crate, change its line in the list. Nothing else changes, dashboards included.

use std::path::PathBuf;

use actix::Addr;
use kukuri_contract::{
    DiscoveryPort, Factory, GossipPort, IdentityInfo, IdentityPort, LocalAddresses, MetricsPort,
    NodeEvent, Outlet, StorePort, WallClock,
};

use crate::config::Config;
use crate::error::StartError;
use crate::node::actor::NodeActor;

/// Keys and secrets.
pub type Identity = kukuri_identity::KeyringIdentity;
/// How peers are found.
pub type Discovery = kukuri_discovery::Mainline;
/// Transport and swarm.
pub type Gossip = kukuri_gossip::IrohGossip;
/// What survives a restart.
pub type Store = kukuri_store::SqliteStore;
/// Series about the node.
pub type Metrics = kukuri_metrics::PrometheusMetrics;

/// The ports to all services of a node.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Keys and secrets.
    pub identity: IdentityPort,
    /// How peers are found.
    pub discovery: DiscoveryPort,
    /// Transport and swarm.
    pub gossip: GossipPort,
    /// What survives a restart.
    pub store: StorePort,
    /// Series about the node.
    pub metrics: MetricsPort,
}

/// The services of a node, started.
#[derive(Debug)]
pub struct Composed {
    /// The ways to them.
    pub ports: Ports,
    /// Who this node is.
    pub identity: IdentityInfo,
    /// One sentence on where the secrets are kept, and why there.
    pub store_note: String,
    /// Where the endpoint is bound and can be dialed.
    pub addresses: LocalAddresses,
    /// Where the hello socket is bound.
    pub hello: std::net::SocketAddrV4,
    /// Where the node's own events go.
    pub events: Outlet<NodeEvent>,
}

/// Starts every service, each with what it needs of those before it.
///
/// # Errors
/// The first service that does not start, with the reason.
pub async fn compose(
    config: Config,
    data_dir: PathBuf,
    clock: WallClock,
    node: &Addr<NodeActor>,
) -> Result<Composed, StartError> {
    let Config {
        node: _,
        identity,
        discovery,
        gossip,
        store,
        metrics,
    } = config;

    let metrics = Metrics::spawn(metrics, kukuri_metrics::Deps {})
        .await
        .map_err(|error| failed(MetricsPort::SERVICE, error))?;

    let store_deps = kukuri_store::Deps {
        data_dir: data_dir.clone(),
        events: Outlet::new([node.clone().recipient(), metrics.store]),
    };
    let store = Store::spawn(store, store_deps)
        .await
        .map_err(|error| failed(StorePort::SERVICE, error))?;

    let identity_deps = kukuri_identity::Deps {
        data_dir,
        clock: clock.clone(),
    };
    let identity = Identity::spawn(identity, identity_deps)
        .await
        .map_err(|error| failed(IdentityPort::SERVICE, error))?;

    let gossip_deps = kukuri_gossip::Deps {
        key: identity.endpoint_key,
        events: Outlet::new([node.clone().recipient(), metrics.gossip]),
    };
    let gossip = Gossip::spawn(gossip, gossip_deps)
        .await
        .map_err(|error| failed(GossipPort::SERVICE, error))?;

    let discovery_deps = kukuri_discovery::Deps {
        endpoint: identity.info.endpoint,
        identity: identity.port.clone(),
        events: Outlet::new([node.clone().recipient(), metrics.discovery]),
        clock,
        contacts: Vec::new(),
    };
    let discovery = Discovery::spawn(discovery, discovery_deps)
        .await
        .map_err(|error| failed(DiscoveryPort::SERVICE, error))?;

    Ok(Composed {
        events: Outlet::new([metrics.node]),
        ports: Ports {
            identity: identity.port,
            discovery: discovery.port,
            gossip: gossip.port,
            store: store.port,
            metrics: metrics.port,
        },
        identity: identity.info,
        store_note: identity.store_note,
        addresses: gossip.addresses,
        hello: discovery.hello_address,
    })
}

fn failed(
    service: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StartError {
    StartError::Service {
        service,
        source: Box::new(source),
    }
}
