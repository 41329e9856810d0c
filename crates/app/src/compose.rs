//! The composition root: the one list of every implementation in use.
//!
//! To swap a crate, change its line in the list. Nothing else changes, dashboards included. Each
//! service runs in an arbiter (a thread) of its own with a small runtime of its own: one that blocks
//! holds up no other, and one that is given up takes all its tasks with it.

use std::cell::RefCell;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use actix::{Arbiter, Recipient};
use kukuri_contract::{
    Contacts, DiscoveryEvent, DiscoveryPort, EndpointKey, Factory, GossipEvent, GossipPort,
    IdentityInfo, IdentityPort, Lease, LeaseHolder, Limits, LocalAddresses, MetricsPort, NodeEvent,
    Outlet, StoreEvent, StorePort, WallClock,
};

use crate::arbiter::{Arbiters, in_arbiter};
use crate::config::Config;
use crate::error::{Cause, StartError};
use crate::node::actor::NodeActor;
use crate::node::service::NodePort;
use crate::node::wanted::Wanted;
use crate::supervise::Service;

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

/// Threads for the tasks of an actor that has none but its own, and of one that reads a socket.
const NO_TASKS: usize = 0;
const ONE_THREAD: usize = 1;

/// Listeners of the outlets, in their order.
const NODE: usize = 0;
const METRICS: usize = 1;
/// DHT contacts of the last run that discovery starts from.
const CONTACTS: usize = 64;

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

/// What the node's actor is wired to.
#[derive(Debug, Clone)]
pub struct Wires {
    /// The services.
    pub ports: Ports,
    /// Who this node is.
    pub identity: IdentityInfo,
    /// Where others may dial it.
    pub address: LocalAddresses,
    /// Where its own events go.
    pub events: Outlet<NodeEvent>,
}

/// Where events go: to the node's actor and to the metrics. Both may be started again.
#[derive(Debug, Clone)]
pub(crate) struct Outlets {
    discovery: Outlet<DiscoveryEvent>,
    gossip: Outlet<GossipEvent>,
    store: Outlet<StoreEvent>,
    /// To the metrics only.
    pub(crate) node: Outlet<NodeEvent>,
}

/// A node's services, and what it takes to start each of them again.
#[derive(Debug)]
pub struct Parts {
    /// The ways to the services.
    pub ports: Ports,
    /// The way to the node's actor.
    pub node: NodePort,
    /// Who this node is.
    pub identity: IdentityInfo,
    /// One sentence on where the secrets are kept, and why there.
    pub store_note: String,
    /// The topics that the user has added.
    pub topics: kukuri_identity::TopicBook,
    /// Where the endpoint was bound at the start.
    pub addresses: LocalAddresses,
    /// Where the hello socket was bound at the start.
    pub hello: SocketAddrV4,
    /// The config.
    pub config: Config,
    data_dir: PathBuf,
    clock: WallClock,
    pub(crate) wanted: Wanted,
    memory: kukuri_identity::MemoryStore,
    prompt: Option<kukuri_identity::Prompt>,
    endpoint_key: EndpointKey,
    pub(crate) outlets: Outlets,
    pub(crate) arbiters: Arbiters,
    gossip_holder: RefCell<LeaseHolder>,
}

