//! The DHT node: the only file that names `mainline`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use kukuri_contract::{AnnounceResult, InfoHash};
use mainline::async_dht::AsyncDht;
use mainline::errors::{PutMutableError, PutQueryError};
use mainline::{DEFAULT_BOOTSTRAP_NODES, Dht, Id, MutableItem, SigningKey, Testnet};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::{Config, Serve};
use crate::core::PageAt;
use crate::core::board::write::PutResult;
use crate::error::DiscoveryError;

/// Whether this build has a DHT.
pub const BUILT: bool = true;

/// Longest wait for the resolver to answer for one bootstrap name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Most contacts of an earlier run that are started from. 32: some of them still live, and each
/// look-up asks all of them while the routing table has fewer nodes.
const MAX_START: usize = 32;
/// Most contacts that are handed out to be kept for the next run.
const MAX_CONTACTS: usize = 64;
/// Some public address: whether there is a route to the internet. Nothing is sent there.
const SOMEWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 6881);

/// A running DHT node. The node ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct DhtNode {
    dht: AsyncDht,
    alarm: Alarm,
    address: SocketAddrV4,
    lookup_timeout: Duration,
    announce_timeout: Duration,
}

/// How many DHT nodes answer.
#[derive(Debug, Clone, Copy)]
pub struct Replies {
    /// Nodes that were asked.
    pub asked: u32,
    /// Those that answered in time.
    pub answered: u32,
}

/// Why there is no DHT node (yet).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DhtError {
    /// None of the bootstrap names has an IPv4 address.
    #[error("none of the bootstrap nodes {names:?} resolves to an IPv4 address")]
    NoBootstrap {
        /// The names.
        names: Vec<String>,
    },
    /// There is no route to any IPv4 address.
    #[error("this machine has no IPv4 route to the DHT")]
    NoIpv4(#[source] io::Error),
    /// The socket can't be bound.
    #[error("can't bind the DHT socket to {address}")]
    Bind {
        /// The address.
        address: SocketAddrV4,
        /// Why.
        source: io::Error,
    },
}

