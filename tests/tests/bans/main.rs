//! Whoever misbehaves is banned, and nobody else: whole nodes, and members with bad intent.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod hostile;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use iroh::endpoint::Connection;
use iroh::protocol::{AcceptError, ProtocolHandler, Router};
use kukuri::contract::{Epoch, Offense, UnixMillis, WallClock};
use kukuri::{Config, EndpointAddr, JoinOptions, Node, StoreChoice, Topic, TopicName, TopicSecret};
use kukuri_gossip::{ASK_ALPN, GOSSIP_ALPN};
use kukuri_tests::insider::{Insider, Place};
use kukuri_tests::series;
use tempfile::TempDir;
use tokio::time::sleep;

const SECRET: [u8; 32] = [7; 32];
/// Longest wait for anything. Generous: it costs its time only when the test fails.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two misdeeds: several a second.
const PACE: Duration = Duration::from_millis(200);
const MINUTE_MS: u64 = 60_000;

fn name() -> TopicName {
    "bans".parse().unwrap()
}

/// A clock that a test can move on.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Ahead {
    fn clock(&self) -> WallClock {
        let ahead = self.0.clone();
        let system = WallClock::system();
        WallClock::new(move || UnixMillis(system.now().0 + ahead.load(Ordering::Relaxed)))
    }

    fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

struct Started {
    node: Node,
    topic: Topic,
}

impl Started {
    fn address(&self) -> EndpointAddr {
        self.node.info().advertised.clone()
    }

    async fn series(&self, name: &str) -> f64 {
        series(&self.node.metrics().await, name).unwrap()
    }

    async fn bans(&self, offense: Offense) -> f64 {
        let reason = offense.as_str();
        self.series(&format!("kukuri_node_bans_total{{reason=\"{reason}\"}}"))
            .await
    }

    async fn all_bans(&self) -> f64 {
        let mut all = 0.0;
        for offense in Offense::ALL {
            all += self.bans(offense).await;
        }
        all
    }

    /// Waits until a peer was banned for this, and for nothing else.
    async fn bans_for(&self, offense: Offense) {
        eventually("the ban", async || self.bans(offense).await == 1.0).await;
        assert_eq!(self.all_bans().await, 1.0);
        let banned = async || self.series("kukuri_node_banned_peers").await == 1.0;
        eventually("the list of the banned", banned).await;
    }

    async fn neighbors(&self, n: usize) {
        let has = async || self.series("kukuri_gossip_neighbors").await == n as f64;
        eventually("neighbors", has).await;
    }

