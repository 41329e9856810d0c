//! What is shipped in `deploy/`: the unit is one that systemd takes, and what it starts is a node.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use kukuri_tests::{Process, binary, http_get, secret_file};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// Most points of 10 that `systemd-analyze security` may give (in tenths): it calls this safe.
const EXPOSURE: &str = "20";

fn shipped(name: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    fs::read_to_string(deploy.join(name)).unwrap()
}

fn unit(name: &str) -> String {
    shipped(&format!("systemd/{name}"))
}

/// Every image has a version, and kukuri's is that of the workspace, which the Rust of the build can build.
#[test]
fn images_are_of_fixed_versions() {
    let own = concat!("kukuri:", env!("CARGO_PKG_VERSION"));
    for file in [
        "Dockerfile",
        "compose.yaml",
        "kubernetes/statefulset.yaml",
        "README.md",
    ] {
        let text = shipped(file);
        assert!(text.contains(own), "{file} has not {own}");
        let words = text.split_whitespace();
        let mut others = words.filter(|word| word.starts_with("kukuri:0") && *word != own);
        assert_eq!(others.next(), None, "{file}");
    }
    let (dockerfile, compose) = (shipped("Dockerfile"), shipped("compose.yaml"));
    let from = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "));
    let from = from.filter_map(|line| line.split(' ').next());
    let image = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    for name in from.chain(image).filter(|name| *name != "scratch") {
        let (_, tag) = name.split_once(':').unwrap_or((name, ""));
        let is_fixed = tag
            .trim_start_matches('v')
            .starts_with(|c: char| c.is_ascii_digit());
        assert!(is_fixed && tag.contains('.'), "{name} has no fixed version");
    }
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let rust = dockerfile.split("FROM rust:").nth(1).unwrap();
    assert!(minor(rust) >= minor(env!("CARGO_PKG_RUST_VERSION")));
}

fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    let found = lines.filter(|(found, _)| *found == key);
    found.map(|(_, value)| value).collect()
}

