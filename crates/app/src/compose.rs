//! The composition root: starts a node's services and wires them, whatever their implementations.
//!
//! It names none of them: it is given a [`Maker`] for each service. Which those
//! are by default says [`kinds`](crate::kinds). Each service runs in an arbiter (a thread) of its own with a small runtime of its own: one that blocks
//! holds up no other, and one that is given up takes all its tasks with it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use actix::{Arbiter, Recipient};
use kukuri_contract::{
    Contacts, DiscoveryDeps, DiscoveryEvent, DiscoveryMaker, DiscoveryPort, EndpointKey,
    GossipDeps, GossipEvent, GossipMaker, GossipPort, IdentityDeps, IdentityInfo, IdentityMaker,
    IdentityPort, Lease, LeaseHolder, Limits, LocalAddresses, Maker, MetricsDeps, MetricsMaker,
    MetricsPort, NodeEvent, OtherContract, Outlet, StoreDeps, StoreEvent, StoreMaker, StorePort,
    WallClock,
};

use crate::TopicBook;
use crate::arbiter::{Arbiters, in_arbiter};
use crate::config::NodeConfig;
use crate::error::{Cause, StartError};
use crate::node::actor::NodeActor;
use crate::node::service::NodePort;
use crate::node::wanted::Wanted;
use crate::supervise::{Service, Tally};

/// Threads for the tasks of an actor that has none but its own, and of one that reads a socket.
const NO_TASKS: usize = 0;
const ONE_THREAD: usize = 1;

/// Listeners of the outlets, in their order.
const NODE: usize = 0;
const METRICS: usize = 1;
/// DHT contacts of the last run that discovery starts from.
const CONTACTS: usize = 64;

/// What makes the services of a node, each as often as it has to be started.
#[derive(Debug, Clone)]
pub struct Makers {
    /// Keys and secrets.
    pub identity: IdentityMaker,
    /// How peers are found.
    pub discovery: DiscoveryMaker,
    /// Transport and swarm.
    pub gossip: GossipMaker,
    /// What survives a restart.
    pub store: StoreMaker,
    /// Series about the node.
    pub metrics: MetricsMaker,
}

impl Makers {
    /// Checks that all of them were written for this version of the contract.
    ///
    /// # Errors
    /// The first one that was not.
    pub fn check_contract(&self) -> Result<(), OtherContract> {
        self.identity.check_contract()?;
        self.discovery.check_contract()?;
        self.gossip.check_contract()?;
        self.store.check_contract()?;
        self.metrics.check_contract()
    }

    /// Checks the config of each of them, as far as that is possible without side effects.
    ///
    /// # Errors
    /// The first that is wrong, with the reason.
    pub fn check(&self) -> Result<(), Cause> {
        self.identity.check()?;
        self.discovery.check()?;
        self.gossip.check()?;
        self.store.check()?;
        self.metrics.check()
    }
}

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
    pub topics: TopicBook,
    /// Where the endpoint is bound.
    pub addresses: RefCell<LocalAddresses>,
    /// Where the hello socket was bound at the start, if there is one.
    pub hello: Option<SocketAddr>,
    /// The settings of the node itself.
    pub config: NodeConfig,
    makers: Makers,
    data_dir: PathBuf,
    clock: WallClock,
    pub(crate) wanted: Wanted,
    endpoint_key: EndpointKey,
    pub(crate) outlets: Outlets,
    pub(crate) arbiters: Arbiters,
    pub(crate) restarts: Tally,
    gossip_holder: RefCell<LeaseHolder>,
}

