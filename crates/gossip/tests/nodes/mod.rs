//! Nodes on loopback for the tests of this folder.

#![allow(dead_code, reason = "no test needs all of it")]

use std::net::Ipv4Addr;

use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, RelayMode, SecretKey, TransportAddr};
use kukuri_conformance::EventLog;
use kukuri_contract::{
    Dial, DialReason, EndpointAddr, EndpointId, EndpointKey, Factory, GossipEvent, GossipPort,
    Join, Lease, Outlet, TopicId,
};
use kukuri_gossip::{Config, Deps, IrohGossip};

pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
pub const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);

pub struct Node {
    pub port: GossipPort,
    pub address: EndpointAddr,
    pub log: EventLog<GossipEvent>,
}

pub fn local() -> Config {
    Config {
        bind: (Ipv4Addr::LOCALHOST, 0).into(),
        ..Config::default()
    }
}

pub async fn node_with(n: u8, config: Config) -> Node {
    let (log, listener) = EventLog::new();
    let deps = Deps {
        key: EndpointKey::new([n; 32]),
        events: Outlet::new([listener]),
        lease: Lease::endless(),
    };
    let running = IrohGossip::spawn(config, deps).await.unwrap();
    Node {
        port: running.port,
        address: running.addresses.advertised,
        log,
    }
}

/// An endpoint that is no node of kukuri's.
pub async fn stranger(n: u8) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[n; 32]))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// Connects a stranger with a node.
pub async fn reach(from: &Endpoint, to: &EndpointAddr, alpn: &[u8]) -> Connection {
    let id = iroh::EndpointId::from_bytes(to.id.as_bytes()).unwrap();
    let direct = to.direct.iter().copied().map(TransportAddr::Ip);
    let address = iroh::EndpointAddr::from_parts(id, direct);
    from.connect(address, alpn).await.unwrap()
}

/// Node number n, in the topic.
pub async fn node(n: u8) -> Node {
    let node = node_with(n, local()).await;
    node.port.join(Join { topic: TOPIC }).await.unwrap();
    node
}

/// Makes neighbors of two nodes in the topic; the first one dials.
pub async fn meet(a: &mut Node, b: &mut Node) {
    a.dial(&[b]).await;
    a.up(b.address.id).await;
    b.up(a.address.id).await;
}

impl Node {
    pub async fn dial(&self, peers: &[&Node]) {
        let peers = peers.iter().map(|peer| peer.address.clone()).collect();
        self.port
            .dial(Dial {
                topic: TOPIC,
                peers,
                reason: DialReason::Found,
            })
            .await
            .unwrap();
    }

    pub async fn up(&mut self, who: EndpointId) -> usize {
        let up = |event| match event {
            GossipEvent::NeighborUp {
                peer, neighbors, ..
            } if peer == who => Some(neighbors),
            _ => None,
        };
        self.log.wait_for("a neighbor", up).await
    }

    pub async fn down(&mut self, who: EndpointId) -> usize {
        let down = |event| match event {
            GossipEvent::NeighborDown {
                peer, neighbors, ..
            } if peer == who => Some(neighbors),
            _ => None,
        };
        self.log.wait_for("the loss of a neighbor", down).await
    }
}
