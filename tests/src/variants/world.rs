//! What nodes of a test have in common, and what each is made of.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kukuri::kinds::Given;
use kukuri::{Config, EndpointAddr, LocalDht, Node, StoreChoice, TopicName};
use kukuri_discovery::Directory;
use kukuri_gossip::{MemoryNetwork, NetworkConfig};
use tempfile::TempDir;

use super::Variant;
use crate::collected::Collected;
use crate::{DEADLINE, key_file};

/// DHT nodes of a [`World`].
const DHT_NODES: usize = 4;
/// Of a hundred packets, the network in memory loses so many.
const LOSS_PERCENT: u32 = 5;
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a node is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its data directory.
    pub data: PathBuf,
    /// Where its endpoint is bound; port 0 takes a free one.
    pub port: u16,
    /// Peers that it may be told of.
    pub peers: Vec<EndpointAddr>,
}

/// What a node is made of.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Its config.
    pub config: Config,
    /// What counts instead.
    pub given: Given,
}

/// What nodes of a test have in common.
pub struct World {
    dht: LocalDht,
    pub(super) directory: Directory,
    pub(super) network: MemoryNetwork,
    pub(super) collected: Collected,
    dir: TempDir,
}

impl Place {
    /// What a test calls it.
    pub(super) fn name(&self) -> &str {
        let name = self.data.file_name().and_then(|name| name.to_str());
        name.expect("a test gives it a name")
    }
}

impl World {
    /// Starts what nodes need to find each other.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let dht = tokio::task::spawn_blocking(|| LocalDht::start(DHT_NODES, 0));
        let dht = dht.await.expect("starting it does not panic");
        let dir = TempDir::with_prefix("kukuri-test-").expect("a temporary directory");
        key_file(dir.path());
        let lossy = NetworkConfig {
            loss_percent: LOSS_PERCENT,
            ..NetworkConfig::default()
        };
        Self {
            dht: dht.expect("a DHT on loopback"),
            directory: Directory::default(),
            network: MemoryNetwork::new(lossy).expect("the numbers are right"),
            collected: Collected::default(),
            dir,
        }
    }

    /// A topic of this world alone. Nodes that come and go leave their ports to those of other worlds on
    /// this machine, so that DHTs of theirs become one.
    ///
    /// # Panics
    /// The name is too long.
    pub fn topic(&self, name: &str) -> TopicName {
        let own = self.dir.path().file_name().unwrap_or_default();
        let topic = format!("{name} {}", own.to_string_lossy()).parse();
        topic.expect("a short name")
    }

    /// A place with a data directory of this name.
    pub fn place(&self, variant: &Variant, name: &str) -> Place {
        Place {
            data: self.dir.path().join(name),
            port: variant.port(),
            peers: Vec::new(),
        }
    }

    /// What a node of a variant is made of.
    pub fn setup(&self, variant: &Variant, place: &Place) -> Setup {
        let mut setup = Setup::default();
        let (config, ip) = (&mut setup.config, variant.ip());
        config.node.http = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let keys = &mut config.identity.keyring;
        keys.store = StoreChoice::File;
        keys.key_file = Some(self.key_file());
        config.gossip.iroh.bind = SocketAddr::new(IpAddr::V4(ip), place.port);
        config.gossip.iroh.port_mapping = false;
        config.gossip.iroh.advertise_private = true;
        let mainline = &mut config.discovery.mainline;
        mainline.bootstrap = vec![self.dht.bootstrap().to_string()];
        mainline.dht_bind = SocketAddrV4::new(ip, 0);
        mainline.hello_bind = SocketAddrV4::new(ip, 0);
        (variant.choose)(self, place, &mut setup);
        setup
    }

    /// Starts a node.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn node(&self, place: &Place, setup: Setup) -> Node {
        let Setup { config, given } = setup;
        let mut builder = Node::builder().config(config).data_dir(&place.data);
        if let Some(maker) = given.identity {
            builder = builder.identity(maker);
        }
        if let Some(maker) = given.discovery {
            builder = builder.discovery(maker);
        }
        if let Some(maker) = given.gossip {
            builder = builder.gossip(maker);
        }
        if let Some(maker) = given.store {
            builder = builder.store(maker);
        }
        if let Some(maker) = given.metrics {
            builder = builder.metrics(maker);
        }
        builder.spawn().await.expect("a node")
    }

    /// Where all series of a node can be scraped, which serves HTTP there.
    pub fn scraped_at(&self, variant: &Variant, place: &Place, http: SocketAddr) -> SocketAddr {
        match variant.kinds {
            ["metrics.otlp"] => self.collected.serve(place.name(), http),
            _ => http,
        }
    }

    /// What encrypts the keys.
    pub(super) fn key_file(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// Where the data directories are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Waits until a condition holds.
///
/// # Panics
/// When it does not in time: says what was waited for, and how far it had come.
pub async fn until<W: std::fmt::Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<(), W>) {
    let begin = Instant::now();
    loop {
        match look().await {
            Ok(()) => return,
            Err(not_yet) if begin.elapsed() > DEADLINE => {
                panic!("not in time: {what}; {not_yet:?}")
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
