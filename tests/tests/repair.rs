//! Whole nodes that miss posts, because they were away or a neighbor died on the way, get them from
//! those that have them.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_tests::{Dht, Process, http_get, series};
use nix::sys::signal::Signal;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

fn say_all(node: &mut Process, name: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        node.say(&format!("{name} {n}"));
        node.next("posted");
    }
}

/// Waits until a node has heard all of these, in whatever order.
fn hears_all(node: &mut Process, name: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let body = format!("{name} {n}");
        if !node
            .seen()
            .iter()
            .any(|event| event["body"] == body.as_str())
        {
            node.post(&body);
        }
    }
}

#[test]
fn a_member_that_was_away_catches_up() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir(), dir()];
    let watched = ["--metrics", "127.0.0.1:0"];
    let mut a = dht.join("tea", dirs[0].path(), &watched);
    let mut b = dht.join("tea", dirs[1].path(), &watched);
    let mut c = dht.join("tea", dirs[2].path(), &[]);
    let metrics = [&mut a, &mut b].map(|node| {
        let started = node.next("started");
        started["metrics"].as_str().unwrap().to_owned()
    });
    for node in [&mut a, &mut b, &mut c] {
        node.next("joined");
    }
    say_all(&mut a, "early", 0..3);
    hears_all(&mut c, "early", 0..3);
    c.signal(Signal::SIGKILL);
    c.ended();
    // More than one answer holds: 256 posts.
    say_all(&mut a, "late", 0..300);
    say_all(&mut b, "too", 0..5);
    let mut c = dht.join("tea", dirs[2].path(), &[]);
    hears_all(&mut c, "late", 0..300);
    hears_all(&mut c, "too", 0..5);
    // What it had, it does not get again.
    assert!(c.seen().iter().all(|event| event["body"] != "early 0"));
    // Whichever of the others it asked.
    let served = metrics.map(|at| {
        let text = http_get(&at, "/metrics");
        series(&text, "kukuri_node_repairs_served_total").unwrap()
    });
    assert!(served.iter().sum::<f64>() >= 1.0, "{served:?}");
}

#[test]
fn a_new_member_gets_what_the_others_keep() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir()];
    let mut a = dht.join("tea", dirs[0].path(), &[]);
    say_all(&mut a, "history", 0..10);
    let mut b = dht.join("tea", dirs[1].path(), &[]);
    hears_all(&mut b, "history", 0..10);
}

#[test]
fn posts_written_offline_reach_everybody_even_after_a_crash() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir(), dir()];
    let path = dirs[0].path().to_str().unwrap();
    let offline = [
        "join",
        "tea",
        "--bind",
        "127.0.0.1:0",
        "--no-dht",
        "--data-dir",
        path,
    ];
    let mut a = Process::start(offline);
    say_all(&mut a, "offline", 0..5);
    a.signal(Signal::SIGKILL);
    a.ended();
    let mut b = dht.join("tea", dirs[1].path(), &[]);
    let mut c = dht.join("tea", dirs[2].path(), &[]);
    b.next("joined");
    c.next("joined");
    let mut a = dht.join("tea", dirs[0].path(), &[]);
    a.next("joined");
    hears_all(&mut b, "offline", 0..5);
    hears_all(&mut c, "offline", 0..5);
}

#[test]
fn a_restarted_node_finds_its_peers_without_any_dht() {
    let dirs = [dir(), dir()];
    let dht = Dht::start(10);
    let mut a = dht.join("tea", dirs[0].path(), &[]);
    let mut b = dht.join("tea", dirs[1].path(), &[]);
    a.next("joined");
    b.next("joined");
    b.signal(Signal::SIGTERM);
    b.ended();
    let bootstrap = dht.bootstrap().to_owned();
    drop(dht);
    // The DHT is gone, b remembers where a was.
    let path = dirs[1].path().to_str().unwrap();
    let args = ["join", "tea", "--bind", "127.0.0.1:0", "--data-dir", path];
    let mut b = Process::start(args.iter().chain(&["--dht-bootstrap", &bootstrap]));
    assert_eq!(b.next("joined")["source"], "cache");
    b.say("still here");
    a.post("still here");
}

#[test]
fn a_post_survives_the_death_of_the_neighbor_that_carried_it() {
    // A line: a - b - c, so that everything from a goes through b.
    let dirs = [dir(), dir(), dir()];
    let start = |dir: &TempDir, peer: Option<&str>| {
        let path = dir.path().to_str().unwrap();
        let mut args = vec!["join", "tea", "--bind", "127.0.0.1:0", "--no-dht"];
        args.extend(["--data-dir", path]);
        args.extend(peer.map(|peer| ["--peer", peer]).into_iter().flatten());
        Process::start(args)
    };
    let address = |node: &mut Process| {
        let started = node.next("started");
        let id = started["endpoint_id"].as_str().unwrap();
        format!("{id}@{}", started["bound"][0].as_str().unwrap())
    };
    let mut b = start(&dirs[1], None);
    let b_address = address(&mut b);
    let mut a = start(&dirs[0], Some(&b_address));
    let mut c = start(&dirs[2], Some(&b_address));
    a.next("joined");
    c.next("joined");
    // Whatever b has passed on when it dies: both sides have what was acknowledged in the end.
    for n in 0..50 {
        a.say(&format!("last {n}"));
    }
    a.next("posted");
    b.signal(Signal::SIGKILL);
    b.ended();
    // What is not acknowledged yet may be lost with a, when that ends.
    for _ in 1..50 {
        a.next("posted");
    }
    let mut b = start(&dirs[1], None);
    let b_address = address(&mut b);
    c.signal(Signal::SIGTERM);
    c.ended();
    let mut c = start(&dirs[2], Some(&b_address));
    a.signal(Signal::SIGTERM);
    a.ended();
    let _a = start(&dirs[0], Some(&b_address));
    let mut all: Vec<_> = (0..50).map(|n| format!("last {n}")).collect();
    let before = posts(dirs[2].path());
    all.retain(|body| !before.contains(body));
    for body in all {
        if !c.seen().iter().any(|event| event["body"] == body.as_str()) {
            c.post(&body);
        }
    }
}

/// The bodies of the posts in the store of a data directory.
fn posts(dir: &std::path::Path) -> Vec<String> {
    let args = [
        "posts",
        "tea",
        "--limit",
        "1000",
        "--data-dir",
        dir.to_str().unwrap(),
    ];
    let mut process = Process::start(args);
    process.ended();
    let posts = process.seen().iter();
    posts
        .map(|event| event["body"].as_str().unwrap_or_default().to_owned())
        .collect()
}
