//! Every decoder of bytes from others, as a function of bytes: for the fuzz targets of `tests/fuzz`,
//! and for the replay of their corpus on a stable toolchain.
//!
//! Whatever the bytes, a decoder must not panic; what it accepts must come out the same when it is
//! encoded and decoded again. Most formats are sealed, so that bytes of chance never get past the
//! seal. Where the first byte is odd, the rest is taken for the *content*, and sealed with the right
//! keys: what a member with bad intent can send.

mod texts;

use std::fmt::Debug;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, Mac};
use kukuri::core::post::{self, Packet};
use kukuri::core::repair::{Between, Delivery, Summary};
use kukuri_contract::{
    AuthorId, AuthorLink, EndpointId, Epoch, EpochKeys, KeyBytes, MemberKeys, SignRequest,
    Signature, TopicId, TopicName, UnixMillis,
};
use kukuri_discovery::core::beacon::{self, Beacon};
use kukuri_discovery::core::dialback::DialBack;
use kukuri_discovery::core::hello::{self, HelloReply, HelloRequest, PACKET_BYTES};
use kukuri_discovery::core::page::{self, PAGE_BYTES, Place};
use kukuri_discovery::core::record::Record;
use kukuri_gossip::core::ask_wire;
use kukuri_gossip::core::member::{self, Channel};
use kukuri_identity::core::derive::TopicKey;
use sha2::Sha256;

/// Reads any bytes, and panics where something is wrong.
pub type Decoder = fn(&[u8]);

/// The decoders and their names, which are those of the fuzz targets.
pub const ALL: [(&str, Decoder); 19] = [
    ("record", record),
    ("hello_request", hello_request),
    ("hello_reply", hello_reply),
    ("dial_back", dial_back),
    ("beacon", beacon),
    ("page", page),
    ("post", post),
    ("repair_question", repair_question),
    ("repair_answer", repair_answer),
    ("membership", membership),
    ("ask", ask),
    ("stored_keys", texts::stored_keys),
    ("sealed_keys", texts::sealed_keys),
    ("topic_secret", texts::topic_secret),
    ("invite", texts::invite),
    ("author_link", texts::author_link),
    ("author_links", texts::author_links),
    ("topics_file", texts::topics_file),
    ("config", texts::config),
];

/// Runs the decoder of this name.
///
/// # Panics
/// When there is none, or when it is at fault.
pub fn run(name: &str, bytes: &[u8]) {
    let known = ALL.iter().find(|(known, _)| *known == name);
    let (_, decode) = known.unwrap_or_else(|| panic!("no decoder is named {name}"));
    decode(bytes);
}

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const NONCE: [u8; 24] = [7; 24];
const OVERHEAD: usize = 16;

/// The keys of the topic "fuzz", which has no secret.
fn topic() -> (TopicId, Epoch, EpochKeys) {
    let name: TopicName = "fuzz".parse().expect("a name");
    let (key, epoch) = (TopicKey::new(&name, None), Epoch::at(NOW));
    (key.topic_id(), epoch, key.epoch_keys(epoch))
}

/// What is to be read: the bytes themselves, or the content that they are, sealed by a member.
fn sealed(bytes: &[u8], seal: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    match bytes.split_first() {
        Some((mode, content)) if mode % 2 == 1 => seal(content),
        Some((_, packet)) => packet.to_vec(),
        None => Vec::new(),
    }
}

fn encrypt(key: &KeyBytes, aad: &[u8], msg: &[u8]) -> Vec<u8> {
    XChaCha20Poly1305::new(key.expose().into())
        .encrypt(&XNonce::from(NONCE), Payload { msg, aad })
        .expect("short enough for the cipher")
}

fn same<T: PartialEq + Debug, E: Debug>(read: &T, again: Result<T, E>) {
    assert_eq!(read, &again.expect("what was read once"));
}

// --- discovery -----------------------------------------------------------------------------------

/// Without a signature few bytes are a record: one is made, by the endpoint of this test.
fn record(bytes: &[u8]) {
    let (topic, ..) = topic();
    let key = SigningKey::from_bytes(&[1; 32]);
    let signed = sealed(bytes, |content| {
        let mut body = content.to_vec();
        if let Some(id) = body.get_mut(1..33) {
            id.copy_from_slice(key.verifying_key().as_bytes());
        }
        let issued_at = body.get(33..41).and_then(|time| time.try_into().ok());
        let issued_at = UnixMillis(u64::from_be_bytes(issued_at.unwrap_or_default()));
        let epoch = Epoch::at(issued_at);
        let statement = SignRequest::Record {
            topic,
            epoch,
            body: body.clone(),
        };
        body.extend(key.sign(&statement.preimage()).to_bytes());
        body
    });
    if let Ok(read) = Record::parse(topic, &signed, NOW) {
        assert_eq!(read.bytes, signed);
        same(&read, Record::parse(topic, &read.bytes, read.issued_at));
    }
}

