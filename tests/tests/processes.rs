//! Whole nodes in separate processes, against a `kukuri testnet` in another one.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::UdpSocket;
use std::path::Path;
use std::time::Instant;

use kukuri::contract::{Epoch, UnixMillis, WallClock};
use kukuri::{format_secret, generate_secret};
use kukuri_discovery::core::hello::HelloRequest;
use kukuri_identity::core::derive::TopicKey;
use kukuri_tests::{Dht, Process, http_get, series};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

/// A file with a new secret, and the flag that names it.
fn secret_file(dir: &Path) -> String {
    let file = dir.join("tea.secret");
    let text = format_secret(&generate_secret().unwrap());
    std::fs::write(&file, format!("{}\n", text.as_str())).unwrap();
    file.to_str().unwrap().to_owned()
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {event}"))
}

#[test]
fn two_nodes_find_each_other_and_talk() {
    let dht = Dht::start(10);
    let (a_dir, b_dir) = (dir(), dir());
    let secret = secret_file(a_dir.path());
    let flags = ["--secret-file", &secret];
    let mut a = dht.join("tea", &a_dir.path().join("a"), &flags);
    let a_id = a.next("started");
    let mut b = dht.join("tea", b_dir.path(), &flags);
    let b_id = b.next("started");
    let joined = b.next("joined");
    assert_eq!(joined["topic"], "tea");
    assert!(joined["after_ms"].is_u64(), "{joined}");
    let source = text(&joined, "source");
    assert!(source == "rendezvous" || source == "inbound", "{joined}");
    let up = a.next("neighbor_up");
    assert_eq!(up["endpoint_id"], b_id["endpoint_id"]);
    a.say("hello from a");
    let post = b.post("hello from a");
    assert_eq!(post["author"], a_id["author"]);
    assert_eq!(post["seq"], 1);
    b.say("hello from b");
    assert_eq!(a.post("hello from b")["author"], b_id["author"]);

    // Ctrl-C: it ends well, and its neighbor notices at once.
    let asked = Instant::now();
    b.signal(Signal::SIGINT);
    let down = a.next("neighbor_down");
    assert_eq!(down["endpoint_id"], b_id["endpoint_id"]);
    assert!(b.ended().success());
    println!("down after {:?}; the limit is 2 s", asked.elapsed());
    a.signal(Signal::SIGTERM);
    assert!(a.ended().success());
    assert_eq!(a.seen().last().unwrap()["event"], "stopped");
    assert_eq!(
        a.errors(),
        "",
        "a healthy node has nothing to complain about"
    );
}

#[test]
fn five_nodes_get_each_others_posts() {
    let dht = Dht::start(10);
    let dirs: Vec<_> = (0..5).map(|_| dir()).collect();
    let mut nodes: Vec<_> = dirs
        .iter()
        .map(|d| dht.join("tea", d.path(), &[]))
        .collect();
    for node in &mut nodes {
        node.next("joined");
    }
    // A node may still be on its way into the swarm when another one posts; what it misses then,
    // gap repair will bring one day. So everybody posts until everybody has heard everybody.
    for (at, node) in nodes.iter_mut().enumerate() {
        node.say(&format!("from {at}"));
    }
    for listener in 0..nodes.len() {
        for speaker in (0..nodes.len()).filter(|speaker| *speaker != listener) {
            let body = format!("from {speaker}");
            let heard = |node: &mut Process| node.seen().iter().any(|e| e["body"] == body.as_str());
            if !heard(&mut nodes[listener]) {
                nodes[listener].post(&body);
            }
        }
    }
}

#[test]
fn a_wrong_secret_makes_no_contact_and_is_counted() {
    let dht = Dht::start(10);
    let (right_dir, wrong_dir) = (dir(), dir());
    let (right, wrong) = (secret_file(right_dir.path()), secret_file(wrong_dir.path()));
    let metrics = ["--metrics", "127.0.0.1:0"];
    let flags = |secret| [&["--secret-file", secret], &metrics[..]].concat();
    let mut a = dht.join("tea", &right_dir.path().join("a"), &flags(&right));
    let a_started = a.next("started");
    let mut b = dht.join("tea", &right_dir.path().join("b"), &flags(&right));
    a.next("joined");
    // It even knows a member's address, and still gets nowhere.
    let id = text(&a_started, "endpoint_id");
    let peer = format!("{id}@{}", a_started["bound"][0].as_str().unwrap());
    let with_peer = [flags(&wrong), vec!["--peer", &peer]].concat();
    let mut stranger = dht.join("tea", &wrong_dir.path().join("stranger"), &with_peer);
    let started = stranger.next("started");
    let verdict = stranger.next("verdict");
    assert_ne!(verdict["outcome"], "joined");
    assert!(text(&verdict, "hint").ends_with('.'), "{verdict}");
    a.say("a secret");
    b.post("a secret");
    let quiet = |e: &Value| e["event"] != "post" && e["event"] != "neighbor_up";
    assert!(stranger.seen().iter().all(quiet));
    let failures = http_get(text(&started, "metrics"), "/metrics");
    let outcome = text(&verdict, "outcome");
    let name = format!("kukuri_discovery_joins_total{{result=\"{outcome}\"}}");
    assert_eq!(series(&failures, &name), Some(1.0), "{failures}");
    // It has dialed the member that it was told of, and was not let in.
    let proofs = |text: &str, side, reason| {
        let labels = format!("side=\"{side}\",reason=\"{reason}\"");
        let name = format!("kukuri_gossip_proofs_dropped_total{{{labels}}}");
        series(text, &name).unwrap()
    };
    assert!(proofs(&failures, "dialed", "refused") >= 1.0, "{failures}");
    let member = http_get(text(&a_started, "metrics"), "/metrics");
    assert!(proofs(&member, "accepted", "not_member") >= 1.0, "{member}");

    // A hello under another secret is silence for the sender, and counted by the receiver.
    send_foreign_hello(text(&a_started, "hello"));
    let name = "kukuri_discovery_drops_total{reason=\"unknown_tag\"}";
    let counted = || series(&http_get(text(&a_started, "metrics"), "/metrics"), name);
    let deadline = Instant::now() + kukuri_tests::DEADLINE;
    while counted() < Some(1.0) {
        assert!(Instant::now() < deadline, "a foreign hello is counted");
    }
    for node in [&a, &b, &stranger] {
        assert!(!node.errors().contains("panic"), "{}", node.errors());
    }
}

