//! Each typed outcome, from the situation that it names.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kukuri_conformance::in_namespace;
use kukuri_contract::{EndpointAddr, Source, UnixMillis, Verdict, WallClock};
use kukuri_discovery::{Config, LocalDht, Sources};
use support::{LOOPBACK, Node, Start, address_of, config};

fn quick(bootstrap: &[SocketAddrV4]) -> Config {
    Config {
        first_contact_ms: 1_500,
        lookup_timeout_ms: 2_000,
        announce_timeout_ms: 1_000,
        ..config(bootstrap)
    }
}

async fn lonely(n: u64, config: Config) -> Node {
    let node = Start::new(config).node(n).await;
    node.discover().await;
    node
}

/// Nobody is there, and a peer that the user gave is down: that is no member that was found.
#[actix::test]
async fn alone() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut node = Start::new(quick(&[dht.bootstrap()])).node(1).await;
    let down = |n: u8| EndpointAddr {
        direct: vec![([127, 0, 0, 1], 9).into()],
        ..address_of(9, kukuri_contract::EndpointId::from_bytes([n; 32]))
    };
    node.discover_with(vec![down(1)], vec![down(2)]).await;
    assert_eq!(node.finds(down(1).id).await.1, Source::Static);
    assert_eq!(node.finds(down(2).id).await.1, Source::Cache);
    assert_eq!(node.verdict().await, Verdict::Alone);
}

#[actix::test]
async fn dht_empty_table() {
    let mut config = quick(&[]);
    config.bootstrap = vec!["no-such-host.invalid:6881".into()];
    let mut node = lonely(1, config).await;
    assert_eq!(node.verdict().await, Verdict::DhtEmptyTable);
}

#[actix::test]
async fn dht_blocked() {
    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let SocketAddr::V4(address) = silent.local_addr().unwrap() else {
        panic!("an IPv4 socket");
    };
    let mut node = lonely(1, quick(&[address])).await;
    assert_eq!(node.verdict().await, Verdict::DhtBlocked);
}

#[actix::test]
async fn dht_throttled() {
    let dht = LocalDht::start(12, 0).unwrap();
    let proxy = Proxy::start(&dht.addresses());
    let mut node = Start::new(quick(&proxy.fronts)).node(1).await;
    node.knows_dht_nodes(8).await;
    proxy.lossy.store(true, Ordering::SeqCst);
    node.discover().await;
    node.comes_to(Verdict::DhtThrottled).await;
}

/// All replies take longer than a quick node waits for them.
#[actix::test]
async fn a_slow_dht_is_waited_for() {
    let dht = LocalDht::start(12, 0).unwrap();
    let proxy = Proxy::start(&dht.addresses());
    proxy.slow.store(true, Ordering::SeqCst);
    let member = Start::new(quick(&[dht.bootstrap()])).node(1).await;
    member.discover().await;
    let config = Config {
        request_timeout_ms: REPLIES_TAKE.as_millis() as u64 / 2,
        lookup_timeout_ms: 20_000,
        announce_timeout_ms: 20_000,
        ..quick(&proxy.fronts)
    };
    let mut node = Start::new(config).node(2).await;
    node.discover().await;
    node.finds(member.id).await;
}

/// A member that answers hellos, and whose endpoint is nowhere: no neighbor follows.
#[actix::test]
async fn found_but_unreachable() {
    let dht = LocalDht::start(10, 0).unwrap();
    let member = lonely(1, quick(&[dht.bootstrap()])).await;
    let mut node = lonely(2, quick(&[dht.bootstrap()])).await;
    node.finds(member.id).await;
    assert_eq!(node.verdict().await, Verdict::FoundButUnreachable);
}

#[actix::test]
async fn no_ipv4() {
    if !in_namespace("no_ipv4", "true") {
        return;
    }
    let any = SocketAddrV4::new([0, 0, 0, 0].into(), 0);
    let sources = Sources {
        // It starts without any network card too.
        lan: true,
        ..Sources::default()
    };
    let mut node = lonely(
        1,
        Config {
            hello_bind: any,
            dht_bind: any,
            sources,
            ..quick(&[])
        },
    )
    .await;
    node.comes_to(Verdict::NoIpv4).await;
}

