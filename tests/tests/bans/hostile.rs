//! A swarm beside a member that does all at once: floods, replays, garbage, oversize frames, half-open
//! streams, false records.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kukuri::TopicEvent;
use kukuri::contract::{Epoch, Offense, UnixMillis, WallClock};
use kukuri_tests::insider::Insider;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{MINUTE_MS, SECRET, Started, dir, eventually, name, start};

/// Nodes of the swarm.
const NODES: usize = 6;
/// Times with the hostile member, and as many without, in turns.
const ROUNDS: u8 = 2;
/// Posts in each of them, and the pause between two.
const POSTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// What the hostile member sends of each kind, and how often: some 4000 broadcasts a second.
const EACH: u64 = 70;
const EVERY: Duration = Duration::from_millis(50);

/// When a post was sent, and when it came to whom.
#[derive(Default)]
struct Seen {
    sent: BTreeMap<String, Instant>,
    came: BTreeMap<(String, usize), Instant>,
}

/// From the call of `post` until the others were told, in milliseconds, in order.
fn latencies(seen: &Seen, kind: &str) -> Vec<f64> {
    let came = seen
        .came
        .iter()
        .filter(|((body, _), _)| body.starts_with(kind));
    let after = |((body, _), at): (&(String, usize), &Instant)| {
        let sent = seen.sent.get(body)?;
        Some(at.saturating_duration_since(*sent).as_secs_f64() * 1000.0)
    };
    let mut all: Vec<f64> = came.filter_map(after).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn listen(at: usize, node: &Started, seen: &Arc<Mutex<Seen>>) {
    let (mut events, seen) = (node.topic.events(), seen.clone());
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let TopicEvent::Post(post) = event {
                let body = String::from_utf8_lossy(&post.body).into_owned();
                let mut seen = seen.lock().unwrap();
                seen.came.entry((body, at)).or_insert_with(Instant::now);
            }
        }
    });
}

/// Does its worst until it is dropped.
async fn attack(insider: &Insider, nodes: &[(kukuri::EndpointAddr, SocketAddrV4)]) {
    let mut places = Vec::new();
    let mut lines = Vec::new();
    for (address, _) in nodes {
        places.extend(insider.join(address).await);
        lines.extend(insider.line(address).await);
    }
    let hello = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let now = WallClock::system().now();
    let old = UnixMillis(now.0 - 20 * MINUTE_MS);
    let mut open = Vec::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0.. {
        ticks.tick().await;
        let numbers = round * EACH + 1..=(round + 1) * EACH;
        // One of them is enough: the swarm hands it on.
        if let Some(place) = places.first() {
            for n in numbers {
                let flood = insider.post(n + 1, now, 2 * n, b"a flood of good posts");
                let replay = insider.post(1, old, 2 * n + 1, b"recorded");
                let garbage = format!("garbage {n}").into();
                for payload in [flood, replay, garbage] {
                    _ = place.sender.broadcast(payload).await;
                }
            }
        }
        for place in &places {
            // A frame that is larger than any, and a stream that never says what it is for.
            if let Ok(mut stream) = place.connection.open_uni().await {
                let header = [&32_u32.to_be_bytes()[..], insider.topic().as_bytes()].concat();
                _ = stream.write_all(&header).await;
                _ = stream.write_all(&[0xff; 64]).await;
                open.push((Some(stream), None));
            }
        }
        for line in &lines {
            let epoch = Epoch::at(WallClock::system().now()).0.to_be_bytes();
            let question = [&[1], &epoch[..], &[5; 2000]].concat();
            let asked = Insider::ask(line, insider.topic(), &question);
            _ = tokio::time::timeout(EVERY / 10, asked).await;
            let half = tokio::time::timeout(EVERY / 10, line.open_bi()).await;
            if let Ok(Ok((mut send, recv))) = half {
                _ = send.write_all(&[1, 2, 3]).await;
                open.push((None, Some((send, recv))));
            }
        }
        open.drain(..open.len().saturating_sub(200));
        for (_, to) in nodes {
            let packet = insider.false_record((round % 64) as u8 + 1, *to);
            _ = hello.send_to(&packet, to).await;
        }
    }
}

