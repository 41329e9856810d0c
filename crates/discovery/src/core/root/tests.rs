use super::*;
use crate::core::testing::{NOW, TOPIC, heartbeat, peer};

const S: Duration = Duration::from_secs(1);

fn at(now: Duration) -> UnixMillis {
    UnixMillis(NOW.0 + now.as_millis() as u64)
}

fn beat(n: u8, now: Duration) -> Heartbeat {
    heartbeat(n, TOPIC, at(now))
}

/// Endpoints in the order of their ranks.
fn by_rank() -> Vec<u8> {
    let mut all: Vec<u8> = (1..=20).collect();
    all.sort_by_key(|n| rank(TOPIC, peer(*n).id));
    all
}

fn node(n: u8) -> Roots {
    let mut roots = Roots::new(TOPIC, peer(n).id);
    roots.joined(true, Duration::ZERO);
    roots
}

/// Lets a node send the heartbeat that is due.
fn send(roots: &mut Roots, n: u8, has_lower: bool) -> (Duration, Heartbeat) {
    let due = roots.beat_due(has_lower).expect("a heartbeat is due");
    let unix = roots.begin_beat(at(due));
    let signed = roots.signed(heartbeat(n, TOPIC, unix), due);
    (due, signed.expect("it is wanted"))
}

fn hear(roots: &mut Roots, heartbeat: Heartbeat, now: Duration) -> bool {
    let news = roots.is_news(&heartbeat);
    if news {
        roots.hear(heartbeat, now);
    }
    news
}

#[test]
fn the_lowest_rank_becomes_the_root_and_the_others_follow() {
    let ranks = by_rank();
    let mut first = node(ranks[0]);
    let mut second = node(ranks[1]);
    assert!(second.beat_due(false) > first.beat_due(false));
    assert_eq!(second.mark(), NO_MARK);
    let (due, heartbeat) = send(&mut first, ranks[0], false);
    assert!(due >= LISTEN && first.is_root());
    assert!(hear(&mut second, heartbeat, due));
    assert_eq!(second.root(), first.root());
    assert_eq!(second.mark(), first.mark());
    assert_eq!(second.beat_due(false), None);
    assert_eq!(first.beat_due(false), Some(due + BEAT));
    assert!(!hear(&mut second, heartbeat, due), "once");
}

#[test]
fn a_newcomer_of_a_lower_rank_takes_over() {
    let ranks = by_rank();
    let mut old = node(ranks[5]);
    let (due, heartbeat) = send(&mut old, ranks[5], false);
    let mut new = node(ranks[0]);
    assert!(hear(&mut new, heartbeat, due));
    let (due, heartbeat) = send(&mut new, ranks[0], false);
    assert!(hear(&mut old, heartbeat, due));
    assert!(!old.is_root() && new.is_root());
    let late = old.begin_beat(at(due));
    assert_eq!(
        old.signed(self::heartbeat(ranks[5], TOPIC, late), due),
        None
    );
}

#[test]
fn a_silent_root_is_dropped_and_its_old_heartbeats_do_not_bring_it_back() {
    let ranks = by_rank();
    let mut node = node(ranks[5]);
    hear(&mut node, beat(ranks[0], S), S);
    assert_eq!(node.drop_silent(30 * S), None);
    assert_eq!(node.silence_due(), Some(31 * S));
    assert_eq!(node.drop_silent(31 * S), Some(peer(ranks[0]).id));
    assert!(!hear(&mut node, beat(ranks[0], S), 32 * S));
    let (due, _) = send(&mut node, ranks[5], true);
    assert!(due >= 31 * S + LISTEN + YIELD);
    assert!(node.is_root());
    assert!(
        hear(&mut node, beat(ranks[0], 60 * S), 60 * S),
        "it lives after all"
    );
    assert!(!node.is_root());
}

