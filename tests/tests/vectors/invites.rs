//! Vectors of invites.

use data_encoding::BASE32_NOPAD;
use kukuri_contract::{EndpointAddr, TopicSecret, UnixMillis};
use kukuri_identity::{Invite, format_invite, parse_invite};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::computed::{full_peer, node};
use crate::{all_fail, array, unhex, value, vectors};

// --- building ------------------------------------------------------------------------------------

fn invites_of() -> [Invite; 4] {
    let topic = |name: &str| name.parse().unwrap();
    let secret = Some(TopicSecret::from_bytes([7; 32]));
    let far = EndpointAddr {
        id: node(3).endpoint_id(),
        direct: Vec::new(),
        relay: Some("https://relay.example/".to_owned()),
    };
    let invite = |topic, secret, peers| Invite {
        topic,
        secret,
        overlap_until: None,
        peers,
    };
    let rotated = Invite {
        overlap_until: Some(UnixMillis(1_780_000_000_000)),
        ..invite(topic("tea"), secret.clone(), Vec::new())
    };
    [
        rotated,
        invite(topic("tea"), None, Vec::new()),
        invite(topic("tea"), secret.clone(), vec![full_peer()]),
        invite(topic("お茶 & more"), secret, vec![full_peer(), far]),
    ]
}

pub fn good() -> Value {
    let vector = |invite: Invite| {
        let secret = invite.secret.as_ref();
        json!({
            "input": {
                "topic": invite.topic.as_str(),
                "secret": secret.map(|secret| crate::hex(secret.expose())),
                "overlap_until": invite.overlap_until,
                "peers": invite.peers,
            },
            "output": { "text": format_invite(&invite).as_str() },
        })
    };
    Value::from(invites_of().map(vector).to_vec())
}

/// An invite with any content and the right check, made by the text of the specification.
fn of_content(content: &[u8]) -> String {
    let check = Sha256::digest([b"kukuri/1 invite text\0", content].concat());
    let letters = BASE32_NOPAD.encode(&[content, &check[..4]].concat());
    format!("kukuri-invite-1:{}", letters.to_lowercase())
}

pub fn bad() -> Value {
    let [_, _, good, _] = invites_of();
    let good = format_invite(&good).to_string();
    let bad = |why, text: String, error| json!({"why": why, "input": text, "error": error});
    json!([
        bad("nothing", " \n".into(), "Empty"),
        bad("a secret", "kukuri-secret-1:aaaa".into(), "NoInvite"),
        bad("another version", good.replacen('1', "2", 1), "Version"),
        bad(
            "a digit that base32 has not",
            good.replacen(":a", ":1", 1),
            "Letter"
        ),
        bad("the end is missing", good[..good.len() - 8].into(), "Check"),
        bad("another letter", good.replacen(":a", ":b", 1), "Check"),
        bad("4097 bytes", "a".repeat(4097), "TooLong"),
        bad("flags 4", of_content(&[4, 1, b'a', 0]), "Malformed"),
        bad(
            "no time, though flags 2",
            of_content(&[2, 1, b'a', 0]),
            "Malformed"
        ),
        bad("no name", of_content(&[0, 0, 0]), "Malformed"),
        bad(
            "a name with a line break",
            of_content(&[0, 1, b'\n', 0]),
            "Malformed"
        ),
        bad(
            "a peer is missing",
            of_content(&[0, 1, b'a', 1]),
            "Malformed"
        ),
        bad(
            "a byte is left over",
            of_content(&[0, 1, b'a', 0, 0]),
            "Malformed"
        ),
    ])
}

// --- reading -------------------------------------------------------------------------------------

#[test]
fn invites() {
    for (input, output) in vectors("invites") {
        let text = output["text"].as_str().unwrap();
        let expected = Invite {
            topic: value(&input["topic"]),
            secret: input["secret"]
                .as_str()
                .map(|_| TopicSecret::from_bytes(array(&input["secret"]))),
            overlap_until: value(&input["overlap_until"]),
            peers: value(&input["peers"]),
        };
        assert_eq!(parse_invite(text), Ok(expected.clone()));
        assert_eq!(format_invite(&expected).as_str(), text);
        // By the text of the specification alone: the secret is where it says.
        let letters = text
            .strip_prefix("kukuri-invite-1:")
            .unwrap()
            .to_uppercase();
        let bytes = BASE32_NOPAD.decode(letters.as_bytes()).unwrap();
        match input["secret"].as_str() {
            Some(_) => {
                let until = u8::from(!input["overlap_until"].is_null());
                let flags = 1 | until << 1;
                assert_eq!(
                    (bytes[0], &bytes[1..33]),
                    (flags, &unhex(&input["secret"])[..])
                );
            }
            None => assert_eq!(bytes[0], 0),
        }
    }
    all_fail("invites_bad", |text| parse_invite(text.as_str().unwrap()));
}
