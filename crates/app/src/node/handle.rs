//! The public handle of a node, and of its topics.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task;
use std::thread;
use std::time::Duration;

use actix::{Addr, System};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use kukuri_contract::{
    AuthorId, EndpointAddr, EndpointId, Factory, IdentityInfo, IdentityPort, KnownPeer, KnownPeers,
    Post, Posts, SecretStoreKind, Source, TopicId, TopicName, TopicSecret, UnixMillis, Verdict,
    WallClock,
};
use tokio::sync::{broadcast, oneshot};

use super::actor::{NodeActor, Shutdown, Wire};
use super::posts::SendPost;
use super::topics::{LeaveTopic, Open};
use super::{http, lock};
use crate::compose::{Identity, Ports, compose};
use crate::config::Config;
use crate::error::{PostError, ReadError, StartError, TopicError};

/// The whole node must be down this long after it was asked to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1900);

/// Makes a [`Node`].
#[derive(Debug, Clone)]
pub struct NodeBuilder {
    config: Config,
    clock: WallClock,
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
        self.config.gossip.bind = free.into();
        self.config.discovery.dht_bind = free;
        self.config.discovery.hello_bind = free;
        self
    }

    /// Starts the DHT node from these, as `HOST:PORT`, instead of the public bootstrap nodes.
    pub fn dht_bootstrap(mut self, nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.config.discovery.bootstrap = nodes.into_iter().map(Into::into).collect();
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
        self.config.check()?;
        let (started_tx, started_rx) = oneshot::channel();
        let (stop_tx, stop_rx) = oneshot::channel();
        let (stopped_tx, stopped_rx) = oneshot::channel();
        thread::Builder::new()
            .name("kukuri-node".into())
            .spawn(move || {
                run(self, started_tx, stop_rx);
                // Nobody waits any more: fine.
                let _waiting = stopped_tx.send(());
            })
            .map_err(StartError::Thread)?;
        let started = started_rx.await.map_err(|_| StartError::Ended)??;
        Ok(Node(Arc::new(Inner {
            started,
            stop: Mutex::new(Some((stop_tx, stopped_rx))),
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
}

/// Who a node is and where it listens.
#[derive(Debug, Clone)]
pub struct NodeInfo {
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// The author of its posts.
    pub author: AuthorId,
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
    /// Where its hello socket is bound.
    pub hello: SocketAddrV4,
    /// Where its metrics are served.
    pub http: Option<SocketAddr>,
}

/// How a topic is joined.
#[derive(Debug, Clone, Default)]
pub struct JoinOptions {
    /// The secret of a secret topic; without one the topic is public.
    pub secret: Option<TopicSecret>,
    /// Peers to dial at once, besides those that are discovered.
    pub peers: Vec<EndpointAddr>,
}

impl Node {
    /// A builder with the default config.
    pub fn builder() -> NodeBuilder {
        NodeBuilder {
            config: Config::default(),
            clock: WallClock::system(),
        }
    }

    /// Who it is and where it listens.
    pub fn info(&self) -> &NodeInfo {
        &self.0.started.info
    }

    /// Joins a topic and starts to look for its peers.
    ///
    /// # Errors
    /// See [`TopicError`]. Finding nobody is no error: see [`TopicEvent::Verdict`].
    pub async fn join(&self, name: TopicName, options: JoinOptions) -> Result<Topic, TopicError> {
        let (events, heard) = broadcast::channel(self.0.started.event_buffer);
        let actor = &self.0.started.actor;
        let open = Open {
            name: name.clone(),
            secret: options.secret,
            peers: options.peers,
            events,
        };
        let id = actor.send(open).await.map_err(|_| TopicError::Stopping)??;
        Ok(Topic {
            id,
            name,
            node: self.clone(),
            heard: Arc::new(Mutex::new(heard)),
        })
    }

    /// All series about this node as Prometheus text, as `/metrics` serves them.
    pub async fn metrics(&self) -> String {
        http::metrics_text(&self.0.started.ports).await
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

/// A topic that a node has joined. Clones are handles to the same topic.
#[derive(Debug, Clone)]
pub struct Topic {
    id: TopicId,
    name: TopicName,
    node: Node,
    heard: Arc<Mutex<broadcast::Receiver<TopicEvent>>>,
}

impl Topic {
    /// Its id, as iroh-gossip knows it.
    pub fn id(&self) -> TopicId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Posts to the topic. The reply is the post's number among this author's posts here, and
    /// means that the post is on disk; it is sent as soon as there is a neighbor.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn post(&self, body: impl Into<Bytes>) -> Result<u64, PostError> {
        let body = body.into();
        let topic = self.id;
        let sent = self.node.0.started.actor.send(SendPost { topic, body });
        sent.await.map_err(|_| PostError::Stopping)?
    }

    /// What happened since the join, or since the last call of this method, and all that will
    /// happen. A reader that is too slow gets [`TopicEvent::Lagged`] instead of the oldest events.
    /// Ends when the topic is left.
    pub fn events(&self) -> TopicEvents {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let later = heard.resubscribe();
        TopicEvents::new(std::mem::replace(&mut *heard, later))
    }

    /// The newest `limit` posts in the store written at `since` or later, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn posts(
        &self,
        since: UnixMillis,
        limit: usize,
    ) -> Result<Vec<PostEvent>, ReadError> {
        let topic = self.id;
        let request = Posts {
            topic,
            since,
            limit,
        };
        let posts = self.node.0.started.ports.store.posts(request).await?;
        Ok(posts.into_iter().map(PostEvent::from).collect())
    }

    /// The peers of this topic that the store remembers, last seen first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known_peers(&self, limit: usize) -> Result<Vec<KnownPeer>, ReadError> {
        let topic = self.id;
        let request = KnownPeers { topic, limit };
        Ok(self.node.0.started.ports.store.known_peers(request).await?)
    }

    /// Leaves the topic. Its posts stay in the store.
    pub async fn leave(&self) {
        // An error means that the node is down, and with it the topic left.
        let _gone = self.node.0.started.actor.send(LeaveTopic(self.id)).await;
    }
}

/// Something that happened in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicEvent {
    /// The first neighbor since the join.
    Joined {
        /// How it was found.
        source: Source,
        /// Since the join.
        after: Duration,
    },
    /// A peer is a neighbor now.
    NeighborUp {
        /// Who.
        endpoint: EndpointId,
        /// Neighbors now.
        neighbors: usize,
    },
    /// A peer is no neighbor any more.
    NeighborDown {
        /// Who.
        endpoint: EndpointId,
        /// Neighbors now.
        neighbors: usize,
    },
    /// Another author's post: verified, stored, and new.
    Post(PostEvent),
    /// What came of looking for peers has changed.
    Verdict(Verdict),
    /// So many events were missed because this reader, or this node, was too slow.
    Lagged(u64),
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostEvent {
    /// Who wrote it.
    pub author: AuthorId,
    /// Its number among the author's posts in this topic, from 1 on.
    pub seq: u64,
    /// When, by the author's clock.
    pub time: UnixMillis,
    /// What it says.
    pub body: Bytes,
}

impl From<Post> for PostEvent {
    fn from(post: Post) -> Self {
        Self {
            author: post.author,
            seq: post.seq,
            time: post.time,
            body: post.body,
        }
    }
}

/// The events of a topic as a stream.
pub struct TopicEvents(Pin<Box<dyn Stream<Item = TopicEvent> + Send>>);

impl TopicEvents {
    fn new(heard: broadcast::Receiver<TopicEvent>) -> Self {
        let events = stream::unfold(heard, |mut heard| async move {
            match heard.recv().await {
                Ok(event) => Some((event, heard)),
                Err(broadcast::error::RecvError::Lagged(n)) => Some((TopicEvent::Lagged(n), heard)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        Self(Box::pin(events))
    }

    /// The next event; `None` once the topic is left.
    pub async fn next(&mut self) -> Option<TopicEvent> {
        self.0.next().await
    }
}

impl Stream for TopicEvents {
    type Item = TopicEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<TopicEvent>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for TopicEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicEvents(..)")
    }
}

/// Who the node of a config is, without starting it: reads its identity, or makes it on first use.
/// With it comes one sentence on where the secrets are kept, and why there.
///
/// # Errors
/// See [`StartError`].
pub async fn identity(config: Config) -> Result<(IdentityInfo, String), StartError> {
    let (told_tx, told_rx) = oneshot::channel();
    let read = async move {
        let data_dir = config.data_dir()?;
        let _lock = match lock::lock(&data_dir) {
            // Its node runs, so the identity is there and need not be made.
            Err(StartError::DataDirInUse(_)) => None,
            lock => Some(lock?),
        };
        let deps = kukuri_identity::Deps {
            data_dir,
            clock: WallClock::system(),
        };
        let spawned = Identity::spawn(config.identity, deps).await;
        let identity = spawned.map_err(|error| StartError::Service {
            service: IdentityPort::SERVICE,
            source: Box::new(error),
        })?;
        Ok((identity.info, identity.store_note))
    };
    thread::Builder::new()
        .name("kukuri-id".into())
        .spawn(move || {
            // Nobody waits any more: fine.
            let _waiting = told_tx.send(System::new().block_on(read));
        })
        .map_err(StartError::Thread)?;
    told_rx.await.map_err(|_| StartError::Ended)?
}

/// What the node's thread hands out once everything runs.
#[derive(Debug)]
struct Started {
    actor: Addr<NodeActor>,
    ports: Ports,
    info: NodeInfo,
    event_buffer: usize,
}

/// The node's thread: an actix `System` whose actors run here, and whose network runs on worker
/// threads, so that neither holds up the other.
fn run(
    builder: NodeBuilder,
    started: oneshot::Sender<Result<Started, StartError>>,
    stop: oneshot::Receiver<()>,
) {
    let workers = builder.config.node.worker_threads;
    let system = System::with_tokio_rt(move || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("kukuri-net")
            .enable_all()
            .build()
            .expect("the operating system gives a process its threads and an event queue")
    });
    system.block_on(async move {
        match start(builder).await {
            Err(error) => _ = started.send(Err(error)),
            Ok((node, lock)) => {
                let actor = node.actor.clone();
                if started.send(Ok(node)).is_ok() {
                    // Asked to stop, or the last handle was dropped.
                    let _asked = stop.await;
                }
                // An error means that the actor is gone already.
                let _stopped = actor.send(Shutdown).await;
                drop(lock);
            }
        }
    });
}

async fn start(builder: NodeBuilder) -> Result<(Started, lock::DataDirLock), StartError> {
    let NodeBuilder { config, clock } = builder;
    let data_dir = config.data_dir()?;
    let lock = lock::lock(&data_dir)?;
    let (http_address, event_buffer) = (config.node.http, config.node.event_buffer);
    let actor = NodeActor::start(clock.clone());
    let composed = compose(config, data_dir.clone(), clock, &actor).await?;
    let ports = composed.ports.clone();
    let http = match http_address {
        Some(address) => Some(http::serve(address, ports.clone())?),
        None => None,
    };
    let info = NodeInfo {
        endpoint: composed.identity.endpoint,
        author: composed.identity.author,
        secret_store: composed.identity.store,
        secret_store_note: composed.store_note.clone(),
        data_dir,
        bound: composed.addresses.bound.clone(),
        advertised: composed.addresses.advertised.clone(),
        hello: composed.hello,
        http,
    };
    actor.do_send(Wire(composed));
    let started = Started {
        actor,
        ports,
        info,
        event_buffer,
    };
    Ok((started, lock))
}
