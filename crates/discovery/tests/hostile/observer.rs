//! DHT nodes next to the infohash of a topic: what they see, and what they can spoil.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_contract::{Announce, EndpointId, Source, Verdict};
use kukuri_discovery::LocalDht;

use crate::liar::{Liar, Seen, Way};
use crate::support::{Node, address_of};
use crate::tools::{Clock, Insider, PER_HOST, SECRET, Tally, at_large, counted, member};

/// Hello packets to the host that false entries name.
const TO_VICTIM: &str = "ip daddr 11.200.0.0/13 udp dport 20000-29999 counter";

/// Members that start from an honest DHT node and from these liars.
async fn members(count: u64, dht: &LocalDht, liars: &[Liar], clock: Clock) -> Vec<Node> {
    let mut bootstrap = vec![dht.bootstrap()];
    bootstrap.extend(liars.iter().map(|liar| liar.address));
    let mut members = Vec::new();
    for n in 1..=count {
        members.push(member(n, &bootstrap, clock).await);
    }
    members
}

async fn liars(count: u8, clock: Clock, way: &Way) -> Vec<Liar> {
    let target = Insider::new(99, SECRET).await.infohash(clock.epoch()).await;
    let liar = |n| Liar::start(n, target, way.clone());
    (1..=count).map(liar).collect()
}

async fn all_find_all(members: &mut [Node]) -> Vec<Tally> {
    let mut tallies = Vec::new();
    let others = members.len() - 1;
    for member in members {
        let mut tally = Tally::default();
        let all = |t: &Tally| t.found.len() >= others;
        tally.until(member, "all other members", all).await;
        tallies.push(tally);
    }
    tallies
}

/// An observer sees who meets where, and neither the topic, nor who the endpoints are.
#[actix::test]
async fn what_an_observer_sees() {
    if !at_large("observer::what_an_observer_sees", &[]) {
        return;
    }
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(10, 0).unwrap();
    let observers = liars(3, clock, &Way::Honest).await;
    let mut members = members(3, &dht, &observers, clock).await;
    all_find_all(&mut members).await;
    let hellos: BTreeSet<_> = members.iter().map(|member| member.hello).collect();
    let seen_by_any = || -> BTreeSet<_> {
        let seen = observers.iter().flat_map(|o| o.seen().announced);
        seen.collect()
    };
    // A busy machine may lose some of an announcement; the budget is ten a minute.
    for _ in 0..5 {
        for member in &members {
            let topic = member.topic;
            member.port.announce(Announce { topic }).await.unwrap();
        }
        if seen_by_any() == hellos {
            break;
        }
    }
    assert_eq!(seen_by_any(), hellos, "they see where members are");
    let insider = Insider::new(99, SECRET).await;
    for observer in &observers {
        let seen = observer.seen();
        report(&seen);
        assert!(
            seen.infohashes
                .contains(&insider.infohash(clock.epoch()).await.as_bytes()[..])
        );
        for member in &members {
            assert!(!contains(&seen, member.id.as_bytes()), "an endpoint id");
        }
        assert!(!contains(&seen, insider.topic.as_bytes()), "the topic's id");
        assert!(!contains(&seen, &[SECRET; 32]), "the secret");
        let keys = insider.keys(clock.epoch()).await;
        for key in [&keys.hello_tag, &keys.hello_request, &keys.hello_reply] {
            assert!(!contains(&seen, key.expose()), "a key of the epoch");
        }
        // Were they there, they would be seen.
        assert!(contains(
            &seen,
            insider.infohash(clock.epoch()).await.as_bytes()
        ));
    }
}

/// Whether any eight bytes of it, from the start of any eight, are in a packet.
fn contains(seen: &Seen, what: &[u8]) -> bool {
    let pieces: BTreeSet<_> = what.chunks_exact(8).collect();
    let mut windows = seen.packets.iter().flat_map(|packet| packet.windows(8));
    windows.any(|window| pieces.contains(window))
}

