//! The board on a virtual clock: who is found there, and what a write may cost.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{
    BoardResult, DiscoveryEvent, EndpointAddr, Epoch, PageDrop, SkipReason, UnixMillis,
};
use proptest::prelude::*;

use super::model::{MS, Rules, S, World};
use super::*;
use crate::config::Config;
use crate::core::Input;
use crate::core::page::MAX_LEVEL;
use crate::core::testing::{NOW, TOPIC, keys, peer, signed_record};

const BOTH: [Rules; 2] = [Rules::Strict, Rules::Lenient];

fn page_at(epoch: Epoch, slot: u8, level: u8) -> (Place, PageAt) {
    let keys = keys((epoch.0 % 97) as u8);
    let at = Place {
        level,
        ..place(TOPIC, epoch, slot)
    };
    let (key, salt) = (keys.board_key.clone(), at.salt(&keys));
    (at, PageAt { key, salt })
}

/// So many nodes write at once; then a fresh reader reads once. Says whom it found, and prints
/// what it cost.
fn recall(world: &mut World, writers: u8) -> usize {
    let nodes: Vec<_> = (1..=writers).map(|n| world.add(n)).collect();
    for at in &nodes {
        world.join(*at);
        // It writes, and looks for nobody.
        world.feed(*at, Input::Neighbors(TOPIC, vec![peer(200).id]));
    }
    world.run_until(20 * S);
    let reader = world.add(200);
    world.join(reader);
    world.run_until(23 * S);
    let found = world.nodes[reader].found().len();
    let first = world.nodes[reader].events.iter().find_map(|(at, e)| {
        matches!(e, DiscoveryEvent::PeerFound { .. }).then(|| (*at - 20 * S).as_millis())
    });
    let writes = world.nodes.iter().take(nodes.len());
    let results: Vec<_> = writes.clone().flat_map(|node| node.results()).collect();
    let stored = results.iter().filter(|r| **r == BoardResult::Stored);
    let puts: usize = writes.clone().map(|node| node.puts.len()).sum();
    let settled = writes.flat_map(|node| &node.events).filter_map(|(at, e)| {
        matches!(e, DiscoveryEvent::BoardWritten { .. }).then_some(at.as_millis())
    });
    println!(
        "{:?}: {writers} writers, loss {} %, liars {}, careless {}: a reader finds {found}, the first after \
         {first:?} ms; {} of {} stored, {:.1} puts each, settled after {:?} ms",
        world.rules,
        world.loss,
        world.liars,
        world.careless,
        stored.count(),
        results.len(),
        puts as f64 / f64::from(writers),
        settled.max(),
    );
    found
}

#[test]
fn a_reader_finds_all_of_few_and_twenty_of_many() {
    for rules in BOTH {
        for (seed, writers) in [(1, 2), (2, 5), (3, 10), (4, 20), (5, 20), (6, 20), (7, 50)] {
            let mut world = World::new(seed, rules);
            let found = recall(&mut world, writers);
            assert!(found >= usize::from(writers.min(20)), "{found}");
        }
    }
}

#[test]
fn loss_and_storing_nodes_that_lie_cost_nobody() {
    for rules in BOTH {
        for (seed, loss, liars) in [(1, 15, 0), (2, 0, 10), (3, 15, 5)] {
            let mut world = World::new(seed, rules);
            (world.loss, world.liars) = (loss, liars);
            let found = recall(&mut world, 20);
            assert!(found >= 20, "{found}");
        }
    }
}

/// Storing nodes that take no notice of `cas`: only reading back is left where all are such.
#[test]
fn storing_nodes_without_cas_cost_few() {
    for rules in BOTH {
        for (seed, careless) in [(1, 5), (2, 10), (3, 20), (4, 20)] {
            let mut world = World::new(seed, rules);
            world.careless = careless;
            let found = recall(&mut world, 20);
            assert!(found >= if careless < 20 { 20 } else { 10 }, "{found}");
        }
    }
}

/// These write one after the other. Says whom a fresh reader finds, and how many pages were put.
fn one_after_the_other(writers: impl Iterator<Item = u8>) -> (usize, usize) {
    let mut world = World::new(1, Rules::Strict);
    for n in writers {
        let at = world.add(n);
        world.join(at);
        world.run_until(world.now + 3 * S);
    }
    let puts = world.nodes.iter().map(|node| node.puts.len()).sum();
    let reader = world.add(200);
    world.join(reader);
    world.run_until(world.now + 2 * S);
    (world.nodes[reader].found().len(), puts)
}

