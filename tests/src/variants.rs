//! All implementations of all services, one line each: a base of one of each, and what differs from it in
//! one service. Nodes of a test in its own process are made from them, so that any can be given.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kukuri::kinds::Given;
use kukuri::{Config, EndpointAddr, LocalDht, Node, Service, StoreChoice, TopicName};
use kukuri_contract::Maker;
use kukuri_discovery::{Directory, DirectorySetup, MemoryConfig, SharedDirectory};
use tempfile::TempDir;

use crate::network::LAN_IP;
use crate::{DEADLINE, key_file};

/// DHT nodes of a [`World`].
const DHT_NODES: usize = 4;
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What differs from the base.
#[derive(Debug)]
pub struct Variant {
    /// Its name, also in those of tests.
    pub name: &'static str,
    /// The services that are another implementation; of the base, all.
    pub services: &'static [Service],
    /// The kinds of `kukuri config kinds` that it is a test of, as `section.kind`.
    pub kinds: &'static [&'static str],
    /// What a node promises that comes back to its data directory.
    pub keeps: Keeps,
    /// How its peers are found.
    pub ways: Ways,
    /// Series that there are none of, and why.
    pub without: &'static [(&'static str, &'static str)],
    choose: fn(&World, &Place, &mut Setup),
}

/// What a node promises that comes back to its data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Who it is, and its posts.
    All,
    /// Its posts, and those that others wrote; it is somebody else.
    Posts,
    /// Nothing.
    Nothing,
}

/// How peers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// By themselves, on loopback.
    Loopback,
    /// The same, and the DHT is one of the ways.
    Dht,
    /// Only where each names the others, at ports that stay.
    Named,
    /// By multicast, in a network namespace ([`LAN`](crate::network::LAN)).
    Lan,
}

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
    directory: Directory,
    dir: TempDir,
}

const BASE: Variant = Variant {
    name: "base",
    services: &[],
    kinds: &[],
    keeps: Keeps::All,
    ways: Ways::Dht,
    without: &[],
    choose: |_, _, _| {},
};
const NO_DHT: &[(&str, &str)] = NO_HELLO.split_at(1).1;
const NO_HELLO: &[(&str, &str)] = &[
    (
        "kukuri_discovery_hello_seconds",
        "who is named is dialed without a hello",
    ),
    (
        "kukuri_discovery_lookup_seconds",
        "there is no DHT to look in",
    ),
    (
        "kukuri_discovery_first_record_seconds",
        "there is no DHT to find it in",
    ),
    ("kukuri_dht_put_seconds", "there is no DHT to announce in"),
    (
        "kukuri_discovery_board_read_seconds",
        "there is no DHT that has a board",
    ),
    (
        "kukuri_discovery_board_write_seconds",
        "there is no DHT that has a board",
    ),
];

/// Declares [`ALL`], and the macro that makes a test of each.
macro_rules! variants {
    ($d:tt $($name:ident: $variant:expr;)+) => {
        /// All of them, the base first.
        pub static ALL: &[Variant] = &[$(Variant { name: stringify!($name), ..$variant }),+];

        /// Calls a macro with the names of all variants.
        #[macro_export]
        macro_rules! for_each_variant {
            ($d with:ident) => { $d with! { $($name)+ } };
        }
    };
}

variants! { $
    base: Variant {
        services: &Service::ALL,
        kinds: &[
            "identity.keyring", "discovery.mainline", "gossip.iroh", "store.sqlite",
            "metrics.prometheus",
        ],
        ..BASE
    };
    identity_in_memory: Variant {
        services: &[Service::Identity],
        keeps: Keeps::Posts,
        choose: |_, _, setup| setup.config.identity.keyring.store = StoreChoice::Memory,
        ..BASE
    };
    discovery_static: Variant {
        services: &[Service::Discovery],
        kinds: &["discovery.static"],
        ways: Ways::Named,
        without: NO_HELLO,
        choose: |_, place, setup| {
            let discovery = &mut setup.config.discovery;
            discovery.kind = "static".to_owned();
            discovery.named.peers = place.peers.iter().map(named).collect();
        },
        ..BASE
    };
    discovery_in_memory: Variant {
        services: &[Service::Discovery],
        ways: Ways::Loopback,
        without: NO_DHT,
        choose: |world, _, setup| {
            let given = DirectorySetup {
                config: MemoryConfig::default(),
                directory: world.directory.clone(),
            };
            setup.given.discovery = Some(Maker::of::<SharedDirectory>(given));
        },
        ..BASE
    };
    discovery_lan: Variant {
        services: &[Service::Discovery],
        kinds: &["discovery.lan"],
        ways: Ways::Lan,
        without: NO_DHT,
        choose: |_, _, setup| setup.config.discovery.kind = "lan".to_owned(),
        ..BASE
    };
    store_memory: Variant {
        services: &[Service::Store],
        kinds: &["store.memory"],
        keeps: Keeps::Nothing,
        choose: |_, _, setup| {
            setup.config.store.kind = "memory".to_owned();
            // It forgets which numbers were used.
            setup.config.identity.keyring.store = StoreChoice::Memory;
        },
        ..BASE
    };
    metrics_none: Variant {
        services: &[Service::Metrics],
        kinds: &["metrics.none"],
        without: &[
            ("kukuri_", "only the transport counts"),
            ("process_", "nothing looks at the process either"),
        ],
        choose: |_, _, setup| setup.config.metrics.kind = "none".to_owned(),
        ..BASE
    };
}

/// The variant of this name.
///
/// # Panics
/// There is none.
pub fn variant(name: &str) -> &'static Variant {
    let found = ALL.iter().find(|variant| variant.name == name);
    found.unwrap_or_else(|| panic!("no variant {name:?}"))
}

impl Variant {
    /// Whether a node serves kukuri's own series.
    pub fn has_series(&self) -> bool {
        self.kinds != ["metrics.none"]
    }

    /// The address that its nodes are bound to.
    pub fn ip(&self) -> Ipv4Addr {
        match self.ways {
            Ways::Lan => LAN_IP,
            _ => Ipv4Addr::LOCALHOST,
        }
    }

    /// A port for an endpoint: a free one that stays, where others have to be told.
    ///
    /// # Panics
    /// None is free.
    pub fn port(&self) -> u16 {
        if self.ways != Ways::Named {
            return 0;
        }
        let free = std::net::UdpSocket::bind((self.ip(), 0)).and_then(|socket| socket.local_addr());
        free.expect("a free port").port()
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
        Self {
            dht: dht.expect("a DHT on loopback"),
            directory: Directory::default(),
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
        keys.key_file = Some(self.dir.path().join("key"));
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

    /// Where the data directories are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// A peer as settings name it.
fn named(peer: &EndpointAddr) -> String {
    let direct = peer
        .direct
        .first()
        .expect("a node on this machine has an address");
    format!("{}@{direct}", peer.id)
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
