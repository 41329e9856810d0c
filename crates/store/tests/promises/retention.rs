//! What is too old or too much goes, and does not come back.

use std::time::{Duration, Instant};

use kukuri_conformance::EventLog;
use kukuri_contract::{
    EndpointAddr, EndpointId, KnownPeers, LastSeq, Remember, Source, StoreEvent, StorePort,
    UnixMillis,
};
use kukuri_store::Config;

use crate::support::{
    DAY_MS, Hands, NOW, TOPIC, author, holding, holdings, open, post, save, seqs, try_open,
};

pub async fn pruned(log: &mut EventLog<StoreEvent>) -> (u64, u64) {
    let pick = |event| match event {
        StoreEvent::Pruned { posts, peers } => Some((posts, peers)),
        StoreEvent::Failed { error, .. } => panic!("{error}"),
        _ => None,
    };
    log.wait_for("the retention", pick).await
}

/// Waits for the retention to leave these posts.
async fn wait_until_left(port: &StorePort, expected: Vec<u64>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut left = seqs(port).await;
    while left != expected {
        assert!(Instant::now() < deadline, "left in the end: {left:?}");
        left = seqs(port).await;
    }
}

pub async fn last_seq(port: &StorePort) -> Option<u64> {
    let last = LastSeq {
        topic: TOPIC,
        author: author(1),
    };
    port.last_seq(last).await.unwrap()
}

#[actix::test]
async fn old_posts_go_and_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::at(NOW);
    let opened = try_open(dir.path(), Config::default(), hands.clock()).await;
    let (port, mut log) = opened.unwrap();
    save(&port, [1, 3].map(|seq| post(1, seq))).await;
    hands.advance_days(20);
    save(&port, [2, 5].map(|seq| post(1, seq))).await;
    save(&port, [post(2, 4)]).await;
    assert_eq!(seqs(&port).await, [1, 2, 3, 4, 5]);
    hands.advance_days(11);
    // Any request makes the store look at the clock.
    assert_eq!(last_seq(&port).await, Some(5));
    assert_eq!(pruned(&mut log).await, (2, 0));

    assert_eq!(
        seqs(&port).await,
        [2, 4, 5],
        "2 is below the floor, and young"
    );
    let settled = [holding(1, &[(1, 3), (5, 5)]), holding(2, &[(4, 4)])];
    assert_eq!(holdings(&port).await, settled);
    assert_eq!(save(&port, [1, 2, 3].map(|seq| post(1, seq))).await, 0);
    assert_eq!(save(&port, [post(1, 4)]).await, 1, "4 was never here");
    assert_eq!(seqs(&port).await, [2, 4, 4, 5]);

    hands.advance_days(40);
    assert_eq!(last_seq(&port).await, Some(5));
    assert_eq!(pruned(&mut log).await, (4, 0));
    assert_eq!(seqs(&port).await, []);
    assert_eq!(last_seq(&port).await, Some(5), "no number is used again");
    port.stop().await.unwrap();
    let (port, _log) = open(dir.path()).await;
    assert_eq!(last_seq(&port).await, Some(5));
    let settled = [holding(1, &[(1, 5)]), holding(2, &[(1, 4)])];
    assert_eq!(holdings(&port).await, settled);
    assert_eq!(save(&port, [5, 6].map(|seq| post(1, seq))).await, 1);
    assert_eq!(holdings(&port).await[0], holding(1, &[(1, 6)]));
}

/// The clock stands, and the store was not started again.
#[actix::test]
async fn many_new_posts_are_a_reason_for_the_retention() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        max_posts_per_topic: 10,
        ..Config::default()
    };
    let opened = try_open(dir.path(), config, Hands::at(NOW).clock()).await;
    let (port, _log) = opened.unwrap();
    let rare = [post(1, 600), post(1, 601), post(3, 700)];
    save(&port, rare.clone()).await;
    // The thousandth makes it due.
    save(&port, (1..=997).map(|seq| post(2, 1000 + seq))).await;
    let mut expected = vec![600, 601, 700];
    expected.extend(1991..=1997);
    wait_until_left(&port, expected).await;
}

#[actix::test]
async fn old_peers_are_not_told_and_then_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::at(NOW);
    let opened = try_open(dir.path(), Config::default(), hands.clock()).await;
    let (port, mut log) = opened.unwrap();
    for (n, days_ago) in [(1, 3), (2, 1), (3, 2), (4, 15)] {
        let seen_at = UnixMillis(NOW - days_ago * DAY_MS);
        let peer = EndpointAddr {
            id: EndpointId::from_bytes([n; 32]),
            direct: Vec::new(),
            relay: None,
        };
        let remember = Remember {
            topic: TOPIC,
            peer,
            source: Source::Rendezvous,
            seen_at,
        };
        port.remember(remember).await.unwrap();
    }
    let known = async || {
        let known = KnownPeers {
            topic: TOPIC,
            limit: 9,
        };
        let peers = port.known_peers(known).await.unwrap();
        let id = |peer: &kukuri_contract::KnownPeer| peer.peer.id.as_bytes()[0];
        peers.iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(known().await, [2, 3, 1], "the last seen first");
    hands.advance_days(12);
    assert_eq!(known().await, [2, 3], "too old by now");
    let mut forgotten = 0;
    while forgotten < 2 {
        forgotten += pruned(&mut log).await.1;
    }
    assert_eq!(known().await, [2, 3]);
}