#[test]
fn parts_are_told_apart_by_their_marks() {
    let ranks = by_rank();
    let (mut a, mut b) = (node(ranks[5]), node(ranks[6]));
    hear(&mut a, beat(ranks[0], S), S);
    hear(&mut b, beat(ranks[0], S), S);
    assert_eq!(a.compare(b.mark(), 2 * S), Part::Unknown, "not settled");
    assert_eq!(a.compare(NO_MARK, 20 * S), Part::Unmarked);
    for beats in (6..=21).step_by(5) {
        hear(&mut a, beat(ranks[0], beats * S), beats * S);
    }
    assert_eq!(a.compare(b.mark(), 21 * S), Part::Same, "late, not apart");
    hear(&mut a, beat(ranks[0], 26 * S), 26 * S);
    assert_eq!(a.compare(b.mark(), 26 * S), Part::Other);
    assert_eq!(b.compare(a.mark(), 26 * S), Part::Other);
    b.drop_silent(31 * S);
    let (due, _) = send(&mut b, ranks[6], false);
    let settled = due + SETTLED;
    assert_eq!(a.compare(b.mark(), settled), Part::Other);
    assert_eq!(
        b.compare(a.mark(), settled),
        Part::Other,
        "the old root lives there"
    );
    let late = node_that_is_late(&ranks);
    assert_eq!(b.compare(late.mark(), settled), Part::Unknown);
}

/// One that has not noticed yet that the old root is gone.
fn node_that_is_late(ranks: &[u8]) -> Roots {
    let mut late = node(ranks[7]);
    hear(&mut late, beat(ranks[0], S), S);
    late
}

#[test]
fn who_is_alone_has_no_mark_and_no_heartbeat() {
    let ranks = by_rank();
    let mut node = node(ranks[5]);
    hear(&mut node, beat(ranks[0], S), S);
    node.joined(false, 2 * S);
    assert_eq!((node.mark(), node.beat_due(false)), (NO_MARK, None));
    assert!(!hear(&mut node, beat(ranks[0], 3 * S), 3 * S));
    node.joined(true, 60 * S);
    assert!(node.beat_due(false) >= Some(60 * S + LISTEN));
    assert!(hear(&mut node, beat(ranks[0], 61 * S), 61 * S));
}

#[test]
fn a_heartbeat_never_goes_back() {
    let ranks = by_rank();
    let mut node = node(ranks[0]);
    let ahead = beat(ranks[0], 1000 * S);
    assert!(hear(&mut node, ahead, S), "of an earlier run");
    let (_, next) = send(&mut node, ranks[0], false);
    assert!(next.beat > ahead.beat);
}

#[test]
fn former_roots_are_bounded() {
    let mut node = node(1);
    for n in 2..=60 {
        let now = u32::from(n) * 31 * S;
        let rank = u64::from(100 - n);
        node.follow(beat(n, now), rank, now);
        node.drop_root(now);
    }
    assert_eq!(node.former.len(), MAX_FORMER);
}

#[test]
fn a_record_that_was_handed_on_tells_of_another_part_only_if_this_one_is_older() {
    let ranks = by_rank();
    let (mut a, mut b) = (node(ranks[5]), node(ranks[6]));
    hear(&mut a, beat(ranks[0], S), S);
    hear(&mut b, beat(ranks[1], S), S);
    let age = 100 * S;
    assert_eq!(a.compare_old(b.mark(), age, 100 * S), Part::Unknown);
    assert_eq!(a.compare_old(b.mark(), age, 107 * S), Part::Other);
    assert_eq!(a.compare_old(a.mark(), age, 107 * S), Part::Same);
    assert_eq!(a.compare_old(NO_MARK, age, 107 * S), Part::Unmarked);
    a.drop_silent(107 * S);
    hear(&mut a, beat(ranks[1], 110 * S), 110 * S);
    let old = node_that_is_late(&ranks);
    assert_eq!(a.compare_old(old.mark(), age, 300 * S), Part::Unknown);
}

#[test]
fn without_a_signature_it_is_tried_again_later() {
    let mut node = node(1);
    let due = node.beat_due(false).unwrap();
    node.begin_beat(at(due));
    assert_eq!(node.beat_due(false), None);
    node.not_signed(due);
    assert_eq!(node.beat_due(false), Some(due + BEAT));
}