/// A hello of a topic that the receiver is not in.
fn send_foreign_hello(to: &str) {
    let secret = generate_secret().unwrap();
    let key = TopicKey::new(&"tea".parse().unwrap(), Some(&secret));
    let now: UnixMillis = WallClock::system().now();
    let request = HelloRequest {
        id: [1; 16],
        time: now,
        recipient: to.parse().unwrap(),
        record: vec![0; 100],
        dial_back: None,
    };
    let packet = request.seal(&key.epoch_keys(Epoch::at(now)), [7; 24]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&packet, to).unwrap();
}

#[test]
fn a_public_and_a_secret_topic_of_the_same_name_never_meet() {
    let dht = Dht::start(10);
    let (public_dir, secret_dir) = (dir(), dir());
    let secret = secret_file(secret_dir.path());
    let mut public = dht.join("tea", public_dir.path(), &[]);
    let flags = ["--secret-file", &secret];
    let mut secret = dht.join("tea", &secret_dir.path().join("node"), &flags);
    for node in [&mut public, &mut secret] {
        assert_eq!(node.next("verdict")["outcome"], "alone");
        assert!(node.seen().iter().all(|e| e["event"] != "neighbor_up"));
    }
}

#[test]
fn a_killed_node_comes_back_as_itself_with_its_posts() {
    let dht = Dht::start(10);
    let (a_dir, b_dir) = (dir(), dir());
    let mut a = dht.join("tea", a_dir.path(), &[]);
    let before = a.next("started");
    let mut b = dht.join("tea", b_dir.path(), &[]);
    b.next("joined");
    a.next("joined");
    for n in 1..=3 {
        a.say(&format!("post {n}"));
        assert_eq!(a.next("posted")["seq"], n);
    }
    b.post("post 3");
    a.signal(Signal::SIGKILL);
    a.ended();
    b.next("neighbor_down");
    let mut a = dht.join("tea", a_dir.path(), &[]);
    let after = a.next("started");
    for id in ["endpoint_id", "author"] {
        assert_eq!(after[id], before[id]);
    }
    a.next("joined");
    // It goes on counting where it was, so its posts are all there.
    a.say("post 4");
    assert_eq!(a.next("posted")["seq"], 4);
    assert_eq!(b.post("post 4")["seq"], 4);
}

/// Its neighbors still take it for the one that was killed: their connections have not timed out.
#[test]
fn a_killed_node_may_come_back_before_anybody_has_noticed() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir(), dir()];
    let mut nodes: Vec<_> = dirs
        .iter()
        .map(|d| dht.join("tea", d.path(), &[]))
        .collect();
    for node in &mut nodes {
        node.next("joined");
    }
    let mut killed = nodes.pop().unwrap();
    killed.signal(Signal::SIGKILL);
    killed.ended();
    let mut back = dht.join("tea", dirs[2].path(), &[]);
    // From the cache or the DHT, whichever is quicker.
    back.next("joined");
    back.say("here again");
    for node in &mut nodes {
        node.post("here again");
    }
}

#[test]
fn a_topic_can_be_joined_without_any_dht() {
    let (a_dir, b_dir) = (dir(), dir());
    let flags = [
        "join",
        "tea",
        "--bind",
        "127.0.0.1:0",
        "--no-dht",
        "--data-dir",
    ];
    let start = |dir: &TempDir, more: &[&str]| {
        Process::start([&flags[..], &[dir.path().to_str().unwrap()], more].concat())
    };
    let mut a = start(&a_dir, &[]);
    let started = a.next("started");
    let bound = started["bound"][0]
        .as_str()
        .unwrap()
        .replace("127.0.0.1", "localhost");
    let peer = format!("{}@{bound}", text(&started, "endpoint_id"));
    let mut b = start(&b_dir, &["--peer", &peer]);
    assert_eq!(b.next("joined")["source"], "static");
    assert_eq!(a.next("joined")["source"], "inbound");
}

#[test]
fn the_end_of_the_input_sends_what_was_said() {
    let dht = Dht::start(10);
    let (a_dir, b_dir) = (dir(), dir());
    let mut a = dht.join("tea", a_dir.path(), &[]);
    let mut b = dht.join("tea", b_dir.path(), &["--exit-after-input"]);
    // Said before anybody is there to hear it.
    b.say("first");
    b.say("second");
    b.end_input();
    // Written before there was a neighbor, they may arrive in any order.
    for body in ["first", "second"] {
        if !a.seen().iter().any(|event| event["body"] == body) {
            a.post(body);
        }
    }
    assert!(b.ended().success());
}
