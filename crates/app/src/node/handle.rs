//! The public handle of a node.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use kukuri_contract::{
    AuthorId, CallError, DhtHealth, DhtHealthQuery, DiscoveryMaker, Drill, EndpointAddr,
    EndpointId, GossipMaker, IdentityMaker, MetricsMaker, Never, RestartReason, SecretStoreKind,
    StoreMaker, TopicName, TopicSecret, WallClock,
};
use tokio::sync::{broadcast, oneshot, watch};

use super::http;
use super::run::{Started, run};
use super::service::{NodePort, Open};
use super::topic::Topic;
use super::wanted::Wanted;
use crate::compose::Ports;
use crate::config::Config;
use crate::error::{GaveUp, StartError, TopicError};
use crate::kinds::Given;
use crate::sockets::udp_settings;
use crate::supervise::Service;
use crate::{Former, Prompt, TopicBook};

/// The whole node must be down this long after it was asked to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1900);

/// Makes a [`Node`].
#[derive(Debug, Clone)]
pub struct NodeBuilder {
    pub(super) config: Config,
    pub(super) clock: WallClock,
    pub(super) prompt: Option<Prompt>,
    pub(super) given: Given,
}

impl NodeBuilder {
    /// Uses this config instead of the defaults.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Keeps identity, database and lock in this directory.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.node.data_dir = Some(dir.into());
        self
    }

    /// Binds everything to one IP address and free ports; `127.0.0.1` makes a local node that
    /// advertises loopback addresses.
    pub fn bind_ip(mut self, ip: std::net::Ipv4Addr) -> Self {
        let free = SocketAddrV4::new(ip, 0);
        let settings = udp_settings(&mut self.config);
        settings.into_iter().for_each(|mut udp| udp.bind.set(free));
        self
    }

    /// Uses this identity, whatever the config chooses.
    pub fn identity(mut self, maker: IdentityMaker) -> Self {
        self.given.identity = Some(maker);
        self
    }

    /// Uses this discovery, whatever the config chooses.
    ///
    /// ```
    /// # use kukuri::contract::{DiscoveryDeps, DiscoveryRunning, Factory, Maker};
    /// # fn give<MyDiscovery>(config: MyDiscovery::Config) -> kukuri::NodeBuilder
    /// # where
    /// #     MyDiscovery: Factory<Deps = DiscoveryDeps, Running = DiscoveryRunning> + 'static,
    /// #     MyDiscovery::Config: Clone + Send + Sync + 'static,
    /// # {
    /// kukuri::Node::builder().discovery(Maker::of::<MyDiscovery>(config))
    /// # }
    /// ```
    pub fn discovery(mut self, maker: DiscoveryMaker) -> Self {
        self.given.discovery = Some(maker);
        self
    }

    /// Uses this gossip, whatever the config chooses.
    pub fn gossip(mut self, maker: GossipMaker) -> Self {
        self.given.gossip = Some(maker);
        self
    }

    /// Uses this store, whatever the config chooses.
    pub fn store(mut self, maker: StoreMaker) -> Self {
        self.given.store = Some(maker);
        self
    }

    /// Uses these metrics, whatever the config chooses.
    pub fn metrics(mut self, maker: MetricsMaker) -> Self {
        self.given.metrics = Some(maker);
        self
    }

    /// Starts the DHT node from these, as `HOST:PORT`, instead of the public bootstrap nodes.
    #[cfg(feature = "discovery-mainline")]
    pub fn dht_bootstrap(mut self, nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.config.discovery.mainline.bootstrap = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// Asks a user like this for the passphrase of the node's keys, where no other source has it.
    /// Without it, nobody is asked: a library does not know whether there is a terminal.
    pub fn passphrase_prompt(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// Uses another wall clock, for tests of wrong ones.
    pub fn clock(mut self, clock: WallClock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the node on threads of its own.
    ///
    /// # Errors
    /// See [`StartError`]: each says what to do.
    pub async fn spawn(self) -> Result<Node, StartError> {
        // Before any thread: a config that is wrong needs none.
        self.config.makers(None, self.given.clone())?;
        let (started_tx, started_rx) = oneshot::channel();
        let (stop_tx, stop_rx) = oneshot::channel();
        let (stopped_tx, stopped_rx) = oneshot::channel();
        let (gave_up_tx, gave_up) = watch::channel(None);
        thread::Builder::new()
            .name("kukuri-node".into())
            .spawn(move || {
                run(self, started_tx, stop_rx, gave_up_tx);
                // Nobody waits any more: fine.
                let _waiting = stopped_tx.send(());
            })
            .map_err(StartError::Thread)?;
        let started = started_rx.await.map_err(|_| StartError::Ended)??;
        Ok(Node(Arc::new(Inner {
            started,
            stop: Mutex::new(Some((stop_tx, stopped_rx))),
            gave_up,
        })))
    }
}

/// A running node. Clones are handles to the same node; when the last one is dropped, it stops.
#[derive(Debug, Clone)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Started,
    stop: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    gave_up: watch::Receiver<Option<GaveUp>>,
}

/// Who a node is and where it listens.
#[derive(Debug, Clone)]
pub struct NodeInfo {
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// In whose name it wrote at the start: its own, unless it writes under a link.
    pub author: AuthorId,
    /// Its own author key, with which it writes.
    pub writer: AuthorId,
    /// Where its secrets are kept.
    pub secret_store: SecretStoreKind,
    /// The same in a sentence, with the reason.
    pub secret_store_note: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Where its endpoint is bound.
    pub bound: Vec<SocketAddr>,
    /// Where others may dial it.
    pub advertised: EndpointAddr,
    /// Where its hello socket is bound, if its discovery has one.
    pub hello: Option<SocketAddr>,
    /// Where its metrics are served.
    pub http: Option<SocketAddr>,
}

/// How a topic is joined.
#[derive(Debug, Clone, Default)]
pub struct JoinOptions {
    /// The secret of a secret topic; without one the topic is public.
    pub secret: Option<TopicSecret>,
    /// The secret before, where this one replaces it: until the overlap ends, the node takes part
    /// under both, and posts go to both.
    pub former: Option<Former>,
    /// Peers to dial at once, besides those that are discovered.
    pub peers: Vec<EndpointAddr>,
}

impl Node {
    /// A builder with the default config.
    pub fn builder() -> NodeBuilder {
        NodeBuilder {
            config: Config::default(),
            clock: WallClock::system(),
            prompt: None,
            given: Given::default(),
        }
    }

    /// Who it is and where it listens.
    pub fn info(&self) -> &NodeInfo {
        &self.0.started.info
    }

    /// The topics that were added with `kukuri topic`, with their secrets. It is the user's list: the
    /// node joins none of them by itself.
    pub fn topics(&self) -> &TopicBook {
        &self.0.started.topics
    }

    /// Joins a topic and starts to look for its peers. One whose former secret is given may be open
    /// under that: it goes on here, and the events of its handle end.
    ///
    /// # Errors
    /// See [`TopicError`]. Finding nobody is no error: see
    /// [`TopicEvent::Verdict`](crate::TopicEvent::Verdict).
    pub async fn join(&self, name: TopicName, options: JoinOptions) -> Result<Topic, TopicError> {
        let (events, heard) = broadcast::channel(self.0.started.event_buffer);
        let open = Open {
            name: name.clone(),
            secret: options.secret,
            former: options.former,
            peers: options.peers,
            events,
        };
        let opened = self.port().open(open).await;
        let id = opened.map_err(|error| match error {
            CallError::Refused(refused) => refused,
            CallError::TimedOut { after, .. } => TopicError::TimedOut(after),
            _ => TopicError::Stopping,
        })?;
        Ok(Topic::new(id, name, self.clone(), heard))
    }

    /// How this node and the DHT get along, its ports, and what the router forwards; nothing is known
    /// while discovery is started again.
    pub async fn health(&self) -> DhtHealth {
        let health = self.ports().discovery.health(DhtHealthQuery).await;
        health.unwrap_or_default()
    }

    /// All series about this node as Prometheus text, as `/metrics` serves them.
    pub async fn metrics(&self) -> String {
        http::metrics_text(&self.0.started.ports).await
    }

    /// Returns when the node has given up: a service ended again and again. It is down then, and
    /// whoever runs it should start it anew, and look into the reason if that goes on. A node that
    /// was shut down never gives up.
    pub async fn gave_up(&self) -> GaveUp {
        let mut gave_up = self.0.gave_up.clone();
        let told = gave_up.wait_for(Option::is_some).await;
        match told.ok().and_then(|told| told.clone()) {
            Some(gave_up) => gave_up,
            // The node was shut down in good order.
            None => std::future::pending().await,
        }
    }

    /// How often a service was started again for this reason, since the node runs. It counts whatever
    /// becomes of the metrics, which begin at 0 when they are started again themselves.
    pub fn restarts(&self, service: Service, reason: RestartReason) -> u64 {
        self.0.started.restarts.of(service, reason)
    }

    /// Causes a fault in one of the node's actors on purpose, to see what becomes of it.
    ///
    /// # Errors
    /// [`Drill::Panic`] and [`Drill::Hang`] end in an error, because the actor can't answer.
    pub async fn drill(&self, service: Service, drill: Drill) -> Result<(), CallError<Never>> {
        let ports = self.ports();
        match service {
            Service::Identity => ports.identity.drill(drill).await,
            Service::Discovery => ports.discovery.drill(drill).await,
            Service::Gossip => ports.gossip.drill(drill).await,
            Service::Store => ports.store.drill(drill).await,
            Service::Metrics => ports.metrics.drill(drill).await,
            Service::Node => self.port().drill(drill).await,
        }
    }

    /// Returns when the node's thread has ended, whatever its actors do.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut gave_up = self.0.gave_up.clone();
        async move {
            // The thread drops the sending side at its end.
            while gave_up.changed().await.is_ok() {}
        }
    }

    pub(super) fn port(&self) -> &NodePort {
        &self.0.started.port
    }

    pub(super) fn ports(&self) -> &Ports {
        &self.0.started.ports
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.0.started.wanted
    }

    /// Stops the node: leaves its topics, tells its neighbors, writes what was accepted. Returns
    /// when it is down, within 2 s. Idempotent.
    pub async fn shutdown(&self) {
        let taken = {
            let mut stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner);
            stop.take()
        };
        if let Some((stop, stopped)) = taken {
            // An error on either side means that it is down already.
            let _gone = stop.send(());
            let _gone = tokio::time::timeout(SHUTDOWN_LIMIT, stopped).await;
        }
    }
}
