//! Topics whose secret is replaced: nobody who stays misses anything, and whoever has only the old
//! secret is out.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kukuri::{
    Config, Former, JoinOptions, LocalDht, Node, StoreChoice, Topic, TopicEvent, TopicEvents,
    TopicName, TopicSecret, Verdict,
};
use kukuri_contract::{EPOCH_SECONDS, UnixMillis, WallClock};
use kukuri_tests::{DEADLINE, key_file, series};
use tempfile::TempDir;
use tokio::time::timeout;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

fn secret(byte: u8) -> Option<TopicSecret> {
    Some(TopicSecret::from_bytes([byte; 32]))
}

fn name() -> TopicName {
    "tea".parse().unwrap()
}

/// A clock that all nodes of a test share, and that can be set forward.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn wall(&self) -> WallClock {
        let (ahead, system) = (self.0.clone(), WallClock::system());
        WallClock::new(move || UnixMillis(system.now().0 + ahead.load(Ordering::Relaxed)))
    }

    fn in_ms(&self, ms: u64) -> UnixMillis {
        UnixMillis(self.wall().now().0 + ms)
    }
}

/// A node, the topic, and all that was heard of it.
struct Member {
    node: Node,
    topic: Topic,
    events: TopicEvents,
    /// Posts by their text, with how often each was told.
    got: BTreeMap<String, usize>,
    neighbors: usize,
    overlap_ended: bool,
    alone: bool,
}

impl Member {
    async fn start(
        dir: &Path,
        dht: Option<&LocalDht>,
        clock: &Clock,
        options: JoinOptions,
    ) -> Self {
        let mut config = Config::default();
        config.identity.keyring.store = StoreChoice::File;
        config.identity.keyring.key_file = Some(key_file(dir));
        config.discovery.mainline.sources.rendezvous = dht.is_some();
        config.discovery.mainline.sources.board = dht.is_some();
        let node = Node::builder()
            .config(config)
            .data_dir(dir)
            .clock(clock.wall())
            .bind_ip([127, 0, 0, 1].into())
            .dht_bootstrap(dht.map(|dht| dht.bootstrap().to_string()))
            .spawn()
            .await
            .unwrap();
        let topic = node.join(name(), options).await.unwrap();
        let events = topic.events();
        Self {
            node,
            topic,
            events,
            got: BTreeMap::new(),
            neighbors: 0,
            overlap_ended: false,
            alone: false,
        }
    }