/// A page holds seven: whoever meets a full one goes to its second slot, and nobody is replaced.
#[test]
fn a_full_slot_is_gone_around() {
    let first = |n: &u8| page::slots_of(peer(*n).id, Epoch::at(NOW))[0];
    let same = (1..=199).filter(|n| first(n) == 0).take(16);
    let (found, puts) = one_after_the_other(same);
    assert_eq!(found, 16);
    assert!(puts <= 2 * 16, "{puts}");
}

/// Full pages hold the freshest, and the rest do not fight for a place.
#[test]
fn two_full_slots_are_left_alone() {
    let slots = |n: &u8| page::slots_of(peer(*n).id, Epoch::at(NOW));
    let in_four: Vec<_> = (1..=199)
        .filter(|n| slots(n).iter().all(|s| *s < 4))
        .collect();
    let (writers, room) = (in_four.len(), 4 * 7);
    assert!(writers > room, "{writers}");
    let (found, puts) = one_after_the_other(in_four.into_iter());
    assert!((room - 2..=room).contains(&found), "{found}");
    assert!(puts <= 2 * writers, "{puts}");
}

#[test]
fn clocks_ten_minutes_apart_share_a_slot() {
    for rules in BOTH {
        let mut world = World::new(1, rules);
        let offsets = [600_000, 0, 300_000, 590_000];
        let config = |config: &mut Config| config.sources.rendezvous = false;
        for (n, offset) in (1..).zip(offsets) {
            let at = world.add_with(n, offset, config);
            world.join(at);
            world.run_until(world.now + 5 * S);
        }
        world.run_until(60 * S);
        let reader = world.add_with(9, 0, config);
        world.join(reader);
        world.run_until(63 * S);
        assert_eq!(world.nodes[reader].found().len(), 4);
    }
}

/// The same number never stands for two pages of one writer, and none is the last one there is.
#[test]
fn sequence_numbers_only_grow() {
    let mut world = World::new(1, Rules::Lenient);
    let nodes: Vec<_> = (1..=20).map(|n| world.add(n)).collect();
    for at in &nodes {
        world.join(*at);
        world.feed(*at, Input::Neighbors(TOPIC, vec![peer(200).id]));
    }
    world.run_until(1200 * S);
    for node in &world.nodes {
        let mut pages = HashMap::new();
        let mut last = 0;
        assert!(node.puts.len() >= 3, "{}", node.puts.len());
        for (seq, page) in &node.puts {
            assert!(*seq >= last && *seq < NOW.0 as i64 + 1_300_000);
            assert_eq!(pages.entry(*seq).or_insert(page), &page);
            last = *seq;
        }
    }
}

#[test]
fn who_is_behind_a_firewall_is_found_on_the_board() {
    let mut world = World::new(1, Rules::Strict);
    let hidden = world.add_with(1, 0, |_| {});
    world.nodes[hidden].is_blocked = true;
    world.join(hidden);
    world.run_until(3 * S);
    assert!(
        world.nodes[hidden].puts.is_empty(),
        "a hello may still come"
    );
    world.run_until(60 * S);
    assert_eq!(world.nodes[hidden].results(), [BoardResult::Stored]);
    let other = world.add_with(2, 0, |_| {});
    world.nodes[other].is_blocked = true;
    world.join(other);
    world.run_until(62 * S);
    assert_eq!(world.nodes[other].found(), [peer(1).id].into());
    let (at, _) = &world.nodes[other]
        .events
        .iter()
        .find(|(_, e)| {
            matches!(
                e,
                DiscoveryEvent::PeerFound {
                    source: Source::Board,
                    ..
                }
            )
        })
        .unwrap();
    assert!(*at > 60 * S + 400 * MS, "the rendezvous comes first");
}

#[test]
fn whom_hellos_reach_writes_nothing_unless_it_has_a_relay() {
    for relay in [None, Some("https://relay.example/".to_owned())] {
        let mut world = World::new(1, Rules::Strict);
        let early = world.add_with(1, 0, |_| {});
        let has_relay = relay.is_some();
        let address = EndpointAddr { relay, ..peer(1) };
        world.feed(early, Input::Address(address));
        world.join(early);
        world.run_until(S);
        let late = world.add_with(2, 0, |_| {});
        world.join(late);
        world.run_until(2 * S);
        world.feed(early, Input::Neighbors(TOPIC, vec![peer(2).id]));
        world.feed(late, Input::Neighbors(TOPIC, vec![peer(1).id]));
        let reads = world.nodes[early].reads;
        world.run_until(1500 * S);
        let node = &world.nodes[early];
        assert_eq!(!node.puts.is_empty(), has_relay);
        if !has_relay {
            // One slot at each turn.
            let turns = node.announces;
            assert!((4..=10).contains(&turns), "{turns}");
            assert!((turns - 1..=turns).contains(&(node.reads - reads)));
        }
    }
}