fn report(seen: &Seen) {
    println!(
        "tried: a storing DHT node reads all {} packets that it gets\n\
         got through: {} infohashes, {} announced addresses {:?}, {} addresses that asked; no part \
         of an endpoint id, a topic id, a secret or a key",
        seen.packets.len(),
        seen.infohashes.len(),
        seen.announced.len(),
        seen.announced,
        seen.askers.len(),
    );
}

async fn lied_to(count: u64, way: Way, what: &str) -> Vec<Tally> {
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(20, 0).unwrap();
    let liars = liars(8, clock, &way).await;
    let mut members = members(count, &dht, &liars, clock).await;
    let tallies = all_find_all(&mut members).await;
    let asked: usize = liars.iter().map(|liar| liar.seen().packets.len()).sum();
    let first = tallies
        .iter()
        .filter_map(|t| t.found.values().map(|(.., a)| a.as_millis()).min());
    let slowest = tallies
        .iter()
        .flat_map(|t| t.found.values())
        .map(|(.., after)| after.as_millis());
    println!(
        "tried: the 8 DHT nodes next to the infohash, of 28, {what} ({asked} packets came to them)\n\
         got through: all {count} members found all others, a first one after {} ms at most, the \
         last after {} ms",
        first.max().unwrap(),
        slowest.max().unwrap(),
    );
    assert!(asked > 0, "the liars were asked");
    tallies
}

/// Nodes that acknowledge every announcement, and keep none.
#[actix::test]
async fn nodes_that_store_nothing() {
    if at_large("observer::nodes_that_store_nothing", &[]) {
        lied_to(4, Way::Forgetful, "say ok and store nothing").await;
    }
}

/// Nodes whose answers can't be read.
#[actix::test]
async fn nodes_that_answer_garbage() {
    if at_large("observer::nodes_that_answer_garbage", &[]) {
        lied_to(4, Way::Garbage, "answer garbage").await;
    }
}

/// Nodes that name a victim's address under every infohash: unlike who announces, they can name any
/// host. The bounds per host hold.
#[actix::test]
async fn nodes_that_name_a_victim() {
    if !at_large("observer::nodes_that_name_a_victim", &[TO_VICTIM]) {
        return;
    }
    let victim = Ipv4Addr::new(11, 200, 0, 1);
    let entries = (0..100).map(|n| SocketAddrV4::new(victim, 20_000 + n));
    let tallies = lied_to(
        10,
        Way::False(entries.collect()),
        "name 100 ports of a victim",
    )
    .await;
    let (packets, bytes) = counted()[0];
    println!("got through: {packets} packets ({bytes} bytes) to the victim");
    assert!(packets <= tallies.len() as u64 * PER_HOST, "{packets}");
}

/// All that is near the infohash lies: twenty nodes that store nothing, as many as an announcement
/// goes to. Then nobody may be found by rendezvous; peers of an earlier run are told all the same.
#[actix::test]
async fn nothing_but_liars_around() {
    if !at_large("observer::nothing_but_liars_around", &[]) {
        return;
    }
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(20, 0).unwrap();
    let liars = liars(20, clock, &Way::Forgetful).await;
    let mut members = members(3, &dht, &liars, clock).await;
    let kept = address_of(50, EndpointId::from_bytes([50; 32]));
    for member in &mut members {
        member.discover_with(Vec::new(), vec![kept.clone()]).await;
        let mut tally = Tally::default();
        let settled = |t: &Tally| t.verdict.is_some() || t.found.len() >= 3;
        tally
            .until(member, "a verdict or the others", settled)
            .await;
        println!(
            "tried: the 20 DHT nodes next to the infohash, of 40, store nothing\n\
             got through: {} of 2 other members found, verdict {:?}; the peer of an earlier run told",
            tally.found.len() - 1,
            tally.verdict
        );
        assert_eq!(tally.found[&kept.id].1, Source::Cache);
        assert!(tally.verdict.is_none_or(|verdict| {
            matches!(verdict, Verdict::Alone | Verdict::FoundButUnreachable)
        }));
    }
}