impl DhtNode {
    /// Starts the node from the bootstrap nodes and the contacts of an earlier run. It asks them at
    /// once, and can be queried before they have answered. With contacts the resolver is not waited
    /// for: then of the bootstrap nodes only those given as IP addresses are used.
    ///
    /// # Errors
    /// No name resolves, or the socket can't be bound.
    pub async fn start(config: &Config, contacts: &[SocketAddr]) -> Result<Self, DhtError> {
        let names = match config.bootstrap.is_empty() {
            true => DEFAULT_BOOTSTRAP_NODES.map(str::to_owned).to_vec(),
            false => config.bootstrap.clone(),
        };
        let bind = config.dht_bind;
        let contacts = contacts.iter().copied().filter_map(ipv4).take(MAX_START);
        let mut bootstrap: Vec<_> = contacts.collect();
        if bootstrap.is_empty() {
            bootstrap = resolve(&names).await;
        } else {
            bootstrap.extend(
                names
                    .iter()
                    .filter_map(|name| name.parse::<SocketAddrV4>().ok()),
            );
        }
        if bootstrap.is_empty() {
            // A resolver that can't be reached is a symptom.
            check_route(bind, SOMEWHERE)?;
            return Err(DhtError::NoBootstrap { names });
        }
        check_route(bind, bootstrap[0])?;
        let serve = match config.serve {
            Serve::Auto => bind.ip().is_loopback(),
            Serve::Always => true,
            Serve::Never => false,
        };
        let mut builder = Dht::builder();
        builder
            .bootstrap(&bootstrap)
            .bind_address(*bind.ip())
            .port(bind.port())
            .request_timeout(Duration::from_millis(config.request_timeout_ms));
        if serve {
            builder.server_mode();
        }
        // Binding waits for the node's thread.
        let built = spawn_blocking(move || builder.build()).await;
        let dht = built
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|source| DhtError::Bind {
                address: bind,
                source,
            })?
            .as_async();
        let address = dht.info().await.local_addr();
        Ok(Self {
            dht,
            alarm: Alarm::new(address),
            address,
            lookup_timeout: Duration::from_millis(config.lookup_timeout_ms),
            announce_timeout: Duration::from_millis(config.announce_timeout_ms),
        })
    }

    /// Where the socket is bound.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Who is announced under an infohash (BEP5 `get_peers`): one item per DHT node that answers
    /// with entries, as it answers. Ends with the query, or when its time is over.
    pub fn lookup(&self, infohash: InfoHash) -> impl Stream<Item = Vec<SocketAddrV4>> + use<> {
        let limit = tokio::time::sleep(self.lookup_timeout);
        let replies = self.dht.get_peers(id(infohash)).take_until(limit);
        self.alarm.ring();
        replies
    }

    /// Announces a port of this machine under an infohash (BEP5 `announce_peer`).
    pub async fn announce(&self, infohash: InfoHash, port: u16) -> AnnounceResult {
        let put = self.dht.announce_peer(id(infohash), Some(port));
        // The command is given when the future is first polled.
        let ring = async { self.alarm.ring() };
        let (put, ()) = tokio::join!(biased; timeout(self.announce_timeout, put), ring);
        match put {
            Ok(Ok(_)) => AnnounceResult::Stored,
            Ok(Err(PutQueryError::Timeout)) | Err(_) => AnnounceResult::TimedOut,
            Ok(Err(error)) => {
                tracing::debug!(%error, "announcement failed");
                AnnounceResult::Failed
            }
        }
    }

    /// All values of a page (a mutable item of BEP44) with their sequence numbers: one per DHT node
    /// that answers with one, as it answers. Ends with the query, or when its time is over. The crate
    /// passes on only what the key has signed for this salt.
    pub fn read_page(&self, at: &PageAt) -> impl Stream<Item = (Vec<u8>, i64)> + use<> {
        let limit = tokio::time::sleep(self.lookup_timeout);
        let public = SigningKey::from_bytes(at.key.expose()).verifying_key();
        let items = self
            .dht
            .get_mutable(public.as_bytes(), Some(&at.salt), None);
        self.alarm.ring();
        items
            .take_until(limit)
            .map(|item| (item.value().to_vec(), item.seq()))
    }

    /// Puts a page, where a DHT node holds none or one with the number `cas`.
    pub async fn write_page(&self, at: &PageAt, page: &[u8], seq: i64, cas: i64) -> PutResult {
        let key = SigningKey::from_bytes(at.key.expose());
        let item = MutableItem::new(key, page, seq, Some(&at.salt));
        let put = self.dht.put_mutable(item, Some(cas));
        let ring = async { self.alarm.ring() };
        let (put, ()) = tokio::join!(biased; timeout(self.announce_timeout, put), ring);
        match put {
            Ok(Ok(_)) => PutResult::Stored,
            Ok(Err(PutMutableError::Query(PutQueryError::Timeout))) | Err(_) => PutResult::TimedOut,
            Ok(Err(PutMutableError::Concurrency(_))) => PutResult::Refused,
            Ok(Err(PutMutableError::Query(error))) => {
                tracing::debug!(%error, "no page was put");
                PutResult::Failed
            }
        }
    }

    /// Nodes in the routing table, and some of them to start from next time.
    pub async fn routing_table(&self) -> (usize, Vec<SocketAddr>) {
        let nodes = self.dht.to_bootstrap().await;
        let contacts = nodes.iter().filter_map(|node| node.parse().ok());
        (nodes.len(), contacts.take(MAX_CONTACTS).collect())
    }

    /// Asks DHT nodes for an item that nobody has (a BEP44 get: only there does the crate tell how
    /// many nodes it asked and how many answered).
    pub async fn count_replies(&self, key: [u8; 32]) -> Option<Replies> {
        let query = self.dht.get_mutable_detailed(&key, None, None);
        let outcome = timeout(self.lookup_timeout, query.outcome.recv())
            .await
            .ok()?;
        Some(Replies {
            asked: outcome.queried,
            answered: outcome.responded(),
        })
    }

    /// This node's IP address, as most of the DHT nodes of the last query saw it. Each of them may lie.
    pub async fn public_ip(&self) -> Option<Ipv4Addr> {
        let seen = self.dht.info().await.public_address();
        seen.map(|address| *address.ip())
    }

    /// Whether this node answers queries of others.
    pub async fn serves(&self) -> bool {
        self.dht.info().await.server_mode()
    }
}

/// Wakes mainline's thread, which takes one command, and then sits in its socket until a packet
/// comes or 50 ms have passed (measured: a command waits 45 ms at the median, and a join has five).
/// One byte from this machine is such a packet, and no message of any DHT.
#[derive(Debug, Clone)]
struct Alarm(Option<Arc<UdpSocket>>);

