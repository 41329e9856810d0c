//! What an operator and a script rely on: metrics, readiness, exit codes, errors that help.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::UdpSocket;
use std::process::Command;

use kukuri_tests::prometheus::has;
use kukuri_tests::{Dht, Process, binary, http, http_get, series};
use serde_json::Value;
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

#[test]
fn the_demo_shows_every_post_at_every_node() {
    let mut demo = Process::start(["demo", "--peers", "4", "--dht-nodes", "10", "--posts", "3"]);
    let summary = demo.next("summary");
    assert_eq!(summary["ok"], true, "{summary}");
    assert_eq!(summary["peers"], 4);
    assert_eq!(summary["posts_sent"], 12);
    assert_eq!(summary["posts_received"], 36);
    let first = &summary["first_neighbor_ms"];
    assert!(first["p50"].as_u64() <= first["p95"].as_u64(), "{summary}");
    assert!(first["p95"].as_u64() <= first["max"].as_u64(), "{summary}");
    assert!(demo.ended().success());
}

#[test]
fn metrics_and_readiness_are_served() {
    let dht = Dht::start(10);
    let (a_dir, b_dir) = (dir(), dir());
    let mut a = dht.join("tea", a_dir.path(), &["--metrics", "127.0.0.1:0"]);
    let http = a.next("started")["metrics"].as_str().unwrap().to_owned();
    let mut b = dht.join("tea", b_dir.path(), &[]);
    a.next("joined");
    b.next("joined");
    b.say("hello");
    a.post("hello");
    assert_eq!(http_get(&http, "/healthz"), "ok\n");
    let ready: Value = serde_json::from_str(&http_get(&http, "/readyz")).unwrap();
    let services = ready.as_array().unwrap();
    assert_eq!(services.len(), 6);
    assert!(
        services.iter().all(|service| service["ready"] == true),
        "{ready}"
    );
    let text = http_get(&http, "/metrics");
    // A post comes from the swarm or, if that is quicker, by a repair.
    let came = |name| series(&text, name).unwrap_or(0.0);
    let received = came("kukuri_node_posts_received_total");
    let repaired = came("kukuri_node_posts_repaired_total");
    assert_eq!(received + repaired, 1.0, "{text}");
    for (name, value) in [
        ("kukuri_gossip_neighbors", 1.0),
        ("kukuri_node_topics", 1.0),
        ("kukuri_discovery_joins_total{result=\"joined\"}", 1.0),
        ("kukuri_discovery_verdict_topics{outcome=\"joined\"}", 1.0),
        ("kukuri_identity_secret_store{store=\"file\"}", 1.0),
        (
            "kukuri_node_posts_dropped_total{reason=\"bad_signature\"}",
            0.0,
        ),
    ] {
        assert_eq!(series(&text, name), Some(value), "{name}\n{text}");
    }
    assert!(
        text.contains("gossip_"),
        "iroh-gossip's own counters\n{text}"
    );
    check_with_promtool(&text);
}

/// Prometheus itself says whether it can read the text, where its tool is installed.
fn check_with_promtool(text: &str) {
    use std::io::Write;
    use std::process::Stdio;
    if !has("promtool") {
        return;
    }
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    // It also has opinions on the names of iroh's own counters; ours must be flawless.
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("kukuri_"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
    assert!(!said.contains("error while linting"), "{said}");
}

#[test]
fn a_data_directory_has_one_node_at_a_time() {
    let dht = Dht::start(2);
    let data = dir();
    let mut first = dht.join("tea", data.path(), &[]);
    first.next("started");
    let mut second = dht.join("tea", data.path(), &[]);
    let error = second.next("error");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("another node runs"),
        "{error}"
    );
    assert_eq!(second.ended().code(), Some(1));
    // Who it is can be asked all the same.
    let mut id = Process::start(["id", "--data-dir", data.path().to_str().unwrap()]);
    let id = id.next("id");
    assert_eq!(id["endpoint_id"], first.seen()[0]["endpoint_id"]);
}

#[test]
fn errors_name_what_is_wrong_and_what_to_do() {
    let data = dir();
    let path = data.path().to_str().unwrap().to_owned();
    let empty = data.path().join("empty.secret");
    std::fs::write(&empty, "\n").unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let join = ["join", "tea", "--bind", "127.0.0.1:0", "--data-dir", &path];
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["--secret-file", empty.to_str().unwrap()],
            &["empty.secret", "new-secret"],
        ),
        (&["--secret-file", "/no/such/file"], &["/no/such/file"]),
        (
            &["--hello-bind", &taken],
            &["hello socket", &taken, "--hello-bind"],
        ),
        (
            &["--dht-bind", &taken],
            &["DHT socket", &taken, "--dht-bind"],
        ),
        (&["--metrics", "192.0.2.1:1"], &["192.0.2.1:1", "--metrics"]),
        (
            &["--dht-bootstrap", "no-port"],
            &["discovery.bootstrap", "HOST:PORT"],
        ),
    ];
    for (flags, words) in cases {
        let mut process = Process::start([&join[..], flags].concat());
        let error = process.next("error");
        for word in words {
            assert!(
                error["message"].as_str().unwrap().contains(word),
                "{word}: {error}"
            );
        }
        assert_eq!(process.ended().code(), Some(1), "{flags:?}");
    }
    for usage in [
        &["join"][..],
        &["join", ""],
        &["join", "tea", "--peer", "x"],
        &["nonsense"],
    ] {
        let mut process = Process::start(usage);
        assert_eq!(
            process.ended().code(),
            Some(2),
            "{usage:?}: {}",
            process.errors()
        );
    }
}

