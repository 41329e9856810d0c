//! Back-pressure: a flood from one's own API, and readers that are too slow.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kukuri::contract::UnixMillis;
use kukuri::{Config, JoinOptions, Node, PostError, StoreChoice, Topic, TopicEvent};
use tempfile::TempDir;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(120);

async fn start(event_buffer: usize, peers: Vec<kukuri::EndpointAddr>) -> (Node, Topic, TempDir) {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::Memory;
    config.discovery.mainline.sources.rendezvous = false;
    config.discovery.mainline.sources.board = false;
    config.node.event_buffer = event_buffer;
    config.node.probe_every_ms = 20;
    let node = Node::builder()
        .config(config)
        .data_dir(dir.path())
        .bind_ip(Ipv4Addr::LOCALHOST)
        .spawn()
        .await
        .unwrap();
    let options = JoinOptions {
        peers,
        ..JoinOptions::default()
    };
    let topic = node.join("flood".parse().unwrap(), options).await.unwrap();
    (node, topic, dir)
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// As many callers as can be at once, each as fast as it can: what is too much is refused, with a
/// type that says so, and nothing piles up.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_memory_stays_flat() {
    const CALLERS: usize = 2_000;
    const ROUNDS: usize = 5;
    let (node, topic, _dir) = start(1024, Vec::new()).await;
    let body = vec![b'x'; 2_000];
    let (posted, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flood = async || {
        let post = async || match topic.post(body.clone()).await {
            Ok(_) => posted.fetch_add(1, Ordering::Relaxed),
            Err(PostError::Busy(limit)) => {
                assert!(limit >= 1);
                busy.fetch_add(1, Ordering::Relaxed)
            }
            Err(other) => panic!("{other}"),
        };
        futures_util::future::join_all((0..CALLERS).map(|_| post())).await;
    };
    flood().await;
    let before = resident();
    for _ in 0..ROUNDS {
        flood().await;
    }
    let grown = resident().saturating_sub(before);
    let (posted, busy) = (posted.into_inner(), busy.into_inner());
    println!(
        "posted {posted}, refused {busy}, memory grew by {} KiB",
        grown / 1024
    );
    assert_eq!(posted + busy, (ROUNDS + 1) * CALLERS);
    assert!(posted > 0 && busy > 0, "posted {posted}, refused {busy}");
    // The floods together brought 20 MB; the bound is on what stays.
    assert!(grown < 16 << 20, "memory grew by {grown} bytes");
    // Busy is not dead: no service was started again.
    let metrics = node.metrics().await;
    let restarts = metrics
        .lines()
        .filter(|l| l.starts_with("kukuri_node_restarts_total"));
    assert!(restarts.clone().count() > 0);
    assert!(
        restarts.clone().all(|line| line.ends_with(" 0")),
        "{metrics}"
    );
    // It goes on, and everything that was acknowledged is there.
    topic.post("after the flood").await.unwrap();
    let stored = topic.posts(UnixMillis(0), 10_000).await.unwrap();
    assert_eq!(stored.len(), (posted + 1).min(10_000));
    node.shutdown().await;
}

/// A join that its caller did not wait for is no obstacle to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_was_given_up_can_be_made_again() {
    let (node, topic, _dir) = start(16, Vec::new()).await;
    let join = || node.join("tea".parse().unwrap(), JoinOptions::default());
    // The node is told, and the answer is not waited for.
    let mut given_up = Box::pin(join());
    assert!(futures_util::poll!(given_up.as_mut()).is_pending());
    drop(given_up);
    let again = async {
        loop {
            match join().await {
                Ok(topic) => return topic,
                // The first one is still being made.
                Err(kukuri::TopicError::AlreadyJoined) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let tea = timeout(DEADLINE, again).await.unwrap();
    tea.post("works").await.unwrap();
    // Who holds a topic keeps it.
    let second = join().await;
    assert!(matches!(second, Err(kukuri::TopicError::AlreadyJoined)));
    drop(topic);
}

/// A reader that never reads slows nobody, and is told what it missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_how_much_it_missed() {
    const POSTS: usize = 200;
    let (a, a_topic, _a_dir) = start(16, Vec::new()).await;
    let (_b, b_topic, _b_dir) = start(16, vec![a.info().advertised.clone()]).await;
    let mut slow = b_topic.events();
    let mut fast = b_topic.events();
    let reading = tokio::spawn(async move {
        let mut heard = 0;
        while heard < POSTS as u64 {
            match fast.next().await {
                Some(TopicEvent::Post(_)) => heard += 1,
                Some(TopicEvent::Lagged(missed)) => heard += missed,
                Some(_) => {}
                None => break,
            }
        }
        heard
    });
    for n in 0..POSTS {
        a_topic.post(format!("post {n}")).await.unwrap();
    }
    let heard = timeout(DEADLINE, reading).await.unwrap().unwrap();
    assert!(heard >= POSTS as u64);
    let first = timeout(DEADLINE, slow.next()).await.unwrap();
    let Some(TopicEvent::Lagged(missed)) = first else {
        panic!("{first:?}");
    };
    assert!(missed as usize >= POSTS - 16, "{missed}");
    let next = timeout(DEADLINE, slow.next()).await.unwrap();
    assert!(matches!(next, Some(TopicEvent::Post(_))), "{next:?}");
}
