//! Inputs that must not be accepted, each with the name of the error.

use kukuri::core::post;
use kukuri_contract::{Epoch, TopicId, TopicSecret};
use kukuri_discovery::core::record::{FRESH_MS, MAX_RECORD_BYTES};
use kukuri_identity::format_secret;
use serde_json::{Value, json};

use crate::computed::{
    EPOCH, NOW, dial_back, full_peer, good_record, post_of, reply, request, secret_keys, topic_id,
    topic_key,
};
use crate::{change, hex, links};

pub fn secrets_bad() -> Value {
    let good = format_secret(&TopicSecret::from_bytes([7; 32])).to_string();
    let changed = |at: usize, to: &str| {
        let mut text = good.clone();
        text.replace_range(at..=at, to);
        text
    };
    let bad = |why, text: String, error| json!({"why": why, "input": text, "error": error});
    json!([
        bad("nothing", String::new(), "Empty"),
        bad("white space only", " \n".into(), "Empty"),
        bad("no prefix", "hunter2".into(), "NoSecret"),
        bad("another version", changed(14, "2"), "Version"),
        bad("a letter is missing", good[..73].into(), "Length"),
        bad("a letter too many", format!("{good}a"), "Length"),
        bad("a digit that base32 has not", changed(16, "1"), "Letter"),
        bad("another letter", changed(20, "z"), "Check"),
        bad("bits after the last byte", changed(73, "b"), "Check"),
    ])
}

pub fn names_bad() -> Value {
    let bad = |name: &str, error| json!({"input": name, "error": error});
    json!([
        bad("", "Empty"),
        bad("a\nb", "Control"),
        bad(" tea", "Blank"),
        bad(&"a".repeat(256), "TooLong"),
    ])
}

pub fn records_bad() -> Value {
    let good = good_record(1, &full_peer());
    let changed = |at: usize, to: u8| change(&good, at, to);
    let bad = |why, topic: TopicId, now: u64, bytes: &[u8], error| {
        let input = json!({"topic_id": topic.to_string(), "now": now, "bytes": hex(bytes)});
        json!({"why": why, "input": input, "error": error})
    };
    let here = |why, bytes: &[u8], error| bad(why, topic_id(), NOW.0, bytes, error);
    let (public, last) = (topic_key(false).topic_id(), good.len() - 1);
    let (late, early) = (NOW.0 + FRESH_MS + 1, NOW.0 - FRESH_MS - 1);
    let long = vec![1; MAX_RECORD_BYTES + 1];
    json!([
        here("a bit of an address", &changed(59, 202), "BadSignature"),
        here(
            "a bit of the signature",
            &changed(last, good[last] ^ 1),
            "BadSignature"
        ),
        bad("another topic", public, NOW.0, &good, "BadSignature"),
        here("too long", &long, "TooLong"),
        here("unknown version", &changed(0, 2), "Version"),
        bad("1 ms too old", topic_id(), late, &good, "Stale"),
        bad("1 ms too new", topic_id(), early, &good, "Stale"),
        here("nothing", &[], "Length"),
        here("the last byte is missing", &good[..last], "Length"),
        here("a byte too many", &[&good[..], &[0]].concat(), "Length"),
        here("five addresses", &changed(57, 5), "TooManyAddresses"),
        here("family 5", &changed(58, 5), "Family"),
        here("relay URL not UTF-8", &changed(85, 0xff), "Relay"),
    ])
}