#[test]
fn settings_come_from_file_environment_and_flags() {
    let data = dir();
    let file = data.path().join("kukuri.toml");
    let run = |args: &[&str]| {
        let output = Command::new(binary())
            .args(args)
            .args(["--config", file.to_str().unwrap(), "--json"])
            .env_clear()
            .env("HOME", data.path())
            .env("KUKURI_GOSSIP__MAX_TOPICS", "7")
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let event: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        (output.status.code(), event)
    };
    std::fs::write(
        &file,
        "[discovery]\nreannounce_s = 77\n[gossip]\nmax_topics = 3\n",
    )
    .unwrap();
    let (code, shown) = run(&["config", "show"]);
    assert_eq!(code, Some(0));
    assert_eq!(shown["config"]["discovery"]["reannounce_s"], 77);
    assert_eq!(
        shown["config"]["gossip"]["max_topics"], 7,
        "the environment wins over the file"
    );
    assert_eq!(
        shown["config"]["discovery"]["announces_per_minute"], 10,
        "the plan's default"
    );
    assert_eq!(run(&["config", "check"]).0, Some(0));
    std::fs::write(&file, "[discovery]\nreanounce_s = 77\n").unwrap();
    let (code, error) = run(&["config", "check"]);
    assert_eq!(code, Some(1));
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("reanounce_s") && message.contains("kukuri.toml"),
        "{message}"
    );
}

#[test]
fn the_http_server_changes_nothing() {
    let dht = Dht::start(5);
    let dir = TempDir::new().unwrap();
    let mut silent = dht.join("tea", &dir.path().join("silent"), &[]);
    let started = silent.next("started");
    assert_eq!(
        started["metrics"],
        Value::Null,
        "no port that nobody asked for"
    );
    let mut node = dht.join(
        "tea",
        &dir.path().join("node"),
        &["--metrics", "127.0.0.1:0"],
    );
    let address = node.next("started")["metrics"].as_str().unwrap().to_owned();
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(http(&address, "GET", path).0, 200);
        for method in [
            "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "NONSENSE",
        ] {
            let (status, _) = http(&address, method, path);
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }
    for path in ["/", "/shutdown", "/metrics/../identity.key", "//etc/passwd"] {
        assert_eq!(http(&address, "GET", path).0, 404, "{path}");
    }
}

/// Whoever has the invite needs nothing else, not even a DHT.
#[test]
fn an_invite_leads_into_the_topic() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    Process::start(["topic", "new-secret", "--out", &path("secret")]).next("secret_written");
    let alone = ["--no-dht", "--bind", "127.0.0.1:0", "--data-dir"];
    let join = |data: &str, args: &[&str]| {
        let args = [args, &alone[..], &[data]].concat();
        Process::start(["join"].into_iter().chain(args))
    };
    let mut host = join(
        &path("host"),
        &["tea & more", "--secret-file", &path("secret")],
    );
    let started = host.next("started");
    let peer = format!(
        "{}@{}",
        started["endpoint_id"].as_str().unwrap(),
        started["bound"][0].as_str().unwrap()
    );
    let invite = ["topic", "invite", "tea & more", "--secret-file"];
    let secret = path("secret");
    let invite = invite.into_iter().chain([&secret[..], "--peer", &peer]);
    let text = Process::start(invite).next("invite")["invite"]
        .as_str()
        .unwrap()
        .to_owned();

    let accepted = path("accepted");
    let mut accept = Process::start(["topic", "accept", "--out", &accepted]);
    accept.say(&text);
    let taken = accept.next("secret_written");
    assert_eq!(taken["topic"], "tea & more");
    let peers: Vec<_> = taken["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_str().unwrap())
        .collect();
    assert_eq!(peers, [peer]);
    let mut guest = join(
        &path("guest"),
        &["tea & more", "--secret-file", &accepted, "--peer", peers[0]],
    );
    guest.next("joined");
    host.say("welcome");
    assert_eq!(guest.post("welcome")["body"], "welcome");

    // Without a file, the topic is added: its name is enough then.
    let other = path("other guest");
    let accept_in = |flags: &[&str]| {
        let args = [&["topic", "accept", "--data-dir", &other], flags].concat();
        let mut accept = Process::start(args);
        accept.say(&text);
        accept
    };
    for new in [true, false] {
        assert_eq!(accept_in(&[]).next("invite_accepted")["new"], new);
    }
    let mut third = join(&other, &["tea & more"]);
    third.next("joined");
    third.post("welcome");

    // A file in the way, and a topic of that name with another secret.
    let mut add = Process::start(["topic", "add", "tea & more", "--data-dir", &path("fourth")]);
    add.next("topic_added");
    let fourth = path("fourth");
    for (args, expected) in [
        (["--out", &accepted], "exists already"),
        (["--data-dir", &fourth], "--overlap"),
    ] {
        let mut accept = Process::start(["topic", "accept"].into_iter().chain(args));
        accept.say(&text);
        assert!(!accept.ended().success());
        let errors = accept.errors();
        assert!(errors.contains(expected), "{errors}");
        assert!(!errors.contains(&text[20..60]), "no part of the secret");
    }
    let mut accept = Process::start(["topic", "accept"]);
    accept.say(&text[..text.len() - 3]);
    assert!(!accept.ended().success());
    assert!(
        accept.errors().contains("check at its end"),
        "{}",
        accept.errors()
    );
}

#[test]
fn a_new_secret_is_one_line_that_can_be_read_back() {
    let secret = |()| {
        let mut process = Process::start(["topic", "new-secret"]);
        process.next("secret")["secret"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (one, two) = (secret(()), secret(()));
    assert_ne!(one, two);
    assert!(kukuri::parse_secret(&one).is_ok());
}