    async fn has_post(&self, body: &str) {
        let has = async || {
            let posts = self.topic.posts(UnixMillis(0), 10_000).await.unwrap();
            posts.iter().any(|post| post.body == body)
        };
        eventually("a post", has).await;
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < DEADLINE, "waited in vain for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn start_with(dir: &Path, clock: WallClock, peers: Vec<EndpointAddr>) -> Started {
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::Memory;
    config.discovery.mainline.sources.rendezvous = false;
    config.discovery.mainline.sources.board = false;
    config.gossip.iroh.answer_timeout_ms = 500;
    let node = Node::builder()
        .config(config)
        .data_dir(dir)
        .bind_ip(Ipv4Addr::LOCALHOST)
        .clock(clock)
        .spawn()
        .await
        .unwrap();
    let options = JoinOptions {
        secret: Some(TopicSecret::from_bytes(SECRET)),
        peers,
        ..JoinOptions::default()
    };
    let topic = node.join(name(), options).await.unwrap();
    Started { node, topic }
}

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

async fn start(dir: &Path, peers: Vec<EndpointAddr>) -> Started {
    start_with(dir, WallClock::system(), peers).await
}

/// A node and its neighbor, and a member that is the neighbor of the first one.
async fn three(dirs: [&Path; 2]) -> (Started, Started, Insider, Place) {
    let a = start(dirs[0], Vec::new()).await;
    let b = start(dirs[1], vec![a.address()]).await;
    a.neighbors(1).await;
    let insider = Insider::new(99, &name(), SECRET).await;
    let place = insider.join(&a.address()).await.unwrap();
    a.neighbors(2).await;
    (a, b, insider, place)
}

/// The insider is out and stays out, the honest neighbor stays in, and posts flow.
async fn assert_only_it_is_out(a: &Started, b: &Started, insider: &Insider) {
    a.neighbors(1).await;
    assert!(insider.enter(&a.address()).await.is_none());
    let refused = "kukuri_gossip_proofs_dropped_total{side=\"accepted\",reason=\"banned\"}";
    eventually("its refusal", async || a.series(refused).await >= 1.0).await;
    a.topic.post("goes on").await.unwrap();
    b.has_post("goes on").await;
    assert_eq!(b.all_bans().await, 0.0);
}

/// Does something again and again, until the node has banned somebody for it.
async fn until_banned(node: &Started, offense: Offense, mut again: impl AsyncFnMut(u64)) {
    let banned = node.bans_for(offense);
    let misdeeds = async {
        for n in 0.. {
            again(n).await;
            sleep(PACE).await;
        }
    };
    tokio::select! {
        () = banned => {}
        () = misdeeds => unreachable!("it goes on and on"),
    }
}

/// Its neighbor hands all of it on, and is none the worse for it.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_garbage_is_banned_and_who_hands_it_on_is_not() {
    let dirs = [dir(), dir()];
    let (a, b, insider, place) = three([dirs[0].path(), dirs[1].path()]).await;
    until_banned(&a, Offense::Garbage, async |n| {
        // Sealed with no key, and well sealed with a broken signature.
        let mut forged = insider.post(n + 1, WallClock::system().now(), n, b"forged");
        if n % 2 == 0 {
            let at = forged.len() - 1;
            let mut bytes = forged.to_vec();
            bytes[at] ^= 1;
            forged = bytes.into();
        }
        _ = place.sender.broadcast(forged).await;
        _ = place.sender.broadcast(format!("garbage {n}").into()).await;
    })
    .await;
    let malformed = "kukuri_node_posts_dropped_total{reason=\"malformed\"}";
    assert!(b.series(malformed).await >= 10.0, "it was handed on");
    let offenses = "kukuri_node_offenses_total{reason=\"garbage\"}";
    assert_eq!(b.series(offenses).await, 0.0);
    assert_only_it_is_out(&a, &b, &insider).await;
}

