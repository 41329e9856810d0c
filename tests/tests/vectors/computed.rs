//! The vectors as the code computes them, from fixed inputs.

use kukuri::core::post;
use kukuri_contract::{
    EndpointAddr, Epoch, EpochKeys, SignRequest, TopicId, TopicSecret, UnixMillis,
};
use kukuri_discovery::core::dialback::DialBack;
use kukuri_discovery::core::hello::{HelloReply, HelloRequest};
use kukuri_discovery::core::nearby;
use kukuri_discovery::core::record::{self, NO_MARK};
use kukuri_identity::core::{derive::TopicKey, keys::Keys};
use kukuri_identity::format_secret;
use serde_json::{Value, json};

use crate::{bad, beacons, hex, invites, links, members, page, repair, sealed};

pub const EPOCH: Epoch = Epoch(2_966_667);
/// The middle of [`EPOCH`].
pub const NOW: UnixMillis = UnixMillis(1_780_000_500_000);

/// The whole file.
pub fn file() -> Value {
    let (secret, public) = (topic_id(), topic_key(false).topic_id());
    let small = peer(1, &[], None);
    json!({
        "protocol": "kukuri, version 1",
        "topics": [topic("public", false), topic("secret", true)],
        "names_bad": bad::names_bad(),
        "secrets_bad": bad::secrets_bad(),
        "records": [
            record_vector(secret, 1, &full_peer(), NO_MARK),
            record_vector(public, 1, &small, [0xaa; 16]),
        ],
        "records_bad": bad::records_bad(),
        "hellos": hellos(),
        "hellos_bad": bad::hellos_bad(),
        "posts": posts(),
        "posts_bad": bad::posts_bad(),
        "members": members::good(),
        "claims_bad": members::claims_bad(),
        "answers_bad": members::answers_bad(),
        "repair": repair::good(),
        "repair_bad": repair::bad(),
        "beacons": beacons::good(),
        "beacons_bad": beacons::bad(),
        "ranks": beacons::ranks(),
        "lan_tags": lan_tags(),
        "slots": page::slots(),
        "pages": page::good(),
        "pages_bad": page::bad(),
        "invites": invites::good(),
        "invites_bad": invites::bad(),
        "links": links::good(),
        "links_bad": links::bad(),
        "linked_posts": links::linked_posts(),
        "revocations": links::revocations(),
        "sealed_keys": sealed::good(),
        "sealed_keys_bad": sealed::bad(),
    })
}

/// The topic "tea", public or secret.
pub fn topic_key(secret: bool) -> TopicKey {
    let bytes = std::array::from_fn(|at| at as u8);
    let secret = secret.then(|| TopicSecret::from_bytes(bytes));
    TopicKey::new(&"tea".parse().unwrap(), secret.as_ref())
}

pub fn topic_id() -> TopicId {
    topic_key(true).topic_id()
}

pub fn secret_keys() -> EpochKeys {
    topic_key(true).epoch_keys(EPOCH)
}

/// Node number n: the seeds of its keys are n and n + 1, 32 times each.
pub fn node(n: u8) -> Keys {
    Keys::new(&[n; 32], &[n + 1; 32], UnixMillis(1_780_000_000_000))
}

fn topic(label: &str, secret: bool) -> Value {
    let key = topic_key(secret);
    let bytes: Vec<u8> = (0..32).collect();
    let text = format_secret(&TopicSecret::from_bytes(bytes[..].try_into().unwrap()));
    let epochs = [EPOCH, EPOCH.offset(1)].map(|epoch| {
        let keys = key.epoch_keys(epoch);
        json!({
            "epoch": epoch.0,
            "rendezvous": keys.infohash.to_string(),
            "hello_tag": hex(keys.hello_tag.expose()),
            "hello_request": hex(keys.hello_request.expose()),
            "hello_reply": hex(keys.hello_reply.expose()),
            "beacon": hex(keys.beacon.expose()),
            "board_key": hex(keys.board_key.expose()),
            "board_seal": hex(keys.board_seal.expose()),
            "board_salt": hex(keys.board_salt.expose()),
            "member": hex(keys.member.expose()),
            "repair": hex(keys.repair.expose()),
            "post": keys.post_seal.map(|key| hex(key.expose())),
        })
    });
    json!({
        "input": {
            "label": label,
            "name": "tea",
            "secret": secret.then(|| hex(&bytes)),
        },
        "output": {
            "secret_text": secret.then(|| text.to_string()),
            "topic_id": key.topic_id().to_string(),
            "epochs": epochs,
        },
    })
}

fn peer(n: u8, direct: &[&str], relay: Option<&str>) -> EndpointAddr {
    EndpointAddr {
        id: node(n).endpoint_id(),
        direct: direct.iter().map(|at| at.parse().unwrap()).collect(),
        relay: relay.map(str::to_owned),
    }
}

pub fn full_peer() -> EndpointAddr {
    let direct = ["203.0.113.7:4433", "[2001:db8::7]:4434"];
    peer(1, &direct, Some("https://relay.example/"))
}

/// A record of node n: its signed part, what is signed, and all of it.
fn record_of(n: u8, topic: TopicId, body: Vec<u8>) -> [Vec<u8>; 3] {
    let request = SignRequest::Record {
        topic,
        epoch: EPOCH,
        body: body.clone(),
    };
    let signature = node(n).sign(&request).unwrap();
    let bytes = record::finish(body.clone(), &signature);
    [body, request.preimage(), bytes]
}

pub fn good_record(n: u8, peer: &EndpointAddr) -> Vec<u8> {
    let [_, _, bytes] = record_of(n, topic_id(), record::body(peer, NOW, NO_MARK));
    bytes
}

