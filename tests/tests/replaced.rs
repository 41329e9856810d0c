//! Secrets and keys that are replaced on the command line.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_tests::{Dht, Process};
use nix::sys::signal::Signal;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

/// While nodes run.
#[test]
fn a_running_node_takes_the_secret_that_was_rotated_and_an_invite_brings_the_others_along() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir()];
    let [a_dir, b_dir] = [0, 1].map(|n| dirs[n].path().to_str().unwrap());
    let run = |args: &[&str], dir: &str, event: &str| {
        let mut process = Process::start([args, &["--data-dir", dir]].concat());
        let said = process.next(event);
        assert!(process.ended().success());
        said
    };
    let invite = |dir| run(&["topic", "invite", "tea"], dir, "invite")["invite"].clone();
    let accept = |invite: &serde_json::Value, event| {
        let mut process = Process::start(["topic", "accept", "--data-dir", b_dir]);
        process.say(invite.as_str().unwrap());
        let said = process.next(event);
        assert!(process.ended().success());
        said
    };
    assert_eq!(
        run(&["topic", "add", "tea"], a_dir, "topic_added")["new"],
        true
    );
    accept(&invite(a_dir), "invite_accepted");
    let mut a = dht.join("tea", dirs[0].path(), &[]);
    let mut b = dht.join("tea", dirs[1].path(), &[]);
    for node in [&mut a, &mut b] {
        node.next("joined");
    }
    let rotated = run(
        &["topic", "rotate", "tea", "--overlap", "20s"],
        a_dir,
        "topic_rotated",
    );
    assert_eq!(
        a.next("topic_rotated")["overlap_until"],
        rotated["overlap_until"]
    );
    a.say("to those who are not there yet");
    b.post("to those who are not there yet");
    let told = accept(&invite(a_dir), "topic_rotated");
    assert_eq!(
        told["overlap_until"], rotated["overlap_until"],
        "the end is agreed upon"
    );
    b.next("topic_rotated");
    for node in [&mut a, &mut b] {
        node.next("overlap_ended");
    }
    b.say("among us");
    a.post("among us");
    let list = run(&["topic", "list"], a_dir, "topic");
    assert!(
        list["overlap_until"].is_null(),
        "the old secret is gone: {list}"
    );
    for mut node in [a, b] {
        node.signal(Signal::SIGTERM);
        assert!(node.ended().success());
    }
    // What was said under either secret is one history.
    let mut posts = Process::start(["posts", "tea", "--data-dir", b_dir]);
    posts.post("to those who are not there yet");
    posts.post("among us");
    assert!(posts.ended().success());
}

#[test]
fn a_rotated_identity_is_another_endpoint_with_the_same_author_topics_and_posts() {
    let (dht, dir) = (Dht::start(5), dir());
    let path = dir.path().to_str().unwrap();
    let run = |args: &[&str], event: &str| {
        let mut process = Process::start([args, &["--data-dir", path]].concat());
        let said = process.next(event);
        assert!(process.ended().success());
        said
    };
    run(&["topic", "add", "tea"], "topic_added");
    let before = run(&["id"], "id");
    let mut node = dht.join("tea", dir.path(), &[]);
    node.say("before");
    node.next("posted");
    let mut refused = Process::start(["identity", "rotate", "--data-dir", path]);
    assert!(!refused.ended().success());
    assert!(
        refused.errors().contains("another node runs"),
        "{}",
        refused.errors()
    );
    node.signal(Signal::SIGTERM);
    assert!(node.ended().success());

    let rotated = run(&["identity", "rotate"], "identity_rotated");
    assert_eq!(rotated["endpoint_id_before"], before["endpoint_id"]);
    assert_ne!(rotated["endpoint_id"], before["endpoint_id"]);
    assert_eq!(rotated["author"], before["author"]);
    assert_eq!(run(&["id"], "id")["endpoint_id"], rotated["endpoint_id"]);
    assert_eq!(run(&["topic", "list"], "topic")["topic"], "tea");
    let mut posts = Process::start(["posts", "tea", "--data-dir", path]);
    posts.post("before");
    let other = run(&["identity", "rotate", "--author"], "identity_rotated");
    assert_ne!(other["author"], before["author"]);
    assert_eq!(run(&["topic", "list"], "topic")["topic"], "tea");
}