#[actix::test]
async fn clock_skewed() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut members = Vec::new();
    for n in 1..=3 {
        members.push(lonely(n, quick(&[dht.bootstrap()])).await);
    }
    let mut start = Start::new(quick(&[dht.bootstrap()]));
    start.clock = WallClock::new(|| {
        let right = WallClock::system().now();
        UnixMillis(right.0 + 5 * 60 * 1000)
    });
    let mut node = start.node(4).await;
    node.discover().await;
    node.comes_to(Verdict::ClockSkewed).await;
}

/// Stands before each node of a DHT, and puts its own addresses in place of theirs in all that they
/// say, so that nobody goes around it. Loses nine of ten replies, or is slow, when told to.
struct Proxy {
    fronts: Vec<SocketAddrV4>,
    lossy: Arc<AtomicBool>,
    slow: Arc<AtomicBool>,
}

/// How long a slow proxy keeps each reply.
const REPLIES_TAKE: Duration = Duration::from_millis(600);

impl Proxy {
    fn start(nodes: &[SocketAddrV4]) -> Self {
        let (lossy, slow) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let bound = nodes.iter().map(|node| {
            let front = UdpSocket::bind(LOOPBACK).unwrap();
            let SocketAddr::V4(address) = front.local_addr().unwrap() else {
                panic!("an IPv4 socket");
            };
            (*node, front, address)
        });
        let bound: Vec<_> = bound.collect();
        let names: Vec<_> = bound
            .iter()
            .map(|(node, _, front)| (compact(*node), compact(*front)))
            .collect();
        let fronts = bound.iter().map(|(.., front)| *front).collect();
        for (node, front, _) in bound {
            let ways = Ways {
                names: names.clone(),
                lossy: lossy.clone(),
                slow: slow.clone(),
            };
            thread::spawn(move || forward(node, &front, &ways));
        }
        Self {
            fronts,
            lossy,
            slow,
        }
    }
}

/// How replies are treated.
#[derive(Clone)]
struct Ways {
    names: Vec<([u8; 6], [u8; 6])>,
    lossy: Arc<AtomicBool>,
    slow: Arc<AtomicBool>,
}

/// An address as DHT nodes write it (BEP5, compact IP address and port).
fn compact(address: SocketAddrV4) -> [u8; 6] {
    let [a, b, c, d] = address.ip().octets();
    let [e, f] = address.port().to_be_bytes();
    [a, b, c, d, e, f]
}

/// Forwards for one node, each asker by a socket of its own. Ends with the test's process.
fn forward(node: SocketAddrV4, front: &UdpSocket, ways: &Ways) {
    let mut askers: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let mut buffer = [0; 2048];
    while let Ok((len, asker)) = front.recv_from(&mut buffer) {
        let back = askers.entry(asker).or_insert_with(|| {
            let back = UdpSocket::bind(LOOPBACK).unwrap();
            let (from, front) = (back.try_clone().unwrap(), front.try_clone().unwrap());
            let ways = ways.clone();
            thread::spawn(move || answer(&from, &front, asker, &ways));
            back
        });
        back.send_to(&buffer[..len], node).unwrap();
    }
}

fn answer(from: &UdpSocket, front: &UdpSocket, asker: SocketAddr, ways: &Ways) {
    let mut buffer = [0; 2048];
    let mut replies = 0;
    from.set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    while let Ok(len) = from.recv(&mut buffer) {
        replies += 1;
        if ways.lossy.load(Ordering::SeqCst) && replies % 10 != 0 {
            continue;
        }
        let mut reply = buffer[..len].to_vec();
        for at in 0..len.saturating_sub(5) {
            let found = ways
                .names
                .iter()
                .find(|(node, _)| reply[at..at + 6] == node[..]);
            if let Some((_, front)) = found {
                reply[at..at + 6].copy_from_slice(front);
            }
        }
        let front = front.try_clone().unwrap();
        let wait = match ways.slow.load(Ordering::SeqCst) {
            true => REPLIES_TAKE,
            false => Duration::ZERO,
        };
        thread::spawn(move || {
            thread::sleep(wait);
            // The asker may be gone: the test has ended.
            _ = front.send_to(&reply, asker);
        });
    }
}