impl Parts {
    /// Starts every service, each with what it needs of those before it.
    ///
    /// # Errors
    /// The first service that does not start, with the reason.
    pub async fn compose(
        config: Config,
        data_dir: PathBuf,
        clock: WallClock,
        wanted: Wanted,
        prompt: Option<kukuri_identity::Prompt>,
    ) -> Result<Self, StartError> {
        let memory = kukuri_identity::MemoryStore::default();
        let arbiters = Arbiters::default();

        let deps = kukuri_metrics::Deps {};
        let (metrics, arbiter) = spawn::<Metrics>(config.metrics.clone(), deps, NO_TASKS).await?;
        arbiters.keep(Service::Metrics, arbiter);

        let (node, arbiter) = spawn_node(clock.clone(), wanted.clone()).await?;
        arbiters.keep(Service::Node, arbiter);

        let outlets = Outlets {
            discovery: Outlet::new([node.discovery, metrics.discovery]),
            gossip: Outlet::new([node.gossip, metrics.gossip]),
            store: Outlet::new([node.store, metrics.store]),
            node: Outlet::new([metrics.node]),
        };

        let deps = store_deps(&data_dir, &clock, &outlets);
        let (store, arbiter) = spawn::<Store>(config.store.clone(), deps, NO_TASKS).await?;
        arbiters.keep(Service::Store, arbiter);

        let deps = identity_deps(&data_dir, &memory, &prompt, &clock);
        let (identity, arbiter) =
            spawn::<Identity>(config.identity.clone(), deps, NO_TASKS).await?;
        arbiters.keep(Service::Identity, arbiter);

        let (gossip_holder, lease) = Lease::new();
        let deps = gossip_deps(&identity.endpoint_key, &outlets, lease);
        let workers = config.node.worker_threads;
        let (gossip, arbiter) = spawn::<Gossip>(config.gossip.clone(), deps, workers).await?;
        arbiters.keep(Service::Gossip, arbiter);

        let contacts = contacts(&store.port).await;
        let deps = discovery_deps(&identity.info, &identity.port, contacts, &clock, &outlets);
        let (discovery, arbiter) =
            spawn::<Discovery>(config.discovery.clone(), deps, ONE_THREAD).await?;
        arbiters.keep(Service::Discovery, arbiter);

        let parts = Self {
            ports: Ports {
                identity: identity.port,
                discovery: discovery.port,
                gossip: gossip.port,
                store: store.port,
                metrics: metrics.port,
            },
            node: node.port,
            identity: identity.info,
            store_note: identity.store_note,
            topics: identity.topics,
            addresses: gossip.addresses,
            hello: discovery.hello_address,
            config,
            data_dir,
            clock,
            wanted,
            memory,
            prompt,
            endpoint_key: identity.endpoint_key,
            outlets,
            arbiters,
            gossip_holder: RefCell::new(gossip_holder),
        };
        parts.wire().await.map_err(|error| StartError::Service {
            service: NodePort::SERVICE,
            source: Box::new(error),
        })?;
        Ok(parts)
    }

    /// Starts a fresh actor of a service, and points its port and its outlets there.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&self, service: Service) -> Result<(), StartError> {
        let (ports, outlets) = (&self.ports, &self.outlets);
        let config = self.config.clone();
        let arbiter = match service {
            Service::Identity => {
                let deps = identity_deps(&self.data_dir, &self.memory, &self.prompt, &self.clock);
                let (fresh, arbiter) = spawn::<Identity>(config.identity, deps, NO_TASKS).await?;
                ports.identity.adopt(&fresh.port);
                arbiter
            }
            Service::Discovery => {
                let contacts = contacts(&ports.store).await;
                let identity = &self.identity;
                let deps =
                    discovery_deps(identity, &ports.identity, contacts, &self.clock, outlets);
                let (fresh, arbiter) =
                    spawn::<Discovery>(config.discovery, deps, ONE_THREAD).await?;
                ports.discovery.adopt(&fresh.port);
                arbiter
            }
            Service::Gossip => {
                // The old endpoint has the same id: two of them would fight over the neighbors.
                let (holder, lease) = Lease::new();
                drop(self.gossip_holder.replace(holder));
                let deps = gossip_deps(&self.endpoint_key, outlets, lease);
                let workers = config.node.worker_threads;
                let (fresh, arbiter) = spawn::<Gossip>(config.gossip, deps, workers).await?;
                ports.gossip.adopt(&fresh.port);
                arbiter
            }
            Service::Store => {
                let deps = store_deps(&self.data_dir, &self.clock, outlets);
                let (fresh, arbiter) = spawn::<Store>(config.store, deps, NO_TASKS).await?;
                ports.store.adopt(&fresh.port);
                arbiter
            }
            Service::Metrics => {
                let deps = kukuri_metrics::Deps {};
                let (fresh, arbiter) = spawn::<Metrics>(config.metrics, deps, NO_TASKS).await?;
                ports.metrics.adopt(&fresh.port);
                outlets.discovery.repoint(METRICS, fresh.discovery);
                outlets.gossip.repoint(METRICS, fresh.gossip);
                outlets.store.repoint(METRICS, fresh.store);
                outlets.node.repoint(0, fresh.node);
                arbiter
            }
            Service::Node => {
                let (fresh, arbiter) = spawn_node(self.clock.clone(), self.wanted.clone()).await?;
                self.node.adopt(&fresh.port);
                outlets.discovery.repoint(NODE, fresh.discovery);
                outlets.gossip.repoint(NODE, fresh.gossip);
                outlets.store.repoint(NODE, fresh.store);
                arbiter
            }
        };
        self.arbiters.keep(service, arbiter);
        Ok(())
    }
}

