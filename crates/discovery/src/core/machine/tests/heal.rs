//! Swarms that are split and whole again. Gossip is a model: who is in the same swarm hears each
//! other's beacons.

use super::world::{Node, S, World};
use super::*;
use crate::core::beacon::Beacon;
use crate::core::crowd::{SAMPLE, rank};
use crate::core::testing::{heartbeat, keys, signed_record};
use kukuri_contract::{BeaconDrop, EndpointId};

const COUNT: u8 = 20;

/// A swarm of [`COUNT`] nodes, each of which has five neighbors: those after it, in a ring.
fn swarm(seed: u64) -> World {
    let mut world = World::new(seed);
    for n in 1..=COUNT {
        let at = world.add(n, 7, 0);
        world.join(at);
    }
    world.run_until(S);
    connect(&mut world, |_, _| true);
    world
}

/// Gives each node those of its five next ones in the ring that `linked` says, and back.
fn connect(world: &mut World, linked: impl Fn(&Node, &Node) -> bool) {
    let count = usize::from(COUNT);
    for at in 0..count {
        let near = (1..=5).flat_map(|by| [(at + by) % count, (at + count - by) % count]);
        let near = near.filter(|other| linked(&world.nodes[at], &world.nodes[*other]));
        let neighbors: Vec<EndpointId> = near.map(|other| peer(world.nodes[other].n).id).collect();
        world.feed(at, Input::Neighbors(TOPIC, neighbors));
    }
}

fn split(world: &mut World) {
    for node in &mut world.nodes {
        node.side = node.n % 2;
        node.swarm = node.n % 2;
    }
    connect(world, |a, b| a.side == b.side);
}