#[test]
fn systemd_takes_the_unit_and_calls_it_safe() {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    // The binary is not installed here.
    let text = unit("kukuri@.service").replace("/usr/local/bin/kukuri", binary().to_str().unwrap());
    let file = dir.path().join("kukuri@.service");
    fs::write(&file, text).unwrap();
    let exposure = format!("--threshold={EXPOSURE}");
    for args in [&["verify"][..], &["security", "--offline=true", &exposure]] {
        let run = Command::new("systemd-analyze")
            .args(args)
            .arg(&file)
            .output();
        let Ok(run) = run else {
            println!("SKIPPED: needs systemd-analyze");
            return;
        };
        let said = [run.stdout, run.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(run.status.success(), "{args:?}: {said}");
        assert!(args[0] != "verify" || said.is_empty(), "{said}");
    }
}

/// Starts what the unit starts, as systemd would: with its environment, state directory and credentials.
/// But for the user and the sandbox, which take systemd itself.
fn start(exec: &str, dir: &Path) -> Process {
    let [state, credentials] = ["state", "credentials"].map(|name| dir.join(name));
    fs::create_dir_all(&credentials).unwrap();
    secret_file(&credentials.join("kukuri-passphrase"), "Earl Grey\n");
    let secret = kukuri::format_secret(&kukuri::generate_secret().unwrap());
    secret_file(&credentials.join("kukuri-secret"), &secret);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let exec = exec
        .replace("%I", "den")
        .replace("${STATE_DIRECTORY}", &path(&state))
        .replace("${CREDENTIALS_DIRECTORY}", &path(&credentials));
    let mut words = exec.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/kukuri"));
    let unit = unit("kukuri@.service");
    let mut settings: BTreeMap<_, _> = values(&unit, "Environment")
        .into_iter()
        .map(|setting| setting.split_once('=').unwrap())
        .collect();
    assert_eq!(settings["KUKURI_NODE__HTTP"], "127.0.0.1:9100");
    let credentials = path(&credentials);
    settings.extend([
        ("CREDENTIALS_DIRECTORY", credentials.as_str()),
        ("KUKURI_IDENTITY__KEY_FILE", ""),
        // This machine only, and ports that are free.
        ("KUKURI_NODE__HTTP", "127.0.0.1:0"),
        ("KUKURI_GOSSIP__BIND", "127.0.0.1:0"),
        ("KUKURI_DISCOVERY__HELLO_BIND", "127.0.0.1:0"),
        ("KUKURI_DISCOVERY__DHT_BIND", "127.0.0.1:0"),
        (
            "KUKURI_DISCOVERY__SOURCES",
            "{rendezvous=false,board=false}",
        ),
    ]);
    Process::start_with(words, &settings.into_iter().collect::<Vec<_>>())
}

#[test]
fn what_the_unit_starts_is_a_node_that_keeps_its_keys_and_ends_well() {
    for (file, kind) in [("kukuri@.service", "public"), ("secret.conf", "secret")] {
        let dir = TempDir::with_prefix("kukuri-test-").unwrap();
        let text = unit(file);
        let exec = *values(&text, "ExecStart").last().unwrap();
        let mut ids = Vec::new();
        for _ in ["first", "second"] {
            let mut node = start(exec, dir.path());
            let started = node.next("started");
            assert_eq!(started["store"], "file", "{kind}");
            let address = started["metrics"].as_str().unwrap();
            assert!(http_get(address, "/readyz").contains("\"ready\":true"));
            ids.push(started["endpoint_id"].clone());
            node.signal(Signal::SIGTERM);
            assert!(node.ended().success());
        }
        assert_eq!(ids[0], ids[1], "the same node again ({kind})");
    }
}

/// What a health check of a container asks, and what it is told.
#[test]
fn health_is_told_by_an_exit_code() {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let data = dir.path().to_str().unwrap();
    let args = [
        "join",
        "tea",
        "--no-dht",
        "--bind",
        "127.0.0.1:0",
        "--data-dir",
        data,
    ];
    let mut node = Process::start([&args[..], &["--metrics", "127.0.0.1:0"]].concat());
    let address = node.next("started")["metrics"].as_str().unwrap().to_owned();
    let mut asked = Process::start(["health", "--http", &address]);
    let health = asked.next("health");
    assert_eq!(health["ready"], true, "{health}");
    assert_eq!(health["services"].as_array().unwrap().len(), 6);
    assert!(asked.ended().success());

    node.signal(Signal::SIGTERM);
    node.ended();
    for (flags, says) in [
        (&["--http", &address[..]][..], "no node answers at"),
        (&[], "--http"),
    ] {
        let mut asked = Process::start([&["health"], flags].concat());
        let error = asked.next("error");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        assert_eq!(asked.ended().code(), Some(1));
    }
}

/// A key file that nobody else can read, made once.
#[test]
fn a_new_key_opens_the_keys_of_a_node() {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let (key, data) = (dir.path().join("key"), dir.path().join("data"));
    let (key, data) = (key.to_str().unwrap(), data.to_str().unwrap());
    let make =
        |more: &[&str]| Process::start([&["identity", "new-key", "--out", key], more].concat());
    make(&[]).next("key_written");
    let show = || {
        let args = ["identity", "show", "--data-dir", data, "--key-file", key];
        let mut process = Process::start_with(args, &[("KUKURI_IDENTITY__KEY_FILE", "")]);
        let id = process.next("id");
        assert_eq!(id["store"], "file");
        id["endpoint_id"].clone()
    };
    let first = show();
    make(&["--if-missing"]).next("key_kept");
    assert!(
        make(&[]).next("error")["message"]
            .as_str()
            .unwrap()
            .contains("exists already")
    );
    assert_eq!(show(), first);
}