pub fn hellos_bad() -> Value {
    let good = request().seal(&secret_keys(), [9; 24]);
    let says = reply().seal(&secret_keys(), [10; 24]);
    let back = dial_back().seal(&secret_keys(), [12; 24]);
    let bad = |why, topic, epoch: Epoch, packet: &[u8], error| {
        let input = json!({"topic": topic, "epoch": epoch.0, "packet": hex(packet)});
        json!({"why": why, "input": input, "error": error})
    };
    let here = |why, packet: &[u8], error| bad(why, "secret", EPOCH, packet, error);
    let changed = |at: usize| change(&good, at, good[at] ^ 1);
    json!([
        here("a byte is missing", &good[..1199], "Length"),
        here("a byte too many", &[&good[..], &[0]].concat(), "Length"),
        here("nothing", &[], "Length"),
        here("unknown version", &change(&good, 0, 2), "Version"),
        here("unknown kind", &change(&good, 1, 3), "Malformed"),
        here(
            "a request turned into a reply",
            &change(&good, 1, 1),
            "UnknownTag"
        ),
        here(
            "a reply turned into a dial-back",
            &change(&says, 1, 2),
            "UnknownTag"
        ),
        here(
            "a dial-back turned into a reply",
            &change(&back, 1, 1),
            "UnknownTag"
        ),
        here("a bit of the tag", &changed(33), "UnknownTag"),
        here("a bit of the ciphertext", &changed(34), "Seal"),
        here("a bit of the authenticator", &changed(1199), "Seal"),
        bad(
            "keys of the topic without secret",
            "public",
            EPOCH,
            &good,
            "UnknownTag"
        ),
        bad(
            "keys of another epoch",
            "secret",
            EPOCH.offset(1),
            &good,
            "UnknownTag"
        ),
    ])
}

pub fn posts_bad() -> Value {
    let [_, _, good] = post_of(1, b"hello");
    let (links, revocations) = (links::posts_bad(), links::revocations_bad());
    let clear = |envelope: &[u8]| post::clear(envelope).to_vec();
    let key = secret_keys().post_seal.unwrap();
    let sealed = post::seal(&good, topic_id(), EPOCH, &key, [11; 24]).to_vec();
    let bad = |why, topic, now: u64, payload: &[u8], error| {
        let input = json!({"topic": topic, "now": now, "payload": hex(payload)});
        json!({"why": why, "input": input, "error": error})
    };
    let here = |why, payload: &[u8], error| bad(why, "secret", NOW.0, payload, error);
    let changed = |at: usize, to: u8| clear(&change(&good, at, to));
    let seq = |seq| clear(&post_of(seq, b"")[2]);
    let early = NOW.0 - post::MAX_FUTURE_MS - 1;
    json!([
        here("nothing", &[], "Malformed"),
        here("unknown kind", &change(&clear(&good), 0, 2), "Malformed"),
        here("too short for a nonce", &sealed[..32], "Malformed"),
        here("unknown version", &changed(0, 4), "Version"),
        here("length field above 3072", &changed(49, 0x0c), "Oversize"),
        here("length field too small", &changed(50, 4), "Malformed"),
        here(
            "the last byte is missing",
            &clear(&good[..good.len() - 1]),
            "Malformed"
        ),
        here("number 0", &seq(0), "Malformed"),
        here("number 2^63", &seq(post::MAX_SEQ + 1), "Malformed"),
        here("a bit of the body", &changed(51, b'i'), "BadSignature"),
        bad(
            "another topic",
            "public",
            NOW.0,
            &clear(&good),
            "BadSignature"
        ),
        bad(
            "1 ms too far ahead",
            "secret",
            early,
            &clear(&good),
            "Future"
        ),
        here(
            "sealed for another epoch",
            &change(&sealed, 8, sealed[8] + 1),
            "Seal"
        ),
        here("a bit of the nonce", &change(&sealed, 9, 10), "Seal"),
        here(
            "a bit of the ciphertext",
            &change(&sealed, 33, sealed[33] ^ 1),
            "Seal"
        ),
        here("a link of another author", &links[0], "BadSignature"),
        here("a link made at another time", &links[1], "BadSignature"),
        here("a link to itself", &links[2], "Malformed"),
        here("a writer that revokes itself", &revocations[0], "Malformed"),
        here("17 ranges", &revocations[1], "Malformed"),
        here("ranges without a gap", &revocations[2], "Malformed"),
        here("a range from 0 on", &revocations[3], "Malformed"),
    ])
}
