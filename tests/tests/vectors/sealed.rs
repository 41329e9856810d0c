//! The file of a node's keys (PROTOCOL.md, section 16).

use kukuri_identity::core::keys::Keys;
use kukuri_identity::core::sealed::{self, Cost, Lock, SealedError, Unlock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::computed::node;
use crate::{all_fail, array, change, hex, unhex, vectors};

const CHEAP: Cost = Cost {
    memory_kib: 256,
    passes: 2,
    lanes: 2,
};
const PASSPHRASE: &str = "Anybody here?";

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(text.into()))
}

fn key(byte: u8) -> Unlock {
    Unlock::Key(Zeroizing::new([byte; 32]))
}

fn sealed(unlock: &Unlock, cost: Cost) -> Vec<u8> {
    sealed::seal(&node(1).to_stored(), unlock, cost, &[12; 16], &[13; 24]).unwrap()
}

pub fn good() -> Value {
    let file = |lock: Value, unlock: &Unlock, cost| {
        json!({
            "input": {
                "lock": lock,
                "stored": hex(&node(1).to_stored()),
                "salt": hex(&[12; 16]),
                "nonce": hex(&[13; 24]),
            },
            "output": { "file": hex(&sealed(unlock, cost)) },
        })
    };
    let by_passphrase = |cost: Cost| {
        let lock = json!({
            "passphrase": PASSPHRASE,
            "memory_kib": cost.memory_kib,
            "passes": cost.passes,
            "lanes": cost.lanes,
        });
        file(lock, &passphrase(PASSPHRASE), cost)
    };
    let lock = json!({ "key": hex(&[14; 32]) });
    json!([
        by_passphrase(Cost::NEW),
        by_passphrase(CHEAP),
        file(lock, &key(14), CHEAP),
    ])
}

pub fn bad() -> Value {
    let good = sealed(&passphrase(PASSPHRASE), CHEAP);
    // With a check that fits, as somebody would who knows the format.
    let careful = |at: usize, to: u8| {
        let body = change(&good[..good.len() - 4], at, to);
        let check = Sha256::digest(&body);
        [&body[..], &check[..4]].concat()
    };
    let bad = |why, passphrase: &str, file: &[u8], error| {
        let input = json!({ "passphrase": passphrase, "file": hex(file) });
        json!({ "why": why, "input": input, "error": error })
    };
    let here = |why, file: &[u8], error| bad(why, PASSPHRASE, file, error);
    json!([
        here("something else", b"junk", "NotKeys"),
        here("in the clear", &node(1).to_stored(), "Version"),
        here("a newer version", &careful(9, 3), "Version"),
        here("cut short", &good[..60], "Length"),
        here("a byte is missing", &good[..good.len() - 1], "Check"),
        here("a bit of the keys", &change(&good, 70, 0), "Check"),
        here("an unknown lock", &careful(10, 3), "Lock"),
        here("64 GiB of memory", &careful(11, 4), "Cost"),
        here("no passes", &careful(18, 0), "Cost"),
        here("17 lanes", &careful(22, 17), "Cost"),
        here("a key file's", &sealed(&key(14), CHEAP), "OtherLock"),
        bad("another passphrase", "anybody here?", &good, "Wrong"),
        here("another salt", &careful(23, 0), "Wrong"),
        here(
            "more passes than it was sealed with",
            &careful(18, 3),
            "Wrong"
        ),
    ])
}

#[test]
fn sealed_keys() {
    for (input, output) in vectors("sealed_keys") {
        let (lock, file) = (&input["lock"], unhex(&output["file"]));
        let unlock = match lock["passphrase"].as_str() {
            Some(text) => {
                let number = |name: &str| lock[name].as_u64().unwrap().try_into().unwrap();
                let cost = Cost {
                    memory_kib: number("memory_kib"),
                    passes: number("passes"),
                    lanes: number("lanes"),
                };
                assert_eq!(sealed::lock(&file), Ok(Lock::Passphrase(cost)));
                passphrase(text)
            }
            None => {
                assert_eq!(sealed::lock(&file), Ok(Lock::Key));
                Unlock::Key(Zeroizing::new(array(&lock["key"])))
            }
        };
        let stored = sealed::open(&file, &unlock).unwrap();
        assert_eq!(hex(&stored), input["stored"]);
        let keys = Keys::from_stored(&stored).unwrap();
        assert_eq!(keys.to_stored(), node(1).to_stored());
    }
    all_fail("sealed_keys_bad", |input| {
        let file = unhex(&input["file"]);
        let opened = sealed::open(&file, &passphrase(input["passphrase"].as_str().unwrap()));
        opened.map(drop) as Result<(), SealedError>
    });
}
