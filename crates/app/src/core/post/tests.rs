use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;

use super::*;

const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);
const NOW: UnixMillis = UnixMillis(1_780_000_500_000);

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> AuthorId {
    AuthorId::from_bytes(key(n).verifying_key().to_bytes())
}

fn sign(n: u8, statement: &SignRequest) -> Signature {
    Signature::from_bytes(key(n).sign(&statement.preimage()).to_bytes())
}

/// A whole envelope, signed by writer 1.
fn signed(unsigned: Vec<u8>) -> Bytes {
    let request = SignRequest::Post {
        topic: TOPIC,
        envelope: unsigned.clone(),
    };
    finish(unsigned, &sign(1, &request))
}

fn envelope(seq: u64, body: &[u8]) -> Bytes {
    signed(unsigned(id(1), seq, NOW, body))
}

/// Author 2 lets writer 1 write.
fn link() -> AuthorLink {
    let (author, writer, issued_at) = (id(2), id(1), UnixMillis(7));
    let statement = SignRequest::Link {
        author,
        writer,
        issued_at,
    };
    AuthorLink {
        author,
        writer,
        issued_at,
        signature: sign(2, &statement),
    }
}

fn linked(link: &AuthorLink, body: &[u8]) -> Bytes {
    signed(unsigned_linked(link, 7, NOW, body))
}

fn revocation(kept: &[(u64, u64)]) -> Bytes {
    let revocation = Revocation {
        writer: id(3),
        kept: kept.to_vec(),
    };
    signed(unsigned_revocation(id(1), 7, NOW, &revocation))
}

#[test]
fn a_linked_post_is_the_authors_in_the_writers_log() {
    let post = verify(TOPIC, &linked(&link(), b"hello"), NOW).unwrap();
    assert_eq!((post.author, post.writer), (id(2), id(1)));
    assert_eq!((post.seq, &post.body[..]), (7, b"hello".as_slice()));
    let own = verify(TOPIC, &envelope(7, b"hello"), NOW).unwrap();
    assert_eq!((own.author, own.writer), (id(1), id(1)));
}

#[test]
fn nobody_writes_in_a_name_without_its_link() {
    let bad = |link: AuthorLink| verify(TOPIC, &linked(&link, b"hello"), NOW).unwrap_err();
    let for_another = AuthorLink {
        author: id(3),
        ..link()
    };
    assert_eq!(bad(for_another), PostDrop::BadSignature);
    let later = AuthorLink {
        issued_at: UnixMillis(8),
        ..link()
    };
    assert_eq!(bad(later), PostDrop::BadSignature);
    let to_itself = AuthorLink {
        author: id(1),
        ..link()
    };
    assert_eq!(bad(to_itself), PostDrop::Malformed);
    // A link that is right, in the log of another writer.
    let mut stolen = unsigned_linked(&link(), 7, NOW, b"hello");
    stolen[1..33].copy_from_slice(id(3).as_bytes());
    let request = SignRequest::Post {
        topic: TOPIC,
        envelope: stolen.clone(),
    };
    let stolen = finish(stolen, &sign(3, &request));
    assert_eq!(verify(TOPIC, &stolen, NOW), Err(PostDrop::BadSignature));
}

#[test]
fn a_revocation_says_what_stays_good() {
    let most: Vec<_> = (0..MAX_KEPT as u64)
        .map(|n| (3 * n + 1, 3 * n + 2))
        .collect();
    for kept in [&[][..], &[(1, 9)], &[(1, 1), (3, MAX_SEQ)], &most] {
        let post = verify(TOPIC, &revocation(kept), NOW).unwrap();
        let revokes = post.revokes.unwrap();
        assert_eq!((revokes.writer, &revokes.kept[..]), (id(3), kept));
        assert_eq!(
            (post.author, post.writer, post.body.len()),
            (id(1), id(1), 0)
        );
    }
    for kept in [
        &[(0, 1)][..],
        &[(2, 1)],
        &[(1, MAX_SEQ + 1)],
        &[(1, 2), (3, 4)],
        &[(5, 6), (1, 2)],
    ] {
        let read = verify(TOPIC, &revocation(kept), NOW);
        assert_eq!(read, Err(PostDrop::Malformed), "{kept:?}");
    }
    let mut too_many = unsigned_revocation(
        id(1),
        7,
        NOW,
        &Revocation {
            writer: id(3),
            kept: most,
        },
    );
    too_many[81] += 1;
    too_many.extend([[0, 0, 0, 0, 0, 0, 1, 0]; 2].concat());
    let read = verify(TOPIC, &signed(too_many), NOW);
    assert_eq!(read, Err(PostDrop::Malformed));
    let itself = Revocation {
        writer: id(1),
        kept: Vec::new(),
    };
    let read = verify(
        TOPIC,
        &signed(unsigned_revocation(id(1), 7, NOW, &itself)),
        NOW,
    );
    assert_eq!(read, Err(PostDrop::Malformed));
}

