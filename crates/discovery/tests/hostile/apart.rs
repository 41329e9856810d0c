//! What DHT nodes learn of who is in two topics, with sockets for each topic and without.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_contract::{Announce, Discover, DiscoveryEvent, TopicId, TopicKeys};
use kukuri_discovery::{Config, LocalDht};

use crate::bencode::Item;
use crate::krpc::{Client, expanded};
use crate::support::Node;
use crate::tools::{Clock, at_large, public, start};

/// Two members that are in two topics, and have found each other in both.
async fn meet_twice(dht: &LocalDht, clock: Clock, apart: bool) -> (Vec<Node>, [TopicId; 2]) {
    let mut members = Vec::new();
    for n in 1..=2 {
        let config = Config {
            separate_topics: apart,
            ..public(n, &[dht.bootstrap()])
        };
        members.push(start(n, config, clock).await);
    }
    let topics = [
        members[0].topic,
        members[0].add_topic("other", Some(9)).await,
    ];
    members[1].add_topic("other", Some(9)).await;
    for member in &members {
        for topic in topics {
            let discover = Discover {
                topic,
                peers: Vec::new(),
                cached: Vec::new(),
            };
            member.port.discover(discover).await.unwrap();
        }
    }
    let ids = [members[0].id, members[1].id];
    for (member, other) in members.iter_mut().zip([ids[1], ids[0]]) {
        let mut missing: BTreeSet<_> = topics.into_iter().collect();
        let found = |event| {
            if let DiscoveryEvent::PeerFound { topic, peer, .. } = event
                && peer.id == other
            {
                missing.remove(&topic);
            }
            missing.is_empty().then_some(())
        };
        member
            .log
            .wait_for("the other one in both topics", found)
            .await;
    }
    (members, topics)
}

/// All addresses that the DHT has under the infohash of a topic, once both members are there.
async fn announced(
    dht: &LocalDht,
    members: &[Node],
    topic: TopicId,
    clock: Clock,
) -> BTreeSet<SocketAddrV4> {
    let epoch = clock.epoch();
    let keys = members[0].identity.topic_keys(TopicKeys { topic, epoch });
    let infohash = keys.await.unwrap().infohash;
    let mut client = Client::at(Ipv4Addr::new(11, 250, 0, 1));
    // A busy machine may lose some of an announcement; the budget is ten a minute.
    for _ in 0..5 {
        let answers = client.get_peers(&dht.addresses(), infohash);
        let values = answers.values().filter_map(|answer| answer.get("values"));
        let entries = values.filter_map(|values| match values {
            Item::List(entries) => Some(entries),
            _ => None,
        });
        let entries = entries.flatten().filter_map(Item::bytes);
        let entries: BTreeSet<_> = entries.map(expanded).collect();
        let hosts: BTreeSet<_> = entries.iter().map(|entry| *entry.ip()).collect();
        if hosts.len() == members.len() {
            return entries;
        }
        for member in members {
            member.port.announce(Announce { topic }).await.unwrap();
        }
    }
    panic!("not both are announced");
}

async fn shared_ports(name: &str, apart: bool) -> Option<usize> {
    if !at_large(name, &[]) {
        return None;
    }
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(10, 0).unwrap();
    let (members, topics) = meet_twice(&dht, clock, apart).await;
    let one = announced(&dht, &members, topics[0], clock).await;
    let other = announced(&dht, &members, topics[1], clock).await;
    let shared = one.intersection(&other).count();
    println!(
        "tried: two members are in two topics, sockets for each topic: {apart}; the DHT is asked for both\n\
         got through: {one:?} and {other:?}, {shared} the same"
    );
    for member in &members {
        member.port.stop().await.unwrap();
    }
    Some(shared)
}

#[actix::test]
async fn one_port_links_the_topics_of_a_node() {
    let shared = shared_ports("apart::one_port_links_the_topics_of_a_node", false).await;
    assert!(shared.is_none_or(|shared| shared == 2), "{shared:?}");
}

#[actix::test]
async fn topics_that_are_kept_apart_share_no_port() {
    let shared = shared_ports("apart::topics_that_are_kept_apart_share_no_port", true).await;
    assert!(shared.is_none_or(|shared| shared == 0), "{shared:?}");
}
