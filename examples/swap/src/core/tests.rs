#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_contract::{HelloDrop, KeyBytes, UnixMillis};

use super::entry::{Entry, FRESH_MS, MAX_BYTES, MAX_DIRECT, MAX_RELAY_BYTES};
use super::*;

const TOPIC: TopicId = TopicId::from_bytes([7; 32]);
const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const START: Duration = Duration::from_secs(5);

fn id(n: u8) -> EndpointId {
    EndpointId::from_bytes([n; 32])
}

fn peer(n: u8, port: u16) -> EndpointAddr {
    EndpointAddr {
        id: id(n),
        direct: vec![([127, 0, 0, 1], port).into()],
        relay: None,
    }
}

#[test]
fn a_member_is_told_once_and_again_where_that_helps() {
    let mut core = Core::new(id(1), 1);
    let told = |core: &mut Core, n, port| {
        let event = core.found(TOPIC, peer(n, port), Source::Rendezvous, 2 * START);
        event.is_some()
    };
    assert!(!told(&mut core, 2, 1), "nobody asked for the topic");
    core.discover(TOPIC, START).unwrap();
    assert!(!told(&mut core, 1, 1), "this node itself");
    assert!(told(&mut core, 2, 1) && told(&mut core, 2, 1), "alone");
    core.set_neighbors(TOPIC, true, START);
    assert!(!told(&mut core, 2, 1) && told(&mut core, 3, 1));
    assert!(told(&mut core, 2, 9), "it has moved");
    core.forget(TOPIC);
    assert!(!told(&mut core, 4, 1));
}

#[test]
fn what_came_of_looking_is_told_when_it_changes() {
    let mut core = Core::new(id(1), 1);
    core.discover(TOPIC, START).unwrap();
    let verdict = |core: &mut Core, now| match core.verdict(TOPIC, now) {
        Some(DiscoveryEvent::VerdictChanged { verdict, .. }) => Some(verdict),
        _ => None,
    };
    let due = START + FIRST_CONTACT;
    assert_eq!(verdict(&mut core, due - START), None, "too early");
    assert_eq!(verdict(&mut core, due), Some(Verdict::Alone));
    assert_eq!(verdict(&mut core, due), None, "it is the same");
    core.found(TOPIC, peer(2, 1), Source::Static, due);
    assert_eq!(verdict(&mut core, due), None, "somebody else's word");
    core.found(TOPIC, peer(2, 1), Source::Rendezvous, due);
    let unreachable = Some(Verdict::FoundButUnreachable);
    assert_eq!(verdict(&mut core, due), unreachable);
    core.set_neighbors(TOPIC, true, due);
    assert_eq!(verdict(&mut core, 9 * due), None, "it has a neighbor");
    core.set_neighbors(TOPIC, false, 9 * due);
    assert_eq!(verdict(&mut core, 9 * due), None, "too early again");
    core.set_neighbors(TOPIC, false, 10 * due);
    assert_eq!(verdict(&mut core, 10 * due), Some(Verdict::Alone));
}

#[test]
fn topics_have_a_bound_and_the_same_is_no_other() {
    let mut core = Core::new(id(1), 1);
    core.discover(TOPIC, START).unwrap();
    core.discover(TOPIC, START).unwrap();
    let other = TopicId::from_bytes([8; 32]);
    let full = core.discover(other, START).unwrap_err();
    assert_eq!(full, DiscoverError::TooManyTopics { limit: 1 });
    core.forget(TOPIC);
    core.discover(other, START).unwrap();
}

#[test]
fn a_file_counts_for_members_and_for_a_while() {
    let key = KeyBytes::new([3; 32]);
    let entry = Entry {
        peer: peer(2, 1),
        time: NOW,
    };
    let bytes = entry.write(&key);
    assert_eq!(Entry::read(&bytes, &key, NOW).unwrap(), entry);
    let other = KeyBytes::new([4; 32]);
    assert_eq!(Entry::read(&bytes, &other, NOW), Err(HelloDrop::UnknownTag));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Entry::read(&changed, &key, NOW).is_err(), "byte {at}");
        assert!(Entry::read(&bytes[..at], &key, NOW).is_err(), "{at} bytes");
    }
    for later in [NOW.0 + FRESH_MS, NOW.0 - FRESH_MS] {
        let stale = Entry::read(&bytes, &key, UnixMillis(later));
        assert_eq!(stale, Err(HelloDrop::StaleRecord));
    }
}

#[test]
fn the_largest_entry_fits() {
    let largest = Entry {
        peer: EndpointAddr {
            id: id(255),
            direct: vec![([u16::MAX; 8], u16::MAX).into(); MAX_DIRECT],
            relay: Some("x".repeat(MAX_RELAY_BYTES)),
        },
        time: UnixMillis(u64::MAX),
    };
    assert!(largest.write(&KeyBytes::new([3; 32])).len() <= MAX_BYTES);
}
