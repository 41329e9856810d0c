//! What cores do among each other, in a [`World`].

mod heal;
mod world;

use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{DiscoveryEvent, Epoch, HelloDrop, SkipReason, Source, TopicId, Verdict};

use super::*;
use crate::core::Ticket;
use crate::core::testing::{NOW, TOPIC, keys, peer};
use world::{FIRST, LOOKUP, MS, PUT, S, WIRE, World, hello_address};

#[test]
fn nodes_that_start_together_all_find_each_other() {
    for count in [2, 5, 20] {
        let mut world = World::new(count);
        let nodes: Vec<_> = (1..=count as u8).map(|n| world.add(n, 7, 0)).collect();
        for at in nodes {
            world.join(at);
        }
        world.run_until(S);
        for node in &world.nodes {
            assert_eq!(node.found().len(), count as usize - 1);
            // The announcement, the second look-up at its end, its first entries, one hello.
            let (at, _) = node.first_found().unwrap();
            assert!(at <= PUT + FIRST + 2 * WIRE + 45 * MS, "{at:?}");
            assert_eq!(node.announces, 1);
        }
    }
}

#[test]
fn a_late_joiner_needs_one_look_up() {
    let mut world = World::new(1);
    let (early, late) = (world.add(1, 7, 0), world.add(2, 7, 0));
    world.join(early);
    world.run_until(60 * S);
    world.join(late);
    world.run_until(61 * S);
    let (at, source) = world.nodes[late].first_found().unwrap();
    assert_eq!(source, Source::Rendezvous);
    assert_eq!(at, 60 * S + FIRST + 2 * WIRE);
    // One exchange makes both known to each other.
    assert_eq!(world.nodes[early].first_found().unwrap().1, Source::Inbound);
}

#[test]
fn another_secret_is_another_world() {
    let mut world = World::new(1);
    let (a, b) = (world.add(1, 7, 0), world.add(2, 107, 0));
    world.join(a);
    world.join(b);
    // Somebody lists the stranger under our rendezvous, too.
    for entries in world.entries.values_mut() {
        entries.extend([hello_address(1), hello_address(2)]);
    }
    world.run_until(S);
    let everywhere = [hello_address(1), hello_address(2)];
    world
        .entries
        .values_mut()
        .for_each(|entries| entries.extend(everywhere));
    world.run_until(30 * S);
    for at in [a, b] {
        assert!(world.nodes[at].found().is_empty());
        assert!(
            world.nodes[at].drops(HelloDrop::UnknownTag) > 0,
            "and it is counted"
        );
        assert!(world.nodes[at].drops(HelloDrop::NoAnswer) > 0);
    }
}

#[test]
fn clocks_ten_minutes_apart_meet() {
    for offset in [-600_000, -300_000, 300_000, 600_000] {
        let mut world = World::new(1);
        let (a, b) = (world.add(1, 7, 0), world.add(2, 7, offset));
        world.join(a);
        world.join(b);
        world.run_until(5 * S);
        assert_eq!(world.nodes[a].found().len(), 1, "{offset}");
        assert_eq!(world.nodes[b].found().len(), 1, "{offset}");
    }
}

#[test]
fn a_wrong_clock_is_told_by_many_members() {
    let mut world = World::new(1);
    let wrong = world.add(1, 7, 300_000);
    for n in 2..=5 {
        let at = world.add(n, 7, 0);
        world.join(at);
    }
    world.join(wrong);
    world.run_until(15 * S);
    assert_eq!(world.nodes[wrong].verdicts(), [Verdict::ClockSkewed]);
    assert_eq!(world.nodes[1].verdicts(), [Verdict::FoundButUnreachable]);
}

#[test]
fn hellos_survive_loss() {
    let mut world = World::new(42);
    world.loss = 30;
    let nodes: Vec<_> = (1..=10).map(|n| world.add(n, 7, 0)).collect();
    for at in nodes {
        world.join(at);
    }
    world.run_until(10 * S);
    for node in &world.nodes {
        assert!(node.found().len() >= 8, "{}", node.found().len());
    }
}