// --- what each service needs -------------------------------------------------------------------

fn identity_deps(
    data_dir: &std::path::Path,
    memory: &kukuri_identity::MemoryStore,
    prompt: &Option<kukuri_identity::Prompt>,
    clock: &WallClock,
) -> kukuri_identity::Deps {
    kukuri_identity::Deps {
        data_dir: data_dir.to_owned(),
        memory: memory.clone(),
        prompt: prompt.clone(),
        clock: clock.clone(),
    }
}

fn store_deps(
    data_dir: &std::path::Path,
    clock: &WallClock,
    outlets: &Outlets,
) -> kukuri_store::Deps {
    kukuri_store::Deps {
        data_dir: data_dir.to_owned(),
        clock: clock.clone(),
        events: outlets.store.clone(),
    }
}

/// The endpoint's key is handed over at construction only, once for each gossip service.
fn gossip_deps(key: &EndpointKey, outlets: &Outlets, lease: Lease) -> kukuri_gossip::Deps {
    kukuri_gossip::Deps {
        key: EndpointKey::new(*key.expose()),
        events: outlets.gossip.clone(),
        lease,
    }
}

fn discovery_deps(
    info: &IdentityInfo,
    identity: &IdentityPort,
    contacts: Vec<std::net::SocketAddr>,
    clock: &WallClock,
    outlets: &Outlets,
) -> kukuri_discovery::Deps {
    kukuri_discovery::Deps {
        endpoint: info.endpoint,
        identity: identity.clone(),
        contacts,
        events: outlets.discovery.clone(),
        clock: clock.clone(),
    }
}

/// Without contacts the bootstrap names are left.
async fn contacts(store: &StorePort) -> Vec<std::net::SocketAddr> {
    let contacts = store.contacts(Contacts { limit: CONTACTS }).await;
    contacts.unwrap_or_else(|error| {
        tracing::debug!(%error, "no DHT contacts from the store");
        Vec::new()
    })
}

// --- an arbiter for each -----------------------------------------------------------------------

/// A running actor of the node.
struct RunningNode {
    port: NodePort,
    discovery: Recipient<DiscoveryEvent>,
    gossip: Recipient<GossipEvent>,
    store: Recipient<StoreEvent>,
}

async fn spawn_node(
    clock: WallClock,
    wanted: Wanted,
) -> Result<(RunningNode, Arbiter), StartError> {
    let start = async move || {
        let actor = NodeActor::start(clock, wanted);
        Ok::<_, Cause>(RunningNode {
            port: NodePort::new(&actor, Limits::default()),
            discovery: actor.clone().recipient(),
            gossip: actor.clone().recipient(),
            store: actor.recipient(),
        })
    };
    in_arbiter(NodePort::SERVICE, NO_TASKS, start).await
}

async fn spawn<F>(
    config: F::Config,
    deps: F::Deps,
    workers: usize,
) -> Result<(F::Running, Arbiter), StartError>
where
    F: Factory,
    F::Config: Send + 'static,
    F::Deps: Send + 'static,
    F::Running: Send + 'static,
{
    let start = async move || F::spawn(config, deps).await.map_err(Cause::from);
    in_arbiter(F::SERVICE, workers, start).await
}
