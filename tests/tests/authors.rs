//! Several nodes of one person write in one name, as processes.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeMap;
use std::path::Path;

use kukuri_tests::{Dht, Process, http_get, series};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap().to_owned()
}

/// What `--peer` takes, so that nobody waits for the DHT to forget who was killed.
fn address(started: &Value) -> String {
    let bound = started["bound"][0].as_str().unwrap();
    format!("{}@{bound}", text(started, "endpoint_id"))
}

/// Runs a command to its end: the event that it prints, or what it says is wrong.
fn run(args: &[&str], data: &Path, input: &str) -> Result<Value, String> {
    let data = ["--data-dir", data.to_str().unwrap()];
    let mut process = Process::start(args.iter().copied().chain(data));
    if !input.is_empty() {
        process.say(input);
    }
    process.end_input();
    let code = process.ended();
    let event = process.seen().last().cloned();
    match code.success() {
        true => Ok(event.unwrap()),
        false => Err(process.errors()),
    }
}

fn writer(data: &Path) -> String {
    text(&run(&["id"], data, "").unwrap(), "writer")
}

/// Lets the node of one directory write in the name of another's.
fn link(main: &Path, other: &Path) {
    let made = run(&["identity", "link", &writer(other)], main, "").unwrap();
    let used = run(&["identity", "use-link"], other, &text(&made, "link")).unwrap();
    assert_eq!(text(&used, "author"), writer(main));
}

/// Waits until a node has heard all of these, in whatever order.
fn hears_all(node: &mut Process, name: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let body = format!("{name} {n}");
        let heard = |event: &Value| event["body"] == body.as_str();
        if !node.seen().iter().any(heard) {
            node.post(&body);
        }
    }
}

/// The posts that a node has told of, by body; each was told once.
fn told(node: &mut Process) -> BTreeMap<String, Value> {
    let mut told = BTreeMap::new();
    let posts = node.seen().iter().filter(|event| event["event"] == "post");
    for post in posts {
        let before = told.insert(text(post, "body"), post.clone());
        assert!(before.is_none(), "told twice: {post}");
    }
    told
}

fn kill(mut node: Process) {
    node.signal(Signal::SIGKILL);
    node.ended();
}

#[test]
fn two_nodes_of_one_person_write_at_once_and_nothing_is_lost_or_double() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir(), dir()];
    let [home, phone, friend] = [0, 1, 2].map(|n| dirs[n].path());
    link(home, phone);
    let author = writer(home);
    let start = |data: &Path| {
        let mut node = dht.join("tea", data, &[]);
        let started = node.next("started");
        (node, started)
    };
    let (mut a, _) = start(home);
    let (mut b, started) = start(phone);
    assert_eq!(started["author"], author.as_str());
    assert_eq!(started["writer"], writer(phone).as_str());
    let (mut c, _) = start(friend);
    for node in [&mut a, &mut b, &mut c] {
        node.next("joined");
    }
    let say = |node: &mut Process, name: &str, n: usize| node.say(&format!("{name} {n}"));
    for n in 0..30 {
        say(&mut a, "home", n);
        say(&mut b, "phone", n);
    }
    hears_all(&mut c, "home", 0..30);
    hears_all(&mut c, "phone", 0..30);
    // Both go on while the friend is away; then the phone is started again.
    told(&mut c);
    kill(c);
    for n in 30..50 {
        say(&mut a, "home", n);
        say(&mut b, "phone", n);
    }
    hears_all(&mut a, "phone", 0..50);
    hears_all(&mut b, "home", 0..50);
    kill(b);
    let (mut b, _) = start(phone);
    b.next("joined");
    for n in 50..55 {
        say(&mut a, "home", n);
        say(&mut b, "phone", n);
    }
    let (mut c, _) = start(friend);
    for name in ["home", "phone"] {
        hears_all(&mut c, name, 30..55);
    }
    let args = ["posts", "tea", "--limit", "1000"];
    let data = ["--data-dir", friend.to_str().unwrap()];
    let mut stored = Process::start(args.into_iter().chain(data));
    stored.ended();
    let stored = told(&mut stored);
    assert_eq!(stored.len(), 110);
    let mut numbers = BTreeMap::<String, Vec<u64>>::new();
    for post in stored.values() {
        assert_eq!(post["author"], author.as_str(), "{post}");
        let seq = post["seq"].as_u64().unwrap();
        numbers.entry(text(post, "writer")).or_default().push(seq);
    }
    assert_eq!(numbers.len(), 2, "two writers");
    for seqs in numbers.values_mut() {
        seqs.sort_unstable();
        assert_eq!(*seqs, (1..=55).collect::<Vec<_>>());
    }
    let after: Vec<_> = told(&mut c).into_keys().collect();
    assert_eq!(after.len(), 50, "what it had, it is not told again");
}

