//! Members that find each other and can't reach each other: behind a firewall that lets hellos pass
//! and QUIC not.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::process::Command;

use kukuri_conformance::in_namespace;
use kukuri_tests::{DEADLINE, Dht, Process, http_get, series};
use tempfile::TempDir;

/// The ports of the endpoints, below those that the system gives to hello sockets.
const ENDPOINTS: [&str; 2] = ["127.0.0.1:4001", "127.0.0.1:4002"];

const FIREWALL: &str = "set -e
ip link set lo up
nft add table inet wall
nft 'add chain inet wall input { type filter hook input priority 0; }'
nft add rule inet wall input udp dport '{ 4001, 4002 }' drop";

fn join(dht: &Dht, dir: &TempDir, bind: &str) -> Process {
    let args = ["join", "tea", "--bind", bind, "--metrics", "127.0.0.1:0"];
    let more = [
        "--dht-bootstrap",
        dht.bootstrap(),
        "--data-dir",
        dir.path().to_str().unwrap(),
    ];
    let soon = [("KUKURI_DISCOVERY__FIRST_CONTACT_MS", "4000")];
    Process::start_with(args.into_iter().chain(more), &soon)
}

#[test]
fn members_that_are_found_and_not_reached_say_so_and_what_to_do() {
    let test = "members_that_are_found_and_not_reached_say_so_and_what_to_do";
    if !in_namespace(test, FIREWALL) {
        return;
    }
    let dht = Dht::start(10);
    let dirs = [(); 2].map(|()| TempDir::with_prefix("kukuri-test-").unwrap());
    let mut nodes: Vec<_> = ENDPOINTS
        .iter()
        .zip(&dirs)
        .map(|(bind, dir)| join(&dht, dir, bind))
        .collect();
    for node in &mut nodes {
        let http = node.next("started")["metrics"].as_str().unwrap().to_owned();
        // The first one may have looked for so long before the other one was there.
        let unreachable = |event: &serde_json::Value| event["outcome"] == "found_but_unreachable";
        let verdict = node.wait_for("verdict", unreachable);
        let hint = verdict["hint"].as_str().unwrap();
        for what in ["port mapping", "--bind", "--relay"] {
            assert!(hint.contains(what), "{hint}");
        }
        // The hello ports are open, and shown as such.
        let name = "kukuri_discovery_hello_port{state=\"proven\"}";
        let begun = std::time::Instant::now();
        while series(&http_get(&http, "/metrics"), name) != Some(1.0) {
            assert!(
                begun.elapsed() < DEADLINE,
                "{}",
                http_get(&http, "/metrics")
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    // The firewall was all that kept them apart.
    let opened = Command::new("nft").args(["flush", "ruleset"]).status();
    assert!(opened.unwrap().success());
    for node in &mut nodes {
        node.next("joined");
    }
}
