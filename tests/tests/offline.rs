//! What a node has stored can be read without any network, with or without the node.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::Path;
use std::process::{Command, Output};

use kukuri_tests::{Process, binary};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

/// A node without any network, as far as another one could tell.
fn alone(topic: &str, data: &Path, flags: &[&str]) -> Process {
    let mut args = vec!["join", topic, "--no-dht", "--bind", "127.0.0.1:0"];
    args.extend(["--data-dir", data.to_str().unwrap()]);
    args.extend(flags);
    let mut node = Process::start(args);
    node.next("started");
    node
}

fn say(node: &mut Process, line: &str) {
    node.say(line);
    node.next("posted");
}

/// `kukuri posts tea` for people.
fn posts(data: &Path, flags: &[&str]) -> Output {
    Command::new(binary())
        .args(["posts", "tea", "--data-dir", data.to_str().unwrap()])
        .args(flags)
        .env_clear()
        .env("HOME", data)
        .output()
        .unwrap()
}

/// The bodies that `kukuri posts tea --json` shows.
fn bodies(data: &Path, flags: &[&str]) -> Vec<String> {
    let output = posts(data, &[flags, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let body = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["event"], "post");
        assert!(event["author"].is_string() && event["time_ms"].is_u64());
        event["body"].as_str().unwrap().to_owned()
    };
    lines.lines().map(body).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn posts_are_shown_while_the_node_runs_and_after_it_was_killed() {
    let data = dir();
    let mut node = alone("tea", data.path(), &[]);
    for line in ["one", "two", "three"] {
        say(&mut node, line);
    }
    assert_eq!(bodies(data.path(), &[]), ["one", "two", "three"]);
    // Reading has not disturbed the node.
    say(&mut node, "four");
    node.signal(Signal::SIGKILL);
    node.ended();
    let all = ["one", "two", "three", "four"];
    assert_eq!(bodies(data.path(), &[]), all);
    assert_eq!(bodies(data.path(), &["--limit", "2"]), all[2..]);
    assert_eq!(bodies(data.path(), &["--since", "1h"]), all);
    assert_eq!(
        bodies(data.path(), &["--since", "2999-12-31"]),
        [""; 0],
        "nobody writes in the future"
    );
    // The node comes back as if nobody had read.
    let mut node = alone("tea", data.path(), &[]);
    say(&mut node, "five");
    assert_eq!(bodies(data.path(), &["--limit", "1"]), ["five"]);
}

#[test]
fn people_see_time_author_and_harmless_text() {
    let data = dir();
    let mut node = alone("tea", data.path(), &[]);
    say(&mut node, "a\u{1b}[2Jb");
    let shown = String::from_utf8(posts(data.path(), &[]).stdout).unwrap();
    let (time, post) = shown.trim_end().split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{shown}");
    let author = node.seen()[0]["author"].as_str().unwrap()[..10].to_owned();
    assert_eq!(post, format!("<{author}> a\u{fffd}[2Jb"));
    // What was printed can be given back.
    assert_eq!(bodies(data.path(), &["--since", time]).len(), 1);
}

#[test]
fn a_secret_topic_needs_its_secret() {
    let data = dir();
    let secret = data.path().join("tea.secret");
    let secret = secret.to_str().unwrap();
    let made = Process::start(["topic", "new-secret", "--out", secret]).next("secret_written");
    assert_eq!(made["file"], secret);
    let mut node = alone("tea", data.path(), &["--secret-file", secret]);
    say(&mut node, "among us");
    assert_eq!(
        bodies(data.path(), &["--secret-file", secret]),
        ["among us"]
    );
    let without = posts(data.path(), &[]);
    assert_eq!(without.status.code(), Some(0));
    assert!(without.stdout.is_empty(), "{without:?}");
    let said = errors(&without);
    assert!(said.contains("no posts of this topic here"), "{said}");
    assert!(said.contains("--secret-file"), "{said}");
}

#[test]
fn reading_makes_nothing() {
    let data = dir();
    let empty = posts(data.path(), &[]);
    assert_eq!(empty.status.code(), Some(0));
    assert!(errors(&empty).contains("no posts of this topic here"));
    assert_eq!(bodies(data.path(), &[]), [""; 0]);
    let files = std::fs::read_dir(data.path()).unwrap().count();
    assert_eq!(files, 0, "neither a database nor a lock");
    let missing = data.path().join("missing");
    let failed = posts(&missing, &[]);
    assert_eq!(failed.status.code(), Some(1));
    let said = errors(&failed);
    assert!(
        said.contains(missing.to_str().unwrap()) && said.contains("--data-dir"),
        "{said}"
    );
    assert!(!missing.exists());
}

#[test]
fn what_is_wrong_has_a_name() {
    let data = dir();
    for (flags, words, code) in [
        (&["--since", "yesterday"][..], &["--since", "15m"][..], 2),
        (&["--since", "2026-11-24T08:00"], &["time zone", "Z"], 2),
        (&["--limit", "0"], &["--limit"], 2),
        (&["--limit", "99999"], &["max_posts_per_query", "10000"], 1),
        (&["--secret-file", "/no/such"], &["/no/such"], 1),
    ] {
        let failed = posts(data.path(), flags);
        assert_eq!(failed.status.code(), Some(code), "{flags:?}");
        for word in words {
            let said = errors(&failed);
            assert!(said.contains(word), "{flags:?} lacks {word:?}: {said}");
        }
    }
    std::fs::write(data.path().join("kukuri.db"), "no database at all").unwrap();
    let failed = posts(data.path(), &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(errors(&failed).contains("kukuri.db"), "{failed:?}");
}