#[test]
fn round_trip_in_the_clear_and_sealed() {
    let envelope = envelope(7, b"hello");
    let post = verify(TOPIC, &envelope, NOW).unwrap();
    assert_eq!((post.seq, &post.body[..]), (7, b"hello".as_slice()));
    assert_eq!(
        Packet::parse(&clear(&envelope)),
        Ok(Packet::Clear(envelope.clone()))
    );

    let key = KeyBytes::new([5; 32]);
    let payload = seal(&envelope, TOPIC, Epoch(9), &key, [6; 24]);
    let Ok(Packet::Sealed {
        epoch,
        nonce,
        sealed,
    }) = Packet::parse(&payload)
    else {
        panic!("a sealed post");
    };
    assert_eq!(epoch, Epoch(9));
    assert_eq!(open(&sealed, nonce, TOPIC, epoch, &key), Ok(envelope));
    let seal = Err(PostDrop::Seal);
    assert_eq!(open(&sealed, nonce, OTHER, epoch, &key), seal);
    assert_eq!(open(&sealed, nonce, TOPIC, Epoch(8), &key), seal);
    assert_eq!(
        open(&sealed, nonce, TOPIC, epoch, &KeyBytes::new([6; 32])),
        seal
    );
}

#[test]
fn bad_envelopes_have_a_reason() {
    let good = envelope(1, b"hello");
    let changed = |at: usize, to: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = to;
        verify(TOPIC, &bytes.into(), NOW).unwrap_err()
    };
    assert_eq!(changed(0, 0), PostDrop::Version);
    assert_eq!(changed(0, 4), PostDrop::Version);
    assert_eq!(changed(49, 0xff), PostDrop::Oversize);
    assert_eq!(changed(50, 4), PostDrop::Malformed);
    assert_eq!(changed(51, b'j'), PostDrop::BadSignature);
    assert_eq!(verify(OTHER, &good, NOW), Err(PostDrop::BadSignature));
    let early = UnixMillis(NOW.0 - MAX_FUTURE_MS - 1);
    assert_eq!(verify(TOPIC, &good, early), Err(PostDrop::Future));
    assert!(verify(TOPIC, &good, UnixMillis(NOW.0 - MAX_FUTURE_MS)).is_ok());
    for seq in [0, MAX_SEQ + 1] {
        let post = verify(TOPIC, &envelope(seq, b""), NOW);
        assert_eq!(post, Err(PostDrop::Malformed));
    }
}

#[test]
fn the_longest_body_fits_one_gossip_message() {
    let body = [0; MAX_BODY_BYTES];
    for envelope in [envelope(1, &body), linked(&link(), &body)] {
        assert!(verify(TOPIC, &envelope, NOW).is_ok());
        let payload = seal(&envelope, TOPIC, Epoch(1), &KeyBytes::new([5; 32]), [6; 24]);
        assert!(payload.len() <= 3600, "{}", payload.len());
    }
}

proptest! {
    #[test]
    fn garbage_is_a_counted_drop(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let _packet = Packet::parse(&bytes);
        prop_assert!(verify(TOPIC, &bytes, NOW).is_err());
    }

    #[test]
    fn any_change_is_noticed(at in 0usize..240, bit in 0u8..8) {
        let whole = [envelope(1, b"hello"), linked(&link(), b"hello"), revocation(&[(1, 9)])];
        for envelope in whole {
            let mut bytes = envelope.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(verify(TOPIC, &bytes.into(), NOW).is_err());
        }
    }

    /// Whatever the writer signs, what comes out goes in again the same.
    #[test]
    fn signed_garbage_has_one_form(
        version in 0u8..5,
        garbage in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let unsigned = [&head(version, id(1), 7, NOW), &garbage[..]].concat();
        let envelope = signed(unsigned.clone());
        if let Ok(post) = verify(TOPIC, &envelope, NOW) {
            let again = match &post.revokes {
                None => super::unsigned(post.writer, post.seq, post.time, &post.body),
                Some(revokes) => unsigned_revocation(post.writer, post.seq, post.time, revokes),
            };
            prop_assert_eq!(again, unsigned);
        }
    }
}