#[test]
fn a_silent_address_is_not_hammered() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    world.join(at);
    let victim: SocketAddrV4 = "127.0.0.1:9999".parse().unwrap();
    world.run_until(S);
    world
        .entries
        .values_mut()
        .for_each(|entries| entries.push(victim));
    world.run_until(601 * S);
    // Three tries, then a rest of 1, 2, 4 and 8 minutes: at most four rounds in ten minutes.
    let packets = world.nodes[at].sent[&victim];
    assert!((3..=12).contains(&packets), "{packets}");
}

#[test]
fn a_lonely_node_backs_off_and_says_so() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    world.join(at);
    world.run_until(600 * S);
    let node = &world.nodes[at];
    assert_eq!(node.verdicts(), [Verdict::Alone]);
    let ended = |(_, event): &&(Duration, DiscoveryEvent)| {
        matches!(event, DiscoveryEvent::LookupEnded { .. })
    };
    let lookups = node.events.iter().filter(ended).count();
    // Three epochs each: a handful of quick ones, then one every 30 s.
    assert!((45..=90).contains(&lookups), "{lookups}");
    assert!((2..=4).contains(&node.announces), "{}", node.announces);
}

#[test]
fn with_neighbors_it_is_quiet_and_without_it_searches_again() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    world.join(at);
    world.run_until(S);
    world.feed(at, Input::Neighbors(TOPIC, vec![peer(2).id]));
    let searched = |world: &World| {
        let is_swarm =
            |event: &DiscoveryEvent| matches!(event, DiscoveryEvent::SwarmChanged { .. });
        let events = world.nodes[at].events.iter();
        events.filter(|(_, event)| !is_swarm(event)).count()
    };
    let before = searched(&world);
    world.run_until(100 * S);
    assert_eq!(searched(&world), before, "nothing to do");
    world.feed(at, Input::Neighbors(TOPIC, vec![]));
    world.run_until(101 * S);
    assert!(searched(&world) > before, "it looks again");
}

#[test]
fn failed_announcements_are_retried_and_told() {
    let mut world = World::new(1);
    world.puts_fail = true;
    let at = world.add(1, 7, 0);
    world.join(at);
    world.run_until(5 * S);
    assert_eq!(world.nodes[at].announces, 4, "one try and three retries");
    world.run_until(12 * S);
    let node = &world.nodes[at];
    assert_eq!(node.verdicts(), [Verdict::DhtThrottled]);
    assert_eq!(node.waits, [2 * S, 250 * MS], "patience did not help");
}

#[test]
fn announcements_on_request_are_within_the_budget() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    world.join(at);
    for n in 0..30 {
        world.run_until(S + n * 500 * MS);
        world.feed(at, Input::AnnounceNow(TOPIC, Ticket(n.into())));
    }
    world.run_until(20 * S);
    let node = &world.nodes[at];
    assert_eq!(node.announces, 10);
    let skipped = |(_, event): &&(Duration, DiscoveryEvent)| {
        matches!(
            event,
            DiscoveryEvent::AnnounceSkipped {
                reason: SkipReason::Budget,
                ..
            }
        )
    };
    assert_eq!(node.events.iter().filter(skipped).count(), 21);
}

#[test]
fn replays_and_misdirected_packets_are_dropped() {
    let mut world = World::new(1);
    let (a, b) = (world.add(1, 7, 0), world.add(2, 7, 0));
    world.join(a);
    world.join(b);
    world.run_until(S);
    let epoch = Epoch::at(NOW);
    let keys = keys(7u8.wrapping_add((epoch.0 % 97) as u8));
    let request = |recipient| crate::core::hello::HelloRequest {
        id: [1; 16],
        time: NOW,
        recipient,
        record: crate::core::testing::signed_record(3, TOPIC, &peer(3), NOW),
        dial_back: None,
    };
    let stranger = hello_address(99);
    let good = request(hello_address(1)).seal(&keys, [1; 24]);
    let served = |world: &World| {
        let is_one = |(_, e): &&(_, _)| matches!(e, DiscoveryEvent::HelloServed);
        world.nodes[a].events.iter().filter(is_one).count()
    };
    let before = served(&world);
    world.feed(a, Input::Datagram(stranger, good.clone()));
    assert_eq!(served(&world), before + 1);
    world.feed(a, Input::Datagram(stranger, good));
    assert_eq!(world.nodes[a].drops(HelloDrop::Replay), 1);
    let for_b = request(hello_address(2)).seal(&keys, [2; 24]);
    world.feed(a, Input::Datagram(stranger, for_b));
    assert_eq!(world.nodes[a].drops(HelloDrop::WrongRecipient), 1);
    assert_eq!(served(&world), before + 1);
}