fn record_vector(topic: TopicId, n: u8, peer: &EndpointAddr, mark: [u8; 16]) -> Value {
    let [body, preimage, bytes] = record_of(n, topic, record::body(peer, NOW, mark));
    json!({
        "input": {
            "topic_id": topic.to_string(),
            "endpoint_seed": hex(&[n; 32]),
            "direct": peer.direct,
            "relay": peer.relay,
            "issued_at": NOW.0,
            "mark": hex(&mark),
        },
        "output": {
            "endpoint": peer.id.to_string(),
            "epoch": EPOCH.0,
            "body": hex(&body),
            "preimage": hex(&preimage),
            "bytes": hex(&bytes),
        },
    })
}

fn lan_tags() -> Value {
    let instance = [0x1a, 0x2b, 0x3c, 0x4d, 0x5e, 0x6f, 0x70, 0x81];
    let vector = |(label, secret): (&str, bool)| {
        let keys = topic_key(secret).epoch_keys(EPOCH);
        json!({
            "input": { "topic": label, "epoch": EPOCH.0, "instance": hex(&instance) },
            "output": { "tag": hex(&nearby::tag(&keys, &instance)) },
        })
    };
    Value::from([("secret", true), ("public", false)].map(vector).to_vec())
}

pub fn request() -> HelloRequest {
    HelloRequest {
        id: [3; 16],
        time: NOW,
        recipient: "198.51.100.9:4000".parse().unwrap(),
        record: good_record(1, &full_peer()),
        dial_back: None,
    }
}

pub fn reply() -> HelloReply {
    HelloReply {
        id: [3; 16],
        time: UnixMillis(NOW.0 + 20),
        observed: "203.0.113.7:5000".parse().unwrap(),
        record: good_record(3, &peer(3, &["198.51.100.9:4433"], None)),
        members: vec![good_record(5, &peer(5, &["192.0.2.5:4433"], None))],
        dialed_back: false,
    }
}

/// What follows a request that asks for it.
pub fn dial_back() -> DialBack {
    DialBack {
        id: reply().id,
        time: NOW,
        to: "203.0.113.7:5001".parse().unwrap(),
    }
}

fn hellos() -> Value {
    let (keys, request, reply) = (secret_keys(), request(), reply());
    let vector = |kind, nonce: u8, plain: Value, packet: Vec<u8>| {
        json!({
            "input": {
                "kind": kind,
                "topic": "secret",
                "epoch": EPOCH.0,
                "nonce": hex(&[nonce; 24]),
                "plain": plain,
            },
            "output": {"tag": hex(&packet[26..34]), "packet": hex(&packet)},
        })
    };
    let asks = json!({
        "id": hex(&request.id),
        "time": request.time.0,
        "recipient": request.recipient,
        "record": hex(&request.record),
    });
    let says = json!({
        "id": hex(&reply.id),
        "time": reply.time.0,
        "observed": reply.observed,
        "record": hex(&reply.record),
        "members": reply.members.iter().map(|m| hex(m)).collect::<Vec<_>>(),
    });
    let (mut asks_back, mut says_back) = (asks.clone(), says.clone());
    asks_back["dial_back"] = json!(dial_back().to.port());
    says_back["dialed_back"] = json!(true);
    let port = Some(dial_back().to.port());
    let request_back = HelloRequest {
        dial_back: port,
        ..request.clone()
    };
    let reply_back = HelloReply {
        dialed_back: true,
        ..reply.clone()
    };
    let back = dial_back();
    let dials = json!({
        "id": hex(&back.id),
        "time": back.time.0,
        "to": back.to,
    });
    json!([
        vector("request", 9, asks, request.seal(&keys, [9; 24])),
        vector("reply", 10, says, reply.seal(&keys, [10; 24])),
        vector("request", 13, asks_back, request_back.seal(&keys, [13; 24])),
        vector("reply", 14, says_back, reply_back.seal(&keys, [14; 24])),
        vector("dial_back", 12, dials, back.seal(&keys, [12; 24])),
    ])
}

/// A post of node 1 in the secret topic: its signed part, what is signed, and all of it.
pub fn post_of(seq: u64, body: &[u8]) -> [Vec<u8>; 3] {
    let unsigned = post::unsigned(node(1).author_id(), seq, NOW, body);
    let topic = topic_id();
    let envelope = unsigned.clone();
    let request = SignRequest::Post { topic, envelope };
    let signature = node(1).sign(&request).unwrap();
    let whole = post::finish(unsigned.clone(), &signature).to_vec();
    [unsigned, request.preimage(), whole]
}

fn posts() -> Value {
    let vectors = [
        (1, "Anybody here? \u{5c71}\u{3073}\u{3053}"),
        (post::MAX_SEQ, ""),
    ];
    let vectors = vectors.map(|(seq, body)| {
        let [_, preimage, envelope] = post_of(seq, body.as_bytes());
        let key = secret_keys().post_seal.unwrap();
        let sealed = post::seal(&envelope, topic_id(), EPOCH, &key, [11; 24]);
        json!({
            "input": {
                "topic": "secret",
                "author_seed": hex(&[2; 32]),
                "seq": seq,
                "time": NOW.0,
                "body": hex(body.as_bytes()),
                "epoch": EPOCH.0,
                "nonce": hex(&[11; 24]),
            },
            "output": {
                "author": node(1).author_id().to_string(),
                "preimage": hex(&preimage),
                "envelope": hex(&envelope),
                "clear": hex(&post::clear(&envelope)),
                "sealed": hex(&sealed),
            },
        })
    });
    json!(vectors)
}
