//! The test vectors of the protocol, `docs/vectors/v1.json`, against the code, both ways.
//!
//! [`computed`] builds the whole file from fixed inputs; it must equal the one that is checked in,
//! so a vector that no code stands behind fails. The other tests start from the file: what it says
//! must be read as it says. To write the file anew:
//!
//! ```sh
//! KUKURI_WRITE_VECTORS=1 cargo nextest run --workspace --no-capture \
//!     -E 'binary(vectors) & test(=computed_and_file_agree)' | sed -n '/^{$/,/^}$/p'
//! ```

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod bad;
mod beacons;
mod computed;
mod invites;
mod links;
mod members;
mod page;
mod repair;
mod sealed;

use std::fmt::Debug;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use kukuri::core::post::{self, Packet};
use kukuri_contract::{
    EndpointAddr, Epoch, EpochKeys, HelloDrop, InfoHash, KeyBytes, Post, PostDrop, TopicId,
    TopicName, UnixMillis,
};
use kukuri_discovery::core::dialback::DialBack;
use kukuri_discovery::core::hello::{self, HelloReply, HelloRequest, Kind};
use kukuri_discovery::core::nearby;
use kukuri_discovery::core::record::Record;
use kukuri_identity::parse_secret;
use serde_json::Value;

/// What a vector gives, and what must come of it.
type Vector = (Value, Value);

// --- the file ------------------------------------------------------------------------------------

fn file() -> Value {
    serde_json::from_str(include_str!("../../../docs/vectors/v1.json")).unwrap()
}

fn vectors(group: &str) -> Vec<Vector> {
    let group = file()[group].as_array().unwrap().clone();
    assert!(!group.is_empty());
    let one = |vector: &Value| (vector["input"].clone(), vector["output"].clone());
    group.iter().map(one).collect()
}

