//! Questions and answers: round trips, what fits nobody else, garbage.

use proptest::prelude::*;

use kukuri_contract::{MAX_ANSWER_BYTES, MAX_ASK_BYTES};

use super::*;

const EPOCH: Epoch = Epoch(2_966_667);

fn between() -> Between {
    Between {
        topic: TopicId::from_bytes([0x70; 32]),
        asker: EndpointId::from_bytes([1; 32]),
        answerer: EndpointId::from_bytes([2; 32]),
    }
}

fn key() -> KeyBytes {
    KeyBytes::new([5; 32])
}

fn summary() -> Summary {
    Summary {
        from: FIRST_AUTHOR,
        to: LAST_AUTHOR,
        have: vec![Holding {
            author: AuthorId::from_bytes([9; 32]),
            ranges: vec![(1, 4), (7, 7)],
        }],
    }
}

#[test]
fn what_is_lacking_shows_in_any_range_of_any_author() {
    let holding = |author, ranges: &[(u64, u64)]| Holding {
        author: AuthorId::from_bytes([author; 32]),
        ranges: ranges.to_vec(),
    };
    let ours = [holding(1, &[(1, 4), (7, 9)]), holding(2, &[(1, 1)])];
    for theirs in [
        &[][..],
        &[holding(3, &[])],
        &[holding(1, &[(2, 3), (7, 7), (9, 9)])],
        &ours,
    ] {
        assert!(!is_lacking(&ours, theirs), "{theirs:?}");
    }
    for theirs in [
        holding(1, &[(1, 5)]),
        holding(1, &[(6, 6)]),
        holding(2, &[(1, 1), (3, 3)]),
        holding(3, &[(1, 1)]),
    ] {
        assert!(
            is_lacking(&ours, std::slice::from_ref(&theirs)),
            "{theirs:?}"
        );
    }
}

#[test]
fn questions_and_answers_round_trip() {
    let question = summary().seal(between(), EPOCH, &key(), [6; 24]);
    let asked = Summary::peek(&question, EPOCH.offset(2)).unwrap();
    assert_eq!(asked, (EPOCH, [6; 24]));
    let opened = Summary::open(&question, between(), EPOCH, &key());
    assert_eq!(opened, Ok(summary()));
    let delivery = Delivery {
        envelopes: vec![Bytes::from_static(b"one"), Bytes::new()],
        more: true,
    };
    let answer = delivery.seal(between(), asked, &key(), [7; 24]);
    let opened = Delivery::open(&answer, between(), asked, &key());
    assert_eq!(opened, Ok(delivery));
}

#[test]
fn what_was_said_fits_nobody_else_and_no_other_question() {
    let question = summary().seal(between(), EPOCH, &key(), [6; 24]);
    let swapped = Between {
        asker: between().answerer,
        answerer: between().asker,
        ..between()
    };
    let seal = Err(RepairError::Seal);
    assert_eq!(Summary::open(&question, swapped, EPOCH, &key()), seal);
    let stranger = KeyBytes::new([6; 32]);
    assert_eq!(Summary::open(&question, between(), EPOCH, &stranger), seal);
    let delivery = Delivery {
        envelopes: Vec::new(),
        more: false,
    };
    let answer = delivery.seal(between(), (EPOCH, [6; 24]), &key(), [7; 24]);
    let other = (EPOCH, [8; 24]);
    let opened = Delivery::open(&answer, between(), other, &key());
    assert_eq!(opened, Err(RepairError::Seal));
    let far = Summary::peek(&question, EPOCH.offset(3));
    assert_eq!(far, Err(RepairError::Epoch(EPOCH.0)));
    let newer = [&[2], &question[1..]].concat();
    assert_eq!(Summary::peek(&newer, EPOCH), Err(RepairError::Version(2)));
}

#[test]
fn the_largest_question_and_answer_fit_the_transport() {
    let author = |n: usize| AuthorId::from_bytes([n as u8; 32]);
    let ranges: Vec<_> = (1..=MAX_RANGES as u64)
        .map(|n| (3 * n, 3 * n + 1))
        .collect();
    let holding = |n| Holding {
        author: author(n),
        ranges: ranges.clone(),
    };
    let summary = Summary {
        have: (0..MAX_AUTHORS).map(holding).collect(),
        ..summary()
    };
    let question = summary.seal(between(), EPOCH, &key(), [6; 24]);
    assert!(question.len() <= MAX_ASK_BYTES, "{}", question.len());
    let opened = Summary::open(&question, between(), EPOCH, &key());
    assert_eq!(opened, Ok(summary));
    // The posts of an answer have at most MAX_BYTES together, or are one.
    const { assert!(MAX_BYTES + 3 * MAX_POSTS + 100 <= MAX_ANSWER_BYTES) };
}

#[test]
fn authors_follow_each_other() {
    let author =
        |last| AuthorId::from_bytes([&[1; 30], &[last, 0xff][..]].concat().try_into().unwrap());
    let next = next_author(author(3));
    assert_eq!(next.as_bytes()[30..], [4, 0]);
    assert!(next > author(3));
}

proptest! {
    #[test]
    fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let asked = (EPOCH, [6; 24]);
        let _peeked = Summary::peek(&bytes, EPOCH);
        prop_assert!(Summary::open(&bytes, between(), EPOCH, &key()).is_err());
        prop_assert!(Delivery::open(&bytes, between(), asked, &key()).is_err());
    }

    #[test]
    fn sealed_garbage_is_a_typed_error(plain in proptest::collection::vec(any::<u8>(), 0..400)) {
        let asked = (EPOCH, [6; 24]);
        let sealed = seal(&plain, &question_data(between(), EPOCH), &key(), [6; 24]);
        let question = [&[VERSION], &EPOCH.0.to_be_bytes()[..], &[6; 24], &sealed].concat();
        let opened = Summary::open(&question, between(), EPOCH, &key());
        prop_assert!(matches!(opened, Ok(_) | Err(RepairError::Malformed)));
        let sealed = seal(&plain, &answer_data(between(), EPOCH, [6; 24]), &key(), [7; 24]);
        let answer = [&[VERSION], &[7; 24][..], &sealed].concat();
        let opened = Delivery::open(&answer, between(), asked, &key());
        prop_assert!(matches!(opened, Ok(_) | Err(RepairError::Malformed)));
    }
}
