//! What the tests with real sockets share: a discovery service with an identity in memory.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod hello;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use kukuri_conformance::{EventLog, MemoryIdentity};
use kukuri_contract::{
    AddTopic, Discover, DiscoveryDeps, DiscoveryEvent, DiscoveryPort, DiscoveryRunning,
    EndpointAddr, EndpointId, Factory, HelloDrop, IdentityPort, Outlet, Reachability, SetAddress,
    Source, TopicId, TopicSecret, Verdict, WallClock,
};
use kukuri_discovery::{Config, Mainline};

/// A free port of the loopback network.
pub const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

/// A running discovery service.
pub struct Node {
    pub id: EndpointId,
    pub topic: TopicId,
    pub port: DiscoveryPort,
    pub identity: IdentityPort,
    pub hello: SocketAddrV4,
    pub log: EventLog<DiscoveryEvent>,
}

/// Settings for loopback: short waits, and these DHT nodes to start from.
pub fn config(bootstrap: &[SocketAddrV4]) -> Config {
    Config {
        bootstrap: bootstrap.iter().map(ToString::to_string).collect(),
        dht_bind: LOOPBACK,
        hello_bind: LOOPBACK,
        ..Config::default()
    }
}

/// How a service is started.
pub struct Start {
    pub config: Config,
    pub secret: Option<u8>,
    pub clock: WallClock,
    pub contacts: Vec<SocketAddr>,
    /// Where its iroh endpoint is said to be.
    pub ip: Ipv4Addr,
}

impl Start {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            secret: None,
            clock: WallClock::system(),
            contacts: Vec::new(),
            ip: Ipv4Addr::LOCALHOST,
        }
    }

    /// Starts service number n, with an iroh endpoint that it says is at port 20000 + n.
    pub async fn node(self, n: u64) -> Node {
        let config = self.config.clone();
        self.node_by::<Mainline>(config, n).await
    }

    /// The same, made by another factory and with its config.
    pub async fn node_by<F>(self, config: F::Config, n: u64) -> Node
    where
        F: Factory<Deps = DiscoveryDeps, Running = DiscoveryRunning>,
    {
        let (id, identity) = MemoryIdentity::spawn(n);
        let (log, listener) = EventLog::new();
        let deps = DiscoveryDeps {
            endpoint: id,
            identity: identity.clone(),
            events: Outlet::new([listener]),
            clock: self.clock,
            contacts: self.contacts,
        };
        let running = F::spawn(config, deps).await.unwrap();
        let hello = hello(&running);
        let port = running.port;
        let mut address = address_of(n, id);
        address.direct[0].set_ip(self.ip.into());
        port.set_address(SetAddress {
            address,
            port: None,
        })
        .await
        .unwrap();
        let mut node = Node {
            id,
            topic: TopicId::from_bytes([0; 32]),
            port,
            identity,
            hello,
            log,
        };
        node.topic = node.add_topic("test", self.secret).await;
        node
    }
}

/// Where a discovery says hello; port 0 where it does not.
fn hello(running: &DiscoveryRunning) -> SocketAddrV4 {
    match running.hello_address {
        Some(SocketAddr::V4(address)) => address,
        None => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        other => panic!("a hello socket over IPv6: {other:?}"),
    }
}

/// Where endpoint number n says it is.
pub fn address_of(n: u64, id: EndpointId) -> EndpointAddr {
    EndpointAddr {
        id,
        direct: vec![([127, 0, 0, 1], 20_000 + n as u16).into()],
        relay: None,
    }
}

impl Node {
    pub async fn add_topic(&self, name: &str, secret: Option<u8>) -> TopicId {
        let add = AddTopic {
            name: name.parse().unwrap(),
            secret: secret.map(|s| TopicSecret::from_bytes([s; 32])),
        };
        self.identity.add_topic(add).await.unwrap()
    }

    pub async fn discover(&self) {
        self.discover_with(Vec::new(), Vec::new()).await;
    }

    pub async fn discover_with(&self, peers: Vec<EndpointAddr>, cached: Vec<EndpointAddr>) {
        let topic = self.topic;
        let discover = Discover {
            topic,
            peers,
            cached,
        };
        self.port.discover(discover).await.unwrap();
    }

    /// Waits until the other one is found, by whatever source.
    pub async fn finds(&mut self, who: EndpointId) -> (EndpointAddr, Source) {
        let found = |event| match event {
            DiscoveryEvent::PeerFound { peer, source, .. } if peer.id == who => {
                Some((peer, source))
            }
            _ => None,
        };
        self.log.wait_for("the other node", found).await
    }

    pub async fn verdict(&mut self) -> Verdict {
        let said = |event| match event {
            DiscoveryEvent::VerdictChanged { verdict, .. } => Some(verdict),
            _ => None,
        };
        self.log.wait_for("a verdict", said).await
    }

    /// Waits until this is the verdict, after whatever others.
    pub async fn comes_to(&mut self, wanted: Verdict) {
        let said = |event| match event {
            DiscoveryEvent::VerdictChanged { verdict, .. } if verdict == wanted => Some(()),
            _ => None,
        };
        self.log.wait_for(wanted.as_str(), said).await;
    }

    /// Waits until this is known of the hello port.
    pub async fn reachability(&mut self, wanted: Reachability) {
        let changed = |event| match event {
            DiscoveryEvent::ReachabilityChanged(now) if now == wanted => Some(()),
            _ => None,
        };
        self.log.wait_for(wanted.as_str(), changed).await;
    }

    pub async fn drops(&mut self, wanted: HelloDrop) {
        let dropped = |event| match event {
            DiscoveryEvent::Dropped { reason } if reason == wanted => Some(()),
            _ => None,
        };
        self.log.wait_for(wanted.as_str(), dropped).await;
    }

    /// Waits until the routing table has so many nodes.
    pub async fn knows_dht_nodes(&mut self, wanted: usize) {
        let filled = |event| match event {
            DiscoveryEvent::DhtHealthChanged(health) => {
                health.routing_table.filter(|nodes| *nodes >= wanted)
            }
            _ => None,
        };
        self.log.wait_for("a routing table", filled).await;
    }
}