fn roots(world: &World) -> Vec<Option<EndpointId>> {
    let root = |node: &Node| {
        node.events.iter().rev().find_map(|(_, event)| match event {
            DiscoveryEvent::SwarmChanged { root, .. } => Some(*root),
            _ => None,
        })
    };
    let mut roots: Vec<_> = world
        .nodes
        .iter()
        .map(|node| root(node).flatten())
        .collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// When members of other parts were told to be dialed.
fn heals(world: &World) -> Vec<Duration> {
    let of = |node: &Node| -> Vec<Duration> {
        let events = node.events.iter();
        let heals = events.filter(|(_, event)| matches!(event, DiscoveryEvent::PartFound { .. }));
        heals.map(|(at, _)| *at).collect()
    };
    let mut all: Vec<_> = world.nodes.iter().flat_map(of).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_healthy_swarm_agrees_on_root_and_size_and_is_left_alone() {
    let mut world = swarm(1);
    world.run_until(600 * S);
    assert_eq!(roots(&world).len(), 1);
    assert!(roots(&world)[0].is_some());
    assert!(heals(&world).is_empty());
    for node in &world.nodes {
        let members = node.events.iter().rev().find_map(|(_, event)| match event {
            DiscoveryEvent::SwarmChanged { members, .. } => Some(*members),
            _ => None,
        });
        assert_eq!(members, Some(u64::from(COUNT)));
    }
    let beacons: usize = world.nodes.iter().map(|node| node.beacons).sum();
    assert!(
        beacons < 120 + 5 * usize::from(COUNT) + 20,
        "{beacons} in ten minutes"
    );
}

#[test]
fn changing_neighbors_are_no_split() {
    let mut world = swarm(2);
    for minute in 1..=10u32 {
        world.run_until(minute * 60 * S);
        connect(&mut world, |a, b| (u32::from(a.n + b.n) + minute) % 3 > 0);
    }
    world.run_until(660 * S);
    assert!(heals(&world).is_empty());
}

#[test]
fn a_split_swarm_is_found_together_by_those_who_were_lost() {
    for (seed, minutes) in [(3, 1), (4, 5)] {
        let mut world = swarm(seed);
        world.run_until(130 * S);
        split(&mut world);
        let whole = 130 * S + minutes * 60 * S;
        world.run_until(whole);
        assert_eq!(roots(&world).len(), 2, "a root for each part");
        assert!(heals(&world).is_empty(), "nobody answers across the split");
        world.nodes.iter_mut().for_each(|node| node.side = 0);
        world.run_until(whole + 15 * S);
        let heals = heals(&world);
        println!("whole after {:?}", heals.first().map(|at| *at - whole));
        assert!(!heals.is_empty());
        assert!(
            heals.len() <= 4 * usize::from(COUNT),
            "{} dials",
            heals.len()
        );
        // One dial is enough: beacons go through again, and all agree.
        world.nodes.iter_mut().for_each(|node| node.swarm = 0);
        connect(&mut world, |_, _| true);
        let joined = whole + 15 * S;
        world.run_until(joined + 15 * S);
        assert_eq!(roots(&world).len(), 1);
        world.run_until(joined + 300 * S);
        let later = self::heals(&world)
            .into_iter()
            .filter(|at| *at > joined + 15 * S);
        assert_eq!(later.count(), 0, "it stops");
    }
}

#[test]
fn a_root_that_dies_is_followed_by_another() {
    let mut world = swarm(7);
    world.run_until(60 * S);
    let root = roots(&world)[0].unwrap();
    let at = world
        .nodes
        .iter()
        .position(|node| peer(node.n).id == root)
        .unwrap();
    // Dead: in a swarm and a network of its own.
    world.nodes[at].swarm = 9;
    world.nodes[at].side = 9;
    connect(&mut world, |a, b| a.side == b.side);
    world.run_until(120 * S);
    let dead = world.nodes.remove(at);
    let after = roots(&world);
    assert_eq!(after.len(), 1);
    assert!(after[0].is_some() && after[0] != Some(peer(dead.n).id));
    assert!(heals(&world).is_empty());
}

#[test]
fn a_node_that_is_cut_off_alone_comes_back() {
    let mut world = swarm(8);
    world.run_until(60 * S);
    world.nodes[0].side = 1;
    world.nodes[0].swarm = 1;
    connect(&mut world, |a, b| a.side == b.side);
    // No entry of the DHT helps: it is gone too.
    world.entries.clear();
    world.run_until(120 * S);
    assert!(heals(&world).is_empty());
    world.nodes[0].side = 0;
    world.run_until(135 * S);
    assert!(!heals(&world).is_empty());
}

#[test]
fn halves_that_never_met_find_each_other_at_an_announcement() {
    let mut world = World::new(9);
    for n in 1..=COUNT {
        let at = world.add(n, 7, 0);
        world.nodes[at].side = n % 2;
        world.nodes[at].swarm = n % 2;
        world.join(at);
    }
    world.run_until(S);
    connect(&mut world, |a, b| a.side == b.side);
    world.run_until(400 * S);
    assert!(heals(&world).is_empty());
    world.nodes.iter_mut().for_each(|node| node.side = 0);
    world.run_until(850 * S);
    let first = heals(&world)[0];
    println!("met after {:?}", first - 400 * S);
}

#[test]
fn beacons_of_outsiders_and_too_many_of_them_are_dropped_and_counted() {
    let mut world = swarm(10);
    let dropped = |world: &World, reason| {
        let events = world.nodes[0].events.iter();
        let is = |event: &DiscoveryEvent| matches!(event, DiscoveryEvent::BeaconDropped { reason: r } if *r == reason);
        events.filter(|(_, event)| is(event)).count()
    };
    world.feed(0, Input::Beacon(TOPIC, vec![2, 1]));
    let mut outsiders = vec![2, 1];
    outsiders.extend(Epoch::at(NOW).0.to_be_bytes());
    outsiders.extend([0; 300]);
    world.feed(0, Input::Beacon(TOPIC, outsiders));
    assert_eq!(dropped(&world, BeaconDrop::Malformed), 1);
    assert_eq!(dropped(&world, BeaconDrop::Seal), 1);
    for n in 0..1000 {
        world.feed(0, Input::Beacon(TOPIC, newcomer(99, n)));
    }
    assert!(dropped(&world, BeaconDrop::RateLimited) > 800);
    let members = world.nodes[0].core.topics[&TOPIC].swarm.crowd.members();
    assert_eq!(members, 2, "it has heard one");
}

/// Epochs end at once, heartbeats after fifteen minutes to the millisecond.
#[test]
fn beacons_of_five_epochs_and_heartbeats_of_fifteen_minutes_count() {
    let dropped = |beacon: Beacon, by: i64| {
        let mut world = swarm(13);
        let epoch = Epoch::at(NOW).offset(by);
        let key = keys(7 + (epoch.0 % 97) as u8).beacon;
        let payload = beacon.seal(TOPIC, epoch, &key, [1; 24]);
        let before = world.nodes[0].events.len();
        world.feed(0, Input::Beacon(TOPIC, payload));
        let events = world.nodes[0].events[before..].iter();
        let reason = |event: &DiscoveryEvent| match event {
            DiscoveryEvent::BeaconDropped { reason } => Some(*reason),
            _ => None,
        };
        events.filter_map(|(_, event)| reason(event)).next()
    };
    let beacon = || Beacon {
        heartbeat: None,
        hello_port: 4000,
        record: signed_record(99, TOPIC, &peer(99), NOW),
    };
    for (by, expected) in [
        (-3, Some(BeaconDrop::Epoch)),
        (-2, None),
        (2, None),
        (3, Some(BeaconDrop::Epoch)),
    ] {
        assert_eq!(dropped(beacon(), by), expected, "{by} epochs");
    }
    // Nodes of this test hear it a second after the start.
    let now = NOW.0 + 1000;
    let most = 15 * 60 * 1000;
    for (beat, expected) in [
        (now - most - 1, Some(BeaconDrop::Stale)),
        (now - most, None),
        (now + most, None),
        (now + most + 1, Some(BeaconDrop::Stale)),
    ] {
        let beacon = Beacon {
            heartbeat: Some(heartbeat(99, TOPIC, UnixMillis(beat))),
            ..beacon()
        };
        assert_eq!(dropped(beacon, 0), expected, "{beat}");
    }
}

/// A beacon of one more member, that knows of no root.
fn newcomer(member: u8, nonce: u64) -> Vec<u8> {
    let beacon = Beacon {
        heartbeat: None,
        hello_port: 4000,
        record: signed_record(member, TOPIC, &peer(member), NOW),
    };
    let mut fresh = [0; 24];
    fresh[..8].copy_from_slice(&nonce.to_be_bytes());
    let epoch = Epoch::at(NOW);
    beacon.seal(TOPIC, epoch, &keys(7 + (epoch.0 % 97) as u8).beacon, fresh)
}

#[test]
fn many_beacons_do_not_silence_the_root() {
    let mut world = swarm(11);
    world.run_until(60 * S);
    let before = roots(&world);
    assert_eq!(before.len(), 1);
    // Ten a second, as where a thousand join within a minute.
    for at in 0..usize::from(COUNT) {
        for n in 0..900u32 {
            let beacon = Input::Beacon(TOPIC, newcomer(99, u64::from(n)));
            world.later(n * S / 10, at, beacon);
        }
    }
    world.run_until(150 * S);
    assert_eq!(roots(&world), before);
    let silent = |node: &Node| node.core.topics[&TOPIC].swarm.roots.mark() == [0; 16];
    assert!(!world.nodes.iter().any(silent));
    assert!(heals(&world).is_empty());
}

#[test]
fn who_is_beyond_a_full_sample_takes_nobodys_place() {
    let mut world = swarm(12);
    let mut members: Vec<u8> = (21..=220).collect();
    members.sort_by_key(|n| rank(TOPIC, peer(*n).id));
    let (sample, others) = members.split_at(SAMPLE);
    let mut nonce = 0;
    let mut hear = |world: &mut World, members: &[u8]| {
        for member in members {
            nonce += 1;
            world.feed(0, Input::Beacon(TOPIC, newcomer(*member, nonce)));
        }
    };
    hear(&mut world, &sample[1..]);
    hear(&mut world, &others[..1]);
    let count = |world: &World| world.nodes[0].core.topics[&TOPIC].swarm.crowd.members();
    let before = count(&world);
    for _ in 0..10 {
        hear(&mut world, others);
    }
    assert_eq!(count(&world), before);
    hear(&mut world, &sample[..1]);
    assert!(count(&world) > before, "the lowest rank of all is heard");
    assert!(!world.nodes[0].events.iter().any(|(_, event)| matches!(
        event,
        DiscoveryEvent::BeaconDropped {
            reason: BeaconDrop::RateLimited
        }
    )));
}
