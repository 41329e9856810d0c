//! Vectors of proofs of membership: a claim, and its answer.

use kukuri_contract::{Epoch, KeyBytes, MemberKeys, ProofDrop};
use kukuri_gossip::core::member::{Channel, answer, claim};
use serde_json::{Value, json};

use crate::computed::{EPOCH, node, secret_keys, topic_id};
use crate::{all_fail, array, change, hex, keys, unhex, value, vectors};

const BINDING: [u8; 32] = [15; 32];

// --- building ------------------------------------------------------------------------------------

fn channel() -> Channel {
    Channel {
        binding: BINDING,
        initiator: node(1).endpoint_id(),
        responder: node(3).endpoint_id(),
    }
}

fn secret_members() -> MemberKeys {
    MemberKeys {
        epoch: EPOCH,
        own: secret_keys().member,
        others: Vec::new(),
    }
}

fn good_claim() -> Vec<u8> {
    claim(channel(), &secret_members()).1.to_vec()
}

fn good_answer() -> Vec<u8> {
    let keys = secret_members();
    let (_, answer) = answer(&channel(), &good_claim(), [(topic_id(), &keys)]).unwrap();
    answer.to_vec()
}

fn input(packet: &[u8], changes: &[(&str, Value)]) -> Value {
    let mut input = json!({
        "topic": "secret",
        "now_epoch": EPOCH.0,
        "binding": hex(&BINDING),
        "initiator": channel().initiator.to_string(),
        "responder": channel().responder.to_string(),
        "packet": hex(packet),
    });
    for (field, value) in changes {
        input[field] = value.clone();
    }
    input
}

pub fn good() -> Value {
    let mut input = input(&[], &[]);
    input.as_object_mut().unwrap().remove("packet");
    json!([{
        "input": input,
        "output": { "claim": hex(&good_claim()), "answer": hex(&good_answer()) },
    }])
}

/// Claims that are refused.
pub fn claims_bad() -> Value {
    let good = good_claim();
    let bad = |why: &str, packet: &[u8], changes: &[(&str, Value)], error: &str| json!({"why": why, "input": input(packet, changes), "error": error});
    let here = |why, packet: &[u8], error| bad(why, packet, &[], error);
    let else_where = |why, field, value: Value| bad(why, &good, &[(field, value)], "NotMember");
    let at = |why, epoch: Epoch| bad(why, &good, &[("now_epoch", epoch.0.into())], "Epoch");
    let other = node(5).endpoint_id().to_string();
    let turned = [
        ("initiator", channel().responder.to_string().into()),
        ("responder", channel().initiator.to_string().into()),
    ];
    let reflected = [&good[..9], &good_answer()].concat();
    json!([
        here("nothing", &[], "Malformed"),
        here("unknown version", &change(&good, 0, 2), "Version"),
        here("the last byte is missing", &good[..40], "Malformed"),
        here("one byte more", &[&good[..], &[0]].concat(), "Malformed"),
        at("three epochs ahead", EPOCH.offset(-3)),
        at("three epochs ago", EPOCH.offset(3)),
        here("another epoch", &change(&good, 8, good[8] + 1), "NotMember"),
        else_where("another topic", "topic", "public".into()),
        else_where("another connection", "binding", hex(&[16; 32]).into()),
        else_where("another initiator", "initiator", other.clone().into()),
        else_where("another responder", "responder", other.into()),
        bad("the two endpoints turned", &good, &turned, "NotMember"),
        here("the proof of the responder", &reflected, "NotMember"),
    ])
}

/// Answers that are refused.
pub fn answers_bad() -> Value {
    let good = good_answer();
    let bad = |why: &str, packet: &[u8], error: &str| json!({"why": why, "input": input(packet, &[]), "error": error});
    json!([
        bad("nothing", &[], "Malformed"),
        bad("one byte more", &[&good[..], &[0]].concat(), "Malformed"),
        bad("a bit of it", &change(&good, 0, good[0] ^ 1), "NotMember"),
        bad("the proof of the claim", &good_claim()[9..], "NotMember"),
    ])
}

// --- reading -------------------------------------------------------------------------------------

fn channel_of(input: &Value) -> Channel {
    Channel {
        binding: array(&input["binding"]),
        initiator: value(&input["initiator"]),
        responder: value(&input["responder"]),
    }
}

/// The keys of a topic as a clock in this epoch has them. The file tells two of them.
fn members(input: &Value) -> MemberKeys {
    let key = |epoch: Epoch| match epoch.0 - EPOCH.0.min(epoch.0) {
        0 | 1 if epoch >= EPOCH => keys(&input["topic"], epoch).member,
        _ => KeyBytes::new([0; 32]),
    };
    let epoch = Epoch(input["now_epoch"].as_u64().unwrap());
    let others = MemberKeys::others_around(epoch).map(|other| (other, key(other)));
    MemberKeys {
        epoch,
        own: key(epoch),
        others: others.collect(),
    }
}

fn read_claim(input: &Value, packet: &[u8]) -> Result<[u8; 32], ProofDrop> {
    let topic = crate::topic_id(&input["topic"]);
    let keys = members(input);
    let (found, answer) = answer(&channel_of(input), packet, [(topic, &keys)])?;
    assert_eq!(found, topic);
    Ok(answer)
}

#[test]
fn proofs_of_membership_are_as_the_file_says() {
    for (input, output) in vectors("members") {
        let (claimed, bytes) = claim(channel_of(&input), &members(&input));
        assert_eq!(hex(&bytes), output["claim"]);
        let answer = read_claim(&input, &unhex(&output["claim"])).unwrap();
        assert_eq!(hex(&answer), output["answer"]);
        claimed.check(&unhex(&output["answer"])).unwrap();
    }
}

#[test]
fn bad_claims_and_answers_are_refused_by_their_reason() {
    all_fail("claims_bad", |input| {
        read_claim(input, &unhex(&input["packet"]))
    });
    all_fail("answers_bad", |input| {
        let (claimed, _) = claim(channel_of(input), &members(input));
        claimed.check(&unhex(&input["packet"]))
    });
}