fn hello_packet(bytes: &[u8], kind: u8, key: &KeyBytes, keys: &EpochKeys) -> Vec<u8> {
    let packet = sealed(bytes, |content| {
        let mut mac = Hmac::<Sha256>::new_from_slice(keys.hello_tag.expose()).expect("any length");
        mac.update(&[kind]);
        mac.update(&NONCE);
        let tag = mac.finalize().into_bytes();
        let header = [&[hello::VERSION, kind][..], &NONCE, &tag[..8]].concat();
        let mut plain = content.to_vec();
        plain.resize(PACKET_BYTES - header.len() - OVERHEAD, 0);
        let sealed = encrypt(key, &header, &plain);
        [header, sealed].concat()
    });
    let _ = (hello::kind(&packet), hello::has_tag(&packet, keys));
    packet
}

fn hello_request(bytes: &[u8]) {
    let (.., keys) = topic();
    let packet = hello_packet(bytes, 0, &keys.hello_request, &keys);
    if let Ok(read) = HelloRequest::open(&packet, &keys) {
        same(&read, HelloRequest::open(&read.seal(&keys, NONCE), &keys));
    }
}

fn hello_reply(bytes: &[u8]) {
    let (.., keys) = topic();
    let packet = hello_packet(bytes, 1, &keys.hello_reply, &keys);
    if let Ok(mut read) = HelloReply::open(&packet, &keys) {
        let again = HelloReply::open(&read.seal(&keys, NONCE), &keys).expect("what was read once");
        // A full packet had no room for the flags that came later; they cost the last record.
        read.members.truncate(again.members.len());
        assert_eq!(read, again);
    }
}

fn dial_back(bytes: &[u8]) {
    let (.., keys) = topic();
    let packet = hello_packet(bytes, 2, &keys.hello_reply, &keys);
    if let Ok(read) = DialBack::open(&packet, &keys) {
        same(&read, DialBack::open(&read.seal(&keys, NONCE), &keys));
    }
}

fn beacon(bytes: &[u8]) {
    let (topic, epoch, keys) = topic();
    let payload = sealed(bytes, |content| {
        let header = [&[2, beacon::VERSION][..], &epoch.0.to_be_bytes()].concat();
        let aad = [&header, &topic.as_bytes()[..]].concat();
        [header, NONCE.to_vec(), encrypt(&keys.beacon, &aad, content)].concat()
    });
    let _ = beacon::epoch(&payload);
    if let Ok(read) = Beacon::open(topic, &payload, &keys.beacon) {
        let _ = read.heartbeat.map(|heartbeat| heartbeat.is_signed(topic));
        let again = read.seal(topic, epoch, &keys.beacon, NONCE);
        same(&read, Beacon::open(topic, &again, &keys.beacon));
    }
}

fn page(bytes: &[u8]) {
    let (topic, epoch, keys) = topic();
    let at = Place {
        topic,
        epoch,
        slot: 3,
        level: 0,
    };
    let page = sealed(bytes, |content| {
        let label = b"kukuri/1 board page\0";
        let place = [at.slot, at.level, page::VERSION];
        let epoch = epoch.0.to_be_bytes();
        let aad = [&label[..], topic.as_bytes(), &epoch, &place].concat();
        let mut plain = content.to_vec();
        let room = PAGE_BYTES.map(|length| length - 1 - NONCE.len() - OVERHEAD);
        let length = room.into_iter().find(|room| plain.len() <= *room);
        plain.resize(length.unwrap_or(room[2]), 0);
        let sealed = encrypt(&keys.board_seal, &aad, &plain);
        [&[page::VERSION][..], &NONCE, &sealed].concat()
    });
    if let Ok(read) = page::open(&at, &keys, &page) {
        let records: Vec<_> = read.iter().map(|record| &record[..]).collect();
        same(
            &read,
            page::open(&at, &keys, &page::seal(&at, &keys, &records, NONCE)),
        );
    }
}

// --- posts and their repair ----------------------------------------------------------------------

