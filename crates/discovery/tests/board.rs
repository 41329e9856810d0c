//! The board on a real Mainline DHT, on loopback: members that no hello reaches, and whoever spoils
//! their pages.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Instant;

use kukuri_contract::{
    BoardResult, DiscoveryEvent, EndpointId, Epoch, EpochKeys, PageDrop, SetNeighbors, Source,
    TopicKeys, UnixMillis, WallClock,
};
use kukuri_discovery::core::page::{self, Place, SLOTS};
use kukuri_discovery::{LocalDht, Sources};
use mainline::async_dht::AsyncDht;
use mainline::{Dht, MutableItem, SigningKey};
use support::{Node, Start, config};

/// A clock that shows the first minute of an epoch when the test begins: what an attacker has put
/// into this epoch stays in the way.
fn clock() -> WallClock {
    static BEHIND: OnceLock<u64> = OnceLock::new();
    let now = WallClock::system().now().0;
    let behind = *BEHIND.get_or_init(|| now % 600_000);
    WallClock::new(move || UnixMillis(WallClock::system().now().0 - behind))
}

fn start(dht: &LocalDht, secret: Option<u8>) -> Start {
    let mut start = Start::new(config(&[dht.bootstrap()]));
    start.secret = secret;
    start.clock = clock();
    start
}

/// Nobody can find this node by a hello: it is on the board only.
async fn hidden(n: u64, dht: &LocalDht) -> Node {
    let mut start = start(dht, Some(7));
    start.config.sources = Sources {
        rendezvous: false,
        ..Sources::default()
    };
    start.node(n).await
}

/// A hidden node that writes its record and looks for nobody.
async fn writer(n: u64, dht: &LocalDht) -> Node {
    let node = hidden(n, dht).await;
    node.discover().await;
    let (topic, neighbors) = (node.topic, vec![EndpointId::from_bytes([9; 32])]);
    let set = SetNeighbors { topic, neighbors };
    node.port.set_neighbors(set).await.unwrap();
    node
}

async fn written(node: &mut Node) -> BoardResult {
    let over = |event| match event {
        DiscoveryEvent::BoardWritten { result, took, .. } => Some((result, took)),
        _ => None,
    };
    let (result, took) = node.log.wait_for("the end of a write", over).await;
    println!("{result:?} after {took:?}");
    result
}

/// Waits until so many of these were found on the board.
async fn reads(node: &mut Node, of: &BTreeSet<EndpointId>, wanted: usize) {
    let mut found = BTreeSet::<EndpointId>::new();
    let enough = |event| {
        if let DiscoveryEvent::PeerFound { peer, source, .. } = event {
            assert_eq!(source, Source::Board);
            found.extend(of.get(&peer.id));
        }
        (found.len() >= wanted).then_some(())
    };
    node.log.wait_for("enough members", enough).await;
}

#[actix::test]
async fn a_fresh_reader_finds_all_of_few_and_twenty_of_many() {
    println!(
        "| writers | stored | writes settled after | a reader has min(N, 20) after | finds in all |"
    );
    println!("|---|---|---|---|---|");
    for count in [2, 5, 10, 20, 50] {
        let dht = LocalDht::start(20, 0).unwrap();
        let start = Instant::now();
        let mut writers = Vec::new();
        for n in 1..=count {
            writers.push(writer(n, &dht).await);
        }
        let mut stored = 0;
        for node in &mut writers {
            stored += usize::from(written(node).await == BoardResult::Stored);
        }
        let settled = start.elapsed();
        let ids: BTreeSet<_> = writers.iter().map(|node| node.id).collect();
        let mut reader = hidden(100, &dht).await;
        let start = Instant::now();
        reader.discover().await;
        reads(&mut reader, &ids, count.min(20) as usize).await;
        let enough = start.elapsed();
        let records = |event| match event {
            DiscoveryEvent::BoardRead { records, took, .. } => {
                println!("{records} records after {took:?}");
                Some(records)
            }
            _ => None,
        };
        // The first round may have begun with an empty routing table.
        let first = reader.log.wait_for("a round", records).await;
        let all = reader.log.wait_for("a round", records).await.max(first);
        println!("| {count} | {stored} | {settled:.1?} | {enough:.1?} | {all} |");
    }
}

/// The rendezvous brings nothing, so the board is read, and nobody says hello, so it is written.
#[actix::test]
async fn a_node_with_both_sources_finds_a_hidden_one() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut early = writer(1, &dht).await;
    assert_eq!(written(&mut early).await, BoardResult::Stored);
    let mut late = start(&dht, Some(7)).node(2).await;
    late.discover().await;
    assert_eq!(late.finds(early.id).await.1, Source::Board);
    // Nobody says hello to it either, so it writes too.
    assert_eq!(written(&mut late).await, BoardResult::Stored);
}

