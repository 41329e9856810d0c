//! All implementations of all services, one line each: a base of one of each, and what differs from it in
//! one service. Nodes of a test in its own process are made from them, so that any can be given.

mod world;

use std::net::Ipv4Addr;

use kukuri::{EndpointAddr, Service};
use kukuri_contract::Maker;
use kukuri_discovery::{DirectorySetup, MemoryConfig, SharedDirectory};
use kukuri_gossip::{MemoryGossip, NetworkSetup};

pub use self::world::{Place, Setup, World, until};
use crate::network::LAN_IP;

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
    identity_file: Variant {
        services: &[Service::Identity],
        kinds: &["identity.file"],
        choose: |world, _, setup| {
            setup.config.identity.kind = "file".to_owned();
            setup.config.identity.file.key_file = Some(world.key_file());
        },
        ..BASE
    };
    identity_in_memory: Variant {
        services: &[Service::Identity],
        kinds: &["identity.memory"],
        keeps: Keeps::Posts,
        choose: |_, _, setup| setup.config.identity.kind = "memory".to_owned(),
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
    gossip_in_memory: Variant {
        services: &[Service::Gossip],
        without: &[
            ("gossip_msgs_", "iroh-gossip counts these"),
            ("socket_", "there is no socket"),
        ],
        choose: |world, _, setup| {
            let given = NetworkSetup {
                config: Default::default(),
                network: world.network.clone(),
            };
            setup.given.gossip = Some(Maker::of::<MemoryGossip>(given));
        },
        ..BASE
    };
    store_memory: Variant {
        services: &[Service::Store],
        kinds: &["store.memory"],
        keeps: Keeps::Nothing,
        choose: |_, _, setup| {
            setup.config.store.kind = "memory".to_owned();
            // It forgets which numbers were used.
            setup.config.identity.kind = "memory".to_owned();
        },
        ..BASE
    };
    metrics_otlp: Variant {
        services: &[Service::Metrics],
        kinds: &["metrics.otlp"],
        choose: |world, place, setup| {
            setup.config.metrics.kind = "otlp".to_owned();
            setup.config.metrics.otlp = world.collected.config(place.name());
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
    /// Whether a node serves kukuri's own series itself.
    pub fn has_series(&self) -> bool {
        self.services != [Service::Metrics]
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

/// A peer as settings name it.
fn named(peer: &EndpointAddr) -> String {
    let direct = peer
        .direct
        .first()
        .expect("a node on this machine has an address");
    format!("{}@{direct}", peer.id)
}