    /// Takes another secret from now on.
    async fn rotate(&mut self, secret: Option<TopicSecret>, until: UnixMillis) {
        self.topic = self.topic.rotate(secret, until).await.unwrap();
        self.events = self.topic.events();
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let hear = async {
            while !holds(self) {
                match self.events.next().await.expect("the topic goes on") {
                    TopicEvent::Post(post) => {
                        let text = String::from_utf8(post.body.to_vec()).unwrap();
                        *self.got.entry(text).or_default() += 1;
                    }
                    TopicEvent::NeighborUp { neighbors, .. }
                    | TopicEvent::NeighborDown { neighbors, .. } => self.neighbors = neighbors,
                    TopicEvent::OverlapEnded => self.overlap_ended = true,
                    TopicEvent::Verdict(verdict) => self.alone = verdict == Verdict::Alone,
                    _ => {}
                }
            }
        };
        let in_time = timeout(DEADLINE, hear).await;
        in_time.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    async fn gets(&mut self, text: &str) {
        self.until(text, |member| member.got.contains_key(text))
            .await;
    }

    async fn has_neighbors(&mut self, n: usize) {
        self.until("neighbors", |member| member.neighbors == n)
            .await;
    }

    /// The texts of all posts in its store.
    async fn stored(&self) -> Vec<String> {
        let posts = self.topic.posts(UnixMillis(0), 1000).await.unwrap();
        let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
        posts.iter().map(|post| text(&post.body)).collect()
    }

    /// Waits until a series is at least so much.
    async fn counts(&self, name: &str, least: f64) {
        let grown = async {
            while series(&self.node.metrics().await, name) < Some(least) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let in_time = timeout(DEADLINE, grown).await;
        in_time.unwrap_or_else(|_| panic!("not in time: {name}"));
    }
}

fn under(secret: Option<TopicSecret>, peers: &[&Node]) -> JoinOptions {
    JoinOptions {
        secret,
        peers: peers
            .iter()
            .map(|node| node.info().advertised.clone())
            .collect(),
        ..JoinOptions::default()
    }
}

fn rotated(
    secret: Option<TopicSecret>,
    former: Option<TopicSecret>,
    until: UnixMillis,
) -> JoinOptions {
    JoinOptions {
        secret,
        former: Some(Former {
            secret: former,
            until,
        }),
        ..JoinOptions::default()
    }
}

/// A has rotated, B has not yet, C has the new secret only.
#[tokio::test(flavor = "multi_thread")]
async fn during_the_overlap_posts_go_to_both_and_each_is_told_once() {
    let clock = Clock::default();
    let dirs = [dir(), dir(), dir()];
    let until = clock.in_ms(3_600_000);
    let mut a = Member::start(dirs[0].path(), None, &clock, under(secret(1), &[])).await;
    let mut b = Member::start(dirs[1].path(), None, &clock, under(secret(1), &[&a.node])).await;
    b.has_neighbors(1).await;
    b.topic.post("before").await.unwrap();
    a.gets("before").await;

    a.rotate(secret(2), until).await;
    let mut c = Member::start(dirs[2].path(), None, &clock, under(secret(2), &[&a.node])).await;
    c.has_neighbors(1).await;
    a.topic.post("to both").await.unwrap();
    b.gets("to both").await;
    c.gets("to both").await;
    b.topic.post("from the old side").await.unwrap();
    a.gets("from the old side").await;
    c.topic.post("from the new side").await.unwrap();
    a.gets("from the new side").await;

    // B follows: its posts reach A under both secrets, and C.
    b.rotate(secret(2), until).await;
    b.topic.post("now under both").await.unwrap();
    a.gets("now under both").await;
    c.gets("now under both").await;
    b.gets("from the new side").await;

    // A starts again in the middle of the overlap: what was told is not told again.
    for text in ["one", "two", "three"] {
        a.topic.post(text).await.unwrap();
    }
    a.node.shutdown().await;
    b.topic.post("while A was away").await.unwrap();
    let mut options = rotated(secret(2), secret(1), until);
    options.peers = vec![b.node.info().advertised.clone()];
    let before = std::mem::take(&mut a.got);
    let mut a = Member::start(dirs[0].path(), None, &clock, options).await;
    a.gets("while A was away").await;
    b.topic.post("the last one").await.unwrap();
    for member in [&mut a, &mut c] {
        member.gets("the last one").await;
    }
    for got in [&before, &a.got, &b.got, &c.got] {
        assert!(got.values().all(|times| *times == 1), "{got:?}");
    }
    assert!(
        a.got.keys().all(|text| !before.contains_key(text)),
        "{:?}",
        a.got
    );
    let mut stored = a.stored().await;
    let all = stored.len();
    stored.dedup();
    assert_eq!(stored.len(), all, "the history is one list: {stored:?}");
    assert!(stored.contains(&"before".to_owned()), "{stored:?}");
    for member in [&a, &b, &c] {
        member.node.shutdown().await;
    }
}

/// C is an ex-member: it has the old secret, and was a neighbor.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_only_the_old_secret_is_out_when_the_overlap_has_ended() {
    let clock = Clock::default();
    let dht = LocalDht::start(10, 0).unwrap();
    let dirs = [dir(), dir(), dir(), dir(), dir()];
    let [mut a, mut b, mut c] = {
        let start =
            |n: usize| Member::start(dirs[n].path(), Some(&dht), &clock, under(secret(1), &[]));
        [start(0).await, start(1).await, start(2).await]
    };
    for member in [&mut a, &mut b, &mut c] {
        member.has_neighbors(2).await;
    }
    let until = clock.in_ms(5_000);
    a.rotate(secret(2), until).await;
    b.rotate(secret(2), until).await;
    a.topic.post("in the overlap").await.unwrap();
    c.gets("in the overlap").await;
    for member in [&mut a, &mut b] {
        member
            .until("the end of the overlap", |m| m.overlap_ended)
            .await;
    }
    c.has_neighbors(0).await;

    // Read and write.
    c.topic.post("let me in").await.unwrap();
    a.topic.post("among us").await.unwrap();
    b.gets("among us").await;
    // Gossip: C knows where they are, dials them, and is refused.
    let refused = "kukuri_gossip_proofs_dropped_total{side=\"dialed\",reason=\"refused\"}";
    c.counts(refused, 1.0).await;
    // DHT and hello: what it finds at the places of the old secret does not answer.
    let unanswered = "kukuri_discovery_drops_total{reason=\"unknown_tag\"}";
    for member in [&a, &b] {
        member.counts(unanswered, 1.0).await;
    }
    a.topic.post("still among us").await.unwrap();
    b.gets("still among us").await;
    let lost = |text: &str| text.contains("among us");
    assert!(
        !c.stored().await.iter().any(|text| lost(text)),
        "C reads on"
    );
    assert_eq!(c.neighbors, 0);
    for member in [&a, &b] {
        assert!(
            !member.stored().await.contains(&"let me in".to_owned()),
            "C writes on"
        );
    }

    // Find, at a later time and after a restart: under the old secret nobody is announced any more.
    for member in [&a, &b, &c] {
        member.node.shutdown().await;
    }
    clock
        .0
        .fetch_add(5 * EPOCH_SECONDS * 1000, Ordering::Relaxed);
    let again = || rotated(secret(2), secret(1), until);
    let mut a = Member::start(dirs[0].path(), Some(&dht), &clock, again()).await;
    let mut b = Member::start(dirs[1].path(), Some(&dht), &clock, again()).await;
    for member in [&mut a, &mut b] {
        member.has_neighbors(1).await;
    }
    let mut old = Member::start(dirs[3].path(), Some(&dht), &clock, under(secret(1), &[])).await;
    let mut new = Member::start(dirs[4].path(), Some(&dht), &clock, under(secret(2), &[])).await;
    new.until("a member of the new secret", |m| m.neighbors > 0)
        .await;
    new.gets("still among us").await;
    old.until("a verdict", |m| m.alone).await;
    assert!(old.stored().await.is_empty());
    let answered = series(
        &old.node.metrics().await,
        "kukuri_discovery_hellos_answered_total",
    );
    assert_eq!(answered, Some(0.0));
    for member in [&a, &b, &old, &new] {
        member.node.shutdown().await;
    }
}