/// Prints how long posts take with the hostile member and without: for SECURITY.md.
#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_goes_on_beside_a_hostile_member() {
    let dirs: Vec<_> = (0..NODES).map(|_| dir()).collect();
    let mut nodes = Vec::new();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    for dir in &dirs {
        let peers = nodes.iter().map(Started::address).collect();
        let node = start(dir.path(), peers).await;
        listen(nodes.len(), &node, &seen);
        nodes.push(node);
    }
    for node in &nodes {
        let some = async || node.series("kukuri_gossip_neighbors").await >= 2.0;
        eventually("neighbors", some).await;
    }
    let info = |node: &Started| match node.node.info().hello {
        Some(SocketAddr::V4(hello)) => (node.address(), hello),
        other => panic!("no hello socket over IPv4: {other:?}"),
    };
    let infos: Vec<_> = nodes.iter().map(info).collect();
    for round in 0..ROUNDS {
        for kind in ["quiet", "hostile"] {
            let attacker = (kind == "hostile").then(|| {
                // Another endpoint each time: the last one is banned.
                let (n, infos) = (200 + round, infos.clone());
                tokio::spawn(async move {
                    let insider = Insider::new(n, &name(), SECRET).await;
                    attack(&insider, &infos).await;
                })
            });
            for n in 0..POSTS {
                let body = format!("{kind} {round} {n}");
                let sent = Instant::now();
                seen.lock().unwrap().sent.insert(body.clone(), sent);
                nodes[n % NODES].topic.post(body).await.unwrap();
                sleep(PAUSE).await;
            }
            if let Some(attacker) = attacker {
                attacker.abort();
            }
        }
    }
    let expected = usize::from(ROUNDS) * 2 * POSTS * (NODES - 1);
    let all = async || {
        let seen = seen.lock().unwrap();
        let came = seen
            .came
            .keys()
            .filter(|(body, _)| seen.sent.contains_key(body));
        came.count() >= expected
    };
    eventually("every post everywhere", all).await;
    let kinds = ["quiet", "hostile"].map(|kind| latencies(&seen.lock().unwrap(), kind));
    report(&nodes, kinds).await;
    for node in &nodes {
        let banned = node.series("kukuri_node_banned_peers").await;
        assert!(
            banned <= f64::from(ROUNDS),
            "{banned}: an honest node is banned"
        );
        assert!(node.series("kukuri_gossip_neighbors").await >= 1.0);
    }
    let all = futures_util::future::join_all(nodes.iter().map(Started::all_bans)).await;
    assert!(all.iter().any(|bans| *bans >= 1.0), "{all:?}");
}

async fn report(nodes: &[Started], [quiet, hostile]: [Vec<f64>; 2]) {
    let at = |all: &[f64], share: f64| all[((all.len() - 1) as f64 * share) as usize];
    for (name, share) in [
        ("median", 0.5),
        ("p95", 0.95),
        ("p99", 0.99),
        ("longest", 1.0),
    ] {
        let (quiet, hostile) = (at(&quiet, share), at(&hostile, share));
        let ratio = hostile / quiet;
        println!("{name}: {quiet:.1} ms without, {hostile:.1} ms with, x {ratio:.2}");
    }
    for offense in Offense::ALL {
        let mut bans = Vec::new();
        for node in nodes {
            bans.push(node.bans(offense).await);
        }
        println!("bans for {}: {bans:?}", offense.as_str());
    }
    for node in nodes {
        let metrics = node.node.metrics().await;
        let lines = metrics.lines().filter(|line| {
            line.starts_with("kukuri_node_posts_dropped_total")
                || line.starts_with("kukuri_node_posts_repaired_total")
        });
        let lines: Vec<_> = lines.filter(|line| !line.ends_with(" 0")).collect();
        println!("{lines:?}");
    }
}
