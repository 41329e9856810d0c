//! Vectors of gap repair: questions and answers between two members of the secret topic.

use bytes::Bytes;
use kukuri::core::repair::{Between, Delivery, MAX_POSTS, RepairError, Summary};
use kukuri_contract::{AuthorId, EndpointId, Epoch, Holding, TopicId};
use serde_json::{Value, json};

use crate::computed::{EPOCH, node, post_of, secret_keys, topic_id};
use crate::{all_fail, array, change, hex, keys, unhex, value, vectors};

/// Nonces of the question and of the answer.
const ASKED: [u8; 24] = [12; 24];
const ANSWERED: [u8; 24] = [13; 24];

/// A question that lists 65 authors, with the keys, ids and nonce of the good one. Another
/// implementation sealed it: the code writes none that lists more than 64.
const TOO_MANY_AUTHORS: &str = include_str!("too_many_authors.hex");

// --- building ------------------------------------------------------------------------------------

fn between() -> Between {
    Between {
        topic: topic_id(),
        asker: node(1).endpoint_id(),
        answerer: node(3).endpoint_id(),
    }
}

fn holding(author: u8, ranges: &[(u64, u64)]) -> Holding {
    Holding {
        author: AuthorId::from_bytes([author; 32]),
        ranges: ranges.to_vec(),
    }
}

fn question(have: Vec<Holding>) -> Summary {
    Summary {
        from: AuthorId::from_bytes([0; 32]),
        to: AuthorId::from_bytes([0xff; 32]),
        have,
    }
}

fn seal_question(summary: &Summary) -> Vec<u8> {
    let key = secret_keys().repair;
    summary.seal(between(), EPOCH, &key, ASKED).to_vec()
}

fn seal_answer(envelopes: Vec<Bytes>, more: bool) -> Vec<u8> {
    let key = secret_keys().repair;
    let delivery = Delivery { envelopes, more };
    let sealed = delivery.seal(between(), (EPOCH, ASKED), &key, ANSWERED);
    sealed.to_vec()
}

fn good_question() -> Summary {
    let last = i64::MAX as u64;
    question(vec![
        holding(0x21, &[(1, 4), (7, 7), (300, 70_000)]),
        holding(0x22, &[(2, 2), (last, last)]),
    ])
}

fn good_envelopes() -> Vec<Bytes> {
    let posts = [(1, "first"), (3, "third")];
    let envelope = |(seq, body): (u64, &str)| {
        let [_, _, envelope] = post_of(seq, body.as_bytes());
        Bytes::from(envelope)
    };
    posts.map(envelope).to_vec()
}

pub fn good() -> Value {
    let summary = good_question();
    let have = summary
        .have
        .iter()
        .map(|holding| json!({ "author": holding.author.to_string(), "ranges": holding.ranges }));
    let asks = json!({
        "from": summary.from.to_string(),
        "to": summary.to.to_string(),
        "have": have.collect::<Vec<_>>(),
    });
    let envelopes = good_envelopes();
    let says = json!({
        "more": true,
        "envelopes": envelopes.iter().map(|envelope| hex(envelope)).collect::<Vec<_>>(),
    });
    let vector = |kind, asked: Value, nonce: [u8; 24], plain: Value, packet: Vec<u8>| {
        json!({
            "input": {
                "kind": kind,
                "topic": "secret",
                "epoch": EPOCH.0,
                "asker": between().asker.to_string(),
                "answerer": between().answerer.to_string(),
                "question_nonce": asked,
                "nonce": hex(&nonce),
                "plain": plain,
            },
            "output": { "packet": hex(&packet) },
        })
    };
    let (question, answer) = (seal_question(&summary), seal_answer(envelopes, true));
    json!([
        vector("question", Value::Null, ASKED, asks, question),
        vector("answer", hex(&ASKED).into(), ANSWERED, says, answer),
    ])
}

pub fn bad() -> Value {
    [questions_bad(), answers_bad()].concat().into()
}

/// An input that one of `changes` makes different from what the sealed packet is for.
fn input(kind: &str, packet: &[u8], changes: &[(&str, Value)]) -> Value {
    let mut input = json!({
        "kind": kind,
        "topic": "secret",
        "now_epoch": EPOCH.0,
        "asker": between().asker.to_string(),
        "answerer": between().answerer.to_string(),
        "question_nonce": (kind == "answer").then(|| hex(&ASKED)),
        "packet": hex(packet),
    });
    for (field, value) in changes {
        input[field] = value.clone();
    }
    input
}