/// The source of a datagram can be forged: noise in a member's name must not silence it.
#[test]
fn a_flood_of_garbage_is_cut_off_and_silences_nobody() {
    let mut world = World::new(1);
    let (at, member) = (world.add(1, 7, 0), world.add(2, 7, 0));
    world.join(at);
    world.run_until(S);
    let forged = |port| SocketAddrV4::new(*hello_address(2).ip(), port);
    for n in 0..10_000u32 {
        let mut packet = vec![0; crate::core::hello::PACKET_BYTES];
        packet[0] = 1;
        packet[2..6].copy_from_slice(&n.to_be_bytes());
        world.feed(at, Input::Datagram(forged(n as u16), packet));
        if n == 1000 {
            world.join(member);
            world.run_until(2 * S);
            assert_eq!(world.nodes[at].found(), [peer(2).id].into());
        }
    }
    let node = &world.nodes[at];
    let looked_at = (BAD_PER_IP + SUSPECTS) as usize;
    assert!(node.drops(HelloDrop::UnknownTag) <= looked_at);
    assert!(node.drops(HelloDrop::RateLimited) >= 10_000 - looked_at);
}

#[test]
fn a_lonely_node_never_stops_looking() {
    for start in (0..600).step_by(50) {
        let mut world = World::new(start);
        world.lookup_spread = 400;
        world.now = Duration::from_secs(start);
        let at = world.add(1, 7, 0);
        world.join(at);
        let end = Duration::from_secs(start + 1800);
        world.run_until(end);
        let looked = world.nodes[at].events.iter().filter_map(|(at, event)| {
            matches!(event, DiscoveryEvent::LookupEnded { .. }).then_some(*at)
        });
        let mut last = Duration::from_secs(start);
        for ended in looked.chain([end]) {
            assert!(ended - last < 40 * S, "nothing from {last:?} to {ended:?}");
            last = ended;
        }
    }
}

#[test]
fn a_filled_routing_table_is_used_at_once() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    world.feed(at, Input::Dht(DhtState::Up { routing_table: 1 }));
    world.join(at);
    world.run_until(20 * S);
    let lookups = |world: &World| {
        let ended = |e: &DiscoveryEvent| matches!(e, DiscoveryEvent::LookupEnded { .. });
        world.nodes[at]
            .events
            .iter()
            .filter(|(_, e)| ended(e))
            .count()
    };
    let before = lookups(&world);
    world.feed(at, Input::Dht(DhtState::Up { routing_table: 20 }));
    world.run_until(20 * S + 2 * LOOKUP);
    assert_eq!(
        lookups(&world),
        before + 3,
        "one in each epoch that is read"
    );
}

#[test]
fn static_peers_are_told_at_once_and_topics_are_bounded() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    let peers = vec![peer(2), peer(1)];
    world.feed(
        at,
        Input::Discover {
            topic: TOPIC,
            peers,
            cached: vec![],
        },
    );
    let (when, source) = world.nodes[at].first_found().unwrap();
    assert_eq!((when, source), (Duration::ZERO, Source::Static));
    assert_eq!(world.nodes[at].found().len(), 1, "and never ourselves");
    for n in 0..63 {
        let topic = TopicId::from_bytes([n; 32]);
        assert!(world.nodes[at].core.check_room(topic).is_ok());
        world.feed(
            at,
            Input::Discover {
                topic,
                peers: vec![],
                cached: vec![],
            },
        );
    }
    let one_more = TopicId::from_bytes([0xff; 32]);
    let full = DiscoverError::TooManyTopics { limit: 64 };
    assert_eq!(world.nodes[at].core.check_room(one_more), Err(full));
    assert!(world.nodes[at].core.check_room(TOPIC).is_ok());
}

#[test]
fn forgetting_a_topic_ends_it() {
    let mut world = World::new(1);
    let at = world.add(1, 7, 0);
    world.join(at);
    world.run_until(50 * MS);
    world.feed(at, Input::Forget(TOPIC));
    let before = world.nodes[at].events.len();
    world.run_until(100 * S);
    assert_eq!(world.nodes[at].events.len(), before);
    assert!(!world.nodes[at].core.knows(TOPIC));
}
