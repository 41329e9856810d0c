//! Members with bad intent, against whole nodes: records that name a victim's address.
//!
//! The members that attack are played by the tests: they have the secret, make up endpoints, and
//! say hello for each.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use kukuri::{Config, JoinOptions, Node, StoreChoice, Topic, TopicEvent};
use kukuri_conformance::in_namespace;
use kukuri_contract::{
    EndpointAddr, EndpointId, Epoch, SignRequest, Signature, TopicName, TopicSecret, WallClock,
};
use kukuri_discovery::core::hello::HelloRequest;
use kukuri_discovery::core::record::{NO_MARK, body, finish};
use kukuri_identity::core::derive::TopicKey;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

const SECRET: [u8; 32] = [7; 32];
/// Members that attack together.
const NODES: u8 = 10;
/// Endpoints that one attacker makes up: as many as a node remembers to be dialed.
const MADE_UP: u8 = 64;
/// The host that their records name.
const VICTIM: Ipv4Addr = Ipv4Addr::new(11, 200, 0, 1);
/// Packets of a dial that nobody answers: QUIC tries again after 0.3, 0.6, 1.2, 2.4 s, with two each.
const PER_DIAL: u64 = 10;
/// Dials of the victim by one node of a swarm: a newcomer dials five peers, and two more may run
/// beside.
const SWARM_DIALS: u64 = 7;
/// Dials of the victim by one lonely node in the time it is watched, and in what the attack takes
/// before. Two run at once, so two may end each time that the host is free: after the first seven
/// it rests for 1, 2, 4 ... 60 s.
const LONELY_DIALS: u64 = SWARM_DIALS + 2 * 7;
/// How long the victim is watched.
const WATCHED: Duration = Duration::from_secs(60);

fn name() -> TopicName {
    "hostile".parse().unwrap()
}

/// A network where all of 11.0.0.0/8 is this machine, and what comes to the victim is counted.
fn in_network(test: &str) -> bool {
    let setup = "ip link set lo up && ip route add local 11.0.0.0/8 dev lo \
         && nft add table ip kukuri \
         && nft add chain ip kukuri in '{ type filter hook input priority 0; }' \
         && nft add rule ip kukuri in ip daddr 11.200.0.1 counter";
    in_namespace(test, setup)
}

/// Packets and bytes that have come to the victim.
fn counted() -> (u64, u64) {
    let mut nft = Command::new("nft");
    let listed = nft
        .args(["list", "table", "ip", "kukuri"])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let (_, rest) = text.split_once("counter packets ").unwrap();
    let mut words = rest.split_whitespace();
    let packets = words.next().unwrap().parse().unwrap();
    (packets, words.nth(1).unwrap().parse().unwrap())
}

/// Whole nodes, each at a host of its own; all but the first are told the first as a peer, if they
/// are to be a swarm.
async fn nodes(swarm: bool) -> Vec<(Node, Topic, TempDir)> {
    let mut nodes: Vec<(Node, Topic, TempDir)> = Vec::new();
    for n in 1..=NODES {
        let dir = TempDir::with_prefix("kukuri-test-").unwrap();
        let mut config = Config::default();
        config.identity.keyring.store = StoreChoice::Memory;
        config.discovery.mainline.sources.rendezvous = false;
        let node = Node::builder()
            .config(config)
            .data_dir(dir.path())
            .bind_ip(Ipv4Addr::new(11, 1, n, 1))
            .spawn()
            .await
            .unwrap();
        let first = nodes.first().filter(|_| swarm);
        let peers = first.map(|(first, ..)| first.info().advertised.clone());
        let peered = peers.is_some();
        let options = JoinOptions {
            secret: Some(TopicSecret::from_bytes(SECRET)),
            peers: peers.into_iter().collect(),
            ..JoinOptions::default()
        };
        let topic = node.join(name(), options).await.unwrap();
        let mut events = topic.events();
        if peered {
            let joined = async {
                while !matches!(events.next().await, Some(TopicEvent::NeighborUp { .. })) {}
            };
            timeout(Duration::from_secs(60), joined).await.unwrap();
        }
        nodes.push((node, topic, dir));
    }
    nodes
}

