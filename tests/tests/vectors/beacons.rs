//! Vectors of beacons and of what they are about: heartbeats, ranks, marks.

use kukuri_contract::{BEACON, BeaconDrop, EndpointId, SignRequest, TopicId, UnixMillis};
use kukuri_discovery::core::beacon::{self, Beacon, Heartbeat};
use kukuri_discovery::core::crowd;
use kukuri_discovery::core::record::Record;
use serde_json::{Value, json};

use crate::computed::{EPOCH, NOW, full_peer, good_record, node, secret_keys, topic_id};
use crate::{all_fail, array, change, hex, keys, unhex, value, vectors};

const NONCE: [u8; 24] = [14; 24];

// --- building ------------------------------------------------------------------------------------

fn heartbeat(topic: TopicId) -> Heartbeat {
    let beat = UnixMillis(NOW.0 - 1500);
    let request = SignRequest::Heartbeat { topic, beat };
    Heartbeat {
        root: node(3).endpoint_id(),
        beat,
        signature: node(3).sign(&request).unwrap(),
    }
}

fn beacon(heartbeat: Option<Heartbeat>) -> Beacon {
    Beacon {
        heartbeat,
        hello_port: 4000,
        record: good_record(1, &full_peer()),
    }
}

fn seal(beacon: &Beacon) -> Vec<u8> {
    beacon.seal(topic_id(), EPOCH, &secret_keys().beacon, NONCE)
}

pub fn good() -> Value {
    let vector = |heartbeat: Option<Heartbeat>| {
        let beacon = beacon(heartbeat);
        json!({
            "input": {
                "topic": "secret",
                "epoch": EPOCH.0,
                "nonce": hex(&NONCE),
                "root": heartbeat.map(|h| h.root.to_string()),
                "beat": heartbeat.map(|h| h.beat.0),
                "hello_port": beacon.hello_port,
                "record": hex(&beacon.record),
            },
            "output": {
                "heartbeat_preimage": heartbeat.map(|h| {
                    let (topic, beat) = (topic_id(), h.beat);
                    hex(&SignRequest::Heartbeat { topic, beat }.preimage())
                }),
                "heartbeat_signature": heartbeat.map(|h| hex(h.signature.as_bytes())),
                "packet": hex(&seal(&beacon)),
            },
        })
    };
    json!([vector(Some(heartbeat(topic_id()))), vector(None)])
}

pub fn bad() -> Value {
    let good = seal(&beacon(Some(heartbeat(topic_id()))));
    let other = TopicId::from_bytes([9; 32]);
    let late = UnixMillis(NOW.0 + 16 * 60 * 1000);
    let foreign = seal(&beacon(Some(heartbeat(other))));
    let vector = |why, now: UnixMillis, packet: &[u8], error| {
        let input = json!({ "topic": "secret", "now": now.0, "packet": hex(packet) });
        json!({ "why": why, "input": input, "error": error })
    };
    let here = |why, packet: &[u8], error| vector(why, NOW, packet, error);
    json!([
        here("nothing after the epoch", &good[..10], "Malformed"),
        here("no beacon", &change(&good, 0, 3), "Malformed"),
        here("another version", &change(&good, 1, 2), "Version"),
        here(
            "another epoch than its seal",
            &change(&good, 9, good[9] ^ 1),
            "Seal"
        ),
        here(
            "a bit of the seal",
            &change(&good, 40, good[40] ^ 1),
            "Seal"
        ),
        here(
            "longer than a beacon can be",
            &[&good[..], &[0; 200]].concat(),
            "Malformed"
        ),
        here("the heartbeat of another topic", &foreign, "BadSignature"),
        vector("an old record", late, &good, "Stale"),
    ])
}

/// Ranks of endpoints, and the mark of a root at a beat.
pub fn ranks() -> Value {
    let vector = |n: u8| {
        let endpoint = node(n).endpoint_id();
        let rank = crowd::rank(topic_id(), endpoint);
        json!({
            "input": { "topic": "secret", "endpoint": endpoint.to_string(), "beat": NOW.0 },
            "output": {
                "rank": rank.to_string(),
                "mark": hex(&[rank.to_be_bytes(), NOW.0.to_be_bytes()].concat()),
            },
        })
    };
    json!([vector(1), vector(3)])
}

// --- reading -------------------------------------------------------------------------------------

fn read(input: &Value) -> Result<Beacon, BeaconDrop> {
    let packet = unhex(&input["packet"]);
    let now = UnixMillis(input["now"].as_u64().unwrap());
    let epoch = beacon::epoch(&packet)?;
    let key = match epoch == EPOCH {
        true => keys(&input["topic"], epoch).beacon,
        // Any other one.
        false => keys(&input["topic"], EPOCH).repair,
    };
    let beacon = Beacon::open(topic_id(), &packet, &key)?;
    Record::parse(topic_id(), &beacon.record, now)?;
    let signed = beacon.heartbeat.is_none_or(|h| h.is_signed(topic_id()));
    signed.then_some(beacon).ok_or(BeaconDrop::BadSignature)
}

#[test]
fn beacons() {
    for (input, output) in vectors("beacons") {
        let packet = unhex(&output["packet"]);
        assert_eq!(packet[0], BEACON);
        let read = read(&json!({
            "topic": input["topic"],
            "now": NOW.0,
            "packet": output["packet"],
        }));
        let read = read.unwrap();
        assert_eq!(
            u64::from(read.hello_port),
            input["hello_port"].as_u64().unwrap()
        );
        assert_eq!(hex(&read.record), input["record"].as_str().unwrap());
        let root = read.heartbeat.map(|h| h.root);
        assert_eq!(root, serde_json::from_value(input["root"].clone()).unwrap());
        let beat = read.heartbeat.map(|h| h.beat.0);
        assert_eq!(beat, input["beat"].as_u64());
        let nonce = array(&input["nonce"]);
        let key = keys(&input["topic"], EPOCH).beacon;
        assert_eq!(read.seal(topic_id(), EPOCH, &key, nonce), packet);
    }
    all_fail("beacons_bad", read);
}

#[test]
fn ranks_of_endpoints() {
    for (input, output) in vectors("ranks") {
        let endpoint: EndpointId = value(&input["endpoint"]);
        let rank = crowd::rank(topic_id(), endpoint);
        assert_eq!(rank.to_string(), output["rank"].as_str().unwrap());
    }
}