#[actix::test]
async fn a_secret_keeps_others_away_from_the_board() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut member = writer(1, &dht).await;
    written(&mut member).await;
    let mut start = start(&dht, None);
    start.config.sources.rendezvous = false;
    let mut stranger = start.node(2).await;
    stranger.discover().await;
    for _ in 0..2 {
        let round = |event| match event {
            DiscoveryEvent::BoardRead { records, .. } => Some(records),
            DiscoveryEvent::PeerFound { .. } => panic!("a member of another topic"),
            _ => None,
        };
        assert_eq!(stranger.log.wait_for("a round", round).await, 0);
    }
}

// --- whoever spoils pages ------------------------------------------------------------------------

/// A DHT node of somebody with bad intent, and what a member knows.
struct Attacker {
    dht: AsyncDht,
    keys: EpochKeys,
    at: Place,
}

impl Attacker {
    async fn new(dht: &LocalDht, member: &Node) -> Self {
        let node = Dht::builder()
            .bootstrap(&[dht.bootstrap()])
            .bind_address([127, 0, 0, 1].into())
            .build()
            .unwrap()
            .as_async();
        assert!(node.bootstrapped().await);
        let epoch = Epoch::at(clock().now());
        let topic = member.topic;
        let derive = TopicKeys { topic, epoch };
        let keys = member.identity.topic_keys(derive).await.unwrap();
        let at = Place {
            topic,
            epoch,
            slot: 0,
            level: 0,
        };
        let dht = node;
        Self { dht, keys, at }
    }

    /// Puts this in every slot, as a member can.
    async fn spoil(&self, seq: i64, value: Option<&[u8]>) {
        for slot in 0..SLOTS {
            let at = Place { slot, ..self.at };
            let empty = page::seal(&at, &self.keys, &[], [7; 24]);
            let key = SigningKey::from_bytes(self.keys.board_key.expose());
            let salt = at.salt(&self.keys);
            let item = MutableItem::new(key, value.unwrap_or(&empty), seq, Some(&salt));
            self.dht.put_mutable(item, None).await.unwrap();
        }
    }
}

/// Writers come, and a reader; it finds them all. Says how often the reader dropped a page for this.
async fn all_are_found_all_the_same(dht: &LocalDht, reason: PageDrop) -> usize {
    let mut ids = BTreeSet::new();
    let mut writers = Vec::new();
    for n in 1..=5 {
        writers.push(writer(n, dht).await);
    }
    for node in &mut writers {
        assert_eq!(written(node).await, BoardResult::Stored);
        ids.insert(node.id);
    }
    let mut reader = hidden(100, dht).await;
    reader.discover().await;
    let (mut dropped, mut found) = (0, BTreeSet::<EndpointId>::new());
    let all = |event| {
        match event {
            DiscoveryEvent::PageDropped { reason: r } => dropped += usize::from(r == reason),
            DiscoveryEvent::PeerFound { peer, .. } => found.extend(ids.get(&peer.id)),
            _ => {}
        }
        (found.len() == ids.len()).then_some(())
    };
    reader.log.wait_for("all members", all).await;
    dropped
}

/// A member puts pages that nobody can replace: all go around them.
#[actix::test]
async fn a_sequence_number_far_ahead_is_gone_around() {
    for seq in [i64::MAX - 1, clock().now().0 as i64 + 3_600_000] {
        let dht = LocalDht::start(10, 0).unwrap();
        let member = hidden(50, &dht).await;
        Attacker::new(&dht, &member).await.spoil(seq, None).await;
        let dropped = all_are_found_all_the_same(&dht, PageDrop::HostileSeq).await;
        assert!(dropped > 0, "the reader saw the pages");
    }
}

/// A member fills all slots with noise: it is replaced.
#[actix::test]
async fn noise_in_every_slot_is_replaced() {
    let dht = LocalDht::start(10, 0).unwrap();
    let member = hidden(50, &dht).await;
    let attacker = Attacker::new(&dht, &member).await;
    attacker.spoil(5, Some(b"noise")).await;
    all_are_found_all_the_same(&dht, PageDrop::Length).await;
}

/// Who knows the public key and the salt but not the secret key can put nothing there.
#[actix::test]
async fn a_page_with_a_bad_signature_is_stored_nowhere() {
    let dht = LocalDht::start(10, 0).unwrap();
    let member = hidden(50, &dht).await;
    let attacker = Attacker::new(&dht, &member).await;
    let public = SigningKey::from_bytes(attacker.keys.board_key.expose()).verifying_key();
    for slot in 0..SLOTS {
        let at = Place {
            slot,
            ..attacker.at
        };
        let salt = at.salt(&attacker.keys);
        let forged = MutableItem::new_signed_unchecked(
            public.to_bytes(),
            [1; 64],
            b"spam",
            i64::MAX - 1,
            Some(&salt),
        );
        attacker.dht.put_mutable(forged, None).await.unwrap_err();
    }
    let dropped = all_are_found_all_the_same(&dht, PageDrop::HostileSeq).await;
    assert_eq!(dropped, 0, "no reader has seen any");
}
