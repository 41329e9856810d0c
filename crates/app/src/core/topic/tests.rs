use super::*;

const S: Duration = Duration::from_secs(1);

fn peer(n: u8) -> EndpointId {
    EndpointId::from_bytes([n; 32])
}

fn address(n: u8) -> EndpointAddr {
    EndpointAddr {
        id: peer(n),
        direct: vec![([127, 0, 0, 1], u16::from(n)).into()],
        relay: None,
    }
}

#[test]
fn the_first_neighbor_is_told_with_its_source() {
    let mut topic = TopicState::new(None, false, S);
    topic.found(&address(1), Source::Rendezvous);
    topic.found(&address(1), Source::Inbound);
    let first = topic.neighbor_up(peer(1), 3 * S).unwrap();
    let expected = FirstNeighbor {
        source: Source::Rendezvous,
        after: 2 * S,
        again: false,
    };
    assert_eq!(first, expected);
    assert_eq!(topic.neighbor_up(peer(2), 4 * S), None);
    assert!(topic.neighbor_down(peer(1), 5 * S));
    assert!(!topic.neighbor_down(peer(1), 5 * S));
    assert!(topic.neighbor_down(peer(2), 6 * S));
    let again = topic.neighbor_up(peer(3), 8 * S).unwrap();
    assert_eq!(again.source, Source::Inbound, "nobody told us of it");
    assert_eq!((again.after, again.again), (2 * S, true));
}

#[test]
fn a_list_of_neighbors_is_compared() {
    let mut topic = TopicState::new(None, false, S);
    topic.neighbor_up(peer(1), S);
    topic.neighbor_up(peer(2), S);
    assert_eq!(topic.generation(), 2);
    let expected = Difference {
        up: vec![peer(3)],
        down: vec![peer(1)],
    };
    assert_eq!(topic.differs_from(&[peer(2), peer(3)]), expected);
}

#[test]
fn numbers_go_on_after_a_restart_and_leave_no_gap() {
    let mut topic = TopicState::new(Some(41), false, S);
    assert_eq!(topic.take_seq(), 42);
    assert_eq!(topic.take_seq(), 43);
    topic.return_seq(42);
    assert_eq!(topic.take_seq(), 42);
    topic.own_seq_seen(50);
    assert_eq!(topic.take_seq(), 51);
}

#[test]
fn no_two_posts_in_a_row_have_the_same_time() {
    let mut topic = TopicState::new(None, false, S);
    let times = [5000, 5000, 5001, 6000, 4500, 60].map(|now| topic.post_time(UnixMillis(now)).0);
    assert_eq!(times, [5000, 5001, 5002, 6000, 4500, 60]);
    let burst: BTreeSet<_> = (0..1000)
        .map(|_| topic.post_time(UnixMillis(100)).0)
        .collect();
    assert_eq!(burst.len(), 1000);
}

#[test]
fn revocations_wait_until_the_topic_has_caught_up_but_not_for_long() {
    let mut topic = TopicState::new(None, false, S);
    assert!(!topic.may_revoke(100 * S), "nobody would hear it");
    topic.neighbor_up(peer(1), 2 * S);
    topic.repair_ended(RepairResult::Failed, 0, 3 * S);
    assert!(!topic.may_revoke(30 * S));
    assert!(topic.may_revoke(31 * S), "no neighbor can put it off");
    topic.repair_ended(RepairResult::Complete, 0, 4 * S);
    assert!(topic.may_revoke(4 * S));
    topic.neighbor_down(peer(1), 5 * S);
    assert!(topic.may_revoke(5 * S));
}

#[test]
fn a_gap_in_an_authors_numbers_is_noticed() {
    let mut topic = TopicState::new(None, false, S);
    let author = AuthorId::from_bytes([1; 32]);
    let gaps = [1, 2, 5, 3, 6, 8].map(|seq| topic.seq_seen(author, seq));
    assert_eq!(gaps, [false, false, true, false, false, true]);
    assert!(
        topic.seq_seen(AuthorId::from_bytes([2; 32]), 9),
        "its first eight"
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut topic = TopicState::new(None, false, S);
    topic.found(&address(1), Source::Cache);
    topic.neighbor_up(peer(1), S);
    for n in 0..5000u64 {
        topic.put_seal_key(Epoch(n), None);
        topic.keep_unsent(Bytes::new());
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        topic.seq_seen(AuthorId::from_bytes(id), 1);
        let id = EndpointId::from_bytes(id);
        topic.found(&EndpointAddr { id, ..address(2) }, Source::Rendezvous);
    }
    assert_eq!(topic.seal_keys.len(), MAX_SEAL_KEYS);
    assert_eq!(topic.take_unsent().len(), MAX_UNSENT);
    assert!(topic.seal_key(Epoch(4999)).is_some());
    assert!(topic.found.len() <= MAX_FOUND && topic.highest.len() <= MAX_AUTHORS);
    assert!(
        topic.address_of(peer(1)).is_some(),
        "a neighbor's address stays"
    );
}

#[test]
fn a_verdict_is_told_when_it_changes() {
    let mut topic = TopicState::new(None, false, S);
    assert_eq!(topic.set_verdict(Verdict::Alone), Some(None));
    assert_eq!(topic.set_verdict(Verdict::Alone), None);
    let changed = topic.set_verdict(Verdict::DhtBlocked);
    assert_eq!(changed, Some(Some(Verdict::Alone)));
}
