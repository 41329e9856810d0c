//! Pages of the board.

use ed25519_dalek::SigningKey;
use kukuri_contract::{EndpointAddr, Epoch, PageDrop};
use kukuri_discovery::core::page::{self, Place};
use kukuri_discovery::core::record::Record;
use serde_json::{Value, json};

use crate::computed::{EPOCH, NOW, full_peer, good_record, node, topic_id, topic_key};
use crate::{all_fail, array, change, hex, keys, millis, topic, unhex, value, vectors};

const NONCE: [u8; 24] = [12; 24];

fn place(slot: u8, level: u8) -> Place {
    Place {
        topic: topic_id(),
        epoch: EPOCH,
        slot,
        level,
    }
}

fn records() -> Vec<Vec<u8>> {
    let other = EndpointAddr {
        id: node(3).endpoint_id(),
        direct: vec!["198.51.100.9:4433".parse().unwrap()],
        relay: None,
    };
    vec![good_record(1, &full_peer()), good_record(3, &other)]
}

fn seal(at: &Place, records: &[Vec<u8>]) -> Vec<u8> {
    let keys = topic_key(true).epoch_keys(EPOCH);
    let records: Vec<_> = records.iter().map(|record| &record[..]).collect();
    page::seal(at, &keys, &records, NONCE)
}

pub fn good() -> Value {
    let keys = topic_key(true).epoch_keys(EPOCH);
    let public = SigningKey::from_bytes(keys.board_key.expose()).verifying_key();
    let full = vec![records()[1].clone(); 9];
    let vectors = [
        (place(0, 0), vec![], vec![]),
        (place(3, 0), records(), records()),
        (place(7, 2), full.clone(), full[..7].to_vec()),
    ];
    let vector = |(at, records, fitting): (Place, Vec<Vec<u8>>, Vec<Vec<u8>>)| {
        let list = |records: &[Vec<u8>]| records.iter().map(|r| hex(r)).collect::<Vec<_>>();
        json!({
            "input": {
                "topic": "secret",
                "epoch": EPOCH.0,
                "slot": at.slot,
                "level": at.level,
                "nonce": hex(&NONCE),
                "records": list(&records),
            },
            "output": {
                "key": hex(public.as_bytes()),
                "salt": hex(&at.salt(&keys)),
                "records": list(&fitting),
                "page": hex(&seal(&at, &records)),
            },
        })
    };
    Value::from(vectors.map(vector).to_vec())
}

pub fn slots() -> Value {
    let vector = |(n, epoch): (u8, Epoch)| {
        let endpoint = node(n).endpoint_id();
        json!({
            "input": { "endpoint": endpoint.to_string(), "epoch": epoch.0 },
            "output": { "slots": page::slots_of(endpoint, epoch) },
        })
    };
    let inputs = [(1, EPOCH), (1, EPOCH.offset(1)), (3, EPOCH)];
    Value::from(inputs.map(vector).to_vec())
}

pub fn bad() -> Value {
    let at = place(3, 0);
    let good = seal(&at, &records());
    let bad = |why, topic, epoch: Epoch, slot: u8, level: u8, page: &[u8], error| {
        let input = json!({
            "topic": topic,
            "epoch": epoch.0,
            "slot": slot,
            "level": level,
            "now": NOW.0,
            "page": hex(page),
        });
        json!({"why": why, "input": input, "error": error})
    };
    let here = |why, page: &[u8], error| bad(why, "secret", EPOCH, 3, 0, page, error);
    let of = |record: Vec<u8>| seal(&at, &[record]);
    let (first, last) = (good[25], good.len() - 1);
    let record = &records()[1];
    json!([
        here("nothing", &[], "Length"),
        here("the last byte is missing", &good[..last], "Length"),
        here("a byte too many", &[&good[..], &[0]].concat(), "Length"),
        here("unknown version", &change(&good, 0, 2), "Version"),
        here("a bit of the nonce", &change(&good, 1, 13), "Seal"),
        here(
            "a bit of the ciphertext",
            &change(&good, 25, first ^ 1),
            "Seal"
        ),
        here(
            "a bit of the authenticator",
            &change(&good, last, good[last] ^ 1),
            "Seal"
        ),
        bad("another slot", "secret", EPOCH, 4, 0, &good, "Seal"),
        bad("another level", "secret", EPOCH, 3, 1, &good, "Seal"),
        bad(
            "another epoch",
            "secret",
            EPOCH.offset(1),
            3,
            0,
            &good,
            "Seal"
        ),
        bad(
            "the topic without secret",
            "public",
            EPOCH,
            3,
            0,
            &good,
            "Seal"
        ),
        here("a record of 257 bytes", &of(vec![1; 257]), "Malformed"),
        here("a record of one byte", &of(vec![1]), "BadRecord"),
        here(
            "a record of version 2",
            &of(change(record, 0, 2)),
            "Version"
        ),
        here(
            "a bit of a record's address",
            &of(change(record, 59, 199)),
            "BadSignature"
        ),
    ])
}

/// The steps of a reader, in their order; the first record that is not used ends it here.
fn read(input: &Value) -> Result<Vec<Record>, PageDrop> {
    let (keys, at) = (keys(&input["topic"], value(&input["epoch"])), at(input));
    let records = page::open(&at, &keys, &unhex(&input["page"]))?;
    let now = millis(&input["now"]);
    let parse = |bytes: &Vec<u8>| Record::parse(at.topic, bytes, now).map_err(PageDrop::from);
    records.iter().map(parse).collect()
}

fn at(input: &Value) -> Place {
    Place {
        topic: value(&topic(&input["topic"])["topic_id"]),
        epoch: value(&input["epoch"]),
        slot: value(&input["slot"]),
        level: value(&input["level"]),
    }
}

#[test]
fn pages() {
    for (input, output) in vectors("pages") {
        let (keys, at) = (keys(&input["topic"], value(&input["epoch"])), at(&input));
        assert_eq!(hex(&at.salt(&keys)), output["salt"]);
        let public = SigningKey::from_bytes(keys.board_key.expose()).verifying_key();
        assert_eq!(public.to_bytes(), array(&output["key"]));
        let bytes = unhex(&output["page"]);
        assert_eq!(&bytes[1..25], unhex(&input["nonce"]));
        let records = page::open(&at, &keys, &bytes).unwrap();
        let expected: Vec<_> = output["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(unhex)
            .collect();
        assert_eq!(records, expected);
    }
    for (input, output) in vectors("slots") {
        let slots = page::slots_of(value(&input["endpoint"]), value(&input["epoch"]));
        assert_eq!(json!(slots), output["slots"]);
    }
    all_fail("pages_bad", read);
}