impl Alarm {
    fn new(dht: SocketAddrV4) -> Self {
        let ip = match dht.ip().is_unspecified() {
            true => Ipv4Addr::LOCALHOST,
            false => *dht.ip(),
        };
        let socket = UdpSocket::bind((ip, 0)).and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.connect((ip, dht.port()))?;
            Ok(socket)
        });
        if let Err(error) = &socket {
            tracing::debug!(%error, "DHT queries may begin 50 ms late");
        }
        Self(socket.ok().map(Arc::new))
    }

    fn ring(&self) {
        // Without it the command is taken a little later.
        let _missed = self.0.as_ref().map(|socket| socket.send(b"."));
    }
}

/// The DHT of a test, a demo or a laptop without internet: real mainline nodes on loopback.
#[derive(Debug)]
pub struct LocalDht {
    bootstrap: SocketAddrV4,
    entry: Option<Dht>,
    nodes: Testnet,
}

impl LocalDht {
    /// Starts so many nodes on 127.0.0.1, the first of them at `port` (0: any free one).
    ///
    /// # Errors
    /// As [`Self::start_at`].
    pub fn start(nodes: usize, port: u16) -> Result<Self, DiscoveryError> {
        Self::start_at(nodes, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }

    /// Starts so many nodes on an IP address of this machine, the first of them at that port (0: any
    /// free one). Blocks for as long as it takes them to know each other, about 2 s for 20.
    ///
    /// # Errors
    /// No nodes asked for, or a socket can't be bound.
    pub fn start_at(nodes: usize, address: SocketAddrV4) -> Result<Self, DiscoveryError> {
        let local = |error| DiscoveryError::LocalDht(error);
        if nodes == 0 {
            let problem = "a local DHT has at least one node";
            return Err(local(io::Error::other(problem)));
        }
        let testnet = |nodes| Testnet::builder(nodes).bind_address(*address.ip()).build();
        if address.port() == 0 {
            let testnet = testnet(nodes).map_err(local)?;
            let first = testnet.bootstrap.first().and_then(|text| text.parse().ok());
            let bootstrap =
                first.ok_or_else(|| local(io::Error::other("the first node has no address")))?;
            return Ok(Self {
                bootstrap,
                entry: None,
                nodes: testnet,
            });
        }
        // The testnet chooses its ports itself, so the node at the wanted port is an extra one. Held until
        // then: mainline's usual port is the testnet's first choice too.
        let held = UdpSocket::bind(address).map_err(local)?;
        let testnet = testnet(nodes - 1).map_err(local)?;
        drop(held);
        let entry = Dht::builder()
            .server_mode()
            .bootstrap(&testnet.bootstrap)
            .bind_address(*address.ip())
            .port(address.port())
            .build()
            .map_err(local)?;
        Ok(Self {
            bootstrap: address,
            entry: Some(entry),
            nodes: testnet,
        })
    }

    /// Where all its nodes are.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        let nodes = self.nodes.bootstrap.iter();
        let entry = self.entry.as_ref().map(|_| self.bootstrap);
        nodes
            .filter_map(|node| node.parse().ok())
            .chain(entry)
            .collect()
    }

    /// The node that others can start from.
    pub fn bootstrap(&self) -> SocketAddrV4 {
        self.bootstrap
    }
}

fn id(infohash: InfoHash) -> Id {
    Id::from_bytes(infohash.as_bytes()).expect("an infohash has the 20 bytes of an id")
}

/// Mainline sends into the void where there is no IPv4; the kernel knows at once, without a packet.
fn check_route(bind: SocketAddrV4, to: SocketAddrV4) -> Result<(), DhtError> {
    let probe = UdpSocket::bind((*bind.ip(), 0)).and_then(|socket| socket.connect(to));
    match probe {
        Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => {
            Err(DhtError::NoIpv4(error))
        }
        // Any other trouble shows when the node binds and asks.
        _ => Ok(()),
    }
}

async fn resolve(names: &[String]) -> Vec<SocketAddrV4> {
    let lookups = names.iter().map(|name| async move {
        match timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host(name.as_str())).await {
            Ok(Ok(found)) => found.filter_map(ipv4).collect(),
            Ok(Err(error)) => {
                tracing::info!(name, %error, "bootstrap name does not resolve");
                Vec::new()
            }
            Err(_) => {
                tracing::info!(name, "the resolver does not answer for a bootstrap name");
                Vec::new()
            }
        }
    });
    let found: Vec<Vec<_>> = futures_util::future::join_all(lookups).await;
    found.concat()
}

fn ipv4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}
