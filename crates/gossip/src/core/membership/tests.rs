use super::*;
use crate::config::Config;

const S: Duration = Duration::from_secs(1);

fn peer(n: u8) -> EndpointAddr {
    EndpointAddr {
        id: EndpointId::from_bytes([n; 32]),
        direct: vec![([127, 0, 0, 1], 20_000 + u16::from(n)).into()],
        relay: None,
    }
}

fn topic() -> Membership {
    Membership::new(peer(0).id, Config::default().wants(), Duration::ZERO)
}

fn dials(topic: &mut Membership, now: Duration) -> Vec<EndpointId> {
    let dials = topic.dials(now, 16, &Hosts::default(), &mut |bound| bound - 1);
    dials.into_iter().map(|peer| peer.id).collect()
}

/// All dials of the second that ends now.
fn dials_of_a_second(topic: &mut Membership, now: Duration) -> Vec<EndpointId> {
    let times = (0..=20).map(|n| now - S + n * S / 20);
    times.flat_map(|at| dials(topic, at)).collect()
}

#[test]
fn a_newcomer_dials_five_distinct_peers_and_never_itself() {
    let mut topic = topic();
    for n in 0..20 {
        topic.found(peer(n));
    }
    let first = dials_of_a_second(&mut topic, S);
    assert_eq!(first.len(), 5);
    assert!(!first.contains(&peer(0).id));
    for id in &first {
        topic.dial_ended(*id, true, S);
        topic.neighbor_up(*id);
    }
    assert!(dials(&mut topic, 2 * S).is_empty());
    assert_eq!(topic.next_wake(&Hosts::default(), 2 * S), None);
}

#[test]
fn peers_found_one_by_one_are_dialed_even_with_neighbors() {
    let mut topic = topic();
    for n in 1..=8 {
        topic.found(peer(n));
        let expected = if n <= 5 { vec![peer(n).id] } else { vec![] };
        assert_eq!(dials(&mut topic, u32::from(n) * S), expected);
        topic.dial_ended(peer(n).id, true, S);
        topic.neighbor_up(peer(n).id);
    }
}

#[test]
fn a_settled_node_does_not_churn() {
    let mut topic = topic();
    for n in 1..=20 {
        topic.found(peer(n));
    }
    for n in 1..=5 {
        topic.neighbor_up(peer(n).id);
    }
    for n in 1..=3 {
        topic.neighbor_down(peer(n).id, 60 * S);
        assert!(dials(&mut topic, 60 * S).is_empty(), "two are enough");
    }
    topic.neighbor_down(peer(4).id, 60 * S);
    assert_eq!(dials(&mut topic, 60 * S).len(), 1);
    topic.neighbor_down(peer(5).id, 61 * S);
    let again = dials_of_a_second(&mut topic, 62 * S);
    assert_eq!(again.len(), 5, "alone: as a newcomer");
}

#[test]
fn two_dials_begin_at_once_and_the_others_one_by_one() {
    let mut topic = topic();
    for n in 1..=20 {
        topic.found(peer(n));
    }
    assert_eq!(dials(&mut topic, S).len(), 2);
    let wake = topic.next_wake(&Hosts::default(), S).unwrap();
    assert!(dials(&mut topic, wake - S / 1000).is_empty());
    assert_eq!(dials(&mut topic, wake).len(), 1);
    assert_eq!(dials(&mut topic, 9 * S).len(), 2, "five in all");
}

#[test]
fn a_failed_peer_rests_longer_each_time() {
    let mut topic = topic();
    topic.found(peer(1));
    let mut now = Duration::ZERO;
    let mut rests = Vec::new();
    for _ in 0..8 {
        assert_eq!(dials(&mut topic, now), [peer(1).id]);
        assert!(dials(&mut topic, now).is_empty(), "one dial at a time");
        topic.dial_ended(peer(1).id, false, now);
        let wake = topic.next_wake(&Hosts::default(), now).unwrap();
        rests.push((wake - now).as_secs());
        now = wake;
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
    topic.found(EndpointAddr {
        direct: peer(2).direct,
        ..peer(1)
    });
    assert_eq!(
        dials(&mut topic, now - 59 * S),
        [peer(1).id],
        "new addresses, new luck"
    );
}

#[test]
fn a_peer_that_connects_but_joins_not_is_left_alone_for_a_while() {
    let mut topic = topic();
    topic.found(peer(1));
    assert_eq!(dials(&mut topic, S).len(), 1);
    topic.dial_ended(peer(1).id, true, S);
    assert!(dials(&mut topic, 2 * S).is_empty());
    assert_eq!(topic.next_wake(&Hosts::default(), 2 * S), Some(4 * S));
}

#[test]
fn peers_of_a_host_that_rests_wait_and_others_do_not() {
    let mut topic = topic();
    let mut hosts = Hosts::default();
    let elsewhere = EndpointAddr {
        direct: vec!["11.0.0.1:2000".parse().unwrap()],
        ..peer(1)
    };
    (0..4).for_each(|_| hosts.dial_ended(&elsewhere, false, S));
    topic.found(elsewhere);
    assert!(topic.dials(S, 16, &hosts, &mut |_| 0).is_empty());
    assert_eq!(topic.next_wake(&hosts, S), Some(2 * S));
    topic.found(peer(2));
    assert_eq!(topic.dials(S, 16, &hosts, &mut |_| 0), [peer(2)]);
    assert_eq!(topic.dials(2 * S, 16, &hosts, &mut |_| 0)[0].id, peer(1).id);
}

#[test]
fn a_peer_of_another_part_is_dialed_whatever_the_neighbors() {
    let mut topic = topic();
    for n in 1..=5 {
        topic.neighbor_up(peer(n).id);
    }
    let now = 60 * S;
    assert!(!topic.heal_with(peer(6)) && !topic.heal_with(peer(5)));
    assert_eq!(topic.next_wake(&Hosts::default(), now), Some(now));
    assert_eq!(dials(&mut topic, now), [peer(6).id], "5 is a neighbor");
    assert!(!topic.heal_with(peer(6)));
    assert!(dials(&mut topic, now).is_empty(), "one dial at a time");
    assert_eq!(topic.next_wake(&Hosts::default(), now), None);
    let refused = (10..50).filter(|n| topic.heal_with(peer(*n))).count();
    assert_eq!(refused, 40 - MAX_HEALERS);
}

#[test]
fn candidates_and_room_are_bounded() {
    let mut topic = topic();
    let forgotten = (1..=200).filter(|n| topic.found(peer(*n))).count();
    assert_eq!(forgotten, 200 - MAX_CANDIDATES);
    assert_eq!(topic.dials(S, 1, &Hosts::default(), &mut |_| 0).len(), 1);
}

#[test]
fn a_banned_peer_is_no_candidate_any_more() {
    let mut topic = topic();
    topic.found(peer(1));
    topic.found(peer(2));
    topic.heal_with(peer(3));
    topic.forget(peer(1).id);
    topic.forget(peer(3).id);
    assert_eq!(dials_of_a_second(&mut topic, S), [peer(2).id]);
}