/// Says hello to a node for made-up endpoint number n, whose record names the victim, until it is
/// answered: then the record is learned.
async fn introduce(socket: &UdpSocket, to: SocketAddrV4, n: u8, port: u16) {
    let secret = TopicSecret::from_bytes(SECRET);
    let key = TopicKey::new(&name(), Some(&secret));
    let signer = SigningKey::from_bytes(&[n; 32]);
    let peer = EndpointAddr {
        id: EndpointId::from_bytes(signer.verifying_key().to_bytes()),
        direct: vec![SocketAddr::from((VICTIM, port))],
        relay: None,
    };
    for _ in 0..100 {
        let now = WallClock::system().now();
        let epoch = Epoch::at(now);
        let body = body(&peer, now, NO_MARK);
        let signed = SignRequest::Record {
            topic: key.topic_id(),
            epoch,
            body: body.clone(),
        };
        let signature = signer.sign(&signed.preimage()).to_bytes();
        let request = HelloRequest {
            id: [n; 16],
            time: now,
            recipient: to,
            record: finish(body, &Signature::from_bytes(signature)),
            dial_back: None,
        };
        let mut nonce = [n; 24];
        nonce[..8].copy_from_slice(&now.0.to_be_bytes());
        let packet = request.seal(&key.epoch_keys(epoch), nonce);
        socket.send_to(&packet, to).await.unwrap();
        let answer = timeout(Duration::from_millis(200), socket.recv(&mut [0; 2048])).await;
        if answer.is_ok() {
            return;
        }
    }
    panic!("no answer to a member's hello");
}

async fn attack(swarm: bool, what: &str) -> (u64, u64) {
    let nodes = nodes(swarm).await;
    // Silent, as a host that knows nothing of QUIC.
    let _victim = UdpSocket::bind((VICTIM, 20_000)).await.unwrap();
    let attacker = UdpSocket::bind((Ipv4Addr::new(11, 220, 0, 1), 0))
        .await
        .unwrap();
    for (node, ..) in &nodes {
        let Some(SocketAddr::V4(hello)) = node.info().hello else {
            panic!("it has no hello socket over IPv4");
        };
        for n in 1..=MADE_UP {
            // In turns the one port that is open, and others.
            let port = 20_000 + u16::from(n % 2) * u16::from(n);
            introduce(&attacker, hello, n, port).await;
        }
    }
    let mut packets = Vec::new();
    for _ in 0..6 {
        // A span of real time is what this measures.
        sleep(WATCHED / 6).await;
        packets.push(counted().0);
    }
    let (total, bytes) = counted();
    println!(
        "tried: a member introduces {MADE_UP} endpoints at a victim's address to each of {NODES} \
         nodes {what}\n\
         got through: {total} packets ({bytes} bytes) to the victim from all together in {WATCHED:?} \
         after the last; by then, every 10 s: {packets:?}"
    );
    let dials: BTreeSet<_> = {
        let mut lines = BTreeSet::new();
        for (node, ..) in &nodes {
            let metrics = node.metrics().await;
            let dials = metrics
                .lines()
                .filter(|l| l.starts_with("kukuri_gossip_dials"));
            lines.extend(dials.map(ToOwned::to_owned));
        }
        lines
    };
    println!("dials: {dials:?}");
    for (node, ..) in &nodes {
        node.shutdown().await;
    }
    (total, bytes)
}

/// Nodes that know nobody but the made-up members: they go on dialing.
#[tokio::test(flavor = "multi_thread")]
async fn lonely_nodes_are_sent_to_a_victim() {
    if in_network("lonely_nodes_are_sent_to_a_victim") {
        let (packets, _) = attack(false, "that are alone").await;
        assert!(packets > 0, "the attack has arrived");
        assert!(
            packets <= u64::from(NODES) * LONELY_DIALS * PER_DIAL,
            "{packets}"
        );
    }
}

/// Nodes of a swarm.
#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_is_sent_to_a_victim() {
    if in_network("a_swarm_is_sent_to_a_victim") {
        let (packets, _) = attack(true, "of a swarm").await;
        assert!(
            packets <= u64::from(NODES) * SWARM_DIALS * PER_DIAL,
            "{packets}"
        );
    }
}