/// Runs `read` on each input of a group of bad ones: it must fail with the error named there.
fn all_fail<T, E: Debug>(group: &str, read: impl Fn(&Value) -> Result<T, E>) {
    for vector in file()[group].as_array().unwrap() {
        let error = read(&vector["input"]).err();
        let error = error.map(|error| format!("{error:?}"));
        // The variant, without its fields.
        let name = error.as_deref().and_then(|e| e.split(['(', ' ']).next());
        assert_eq!(name, vector["error"].as_str(), "{group}: {vector}");
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn unhex(text: &Value) -> Vec<u8> {
    HEXLOWER.decode(text.as_str().unwrap().as_bytes()).unwrap()
}

fn change(bytes: &[u8], at: usize, to: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = to;
    bytes
}

fn array<const N: usize>(text: &Value) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

/// A value that has a form in JSON: numbers, ids, addresses.
fn value<T: serde::de::DeserializeOwned>(json: &Value) -> T {
    serde_json::from_value(json.clone()).unwrap()
}

fn millis(json: &Value) -> UnixMillis {
    UnixMillis(json.as_u64().unwrap())
}

/// What the file says of the topic with this label.
fn topic(label: &Value) -> Value {
    let mut topics = vectors("topics").into_iter();
    topics
        .find(|(input, _)| input["label"] == *label)
        .unwrap()
        .1
}

fn topic_id(label: &Value) -> TopicId {
    value(&topic(label)["topic_id"])
}

/// The keys that the file gives a topic in an epoch.
fn keys(label: &Value, epoch: Epoch) -> EpochKeys {
    let topic = topic(label);
    let epochs = topic["epochs"].as_array().unwrap();
    let keys = epochs.iter().find(|keys| keys["epoch"] == epoch.0).unwrap();
    let key = |name: &str| KeyBytes::new(array(&keys[name]));
    EpochKeys {
        infohash: InfoHash::from_bytes(array(&keys["rendezvous"])),
        hello_tag: key("hello_tag"),
        hello_request: key("hello_request"),
        hello_reply: key("hello_reply"),
        beacon: key("beacon"),
        board_key: key("board_key"),
        board_seal: key("board_seal"),
        board_salt: key("board_salt"),
        member: key("member"),
        repair: key("repair"),
        post_seal: (!keys["post"].is_null()).then(|| key("post")),
    }
}

// --- building ------------------------------------------------------------------------------------

#[test]
fn computed_and_file_agree() {
    let computed = computed::file();
    if std::env::var_os("KUKURI_WRITE_VECTORS").is_some() {
        println!("{}", serde_json::to_string_pretty(&computed).unwrap());
        return;
    }
    let (computed, file) = (computed.as_object().unwrap(), file());
    let file = file.as_object().unwrap();
    assert!(computed.keys().eq(file.keys()), "other groups of vectors");
    for (group, vectors) in computed {
        assert_eq!(&file[group], vectors, "{group}");
    }
}

// --- reading -------------------------------------------------------------------------------------

#[test]
fn secrets() {
    for (input, output) in vectors("topics") {
        input["name"]
            .as_str()
            .unwrap()
            .parse::<TopicName>()
            .unwrap();
        if let Some(text) = output["secret_text"].as_str() {
            let secret = parse_secret(text).unwrap();
            assert_eq!(hex(secret.expose()), input["secret"]);
        }
    }
    all_fail("names_bad", |name| {
        name.as_str().unwrap().parse::<TopicName>()
    });
    all_fail("secrets_bad", |text| parse_secret(text.as_str().unwrap()));
}

#[test]
fn records() {
    for (input, output) in vectors("records") {
        let (topic, now) = (value(&input["topic_id"]), millis(&input["issued_at"]));
        let bytes = unhex(&output["bytes"]);
        let record = Record::parse(topic, &bytes, now).unwrap();
        let peer = EndpointAddr {
            id: value(&output["endpoint"]),
            direct: value(&input["direct"]),
            relay: value(&input["relay"]),
        };
        let expected = Record {
            peer,
            issued_at: now,
            mark: array(&input["mark"]),
            bytes: bytes.clone(),
        };
        assert_eq!(record, expected);
        assert_eq!(Epoch::at(now).0, output["epoch"]);
        let body = unhex(&output["body"]);
        assert!(unhex(&output["preimage"]).ends_with(&body) && bytes.starts_with(&body));
    }
    all_fail("records_bad", |input| {
        let topic = value(&input["topic_id"]);
        Record::parse(topic, &unhex(&input["bytes"]), millis(&input["now"]))
    });
}

#[test]
fn hellos() {
    for (input, output) in vectors("hellos") {
        let keys = keys(&input["topic"], value(&input["epoch"]));
        let (packet, plain) = (unhex(&output["packet"]), &input["plain"]);
        assert_eq!(&packet[2..26], unhex(&input["nonce"]));
        assert_eq!(&packet[26..34], unhex(&output["tag"]));
        assert!(hello::has_tag(&packet, &keys));
        let (id, time) = (array(&plain["id"]), millis(&plain["time"]));
        let record = || unhex(&plain["record"]);
        match hello::kind(&packet).unwrap() {
            Kind::Request => {
                let recipient = value(&plain["recipient"]);
                let expected = HelloRequest {
                    id,
                    time,
                    recipient,
                    record: record(),
                    dial_back: plain.get("dial_back").map(value),
                };
                assert_eq!(input["kind"], "request");
                assert_eq!(HelloRequest::open(&packet, &keys), Ok(expected));
            }
            Kind::Reply => {
                let observed = value(&plain["observed"]);
                let members = plain["members"].as_array().unwrap();
                let members = members.iter().map(unhex).collect();
                let expected = HelloReply {
                    id,
                    time,
                    observed,
                    record: record(),
                    members,
                    dialed_back: plain.get("dialed_back").is_some_and(value),
                };
                assert_eq!(input["kind"], "reply");
                assert_eq!(HelloReply::open(&packet, &keys), Ok(expected));
            }
            Kind::DialBack => {
                let to = value(&plain["to"]);
                let expected = DialBack { id, time, to };
                assert_eq!(input["kind"], "dial_back");
                assert_eq!(DialBack::open(&packet, &keys), Ok(expected));
            }
        }
    }
    all_fail("hellos_bad", |input| {
        let keys = keys(&input["topic"], value(&input["epoch"]));
        read_hello(&unhex(&input["packet"]), &keys)
    });
}

/// The steps of a receiver, in their order.
fn read_hello(packet: &[u8], keys: &EpochKeys) -> Result<(), HelloDrop> {
    let kind = hello::kind(packet)?;
    if !hello::has_tag(packet, keys) {
        return Err(HelloDrop::UnknownTag);
    }
    match kind {
        Kind::Request => HelloRequest::open(packet, keys).map(drop),
        Kind::Reply => HelloReply::open(packet, keys).map(drop),
        Kind::DialBack => DialBack::open(packet, keys).map(drop),
    }
}

#[test]
fn posts() {
    for (input, output) in vectors("posts") {
        let label = &input["topic"];
        let now = millis(&input["time"]);
        let expected = Post {
            topic: topic_id(label),
            author: value(&output["author"]),
            writer: value(&output["author"]),
            seq: value(&input["seq"]),
            time: now,
            body: unhex(&input["body"]).into(),
            revokes: None,
            envelope: unhex(&output["envelope"]).into(),
        };
        for form in ["clear", "sealed"] {
            let read = read_post(label, &unhex(&output[form]).into(), now);
            assert_eq!(read.as_ref(), Ok(&expected), "{form}");
        }
        let signed = &expected.envelope[..expected.envelope.len() - 64];
        assert!(unhex(&output["preimage"]).ends_with(signed));
    }
    all_fail("posts_bad", |input| {
        let payload = unhex(&input["payload"]).into();
        read_post(&input["topic"], &payload, millis(&input["now"]))
    });
}

/// The steps of a receiver, in their order.
fn read_post(label: &Value, payload: &Bytes, now: UnixMillis) -> Result<Post, PostDrop> {
    let topic = topic_id(label);
    let envelope = match Packet::parse(payload)? {
        Packet::Clear(envelope) => envelope,
        Packet::Sealed {
            epoch,
            nonce,
            sealed,
        } => {
            let key = keys(label, epoch).post_seal.unwrap();
            post::open(&sealed, nonce, topic, epoch, &key)?
        }
    };
    post::verify(topic, &envelope, now)
}

#[test]
fn tags_of_the_local_network() {
    for (input, output) in vectors("lan_tags") {
        let epoch = Epoch(input["epoch"].as_u64().unwrap());
        let tag = nearby::tag(&keys(&input["topic"], epoch), &array(&input["instance"]));
        assert_eq!(hex(&tag), output["tag"]);
    }
}
