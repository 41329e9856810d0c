//! The clauses of the contract, and what a store promises, on a real SQLite file.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::Path;

use bytes::Bytes;
use kukuri_conformance::{Capability, EventLog, Made, Store, conforms};
use kukuri_contract::{
    AuthorId, EndpointAddr, EndpointId, Factory, KnownPeers, Outlet, Post, Remember, SavePost,
    Source, StoreDeps, StoreError, StoreEvent, StoreMaker, StorePort, TopicId, UnixMillis,
    WallClock,
};
use kukuri_store::{Config, InMemoryStore, MemoryConfig, MemorySetup, OpenError, SqliteStore};

const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
/// Posts of a topic that a clause can reach.
const KEPT: usize = 300;
const AUTHOR: AuthorId = AuthorId::from_bytes([1; 32]);

async fn try_open(
    dir: &Path,
    config: Config,
) -> Result<(StorePort, EventLog<StoreEvent>), OpenError> {
    let (log, listener) = EventLog::new();
    let deps = StoreDeps {
        data_dir: dir.to_owned(),
        clock: WallClock::new(|| UnixMillis(1000)),
        events: Outlet::new([listener]),
    };
    Ok((SqliteStore::spawn(config, deps).await?.port, log))
}

async fn open(dir: &Path) -> (StorePort, EventLog<StoreEvent>) {
    try_open(dir, Config::default()).await.unwrap()
}

fn post(seq: u64, time: u64) -> Post {
    Post {
        topic: TOPIC,
        author: AUTHOR,
        writer: AUTHOR,
        seq,
        time: UnixMillis(time),
        body: Bytes::from(format!("post {seq}")),
        revokes: None,
        envelope: Bytes::from(format!("signed post {seq}")),
    }
}

fn peer(n: u8, seen_at: u64) -> Remember {
    Remember {
        topic: TOPIC,
        peer: EndpointAddr {
            id: EndpointId::from_bytes([n; 32]),
            direct: vec![
                "192.0.2.7:4433".parse().unwrap(),
                "[2001:db8::7]:1".parse().unwrap(),
            ],
            relay: Some("https://relay.example/".into()),
        },
        source: Source::Rendezvous,
        seen_at: UnixMillis(seen_at),
    }
}

#[actix::test]
async fn the_clauses_of_the_contract() {
    let config = Config {
        max_posts_per_topic: KEPT,
        ..Config::default()
    };
    let maker = StoreMaker::of::<SqliteStore>(config);
    conforms::<Store>(&Made::by(maker).keeping(KEPT)).await;
}

#[actix::test]
async fn the_clauses_of_the_contract_in_memory() {
    // A node of its own has a store of its own; one that is started again finds what it had.
    let maker = |_| {
        let config = MemoryConfig {
            max_posts_per_topic: KEPT,
            ..MemoryConfig::default()
        };
        StoreMaker::of::<InMemoryStore>(MemorySetup::from(config))
    };
    let made = Made::each(maker).without(Capability::OnDisk);
    conforms::<Store>(&made.keeping(KEPT)).await;
}

#[test]
fn a_wrong_setting_of_a_store_in_memory_is_named() {
    let config = MemoryConfig {
        retention_days: 0,
        ..MemoryConfig::default()
    };
    let error = InMemoryStore::check(&config.into()).unwrap_err();
    assert!(
        error.to_string().contains("store.retention_days"),
        "{error}"
    );
}

#[actix::test]
async fn peers_are_bounded_and_the_last_seen_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        max_peers_per_topic: 2,
        ..Config::default()
    };
    let (port, _log) = try_open(dir.path(), config).await.unwrap();
    for (n, seen_at) in [(1, 10), (2, 30), (3, 20), (2, 5)] {
        port.remember(peer(n, seen_at)).await.unwrap();
    }
    let known = KnownPeers {
        topic: TOPIC,
        limit: 10,
    };
    let peers = port.known_peers(known).await.unwrap();
    let seen: Vec<_> = peers.iter().map(|p| (p.peer.id, p.seen_at.0)).collect();
    assert_eq!(seen, [(peer(2, 0).peer.id, 30), (peer(3, 0).peer.id, 20)]);
    assert_eq!(peers[0].peer, peer(2, 0).peer);
    assert_eq!(peers[0].source, Source::Rendezvous);
}

#[actix::test]
async fn writes_that_come_together_share_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let (port, mut log) = open(dir.path()).await;
    let writes = (1..=200).map(|seq| port.save_post(SavePost(post(seq, seq))));
    for saved in futures_util::future::join_all(writes).await {
        assert!(saved.unwrap().new);
    }
    let (mut commits, mut requests) = (0, 0);
    for event in log.drain() {
        if let StoreEvent::Committed { requests: n, .. } = event {
            (commits, requests) = (commits + 1, requests + n);
        }
    }
    assert_eq!(requests, 200);
    assert!(commits < 100, "{commits} transactions for 200 writes");
}

#[actix::test]
async fn files_that_can_not_be_used_are_typed_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kukuri.db");

    std::fs::write(&file, vec![7; 5000]).unwrap();
    let error = try_open(dir.path(), Config::default()).await.unwrap_err();
    let OpenError::Open { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(source, StoreError::Corrupt(_)), "{error}");

    std::fs::remove_file(&file).unwrap();
    let foreign = rusqlite::Connection::open(&file).unwrap();
    foreign.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(foreign);
    let error = try_open(dir.path(), Config::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    std::fs::remove_file(&file).unwrap();
    drop(open(dir.path()).await);
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    let error = try_open(dir.path(), Config::default()).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("update kukuri"), "{error}");

    let missing = try_open(&dir.path().join("missing"), Config::default()).await;
    let error = missing.unwrap_err();
    assert!(matches!(error, OpenError::Open { .. }), "{error}");
    let config = Config {
        max_batch: 0,
        ..Config::default()
    };
    let error = SqliteStore::check(&config).unwrap_err().to_string();
    assert!(error.contains("store.max_batch"), "{error}");
}
