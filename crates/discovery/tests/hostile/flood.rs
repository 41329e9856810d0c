//! False entries under the infohash of a topic, pushed onto all DHT nodes by whoever has seen it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{
    Announce, EndpointAddr, EndpointId, HelloDrop, Lookup, SetNeighbors, Source,
};
use kukuri_discovery::{Config, LocalDht};
use tokio::time::timeout;

use crate::krpc::flood;
use crate::support::Node;
use crate::tools::{
    Clock, Insider, PER_HOST, Random, SECRET, Tally, at_large, counted, home, member, public, start,
};

/// As many entries as a DHT node of the crate `mainline` keeps per infohash.
const KEPT: usize = 500;
/// Look-ups that each member asks for, beside its own.
const LOOKS: usize = 4;
/// Pause between them.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Hello packets to the attacker, in packets and bytes.
const TO_ATTACKER: &str = "ip daddr 11.200.0.0/13 udp dport 20000-29999 counter";

/// False entries at so many ports of one IP address.
fn one_host(ports: usize) -> Vec<SocketAddrV4> {
    let ip = Ipv4Addr::new(11, 200, 0, 1);
    (0..ports)
        .map(|n| SocketAddrV4::new(ip, 20_000 + n as u16))
        .collect()
}

/// False entries in as many networks.
fn networks(count: usize) -> Vec<SocketAddrV4> {
    let ip = |n: usize| Ipv4Addr::new(11, 200 + (n / 256) as u8, (n % 256) as u8, 1);
    (0..count)
        .map(|n| SocketAddrV4::new(ip(n), 20_000))
        .collect()
}

/// So many members that start together, some time after the flood.
async fn together(count: u64, dht: &LocalDht, clock: Clock) -> Vec<Node> {
    let mut members = Vec::new();
    for n in 1..=count {
        members.push(start(n, public(n, &[dht.bootstrap()]), clock).await);
    }
    for member in &members {
        member.discover().await;
    }
    members
}

/// Waits until each has found somebody (and then `all`: everybody); what each was told.
async fn find(members: &mut [Node], all: bool) -> Vec<Tally> {
    let others = members.len() - 1;
    let mut tallies = Vec::new();
    for member in &mut *members {
        let mut tally = Tally::default();
        let enough = |t: &Tally| t.found.len() >= if all { others } else { 1 };
        tally
            .until(member, "a member behind the flood", enough)
            .await;
        tallies.push(tally);
    }
    for (member, tally) in members.iter_mut().zip(&mut tallies) {
        tally.catch_up(member);
    }
    tallies
}

fn first_found(tallies: &[Tally]) -> (u128, u128) {
    let first = |t: &Tally| t.found.values().map(|(.., after)| after.as_millis()).min();
    let mut firsts: Vec<_> = tallies.iter().filter_map(first).collect();
    firsts.sort_unstable();
    (firsts[firsts.len() / 2], firsts[firsts.len() - 1])
}

fn sum(tallies: &[Tally], of: impl Fn(&Tally) -> usize) -> usize {
    tallies.iter().map(of).sum()
}

async fn members_come_after(entries: &[SocketAddrV4], count: u64, what: &str) -> Vec<Tally> {
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(20, 0).unwrap();
    let infohash = Insider::new(99, SECRET).await.infohash(clock.epoch()).await;
    let (nodes, stored) = flood(dht.bootstrap(), infohash, entries, &mut Random(1));
    let mut members = together(count, &dht, clock).await;
    let tallies = find(&mut members, false).await;
    let (half, last) = first_found(&tallies);
    let (packets, bytes) = counted()[0];
    println!(
        "tried: {} false entries {what} on {nodes} DHT nodes ({stored} acknowledged), then {count} \
         members join together\n\
         got through: {packets} packets ({bytes} bytes) to the false entries from all members \
         together, in {} look-ups; first member found after {half} ms (median), {last} ms (last); \
         {} hellos sent, {} entries beyond the bounds; {} of {count} stayed away from this crowd at \
         first, {} have announced by then",
        entries.len(),
        sum(&tallies, |t| t.lookups),
        sum(&tallies, |t| t.sent),
        sum(&tallies, |t| t.dropped(HelloDrop::Bound)),
        sum(&tallies, |t| t.stayed_away.min(1)),
        sum(&tallies, |t| t.announced.min(1)),
    );
    assert_eq!(stored, nodes * entries.len(), "the flood has arrived");
    // Sent by other members, or to the attacker: nothing else is asked.
    assert!(packets as usize <= sum(&tallies, |t| t.sent));
    tallies
}

/// 500 false entries of one host: four of them are asked per look-up, and the members' are.
#[actix::test]
async fn ports_of_one_host() {
    if !at_large("flood::ports_of_one_host", &[TO_ATTACKER]) {
        return;
    }
    let what = "at one IP address";
    let tallies = members_come_after(&one_host(KEPT), 10, what).await;
    let (packets, _) = counted()[0];
    assert!(packets <= tallies.len() as u64 * PER_HOST, "{packets}");
}