#[test]
fn a_revoked_node_has_no_say_any_more_wherever_it_turns_up() {
    let dht = Dht::start(10);
    let dirs = [dir(), dir(), dir(), dir()];
    let [home, phone, friend, newcomer] = [0, 1, 2, 3].map(|n| dirs[n].path());
    link(home, phone);
    let (author, lost) = (writer(home), writer(phone));
    let mut a = dht.join("tea", home, &[]);
    let mut b = dht.join("tea", phone, &[]);
    let mut c = dht.join("tea", friend, &[]);
    for node in [&mut a, &mut b, &mut c] {
        node.next("joined");
    }
    for n in 0..3 {
        b.say(&format!("good {n}"));
    }
    hears_all(&mut a, "good", 0..3);
    hears_all(&mut c, "good", 0..3);
    // Written where nobody hears it, before the phone knows; it would find the others where they were.
    for node in [a, b, c] {
        kill(node);
    }
    let offline = [
        "join",
        "tea",
        "--bind",
        "127.0.0.1:0",
        "--no-dht",
        "--data-dir",
    ];
    let mut b = Process::start(offline.iter().copied().chain(phone.to_str()));
    for n in 0..5 {
        b.say(&format!("late {n}"));
        b.next("posted");
    }
    kill(b);
    let mut a = dht.join("tea", home, &[]);
    let peer = address(&a.next("started"));
    let mut c = dht.join("tea", friend, &["--peer", &peer]);
    a.next("joined");
    let noted = run(&["identity", "revoke", &lost], home, "").unwrap();
    assert_eq!(noted["was_linked"], true);
    let heard = c.next("revoked");
    assert_eq!(
        (text(&heard, "author"), text(&heard, "writer")),
        (author.clone(), lost)
    );
    // The main node may go now, and the friend forgets nothing with its process.
    kill(a);
    kill(c);
    let mut c = dht.join("tea", friend, &["--metrics", "127.0.0.1:0"]);
    let started = c.next("started");
    let (metrics, peer) = (text(&started, "metrics"), address(&started));
    let mut b = dht.join("tea", phone, &["--peer", &peer]);
    b.next("joined");
    b.next("revoked");
    b.say("one more");
    let refused = text(&b.next("post_failed"), "message");
    assert!(
        refused.contains("no longer lets this node write"),
        "{refused}"
    );
    let mut d = dht.join("tea", newcomer, &["--peer", &peer]);
    hears_all(&mut d, "good", 0..3);
    let dropped = "kukuri_node_posts_dropped_total{reason=\"revoked\"}";
    let deadline = std::time::Instant::now() + kukuri_tests::DEADLINE;
    while series(&http_get(&metrics, "/metrics"), dropped) < Some(5.0) {
        let text = http_get(&metrics, "/metrics");
        assert!(
            std::time::Instant::now() < deadline,
            "not dropped in time: {text}"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let late = |node: &mut Process| told(node).into_keys().any(|body| body.starts_with("late"));
    assert!(!late(&mut c));
    for post in told(&mut d)
        .values()
        .filter(|post| post["body"] != "one more")
    {
        assert_eq!(post["author"], author.as_str());
    }
}

#[test]
fn a_link_that_makes_no_sense_is_refused_and_says_why() {
    let dirs = [dir(), dir(), dir()];
    let [home, phone, other] = [0, 1, 2].map(|n| dirs[n].path());
    let made = run(&["identity", "link", &writer(phone)], home, "").unwrap();
    let line = text(&made, "link");
    let again = run(&["identity", "link", &writer(phone)], home, "").unwrap();
    assert_eq!(again, made, "asked again, it is the same");
    let use_link = |data: &Path, line: &str| run(&["identity", "use-link"], data, line);
    let link_to = |data: &Path, id: &str| run(&["identity", "link", id], data, "");
    let elsewhere = use_link(other, &line).unwrap_err();
    assert!(elsewhere.contains("use it there"), "{elsewhere}");
    let damaged = use_link(phone, &line[..line.len() - 3]).unwrap_err();
    assert!(damaged.contains("copy all of it"), "{damaged}");
    assert!(
        use_link(phone, "hello")
            .unwrap_err()
            .contains("kukuri identity link")
    );
    let own = link_to(home, &writer(home)).unwrap_err();
    assert!(own.contains("this node's own writer"), "{own}");
    let no_id = link_to(home, "hello").unwrap_err();
    assert!(no_id.contains("hexadecimal"), "{no_id}");
    use_link(phone, &line).unwrap();
    let not_main = link_to(phone, &writer(other)).unwrap_err();
    assert!(not_main.contains(&writer(home)), "{not_main}");
    run(&["identity", "revoke", &writer(phone)], home, "").unwrap();
    let revoked = link_to(home, &writer(phone)).unwrap_err();
    assert!(revoked.contains("for good"), "{revoked}");
    std::fs::write(home.join("author.links"), "nonsense").unwrap();
    let unusable = run(&["id"], home, "").unwrap_err();
    assert!(unusable.contains("author.links"), "{unusable}");
}
