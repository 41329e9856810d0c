//! `kukuri doctor`: what it finds is so, and it says what to do.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeMap;
use std::net::UdpSocket;

use kukuri_tests::{Dht, Process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing leaves this machine.
const LOOPBACK: [(&str, &str); 3] = [
    ("KUKURI_GOSSIP__BIND", "127.0.0.1:0"),
    ("KUKURI_DISCOVERY__HELLO_BIND", "127.0.0.1:0"),
    ("KUKURI_DISCOVERY__DHT_BIND", "127.0.0.1:0"),
];

/// The checks by their names, and whether it ended well.
fn examine(flags: &[&str], settings: &[(&str, &str)]) -> (BTreeMap<String, Value>, bool) {
    let mut doctor = Process::start_with([&["doctor"], flags].concat(), settings);
    doctor.next("diagnosis");
    let well = doctor.ended().success();
    let checks = doctor.seen().iter().filter(|said| said["event"] == "check");
    let named = |check: &Value| (check["name"].as_str().unwrap().to_owned(), check.clone());
    (checks.map(named).collect(), well)
}

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

fn assert_ok(checks: &BTreeMap<String, Value>, names: &[&str]) {
    for name in names {
        assert_eq!(checks[*name]["result"], "ok", "{name}: {checks:#?}");
    }
}

const LOCAL: [&str; 7] = [
    "config",
    "data",
    "disk",
    "keys",
    "clock",
    "ports",
    "self-test",
];

#[test]
fn a_machine_that_works_gets_a_clean_bill_beside_a_running_node() {
    let (dht, data) = (Dht::start(10), dir());
    let path = data.path().to_str().unwrap();
    let flags = ["--data-dir", path, "--dht-bootstrap", dht.bootstrap()];
    let (checks, well) = examine(&flags, &LOOPBACK);
    assert_ok(&checks, &LOCAL);
    assert_ok(&checks, &["udp", "dht", "nat"]);
    assert!(well);

    let mut node = dht.join("tea", data.path(), &[]);
    let started = node.next("started");
    let taken = started["bound"][0].as_str().unwrap();
    let settings = [("KUKURI_GOSSIP__BIND", taken), LOOPBACK[1], LOOPBACK[2]];
    let (checks, well) = examine(&[&flags[..2], &["--offline"]].concat(), &settings);
    assert_ok(&checks, &LOCAL);
    let said = |name: &str| checks[name]["message"].as_str().unwrap();
    assert!(said("data").contains("a node runs"), "{checks:#?}");
    assert!(said("ports").contains("in use"), "{checks:#?}");
    assert!(well && !checks.contains_key("dht"));
}

#[test]
fn what_does_not_work_is_named_with_a_hint() {
    let (data, other) = (dir(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let path = data.path().to_str().unwrap();
    // Nobody answers there, and somebody else has the port.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap().to_string();
    let taken = other.local_addr().unwrap().to_string();
    let flags = ["--data-dir", path, "--dht-bootstrap", &nobody];
    let settings = [
        LOOPBACK[0],
        ("KUKURI_DISCOVERY__HELLO_BIND", &taken),
        LOOPBACK[2],
    ];
    let (checks, well) = examine(&flags, &settings);
    assert!(!well);
    for name in ["ports", "udp", "dht"] {
        assert_eq!(checks[name]["result"], "fail", "{name}: {checks:#?}");
        assert!(!checks[name]["hint"].as_str().unwrap().is_empty());
    }
    assert!(
        checks["ports"]["message"]
            .as_str()
            .unwrap()
            .contains(&taken)
    );
    assert_ok(&checks, &["config", "data", "keys", "self-test"]);

    let settings = [("KUKURI_DISCOVERY__MAX_TOPICS", "0")];
    let (checks, well) = examine(&["--data-dir", path], &settings);
    let said = checks["config"]["message"].as_str().unwrap();
    assert!(!well && said.contains("max_topics"), "{checks:#?}");

    let settings = [("KUKURI_IDENTITY__KEY_FILE", "")];
    let (checks, well) = examine(&["--data-dir", path, "--offline"], &settings);
    assert_eq!(checks["keys"]["result"], "fail", "{checks:#?}");
    assert!(!well);
    assert_ok(&checks, &["self-test"]);
}

#[test]
fn keys_in_the_clear_are_a_warning() {
    let data = dir();
    let path = data.path().to_str().unwrap();
    let flags = [
        "--data-dir",
        path,
        "--offline",
        "--insecure-plaintext-store",
    ];
    let settings = [("KUKURI_IDENTITY__KEY_FILE", "")];
    let (checks, well) = examine(&flags, &settings);
    assert_eq!(checks["keys"]["result"], "warn", "{checks:#?}");
    assert!(well, "it works");
}