/// 500 false entries in as many networks: no bound per host helps, and the members are found.
#[actix::test]
async fn hosts_of_many_networks() {
    if !at_large("flood::hosts_of_many_networks", &[TO_ATTACKER]) {
        return;
    }
    let what = "in 500 networks";
    let tallies = members_come_after(&networks(KEPT), 10, what).await;
    // Each address rests for 60 s after its three tries, then for 120 s.
    let tries = 3 * Config::default().hello_tries as usize;
    let most = KEPT * tallies.len() * tries;
    let (packets, _) = counted()[0];
    println!("allowed: {most} packets");
    assert!(packets as usize <= most);
}

/// The same with three members: fewer true entries among as many false ones.
#[actix::test]
async fn hosts_of_many_networks_and_three_members() {
    let name = "flood::hosts_of_many_networks_and_three_members";
    if !at_large(name, &[TO_ATTACKER]) {
        return;
    }
    members_come_after(&networks(KEPT), 3, "in 500 networks").await;
}

/// A settled swarm whose entries are pushed out: a newcomer sees none of them. Peers of an earlier
/// run are told at once, and a member's next announcement brings the others.
#[actix::test]
async fn a_settled_swarm_is_pushed_out() {
    if !at_large("flood::a_settled_swarm_is_pushed_out", &[TO_ATTACKER]) {
        return;
    }
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(20, 0).unwrap();
    let mut members = together(3, &dht, clock).await;
    find(&mut members, true).await;
    for member in &members {
        let topic = member.topic;
        member.port.announce(Announce { topic }).await.unwrap();
        let neighbors = vec![EndpointId::from_bytes([9; 32])];
        let settled = SetNeighbors { topic, neighbors };
        member.port.set_neighbors(settled).await.unwrap();
    }
    let infohash = Insider::new(99, SECRET).await.infohash(clock.epoch()).await;
    let entries = networks(KEPT);
    let (nodes, stored) = flood(dht.bootstrap(), infohash, &entries, &mut Random(2));
    assert_eq!(stored, nodes * KEPT, "the flood has arrived");

    let newcomer = start(9, public(9, &[dht.bootstrap()]), clock).await;
    let mut newcomer = newcomer;
    let kept = EndpointAddr {
        id: members[0].id,
        direct: vec![(home(1), 20_001).into()],
        relay: None,
    };
    newcomer.discover_with(Vec::new(), vec![kept]).await;
    let mut tally = Tally::default();
    tally
        .until(&mut newcomer, "a verdict", |t| t.verdict.is_some())
        .await;
    let by_rendezvous = tally.found.len() - 1;
    let cached = &tally.found[&members[0].id];
    println!(
        "tried: {KEPT} false entries pushed out those of 3 settled members on {nodes} DHT nodes\n\
         got through: a newcomer found {by_rendezvous} members by rendezvous in {} look-ups and {} \
         hellos (verdict {:?}); the peer of an earlier run after {:?}",
        tally.lookups, tally.sent, tally.verdict, cached.2,
    );
    assert_eq!((by_rendezvous, cached.1), (0, Source::Cache));

    let topic = members[1].topic;
    members[1].port.announce(Announce { topic }).await.unwrap();
    let back = members[1].id;
    let mut looks = 0;
    // A look-up sees a given entry among 500 in about one of three cases; then its hello has its
    // turn among those to false entries.
    while !tally.found.contains_key(&back) {
        looks += 1;
        assert!(looks <= 60, "{tally:?}");
        newcomer.port.lookup(Lookup { topic }).await.unwrap();
        let found = |t: &Tally| t.found.contains_key(&back);
        let met = tally.until(&mut newcomer, "the member", found);
        _ = timeout(BETWEEN_LOOKS, met).await;
    }
    let source = tally.found[&back].1;
    println!(
        "got through: a member that announced again was found by {source:?} in look-up {looks}"
    );
}

/// A DHT can be flooded again and again, and look-ups repeat: what one host can get of it.
#[actix::test]
async fn one_host_and_many_look_ups() {
    if !at_large("flood::one_host_and_many_look_ups", &[TO_ATTACKER]) {
        return;
    }
    for (round, count) in [(0, 3), (1, 10)] {
        let before = counted()[0].0;
        look_often(count, 10 * round).await;
        let packets = counted()[0].0 - before;
        println!(
            "tried: {KEPT} ports of one host as entries, {count} members look {LOOKS} times in three \
             epochs each\n\
             got through: {packets} packets to that host from all together, {} per member",
            packets / count
        );
        assert!(packets > 0 && packets <= count * PER_HOST, "{packets}");
    }
}

/// So many members look so often, at the same time.
async fn look_often(count: u64, first: u64) {
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(20, 0).unwrap();
    let insider = Insider::new(99, SECRET).await;
    let infohash = insider.infohash(clock.epoch()).await;
    flood(dht.bootstrap(), infohash, &one_host(KEPT), &mut Random(3));
    let bootstrap = [dht.bootstrap()];
    let looking = (1..=count).map(async |n| {
        let mut node = member(first + n, &bootstrap, clock).await;
        let topic = node.topic;
        for _ in 0..LOOKS {
            node.port.lookup(Lookup { topic }).await.unwrap();
        }
        // The hellos to the host have had all their tries.
        let over = |t: &Tally| t.lookups >= 3 * LOOKS && t.dropped(HelloDrop::NoAnswer) >= 4;
        let mut tally = Tally::default();
        tally.until(&mut node, "unanswered hellos", over).await;
    });
    futures_util::future::join_all(looking).await;
}
