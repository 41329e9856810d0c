//! Discovery without a DHT: peers that are named, and a directory in memory. (`lan.rs` has the local
//! network.)

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use kukuri_contract::{
    Announce, AnnounceError, DhtHealthQuery, DiscoverError, DiscoveryEvent, Factory, HelloDrop,
    Lookup, SetNeighbors, Source, TopicId, Verdict,
};
use kukuri_discovery::{
    Config, Directory, DirectorySetup, DiscoveryError, MemoryConfig, SharedDirectory, StaticConfig,
    StaticPeers,
};
use support::{Node, Start, address_of};

fn start(secret: Option<u8>) -> Start {
    let mut start = Start::new(Config::default());
    start.secret = secret;
    start
}

async fn named(n: u64, config: StaticConfig) -> Node {
    start(None).node_by::<StaticPeers>(config, n).await
}

async fn seated(n: u64, secret: u8, directory: &Directory) -> Node {
    let setup = DirectorySetup {
        config: MemoryConfig {
            first_contact_ms: 1,
            ..MemoryConfig::default()
        },
        directory: directory.clone(),
    };
    start(Some(secret))
        .node_by::<SharedDirectory>(setup, n)
        .await
}

/// Peers that were found by now, with their sources.
fn found(events: &[DiscoveryEvent]) -> Vec<(kukuri_contract::EndpointId, Source)> {
    let found = events.iter().filter_map(|event| match event {
        DiscoveryEvent::PeerFound { peer, source, .. } => Some((peer.id, *source)),
        _ => None,
    });
    found.collect()
}

#[actix::test]
async fn named_peers_are_told_at_once_and_again_while_alone() {
    let [by_config, by_user, cached] =
        [71, 72, 73].map(|n| address_of(n, kukuri_contract::EndpointId::from_bytes([n as u8; 32])));
    let config = StaticConfig {
        peers: vec![format!("{}@{}", by_config.id, by_config.direct[0])],
        pause_min_ms: 1,
        first_contact_ms: 1,
        ..StaticConfig::default()
    };
    let mut node = named(1, config).await;
    node.discover_with(vec![by_user.clone()], vec![cached.clone()])
        .await;
    let expected = [
        (by_user.id, Source::Static),
        (by_config.id, Source::Static),
        (cached.id, Source::Cache),
    ];
    assert_eq!(found(&node.log.drain()), expected);
    assert_eq!(node.finds(by_config.id).await.0, by_config);
    assert_eq!(node.verdict().await, Verdict::Alone);
    assert_eq!(Verdict::Alone.as_str(), "alone");

    // No DHT, no socket; what there is to ask is answered.
    let health = node.port.health(DhtHealthQuery).await.unwrap();
    assert_eq!((health.routing_table, health.dht_address), (None, None));
    assert_eq!((health.hello_address, node.hello.port()), (None, 0));
    let lookup = Lookup { topic: node.topic };
    assert_eq!(node.port.lookup(lookup).await.unwrap().entries, 0);
    let unknown = TopicId::from_bytes([9; 32]);
    let announced = node.port.announce(Announce { topic: unknown }).await;
    let refused = kukuri_contract::CallError::Refused(AnnounceError::UnknownTopic(unknown));
    assert_eq!(announced.unwrap_err(), refused);

    // With a neighbor it has no reason to tell them.
    let neighbors = vec![by_user.id];
    let topic = node.topic;
    let set = SetNeighbors { topic, neighbors };
    node.port.set_neighbors(set).await.unwrap();
    node.log.drain();
    let set = SetNeighbors {
        topic,
        neighbors: Vec::new(),
    };
    node.port.set_neighbors(set).await.unwrap();
    node.finds(by_config.id).await;
}

#[test]
fn a_peer_that_is_none_is_a_typed_error() {
    let check = |peers: Vec<String>| {
        let error = StaticPeers::check(&StaticConfig {
            peers,
            ..StaticConfig::default()
        });
        error.unwrap_err().to_string()
    };
    let error = check(vec!["example.org".into()]);
    assert!(
        error.contains("discovery.peers is wrong: \"example.org\""),
        "{error}"
    );
    let good = format!("{}@192.0.2.1:4433", "ab".repeat(32));
    let error = check(vec![good; 65]);
    assert!(error.contains("65 are too many; at most 64"), "{error}");
}

#[actix::test]
async fn members_in_a_directory_find_each_other_and_nobody_else() {
    let directory = Directory::default();
    let mut stranger = seated(1, 8, &directory).await;
    let mut elsewhere = seated(2, 7, &Directory::default()).await;
    for node in [&mut stranger, &mut elsewhere] {
        node.discover().await;
        assert_eq!(node.verdict().await, Verdict::Alone);
    }
    let (mut a, mut b) = (
        seated(3, 7, &directory).await,
        seated(4, 7, &directory).await,
    );
    a.discover().await;
    b.discover().await;
    let found_by = [a.finds(b.id).await, b.finds(a.id).await];
    let address = |n: u64, node: &Node| address_of(n, node.id);
    assert_eq!(found_by[0].0, address(4, &b));
    assert_eq!(found_by[1].0, address(3, &a));
    assert!(
        found_by
            .iter()
            .all(|(_, by)| [Source::Lan, Source::Inbound].contains(by))
    );
    // Nobody dialed anybody: the verdict is what it is on any network.
    assert_eq!(a.verdict().await, Verdict::FoundButUnreachable);
    for node in [&mut stranger, &mut elsewhere] {
        let events = node.log.drain();
        assert_eq!(found(&events), []);
        let hello = |e: &DiscoveryEvent| matches!(e, DiscoveryEvent::Dropped { reason } if *reason == HelloDrop::UnknownTag);
        assert!(!events.iter().any(hello), "nobody said hello to a stranger");
    }
    // Who has left is not found by who comes later.
    a.port.stop().await.unwrap();
    let mut late = seated(5, 7, &directory).await;
    late.discover().await;
    late.finds(b.id).await;
    b.finds(late.id).await;
}

#[actix::test]
async fn topics_are_bounded_and_seats_too() {
    let directory = Directory::default();
    let setup = DirectorySetup {
        config: MemoryConfig {
            max_topics: 1,
            ..MemoryConfig::default()
        },
        directory: directory.clone(),
    };
    let node = start(None).node_by::<SharedDirectory>(setup, 1).await;
    node.discover().await;
    let discover = kukuri_contract::Discover {
        topic: node.add_topic("another", None).await,
        peers: Vec::new(),
        cached: Vec::new(),
    };
    let refused = DiscoverError::TooManyTopics { limit: 1 };
    let error = node.port.discover(discover).await.unwrap_err();
    assert_eq!(error, kukuri_contract::CallError::Refused(refused));
    let zero = DirectorySetup {
        config: MemoryConfig {
            max_topics: 0,
            ..MemoryConfig::default()
        },
        directory,
    };
    let error = SharedDirectory::check(&zero).unwrap_err();
    assert!(matches!(
        error,
        DiscoveryError::Config {
            field: "max_topics",
            ..
        }
    ));
}