/// Nobody says hello to the second one: everybody has neighbors.
#[test]
fn an_unreached_node_announces_every_second_turn() {
    let mut world = World::new(1, Rules::Strict);
    let at = world.add_with(1, 0, |_| {});
    world.nodes[at].is_blocked = true;
    world.join(at);
    world.run_until(10 * S);
    world.feed(at, Input::Neighbors(TOPIC, vec![peer(2).id]));
    world.run_until(3000 * S);
    let node = &world.nodes[at];
    let writes = node.results().len();
    assert!(node.results().iter().all(|r| *r == BoardResult::Stored));
    assert!((8..=20).contains(&writes), "{writes}");
    assert!(
        node.announces.abs_diff(writes / 2) <= 1,
        "{}",
        node.announces
    );
}

#[test]
fn a_flooded_rendezvous_makes_reachable_nodes_write() {
    let mut world = World::new(1, Rules::Strict);
    let a = world.add_with(1, 0, |_| {});
    world.join(a);
    world.run_until(S);
    let b = world.add_with(2, 0, |_| {});
    world.join(b);
    world.run_until(10 * S);
    assert!(world.nodes[a].puts.is_empty(), "it is reached");
    let false_entry = |n: u16| SocketAddrV4::new([127, 0, 0, 1].into(), 30_000 + n);
    for entries in world.entries.values_mut() {
        *entries = (0..500).map(false_entry).collect();
    }
    world.run_until(60 * S);
    assert_eq!(world.nodes[a].results(), [BoardResult::Stored]);
    let late = world.add_with(3, 0, |_| {});
    world.join(late);
    world.run_until(65 * S);
    assert!(world.nodes[late].found().contains(&peer(1).id));
}

/// Only a member can sign a page. One that does plants pages that nobody can replace.
#[test]
fn unwritable_pages_are_gone_around_and_all_of_them_end_the_write() {
    let epoch = Epoch::at(NOW);
    let ahead = NOW.0 as i64 + 3_600_000;
    for (levels, seq) in [(1, i64::MAX - 1), (1, ahead), (2, i64::MAX), (3, ahead)] {
        let mut world = World::new(1, Rules::Strict);
        for slot in 0..SLOTS {
            for level in 0..levels {
                let (at, page_at) = page_at(epoch, slot, level);
                let page = page::seal(&at, &keys((epoch.0 % 97) as u8), &[], [7; 24]);
                world.plant(&page_at, seq, &page);
            }
        }
        let found = recall(&mut world, 10);
        let expected = match levels {
            3 => BoardResult::Hostile,
            _ => BoardResult::Stored,
        };
        let node = &world.nodes[0];
        assert_eq!(node.results(), [expected]);
        assert!(node.page_drops(PageDrop::HostileSeq) >= levels.into());
        assert_eq!(found, if levels == 3 { 0 } else { 10 }, "{levels} levels");
    }
    assert_eq!(MAX_LEVEL, 2);
}

/// Values that are no pages are replaced.
#[test]
fn garbage_is_counted_and_replaced() {
    let mut world = World::new(1, Rules::Strict);
    let epoch = Epoch::at(NOW);
    for slot in 0..SLOTS {
        world.plant(&page_at(epoch, slot, 0).1, 5, b"spam");
    }
    let found = recall(&mut world, 10);
    assert_eq!(found, 10);
    assert!(world.nodes[0].page_drops(PageDrop::Length) > 0);
}

#[test]
fn a_bad_record_is_dropped_alone_and_the_newest_of_an_endpoint_wins() {
    let mut world = World::new(1, Rules::Strict);
    let epoch = Epoch::at(NOW);
    let moved = EndpointAddr {
        direct: vec![([127, 0, 0, 1], 30_000).into()],
        ..peer(3)
    };
    let at_ms = |ms| UnixMillis(NOW.0 - ms);
    let mut forged = signed_record(2, TOPIC, &peer(2), NOW);
    forged[50] ^= 1;
    let records = [
        forged,
        signed_record(5, TOPIC, &peer(5), at_ms(16 * 60_000)),
        signed_record(3, TOPIC, &moved, at_ms(1_000)),
        signed_record(3, TOPIC, &peer(3), at_ms(60_000)),
        vec![9; 40],
    ];
    let records: Vec<_> = records.iter().map(|r| &r[..]).collect();
    let (at, page_at) = page_at(epoch, 0, 0);
    let page = page::seal(&at, &keys((epoch.0 % 97) as u8), &records, [7; 24]);
    world.plant(&page_at, 5, &page);
    let reader = world.add(200);
    world.join(reader);
    world.run_until(2 * S);
    let node = &world.nodes[reader];
    assert_eq!(node.found(), [peer(3).id].into());
    for reason in [
        PageDrop::BadSignature,
        PageDrop::StaleRecord,
        PageDrop::Version,
    ] {
        assert!(node.page_drops(reason) > 0, "{reason:?}");
    }
    let addresses = node.events.iter().filter_map(|(_, event)| match event {
        DiscoveryEvent::PeerFound { peer, .. } => Some(peer.direct.clone()),
        _ => None,
    });
    assert!(addresses.clone().any(|direct| direct == moved.direct));
}

