use kukuri_contract::EndpointId;
use proptest::prelude::*;

use super::*;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const LATER: UnixMillis = UnixMillis(NOW.0 + 1000);

fn secret(byte: u8) -> Option<TopicSecret> {
    Some(TopicSecret::from_bytes([byte; 32]))
}

fn name(text: &str) -> TopicName {
    text.parse().unwrap()
}

fn topic(text: &str, secret: Option<TopicSecret>) -> SavedTopic {
    SavedTopic {
        name: name(text),
        secret,
        former: None,
        earlier: Vec::new(),
        peers: Vec::new(),
    }
}

fn key(byte: u8) -> KeyBytes {
    KeyBytes::new([byte; 32])
}

fn book() -> Book {
    let mut book = Book::default();
    book.add(topic("tea", secret(1))).unwrap();
    book.add(topic("public", None)).unwrap();
    book.rotate(&name("tea"), secret(2), LATER).unwrap();
    book
}

#[test]
fn a_topic_is_there_once() {
    let mut book = Book::default();
    let peer = EndpointAddr {
        id: EndpointId::from_bytes([1; 32]),
        direct: vec!["192.0.2.1:4433".parse().unwrap()],
        relay: None,
    };
    assert_eq!(book.add(topic("tea", secret(1))), Ok(true));
    let told = SavedTopic {
        peers: vec![peer.clone()],
        ..topic("tea", secret(1))
    };
    assert_eq!(book.add(told), Ok(false));
    assert_eq!(book.topics()[0].peers, [peer], "the newest peers");
    let other = book.add(topic("tea", secret(2)));
    assert_eq!(other, Err(ChangeError::OtherSecret("tea".to_owned())));
    assert_eq!(book.remove(&name("tea")), Ok(()));
    let gone = book.remove(&name("tea"));
    assert_eq!(gone, Err(ChangeError::Unknown("tea".to_owned())));
}

#[test]
fn a_rotated_topic_has_both_secrets_until_the_overlap_ends() {
    let mut book = book();
    let old = topic("tea", secret(1)).id();
    let tea = &book.topics()[1];
    assert_eq!((&tea.secret, &tea.earlier), (&secret(2), &vec![old]));
    let former = Former {
        secret: secret(1),
        until: LATER,
    };
    assert_eq!(tea.former, Some(former));
    let same = book.rotate(&name("tea"), secret(2), LATER);
    assert_eq!(same, Err(ChangeError::SameSecret("tea".to_owned())));
    assert!(!book.expire(NOW));
    assert!(book.expire(LATER), "from that moment on");
    assert_eq!(book.topics()[1].former, None);
    assert_eq!(book.topics()[1].earlier, [old], "its posts stay history");
}

#[test]
fn a_second_rotation_ends_the_first_overlap() {
    let mut book = book();
    book.rotate(&name("tea"), secret(3), LATER).unwrap();
    let tea = &book.topics()[1];
    assert_eq!(tea.former.as_ref().unwrap().secret, secret(2));
    assert_eq!(tea.earlier.len(), 2);
    // Back to an earlier one: no topic is in the history twice.
    book.rotate(&name("tea"), secret(1), LATER).unwrap();
    book.rotate(&name("tea"), secret(2), LATER).unwrap();
    assert_eq!(book.topics()[1].earlier.len(), 3);
}

#[test]
fn it_is_bounded() {
    let mut book = Book::default();
    for n in 0..MAX_SAVED {
        book.add(topic(&format!("topic {n}"), None)).unwrap();
    }
    let full = book.add(topic("one more", None));
    assert_eq!(full, Err(ChangeError::Full));
    for n in 0..2 * MAX_EARLIER as u8 {
        book.rotate(&name("topic 0"), secret(n), LATER).unwrap();
    }
    assert_eq!(book.topics()[0].earlier.len(), MAX_EARLIER);
}

#[test]
fn what_was_sealed_is_opened_by_the_same_keys_only() {
    let sealed = book().seal(&key(1), &[9; 24]);
    assert_eq!(Book::open(&sealed, &key(1)), Ok(book()));
    assert_eq!(Book::open(&sealed, &key(2)), Err(BookError::Wrong));
    let text = String::from_utf8_lossy(&sealed);
    assert!(!text.contains("tea"), "not even a name is in the clear");
}

#[test]
fn each_damage_has_its_error() {
    let open = |bytes: &[u8]| Book::open(bytes, &key(1)).unwrap_err();
    assert_eq!(open(b""), BookError::NotTopics);
    assert_eq!(open(b"kukuri-topics"), BookError::NotTopics);
    assert_eq!(open(b"kukuri-topics\x02"), BookError::Version(2));
    assert_eq!(open(b"kukuri-topics\x01short"), BookError::Wrong);
    let head = [MAGIC, &[VERSION], &[9; NONCE_BYTES]].concat();
    for json in [
        "",
        "{}",
        r#"[{"name":""}]"#,
        r#"[{"name":"a","secret":"x"}]"#,
        r#"[{"name":"a"},{"name":"a"}]"#,
        r#"[{"name":"a","more":1}]"#,
    ] {
        let payload = Payload {
            msg: json.as_bytes(),
            aad: &head,
        };
        let cipher = XChaCha20Poly1305::new(key(1).expose().into());
        let sealed = cipher.encrypt(&XNonce::from([9; 24]), payload).unwrap();
        assert_eq!(open(&[&head[..], &sealed].concat()), BookError::Malformed);
    }
}

proptest! {
    #[test]
    fn any_change_is_noticed(at in 0usize..200, bit in 0u8..8) {
        let mut sealed = book().seal(&key(1), &[9; 24]);
        prop_assume!(at < sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(Book::open(&sealed, &key(1)).is_err());
    }
}
