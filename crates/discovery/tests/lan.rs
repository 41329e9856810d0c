//! Services that find each other on the local network: real mDNS, no DHT.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_conformance::{Capability, Discovery, Made, conforms, in_namespace};
use kukuri_contract::{Discover, DiscoveryEvent, DiscoveryMaker, Forget, HelloDrop, Source};
use kukuri_discovery::{Config, LanConfig, LocalNetwork, Sources};
use support::{Node, Start, address_of};

/// A network of its own, so that no other test or machine is heard: a card whose cable ends at
/// nobody's. What one socket sends by multicast, the others on this machine hear.
const NETWORK: &str = "set -e
ip link set lo up
ip link add lan0 type veth peer name lan1
ip link set lan1 up
ip link set lan0 multicast on up
ip address add 10.77.0.1/24 brd + dev lan0
ip route add default dev lan0";

async fn node(n: u64, secret: u8) -> Node {
    let sources = Sources {
        lan: true,
        rendezvous: false,
        board: false,
        ..Sources::default()
    };
    let mut start = Start::new(Config {
        hello_bind: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        sources,
        first_contact_ms: 1_000,
        ..Config::default()
    });
    start.secret = Some(secret);
    // Every other one has no other source at all, and is of the implementation `lan`.
    let node = match n % 2 {
        0 => start.node(n).await,
        _ => {
            let lan = LanConfig {
                first_contact_ms: 1_000,
                ..LanConfig::default()
            };
            start.node_by::<LocalNetwork>(lan, n).await
        }
    };
    // A member on this network has a private address.
    let mut address = address_of(n, node.id);
    address.direct = vec![([10, 77, 0, 1], 20_000 + n as u16).into()];
    let set = kukuri_contract::SetAddress {
        address,
        port: None,
    };
    node.port.set_address(set).await.unwrap();
    node
}

/// Who is on the network is there for all at once: there is nothing to announce again.
#[actix::test]
async fn the_clauses_on_a_local_network() {
    if !in_namespace("the_clauses_on_a_local_network", NETWORK) {
        return;
    }
    let maker = DiscoveryMaker::of::<LocalNetwork>(LanConfig::default());
    let lan = Made::by(maker).without(Capability::Announces);
    conforms::<Discovery>(&lan).await;
}

#[actix::test]
async fn members_on_a_local_network_find_each_other() {
    if !in_namespace("members_on_a_local_network_find_each_other", NETWORK) {
        return;
    }
    let (mut a, mut b) = (node(1, 7).await, node(2, 7).await);
    a.discover().await;
    b.discover().await;
    // Whoever sees the other one first says hello; for the other side that is inbound.
    let by_a = a.finds(b.id).await;
    let by_b = b.finds(a.id).await;
    assert_eq!(by_b.0.direct, [([10, 77, 0, 1], 20_001).into()]);
    assert_eq!(by_a.0.direct, [([10, 77, 0, 1], 20_002).into()]);
    let sources = [by_a.1, by_b.1];
    if sources == [Source::Inbound; 2] {
        // Both said hello at once; the reply is still on its way.
        assert_eq!(a.finds(b.id).await.1, Source::Lan);
    }
    let allowed = [Source::Lan, Source::Inbound];
    assert!(sources.iter().all(|s| allowed.contains(s)), "{sources:?}");

    // A beacon changes while it is shown, as it does when the epoch turns: another topic.
    for node in [&a, &b] {
        let topic = node.add_topic("another", Some(9)).await;
        let discover = Discover {
            topic,
            peers: Vec::new(),
            cached: Vec::new(),
        };
        node.port.discover(discover).await.unwrap();
    }
    let another = a.add_topic("another", Some(9)).await;
    let found = |event| match event {
        DiscoveryEvent::PeerFound { topic, peer, .. } if topic == another => Some(peer.id),
        _ => None,
    };
    assert_eq!(a.log.wait_for("a member", found).await, b.id);

    // Who leaves all its topics is shown no more; who comes then is found all the same.
    for topic in [a.topic, another] {
        a.port.forget(Forget { topic }).await.unwrap();
    }
    let mut late = node(3, 7).await;
    late.discover().await;
    late.finds(b.id).await;
    b.finds(late.id).await;
}

/// Members of one topic meet, and one of another secret at the same place is told nothing: by the
/// time that they have met, its beacon was seen and hers by them.
#[actix::test]
async fn another_secret_is_no_contact_on_a_local_network() {
    if !in_namespace("another_secret_is_no_contact_on_a_local_network", NETWORK) {
        return;
    }
    let mut stranger = node(1, 8).await;
    stranger.discover().await;
    stranger.verdict().await;
    let (mut a, mut b) = (node(2, 7).await, node(3, 7).await);
    a.discover().await;
    b.discover().await;
    a.finds(b.id).await;
    b.finds(a.id).await;
    // A second stranger of the first one's secret: mDNS works for them too.
    let mut friend = node(4, 8).await;
    friend.discover().await;
    friend.finds(stranger.id).await;
    stranger.finds(friend.id).await;
    let members = [a.id, b.id];
    for log in [&mut stranger.log, &mut friend.log] {
        let contact = |event: &DiscoveryEvent| match event {
            DiscoveryEvent::PeerFound { peer, .. } => members.contains(&peer.id),
            // Nobody sent a hello to the wrong place.
            DiscoveryEvent::Dropped { reason } => *reason == HelloDrop::UnknownTag,
            _ => false,
        };
        let events = log.drain();
        assert!(!events.iter().any(contact), "{events:?}");
    }
}