/// All of it valid posts.
#[tokio::test(flavor = "multi_thread")]
async fn who_floods_is_banned_and_its_posts_are_held_back() {
    let dirs = [dir(), dir()];
    let (a, b, insider, place) = three([dirs[0].path(), dirs[1].path()]).await;
    let now = WallClock::system().now();
    until_banned(&a, Offense::Flood, async |n| {
        for seq in n * 1000 + 1..=(n + 1) * 1000 {
            let post = insider.post(seq, now, seq, b"flood");
            _ = place.sender.broadcast(post).await;
        }
    })
    .await;
    let limited = "kukuri_node_posts_dropped_total{reason=\"rate_limited\"}";
    assert!(a.series(limited).await > 0.0);
    assert_only_it_is_out(&a, &b, &insider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_replays_old_posts_is_banned() {
    let dirs = [dir(), dir()];
    let (a, b, insider, place) = three([dirs[0].path(), dirs[1].path()]).await;
    let old = UnixMillis(WallClock::system().now().0 - 20 * MINUTE_MS);
    until_banned(&a, Offense::Replay, async |n| {
        // Sealed anew, so that it looks like another one.
        let post = insider.post(1, old, n, b"recorded");
        _ = place.sender.broadcast(post).await;
    })
    .await;
    assert_only_it_is_out(&a, &b, &insider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_is_no_question_is_banned_also_after_a_restart_until_the_ban_is_over() {
    let dirs = [dir(), dir()];
    let (a, b, insider, _place) = three([dirs[0].path(), dirs[1].path()]).await;
    let line = insider.line(&a.address()).await.unwrap();
    until_banned(&a, Offense::BadQuestion, async |_| {
        let epoch = Epoch::at(WallClock::system().now()).0.to_be_bytes();
        let question = [&[1], &epoch[..], &[5; 100]].concat();
        _ = Insider::ask(&line, insider.topic(), &question).await;
    })
    .await;
    // The connection that it had ends too.
    line.closed().await;
    assert_only_it_is_out(&a, &b, &insider).await;

    a.node.shutdown().await;
    drop(a);
    let ahead = Ahead::default();
    let a = start_with(dirs[0].path(), ahead.clock(), vec![b.address()]).await;
    assert_eq!(a.series("kukuri_node_banned_peers").await, 1.0);
    assert_only_it_is_out(&a, &b, &insider).await;
    ahead.advance(9 * MINUTE_MS);
    assert!(insider.enter(&a.address()).await.is_none());
    ahead.advance(MINUTE_MS);
    let free = async || a.series("kukuri_node_banned_peers").await == 0.0;
    eventually("the end of the ban", free).await;
    assert_eq!(a.all_bans().await, 0.0, "it was banned before the restart");
    let again = async || insider.enter(&a.address()).await.is_some();
    eventually("it is let in again", again).await;
}

/// Answers each question with noise.
#[derive(Debug)]
struct Noise;

impl ProtocolHandler for Noise {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        while let Ok((mut send, _recv)) = connection.accept_bi().await {
            // Status 0: the answer follows, of version 1.
            let mut answer = [7; 200];
            answer[..2].copy_from_slice(&[0, 1]);
            _ = send.write_all(&answer).await;
            _ = send.finish();
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_with_noise_is_banned() {
    let dirs = [dir(), dir()];
    let a = start(dirs[0].path(), Vec::new()).await;
    let insider = Insider::new(99, &name(), SECRET).await;
    let router = Router::builder(insider.endpoint.clone())
        .accept(ASK_ALPN, Noise)
        .spawn();
    let _place = insider.join(&a.address()).await.unwrap();
    // A new neighbor is asked at once, and again, since there is nobody else.
    a.bans_for(Offense::BadAnswer).await;
    let b = start(dirs[1].path(), vec![a.address()]).await;
    assert_only_it_is_out(&a, &b, &insider).await;
    router.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_oversize_questions_or_leaves_streams_open_is_banned() {
    for oversize in [true, false] {
        let dirs = [dir(), dir()];
        let (a, b, insider, _place) = three([dirs[0].path(), dirs[1].path()]).await;
        let line = insider.line(&a.address()).await.unwrap();
        let mut open = Vec::new();
        until_banned(&a, Offense::BadStream, async |_| match oversize {
            true => _ = Insider::ask(&line, insider.topic(), &[0; 70_000]).await,
            false => {
                // No more are allowed at once.
                open.drain(..open.len().saturating_sub(3));
                if let Ok((mut send, recv)) = line.open_bi().await {
                    _ = send.write_all(&[1, 2, 3]).await;
                    open.push((send, recv));
                }
            }
        })
        .await;
        assert_only_it_is_out(&a, &b, &insider).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_makes_claims_that_are_none_is_banned() {
    let dirs = [dir(), dir()];
    let (a, b, insider, _place) = three([dirs[0].path(), dirs[1].path()]).await;
    until_banned(&a, Offense::BadClaim, async |_| {
        if let Some(connection) = insider.reach(&a.address(), GOSSIP_ALPN).await {
            _ = Insider::claim_with(&connection, &[1; 8]).await;
        }
    })
    .await;
    assert_only_it_is_out(&a, &b, &insider).await;
}

/// More than a node broadcasts: the rest comes by gap repair. Nobody takes it for a flood.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_posts_a_lot_is_no_offender_and_all_of_it_arrives() {
    const POSTS: usize = 4_000;
    let dirs = [dir(), dir()];
    let a = start(dirs[0].path(), Vec::new()).await;
    let b = start(dirs[1].path(), vec![a.address()]).await;
    a.neighbors(1).await;
    for some in 0..POSTS / 100 {
        let posts = (0..100).map(|n| a.topic.post(format!("{some}/{n}")));
        for posted in futures_util::future::join_all(posts).await {
            posted.unwrap();
        }
    }
    let arrived = async || {
        let posts = b.topic.posts(UnixMillis(0), 10_000).await.unwrap();
        posts.len() == POSTS
    };
    eventually("all posts", arrived).await;
    assert_eq!(b.all_bans().await, 0.0);
    for offense in Offense::ALL {
        let offenses = format!(
            "kukuri_node_offenses_total{{reason=\"{}\"}}",
            offense.as_str()
        );
        assert_eq!(b.series(&offenses).await, 0.0, "{offenses}");
    }
}