fn questions_bad() -> Vec<Value> {
    let good = seal_question(&good_question());
    let bad = |why: &str, packet: &[u8], changes: &[(&str, Value)], error: &str| json!({"why": why, "input": input("question", packet, changes), "error": error});
    let here = |why, packet: &[u8], error| bad(why, packet, &[], error);
    let seal = |why, field, value: String| bad(why, &good, &[(field, value.into())], "Seal");
    let at = |epoch: Epoch| [("now_epoch", Value::from(epoch.0))];
    let (early, late) = (at(EPOCH.offset(-3)), at(EPOCH.offset(3)));
    let backwards = seal_question(&question(vec![holding(0x21, &[(5, 4)])]));
    let many = unhex(&TOO_MANY_AUTHORS.trim_end().into());
    let other = node(5).endpoint_id().to_string();
    vec![
        here("nothing", &[], "Malformed"),
        here("unknown version", &change(&good, 0, 2), "Version"),
        bad("three epochs ahead", &good, &early, "Epoch"),
        bad("three epochs ago", &good, &late, "Epoch"),
        here("cut short in the nonce", &good[..32], "Malformed"),
        here("the last byte is missing", &good[..good.len() - 1], "Seal"),
        here("another epoch", &change(&good, 8, good[8] + 1), "Seal"),
        here("a bit of the nonce", &change(&good, 9, 13), "Seal"),
        seal("another asker", "asker", other.clone()),
        seal("another answerer", "answerer", other),
        seal("another topic", "topic", "public".into()),
        here(
            "a range that ends before it begins",
            &backwards,
            "Malformed",
        ),
        here("65 authors", &many, "Malformed"),
    ]
}

fn answers_bad() -> Vec<Value> {
    let good = seal_answer(good_envelopes(), true);
    let bad = |why: &str, packet: &[u8], changes: &[(&str, Value)], error: &str| json!({"why": why, "input": input("answer", packet, changes), "error": error});
    let here = |why, packet: &[u8], error| bad(why, packet, &[], error);
    let seal = |why, field, value: String| bad(why, &good, &[(field, value.into())], "Seal");
    let many = seal_answer(vec![Bytes::new(); MAX_POSTS + 1], false);
    let other = node(5).endpoint_id().to_string();
    vec![
        here("nothing", &[], "Malformed"),
        here("unknown version", &change(&good, 0, 2), "Version"),
        here("cut short in the nonce", &good[..24], "Malformed"),
        here("the last byte is missing", &good[..good.len() - 1], "Seal"),
        here("its question", &seal_question(&good_question()), "Seal"),
        seal("to another question", "question_nonce", hex(&[14; 24])),
        seal("to another asker", "asker", other.clone()),
        seal("from another answerer", "answerer", other),
        here("257 posts", &many, "Malformed"),
    ]
}

// --- reading -------------------------------------------------------------------------------------

/// Who asks whom, as an input says.
fn between_of(input: &Value) -> Between {
    Between {
        topic: topic_of(input),
        asker: value::<EndpointId>(&input["asker"]),
        answerer: value(&input["answerer"]),
    }
}

fn topic_of(input: &Value) -> TopicId {
    crate::topic_id(&input["topic"])
}

/// The steps of one who is asked, in their order.
fn read_question(input: &Value, packet: &[u8], now: Epoch) -> Result<Summary, RepairError> {
    let (epoch, _) = Summary::peek(packet, now)?;
    let key = keys(&input["topic"], epoch).repair;
    Summary::open(packet, between_of(input), epoch, &key)
}

/// The steps of one who has asked.
fn read_answer(input: &Value, packet: &[u8], asked_in: Epoch) -> Result<Delivery, RepairError> {
    let key = keys(&input["topic"], asked_in).repair;
    let asked = (asked_in, array(&input["question_nonce"]));
    Delivery::open(packet, between_of(input), asked, &key)
}

#[test]
fn repair() {
    for (input, output) in vectors("repair") {
        let (epoch, plain) = (value::<Epoch>(&input["epoch"]), &input["plain"]);
        let packet = unhex(&output["packet"]);
        match input["kind"].as_str().unwrap() {
            "question" => {
                let have = plain["have"].as_array().unwrap().iter();
                let expected = Summary {
                    from: value(&plain["from"]),
                    to: value(&plain["to"]),
                    have: have
                        .map(|holding| Holding {
                            author: value(&holding["author"]),
                            ranges: value(&holding["ranges"]),
                        })
                        .collect(),
                };
                let nonce = array(&input["nonce"]);
                for now in -2..=2 {
                    let peeked = Summary::peek(&packet, epoch.offset(now));
                    assert_eq!(peeked, Ok((epoch, nonce)));
                    let read = read_question(&input, &packet, epoch.offset(now));
                    assert_eq!(read.as_ref(), Ok(&expected));
                }
            }
            "answer" => {
                let envelopes = plain["envelopes"].as_array().unwrap().iter();
                let expected = Delivery {
                    envelopes: envelopes.map(|envelope| unhex(envelope).into()).collect(),
                    more: value(&plain["more"]),
                };
                assert_eq!(&packet[1..25], unhex(&input["nonce"]));
                assert_eq!(read_answer(&input, &packet, epoch), Ok(expected));
            }
            other => panic!("{other}"),
        }
    }
    all_fail("repair_bad", |input| {
        let (packet, now) = (unhex(&input["packet"]), value(&input["now_epoch"]));
        match input["kind"].as_str().unwrap() {
            "question" => read_question(input, &packet, now).map(drop),
            _ => read_answer(input, &packet, now).map(drop),
        }
    });
}