#[test]
fn a_neighbor_ends_the_reading() {
    let mut world = World::new(1, Rules::Strict);
    let at = world.add(1);
    world.join(at);
    world.run_until(50 * MS);
    let reads = world.nodes[at].reads;
    assert_eq!(reads, 4, "at most so many at once");
    world.feed(at, Input::Neighbors(TOPIC, vec![peer(2).id]));
    world.run_until(20 * S);
    let read_events = |world: &World| {
        let read =
            |(_, e): &&(Duration, DiscoveryEvent)| matches!(e, DiscoveryEvent::BoardRead { .. });
        world.nodes[at].events.iter().filter(read).count()
    };
    assert_eq!(read_events(&world), 0);
    // The own write has read its slot, and read it back.
    assert!(world.nodes[at].reads <= reads + 3);
    world.feed(at, Input::Neighbors(TOPIC, vec![]));
    world.run_until(25 * S);
    assert!(read_events(&world) >= 2, "alone again");
}

#[test]
fn a_lonely_reader_pauses_ever_longer() {
    let mut world = World::new(1, Rules::Strict);
    let at = world.add_with(1, 0, |_| {});
    world.join(at);
    world.run_until(600 * S);
    let rounds = world.nodes[at]
        .events
        .iter()
        .filter(|(_, e)| matches!(e, DiscoveryEvent::BoardRead { .. }));
    let rounds = rounds.count();
    assert!((5..=9).contains(&rounds), "{rounds}");
    let ticks = world.nodes[at].ticks;
    assert!(ticks < 1000, "it never spins: {ticks}");
}

#[test]
fn the_budget_is_shared_with_announcements() {
    let mut world = World::new(1, Rules::Strict);
    let at = world.add_with(1, 0, |config| config.announces_per_minute = 1);
    world.nodes[at].is_blocked = true;
    world.join(at);
    world.run_until(10 * S);
    let node = &world.nodes[at];
    assert_eq!(node.announces, 1);
    assert!(node.puts.is_empty());
    let skipped = |(_, e): &(Duration, DiscoveryEvent)| {
        let reason = SkipReason::Budget;
        matches!(e, DiscoveryEvent::AnnounceSkipped { reason: r, .. } if *r == reason)
    };
    assert!(node.events.iter().any(skipped));
}

#[test]
fn a_dht_that_takes_nothing_is_tried_ever_more_rarely() {
    let mut world = World::new(1, Rules::Strict);
    world.loss = 100;
    let at = world.add(1);
    world.join(at);
    world.run_until(600 * S);
    let node = &world.nodes[at];
    assert!(node.results().iter().all(|r| *r == BoardResult::TimedOut));
    let writes = node.results().len();
    assert!((4..=9).contains(&writes), "{writes}");
    assert_eq!(node.puts.len(), 4 * writes, "one try and three retries");
}

#[test]
fn forgetting_a_topic_ends_reads_and_writes() {
    let mut world = World::new(1, Rules::Strict);
    let at = world.add(1);
    world.join(at);
    world.run_until(100 * MS);
    world.feed(at, Input::Forget(TOPIC));
    let (reads, events) = (world.nodes[at].reads, world.nodes[at].events.len());
    world.run_until(100 * S);
    let node = &world.nodes[at];
    assert_eq!((node.reads, node.events.len()), (reads, events));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_value_with_any_number_is_a_counted_drop(
        values in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..1100), any::<i64>()), 1..60)
    ) {
        let mut world = World::new(1, Rules::Strict);
        let at = world.add(1);
        world.join(at);
        world.run_until(3 * MS);
        let queries: Vec<_> = world.nodes[at].core.pages.keys().copied().collect();
        prop_assert!(!queries.is_empty());
        let before = world.nodes[at].events.len();
        for (value, seq) in &values {
            world.feed(at, Input::PageSeen(queries[0], value.clone(), *seq));
        }
        let dropped = world.nodes[at].events[before..].iter().filter(|(_, e)| {
            matches!(e, DiscoveryEvent::PageDropped { .. })
        });
        prop_assert!(dropped.count() >= values.len().min(32));
        world.run_until(5 * S);
    }
}