/// Signed by the writer, and where there is room for a link, that by its author.
fn post(bytes: &[u8]) {
    let (topic, ..) = topic();
    let [author, person] = [2, 3].map(|n| SigningKey::from_bytes(&[n; 32]));
    let payload = sealed(bytes, |content| {
        let mut envelope = content.to_vec();
        if let Some(id) = envelope.get_mut(1..33) {
            id.copy_from_slice(author.verifying_key().as_bytes());
        }
        if envelope.first() == Some(&post::LINKED)
            && let Some(link) = envelope.get_mut(49..153)
        {
            let id = person.verifying_key();
            link[..32].copy_from_slice(id.as_bytes());
            let statement = SignRequest::Link {
                author: AuthorId::from_bytes(id.to_bytes()),
                writer: AuthorId::from_bytes(author.verifying_key().to_bytes()),
                issued_at: UnixMillis(u64::from_be_bytes(
                    link[32..40].try_into().expect("eight bytes"),
                )),
            };
            let signature = person.sign(&statement.preimage()).to_bytes();
            link[40..].copy_from_slice(&signature);
        }
        let statement = SignRequest::Post {
            topic,
            envelope: envelope.clone(),
        };
        envelope.extend(author.sign(&statement.preimage()).to_bytes());
        post::clear(&envelope).to_vec()
    });
    let key = KeyBytes::new([9; 32]);
    let envelope = match Packet::parse(&Bytes::from(payload)) {
        Ok(Packet::Clear(envelope)) => envelope,
        Ok(Packet::Sealed {
            epoch,
            nonce,
            sealed,
        }) => match post::open(&sealed, nonce, topic, epoch, &key) {
            Ok(envelope) => envelope,
            Err(_) => return,
        },
        Err(_) => return,
    };
    if let Ok(read) = post::verify(topic, &envelope, NOW) {
        assert_eq!(read.envelope, envelope);
        let unsigned = match (&read.revokes, read.author == read.writer) {
            (Some(revokes), _) => {
                post::unsigned_revocation(read.writer, read.seq, read.time, revokes)
            }
            (None, true) => post::unsigned(read.writer, read.seq, read.time, &read.body),
            (None, false) => {
                let link = AuthorLink {
                    author: read.author,
                    writer: read.writer,
                    issued_at: UnixMillis(u64::from_be_bytes(
                        envelope[81..89].try_into().expect("eight bytes"),
                    )),
                    signature: Signature::from_bytes(
                        envelope[89..153].try_into().expect("a signature"),
                    ),
                };
                post::unsigned_linked(&link, read.seq, read.time, &read.body)
            }
        };
        assert_eq!(envelope[..envelope.len() - 64], unsigned);
    }
}

fn between() -> Between {
    Between {
        topic: topic().0,
        asker: EndpointId::from_bytes([1; 32]),
        answerer: EndpointId::from_bytes([2; 32]),
    }
}

fn repair_data(label: &[u8], rest: &[u8]) -> Vec<u8> {
    let Between {
        topic,
        asker,
        answerer,
    } = between();
    let ids = [topic.as_bytes(), asker.as_bytes(), answerer.as_bytes()].map(|id| &id[..]);
    [label, &ids.concat(), rest].concat()
}

fn repair_question(bytes: &[u8]) {
    let (_, epoch, keys) = topic();
    let question = sealed(bytes, |content| {
        let clear = epoch.0.to_be_bytes();
        let aad = repair_data(b"kukuri/1 repair question\0", &clear);
        let sealed = encrypt(&keys.repair, &aad, content);
        [&[1][..], &clear, &NONCE, &sealed].concat()
    });
    let Ok((epoch, nonce)) = Summary::peek(&question, epoch) else {
        return;
    };
    if let Ok(read) = Summary::open(&question, between(), epoch, &keys.repair) {
        let again = read.seal(between(), epoch, &keys.repair, nonce);
        same(&read, Summary::open(&again, between(), epoch, &keys.repair));
    }
}

fn repair_answer(bytes: &[u8]) {
    let (_, epoch, keys) = topic();
    let asked = (epoch, NONCE);
    let answer = sealed(bytes, |content| {
        let clear = [&epoch.0.to_be_bytes()[..], &NONCE].concat();
        let aad = repair_data(b"kukuri/1 repair answer\0", &clear);
        [&[1][..], &NONCE, &encrypt(&keys.repair, &aad, content)].concat()
    });
    if let Ok(read) = Delivery::open(&answer, between(), asked, &keys.repair) {
        let again = read.seal(between(), asked, &keys.repair, NONCE);
        same(
            &read,
            Delivery::open(&again, between(), asked, &keys.repair),
        );
    }
}

// --- between two connected nodes -----------------------------------------------------------------

/// A claim, and an answer to one.
fn membership(bytes: &[u8]) {
    let (topic, epoch, keys) = topic();
    let keys = MemberKeys {
        epoch,
        own: keys.member,
        others: Vec::new(),
    };
    let channel = Channel {
        binding: [5; 32],
        initiator: EndpointId::from_bytes([1; 32]),
        responder: EndpointId::from_bytes([2; 32]),
    };
    let (claimed, claim) = member::claim(channel.clone(), &keys);
    let is_the_answer = claimed.check(bytes).is_ok();
    let answered = member::answer(&channel, bytes, [(topic, &keys)]);
    assert_eq!(answered.is_ok(), bytes == claim, "there is one claim only");
    assert!(
        !(is_the_answer && answered.is_ok()),
        "and it is not its own answer"
    );
}

fn ask(bytes: &[u8]) {
    if let Ok(topic) = ask_wire::read_header(bytes) {
        assert!(bytes.starts_with(&ask_wire::write_header(topic)));
    }
    let _ = ask_wire::read_answer(Bytes::copy_from_slice(bytes));
}
