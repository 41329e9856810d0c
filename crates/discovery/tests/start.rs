//! Starting without a network, without a resolver, and from what an earlier run has kept.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::Command;

use kukuri_conformance::in_namespace;
use kukuri_contract::{DiscoveryEvent, EndpointAddr, EndpointId, SetNeighbors, Source, Verdict};
use kukuri_discovery::{Config, LocalDht};
use support::{LOOPBACK, Node, Start, address_of, config};

/// A name that no resolver knows.
const NO_NAME: &str = "no-such-host.invalid:6881";

fn quick(bootstrap: &[SocketAddrV4]) -> Config {
    Config {
        first_contact_ms: 500,
        lookup_pause_min_ms: 100,
        lookup_pause_max_ms: 1_000,
        ..config(bootstrap)
    }
}

fn free_address() -> SocketAddrV4 {
    match UdpSocket::bind(LOOPBACK).unwrap().local_addr().unwrap() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => panic!("an IPv4 socket"),
    }
}

async fn contacts(node: &mut Node) -> Vec<SocketAddr> {
    let told = |event| match event {
        DiscoveryEvent::DhtContacts(contacts) => Some(contacts),
        _ => None,
    };
    node.log.wait_for("contacts", told).await
}

#[actix::test]
async fn a_bootstrap_node_that_comes_later_is_used() {
    let later = free_address();
    let mut nodes = Vec::new();
    for n in 1..=2 {
        let node = Start::new(quick(&[later])).node(n).await;
        node.discover().await;
        nodes.push(node);
    }
    for node in &mut nodes {
        node.comes_to(Verdict::DhtBlocked).await;
    }
    let _dht = LocalDht::start(10, later.port()).unwrap();
    let [a, b] = &mut nodes[..] else {
        panic!("two nodes");
    };
    a.finds(b.id).await;
    b.finds(a.id).await;
}

#[actix::test]
async fn contacts_replace_names_that_do_not_resolve() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut first = Start::new(quick(&[dht.bootstrap()])).node(1).await;
    first.discover().await;
    let kept = contacts(&mut first).await;
    let known = dht.addresses();
    assert!((8..=64).contains(&kept.len()), "{kept:?}");
    assert!(known.iter().any(|node| kept.contains(&(*node).into())));
    let mut unresolved = quick(&[]);
    unresolved.bootstrap = vec![NO_NAME.into()];
    let mut start = Start::new(unresolved);
    start.contacts = kept;
    let mut second = start.node(2).await;
    second.discover().await;
    let (mut found, mut told) = (false, false);
    let both = |event| {
        match event {
            DiscoveryEvent::PeerFound { peer, .. } => found |= peer.id == first.id,
            DiscoveryEvent::DhtContacts(contacts) => told |= !contacts.is_empty(),
            _ => {}
        }
        (found && told).then_some(())
    };
    second.log.wait_for("a member, and contacts", both).await;
}

/// No network card at all, not even loopback; then there is one.
#[actix::test]
async fn a_network_that_comes_later_is_used() {
    if !in_namespace("a_network_that_comes_later_is_used", "true") {
        return;
    }
    let any = SocketAddrV4::new([0, 0, 0, 0].into(), 0);
    let here = SocketAddrV4::new([127, 0, 0, 1].into(), 26_881);
    let mut nodes = Vec::new();
    for n in 1..=2 {
        let offline = Config {
            hello_bind: any,
            dht_bind: any,
            ..quick(&[here])
        };
        let mut node = Start::new(offline).node(n).await;
        node.discover().await;
        node.comes_to(Verdict::NoIpv4).await;
        nodes.push(node);
    }
    let network = "ip link set lo up && ip link add net0 type veth peer name net1 \
                   && ip link set net1 up && ip link set net0 up \
                   && ip address add 10.77.0.1/24 dev net0 && ip route add default dev net0";
    let up = Command::new("sh").args(["-c", network]).status().unwrap();
    assert!(up.success());
    let _dht = LocalDht::start(10, here.port()).unwrap();
    for node in &mut nodes {
        // The DHT answers. It knows them by loopback addresses, which a node at large does not ask.
        node.comes_to(Verdict::Alone).await;
    }
}

/// None of the contacts lives any more: the bootstrap names are used after all.
#[actix::test]
async fn stale_contacts_are_given_up() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut unresolved = quick(&[]);
    // A name, not an address: with contacts it is not used at first.
    unresolved.bootstrap = vec![format!("localhost:{}", dht.bootstrap().port())];
    let mut start = Start::new(unresolved);
    start.contacts = vec![free_address().into()];
    // The second DHT node must wait for the port of the first one.
    start.config.dht_bind = free_address();
    let mut node = start.node(1).await;
    node.discover().await;
    node.comes_to(Verdict::DhtBlocked).await;
    node.comes_to(Verdict::Alone).await;
}

/// Peers that are down when the node starts are told again and again, so that one that comes up is
/// dialed; with a neighbor this ends, and without it starts again at once.
#[actix::test]
async fn given_peers_are_told_again_while_alone() {
    let mut node = Start::new(quick(&[free_address()])).node(1).await;
    let named = address_of(2, EndpointId::from_bytes([2; 32]));
    let kept = address_of(3, EndpointId::from_bytes([3; 32]));
    node.discover_with(vec![named.clone()], vec![kept.clone()])
        .await;
    for _ in 0..4 {
        assert_eq!(node.finds(named.id).await, told(&named, Source::Static));
        assert_eq!(node.finds(kept.id).await, told(&kept, Source::Cache));
    }
    let topic = node.topic;
    let set = |neighbors| SetNeighbors { topic, neighbors };
    let neighbors = vec![EndpointId::from_bytes([9; 32])];
    node.port.set_neighbors(set(neighbors)).await.unwrap();
    node.log.drain();
    node.port.set_neighbors(set(Vec::new())).await.unwrap();
    assert_eq!(node.finds(kept.id).await, told(&kept, Source::Cache));
}

#[actix::test]
async fn sources_that_are_off_tell_nothing() {
    let mut config = quick(&[free_address()]);
    (config.sources.cache, config.sources.statics) = (false, false);
    let mut node = Start::new(config).node(1).await;
    let peer = address_of(2, EndpointId::from_bytes([2; 32]));
    node.discover_with(vec![peer.clone()], vec![peer]).await;
    let told = |event| match event {
        DiscoveryEvent::PeerFound { source, .. } => Some(Err(source)),
        DiscoveryEvent::VerdictChanged { verdict, .. } => Some(Ok(verdict)),
        _ => None,
    };
    let first = node.log.wait_for("a verdict", told).await;
    assert_eq!(first, Ok(Verdict::DhtBlocked));
}

fn told(peer: &EndpointAddr, source: Source) -> (EndpointAddr, Source) {
    (peer.clone(), source)
}

/// A testnet's nodes choose their ports themselves, and mainline's usual one first.
#[test]
fn a_local_dht_may_be_anywhere_on_mainlines_usual_port_too() {
    let test = "a_local_dht_may_be_anywhere_on_mainlines_usual_port_too";
    if !in_namespace(test, "ip link set lo up") {
        return;
    }
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 7)] {
        let address = SocketAddrV4::new(ip, 6881);
        let dht = LocalDht::start_at(3, address).unwrap();
        assert_eq!(dht.bootstrap(), address);
        let addresses = dht.addresses();
        assert_eq!(addresses.len(), 3);
        assert!(
            addresses.iter().all(|node| *node.ip() == ip),
            "{addresses:?}"
        );
    }
}
