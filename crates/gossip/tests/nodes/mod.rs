//! Nodes on loopback for the tests of this folder.

#![allow(dead_code, reason = "no test needs all of it")]

pub mod outsider;

use std::net::Ipv4Addr;

use iroh::endpoint::{Connection, presets};
use iroh::protocol::{AcceptError, ProtocolHandler};
use iroh::{Endpoint, RelayMode, SecretKey, TransportAddr};
use iroh_gossip::net::Gossip;
use kukuri_conformance::EventLog;
use kukuri_contract::{
    Dial, DialReason, EndpointAddr, EndpointId, EndpointKey, Epoch, Factory, GossipDeps,
    GossipEvent, GossipPort, Join, KeyBytes, Lease, MemberKeys, Outlet, TopicId,
};
use kukuri_gossip::core::member::{BINDING_BYTES, BINDING_LABEL, Channel, answer, claim};
use kukuri_gossip::{Config, GOSSIP_ALPN, IrohGossip};

pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
pub const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);

/// The present epoch.
pub const EPOCH: Epoch = Epoch(100);

/// What members of a topic have in an epoch.
pub fn keys_at(topic: TopicId, epoch: Epoch) -> MemberKeys {
    let key = |epoch: Epoch| KeyBytes::new([topic.as_bytes()[0] ^ epoch.0 as u8; 32]);
    let others = MemberKeys::others_around(epoch).map(|other| (other, key(other)));
    MemberKeys {
        epoch,
        own: key(epoch),
        others: others.collect(),
    }
}

/// Joins a topic as a member of it.
pub fn join(topic: TopicId) -> Join {
    let keys = keys_at(topic, EPOCH);
    Join { topic, keys }
}

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

/// The public half of the secret key of 32 times `n`.
pub fn numbered(n: u8) -> EndpointId {
    EndpointId::from_bytes(*SecretKey::from_bytes(&[n; 32]).public().as_bytes())
}

pub async fn node_with(n: u8, config: Config) -> Node {
    let (log, listener) = EventLog::new();
    let deps = GossipDeps {
        endpoint: numbered(n),
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
    node.port.join(join(TOPIC)).await.unwrap();
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

/// A connection, as its ends prove it.
pub fn channel(connection: &Connection, initiator: EndpointId, responder: EndpointId) -> Channel {
    let mut binding = [0; BINDING_BYTES];
    connection
        .export_keying_material(&mut binding, BINDING_LABEL, b"")
        .unwrap();
    Channel {
        binding,
        initiator,
        responder,
    }
}

pub fn id_of(endpoint: &Endpoint) -> EndpointId {
    EndpointId::from_bytes(*endpoint.id().as_bytes())
}

pub fn address_of(endpoint: &Endpoint) -> EndpointAddr {
    EndpointAddr {
        id: id_of(endpoint),
        direct: endpoint.bound_sockets(),
        relay: None,
    }
}

/// Sends these bytes where a claim belongs; gives what came back, if the connection is still open.
pub async fn claim_with(connection: &Connection, bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    send.write_all(bytes).await.ok()?;
    send.finish().ok()?;
    recv.read_to_end(1000).await.ok()
}

/// Connects to a node and proves to be a member, as a node does. Says whether it was let in.
pub async fn enter(from: &Endpoint, to: &EndpointAddr, keys: &MemberKeys) -> Option<Connection> {
    let connection = reach(from, to, GOSSIP_ALPN).await;
    let (claimed, bytes) = claim(channel(&connection, id_of(from), to.id), keys);
    let answer = claim_with(&connection, &bytes).await?;
    claimed.check(&answer).ok()?;
    Some(connection)
}

/// A member that lets other members in, as a node does, and hands them on.
#[derive(Debug)]
pub struct Member {
    pub me: EndpointId,
    pub topic: TopicId,
    pub gossip: Gossip,
}

impl ProtocolHandler for Member {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let peer = EndpointId::from_bytes(*connection.remote_id().as_bytes());
        let (mut send, mut recv) = connection.accept_bi().await?;
        let claim = recv
            .read_to_end(1000)
            .await
            .map_err(AcceptError::from_err)?;
        let keys = keys_at(self.topic, EPOCH);
        let channel = channel(&connection, peer, self.me);
        let (_, answer) = answer(&channel, &claim, [(self.topic, &keys)]).unwrap();
        send.write_all(&answer)
            .await
            .map_err(AcceptError::from_err)?;
        send.finish().map_err(AcceptError::from_err)?;
        self.gossip.accept(connection).await
    }
}

/// The topic and the proof with which a member of a topic answers a claim, whatever the claim is.
pub fn respond(
    connection: &Connection,
    initiator: EndpointId,
    responder: EndpointId,
    topic: TopicId,
) -> (TopicId, Vec<u8>) {
    let channel = channel(connection, initiator, responder);
    let keys = keys_at(topic, EPOCH);
    let (_, claim) = claim(channel.clone(), &keys);
    let (topic, proof) = answer(&channel, &claim, [(topic, &keys)]).unwrap();
    (topic, proof.to_vec())
}