impl Parts {
    /// Starts every service, each with what it needs of those before it.
    ///
    /// # Errors
    /// An implementation was written for another contract, or the first service that does not start,
    /// with the reason.
    pub async fn compose(
        config: NodeConfig,
        makers: Makers,
        data_dir: PathBuf,
        clock: WallClock,
        wanted: Wanted,
    ) -> Result<Self, StartError> {
        makers.check_contract()?;
        let arbiters = Arbiters::default();

        let (metrics, arbiter) = spawn(&makers.metrics, MetricsDeps {}, NO_TASKS).await?;
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
        let (store, arbiter) = spawn(&makers.store, deps, NO_TASKS).await?;
        arbiters.keep(Service::Store, arbiter);

        let deps = identity_deps(&data_dir, &clock);
        let (identity, arbiter) = spawn(&makers.identity, deps, NO_TASKS).await?;
        let topics = TopicBook::of(&identity, &data_dir);
        arbiters.keep(Service::Identity, arbiter);

        let (gossip_holder, lease) = Lease::new();
        let deps = gossip_deps(&identity.info, &identity.endpoint_key, &outlets, lease);
        let (gossip, arbiter) = spawn(&makers.gossip, deps, config.worker_threads).await?;
        arbiters.keep(Service::Gossip, arbiter);

        let contacts = contacts(&store.port).await;
        let deps = discovery_deps(&identity.info, &identity.port, contacts, &clock, &outlets);
        let (discovery, arbiter) = spawn(&makers.discovery, deps, ONE_THREAD).await?;
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
            topics,
            addresses: RefCell::new(gossip.addresses),
            hello: discovery.hello_address,
            config,
            makers,
            data_dir,
            clock,
            wanted,
            endpoint_key: identity.endpoint_key,
            outlets,
            arbiters,
            restarts: Tally::default(),
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
        let (ports, outlets, makers) = (&self.ports, &self.outlets, &self.makers);
        let arbiter = match service {
            Service::Identity => {
                let deps = identity_deps(&self.data_dir, &self.clock);
                let (fresh, arbiter) = spawn(&makers.identity, deps, NO_TASKS).await?;
                ports.identity.adopt(&fresh.port);
                arbiter
            }
            Service::Discovery => {
                let contacts = contacts(&ports.store).await;
                let identity = &self.identity;
                let deps =
                    discovery_deps(identity, &ports.identity, contacts, &self.clock, outlets);
                let (fresh, arbiter) = spawn(&makers.discovery, deps, ONE_THREAD).await?;
                ports.discovery.adopt(&fresh.port);
                arbiter
            }
            Service::Gossip => {
                // The old endpoint has the same id: two of them would fight over the neighbors.
                let (holder, lease) = Lease::new();
                drop(self.gossip_holder.replace(holder));
                let deps = gossip_deps(&self.identity, &self.endpoint_key, outlets, lease);
                let workers = self.config.worker_threads;
                let (fresh, arbiter) = spawn(&makers.gossip, deps, workers).await?;
                ports.gossip.adopt(&fresh.port);
                self.addresses.replace(fresh.addresses);
                arbiter
            }
            Service::Store => {
                let deps = store_deps(&self.data_dir, &self.clock, outlets);
                let (fresh, arbiter) = spawn(&makers.store, deps, NO_TASKS).await?;
                ports.store.adopt(&fresh.port);
                arbiter
            }
            Service::Metrics => {
                let (fresh, arbiter) = spawn(&makers.metrics, MetricsDeps {}, NO_TASKS).await?;
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

fn identity_deps(data_dir: &Path, clock: &WallClock) -> IdentityDeps {
    IdentityDeps {
        data_dir: data_dir.to_owned(),
        clock: clock.clone(),
    }
}

fn store_deps(data_dir: &Path, clock: &WallClock, outlets: &Outlets) -> StoreDeps {
    StoreDeps {
        data_dir: data_dir.to_owned(),
        clock: clock.clone(),
        events: outlets.store.clone(),
    }
}

/// The endpoint's key is handed over at construction only, once for each gossip service.
fn gossip_deps(
    info: &IdentityInfo,
    key: &EndpointKey,
    outlets: &Outlets,
    lease: Lease,
) -> GossipDeps {
    GossipDeps {
        endpoint: info.endpoint,
        key: EndpointKey::new(*key.expose()),
        events: outlets.gossip.clone(),
        lease,
    }
}

fn discovery_deps(
    info: &IdentityInfo,
    identity: &IdentityPort,
    contacts: Vec<SocketAddr>,
    clock: &WallClock,
    outlets: &Outlets,
) -> DiscoveryDeps {
    DiscoveryDeps {
        endpoint: info.endpoint,
        identity: identity.clone(),
        contacts,
        events: outlets.discovery.clone(),
        clock: clock.clone(),
    }
}

/// Without contacts the bootstrap names are left.
async fn contacts(store: &StorePort) -> Vec<SocketAddr> {
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

async fn spawn<Deps, Running>(
    maker: &Maker<Deps, Running>,
    deps: Deps,
    workers: usize,
) -> Result<(Running, Arbiter), StartError>
where
    Deps: Send + 'static,
    Running: Send + 'static,
{
    let make = maker.clone();
    in_arbiter(maker.service(), workers, async move || {
        make.spawn(deps).await
    })
    .await
}
