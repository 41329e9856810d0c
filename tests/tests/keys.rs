//! Where a node's keys are kept, as its user sees it: passphrases, key files, the terminal.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use kukuri::{Config, Drill, JoinOptions, Node, Service, StoreChoice};
use kukuri_tests::{DEADLINE, Dht, Process, binary, http_get, key_file, secret_file, series};
use serde_json::Value;
use tempfile::TempDir;

/// A machine without any keyring, and nothing said about where keys are.
const BARE: [(&str, &str); 3] = [
    ("KUKURI_IDENTITY__STORE", ""),
    ("KUKURI_IDENTITY__KEY_FILE", ""),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent"),
];

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

/// A file with a passphrase.
fn passphrase(dir: &Path, text: &str) -> String {
    let file = dir.join(text);
    secret_file(&file, &format!("{text}\n"));
    file.to_str().unwrap().to_owned()
}

/// What `kukuri id` says on a bare machine with these settings and flags: who, or why not.
fn id(data: &Path, settings: &[(&str, &str)], flags: &[&str]) -> Result<Value, String> {
    let args = [&["id", "--data-dir", data.to_str().unwrap()], flags].concat();
    let mut process = Process::start_with(args, &[&BARE, settings].concat());
    let code = process.ended().code();
    let last = process.seen().last().unwrap().clone();
    match last["event"].as_str() {
        Some("id") => Ok(last),
        _ => {
            assert_eq!(code, Some(1), "{last}");
            Err(last["message"].as_str().unwrap().to_owned())
        }
    }
}

fn note(id: &Value) -> &str {
    id["store_note"].as_str().unwrap()
}

/// The file of keys.
fn keys(data: &Path) -> PathBuf {
    data.join("identity.key")
}

fn is_plain(data: &Path) -> bool {
    fs::read(keys(data)).unwrap().starts_with(b"kukuri-id\x01")
}

#[test]
fn without_a_keyring_a_passphrase_encrypts_the_keys_and_the_note_says_why() {
    let data = dir();
    let file = passphrase(data.path(), "green tea");
    let by_variable = [("KUKURI_PASSPHRASE_FILE", file.as_str())];
    let first = id(data.path(), &by_variable, &[]).unwrap();
    assert_eq!(first["store"], "file");
    assert!(
        note(&first).contains("because no keyring can be used"),
        "{first}"
    );
    assert!(!is_plain(data.path()));
    let mode = fs::metadata(keys(data.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The same from a flag, and from systemd, whose file is open to an access list.
    let by_flag = id(data.path(), &[], &["--passphrase-file", &file]).unwrap();
    assert_eq!(by_flag["endpoint_id"], first["endpoint_id"]);
    let credentials = data.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let credential = credentials.join("kukuri-passphrase");
    secret_file(&credential, "green tea");
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
    let systemd = [("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];
    let by_systemd = id(data.path(), &systemd, &[]).unwrap();
    assert_eq!(by_systemd["author"], first["author"]);
    assert!(
        note(&by_systemd).contains("systemd credential"),
        "{by_systemd}"
    );
}

#[test]
fn a_passphrase_that_is_wrong_missing_or_open_to_others_changes_nothing() {
    let data = dir();
    let right = passphrase(data.path(), "green tea");
    id(data.path(), &[], &["--passphrase-file", &right]).unwrap();
    let before = fs::read(keys(data.path())).unwrap();
    let wrong = passphrase(data.path(), "black tea");
    let exposed = passphrase(data.path(), "white tea");
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    let key = key_file(data.path());
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["--passphrase-file", &wrong],
            &["does not open", "black tea"],
        ),
        (
            &["--passphrase-file", &exposed],
            &["others may read", "chmod 600"],
        ),
        (
            &["--passphrase-file", "/nowhere"],
            &["there is no file /nowhere"],
        ),
        (
            &["--key-file", key.to_str().unwrap()],
            &["leave out --key-file"],
        ),
        (&[], &["--passphrase-file", "KUKURI_PASSPHRASE_FILE"]),
    ];
    for (flags, words) in cases {
        let why = id(data.path(), &[], flags).unwrap_err();
        for word in words {
            assert!(why.contains(word), "{flags:?} lacks {word:?}: {why}");
        }
        assert_eq!(fs::read(keys(data.path())).unwrap(), before);
    }
    fs::write(keys(data.path()), &before[..before.len() - 1]).unwrap();
    let damaged = id(data.path(), &[], &["--passphrase-file", &right]).unwrap_err();
    assert!(damaged.contains("it is damaged"), "{damaged}");
    let no_key = id(&data.path().join("new"), &[], &["--key-file", &right]).unwrap_err();
    for word in ["holds no key", "openssl rand"] {
        assert!(no_key.contains(word), "lacks {word:?}: {no_key}");
    }
}

#[test]
fn with_nothing_to_encrypt_with_there_is_no_node_and_the_error_says_what_to_do() {
    let data = dir();
    let why = id(data.path(), &[], &[]).unwrap_err();
    for word in [
        "no safe place",
        "start or unlock a keyring",
        "--passphrase-file",
        "KUKURI_PASSPHRASE_FILE",
        "kukuri-passphrase",
        "--key-file",
        "--insecure-plaintext-store",
    ] {
        assert!(why.contains(word), "lacks {word:?}: {why}");
    }
    assert!(!keys(data.path()).exists());
}

#[test]
fn plain_text_needs_a_flag_warns_at_every_start_and_shows_in_the_metrics() {
    let (dht, data) = (Dht::start(2), dir());
    let flags = ["--insecure-plaintext-store", "--metrics", "127.0.0.1:0"];
    let mut endpoints = Vec::new();
    for _ in 0..2 {
        let mut node = dht.join_with("tea", data.path(), &flags, &BARE);
        let started = node.next("started");
        assert_eq!(started["store"], "plaintext");
        let text = http_get(started["metrics"].as_str().unwrap(), "/metrics");
        for (store, value) in [("plaintext", 1.0), ("file", 0.0)] {
            let name = format!("kukuri_identity_secret_store{{store=\"{store}\"}}");
            assert_eq!(series(&text, &name), Some(value), "{name}\n{text}");
        }
        assert!(node.errors().contains("NOT encrypted"), "{}", node.errors());
        endpoints.push(started["endpoint_id"].clone());
    }
    assert_eq!(endpoints[0], endpoints[1]);
    assert!(is_plain(data.path()));

    // As an earlier version left it: first an error, then encrypted in place.
    let why = id(data.path(), &[], &[]).unwrap_err();
    for word in [
        "in the clear",
        "encrypted in place",
        "--insecure-plaintext-store",
    ] {
        assert!(why.contains(word), "lacks {word:?}: {why}");
    }
    assert!(is_plain(data.path()));
    let file = passphrase(data.path(), "green tea");
    let kept = id(data.path(), &[], &["--passphrase-file", &file]).unwrap();
    assert_eq!(kept["endpoint_id"], endpoints[0]);
    assert_eq!(kept["store"], "file");
    assert!(!is_plain(data.path()));
    let names = fs::read_dir(data.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let of_keys = names.iter().filter(|name| {
        fs::read(data.path().join(name)).is_ok_and(|bytes| bytes.starts_with(b"kukuri-id"))
    });
    assert_eq!(of_keys.count(), 1, "no copy in the clear: {names:?}");
}

/// A fresh actor takes the keys that are open already.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_service_needs_no_passphrase() {
    let data = dir();
    let key = key_file(data.path());
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::File;
    config.identity.keyring.key_file = Some(key.clone());
    config.discovery.mainline.sources.rendezvous = false;
    config.discovery.mainline.sources.board = false;
    let builder = Node::builder().config(config).data_dir(data.path());
    let node = builder
        .bind_ip([127, 0, 0, 1].into())
        .spawn()
        .await
        .unwrap();
    fs::remove_file(key).unwrap();
    // It has no time to answer.
    let _panicked = node.drill(Service::Identity, Drill::Panic).await;
    let deadline = Instant::now() + DEADLINE;
    // A join needs the identity service: the fresh one.
    while let Err(error) = node
        .join("tea".parse().unwrap(), JoinOptions::default())
        .await
    {
        assert!(Instant::now() < deadline, "{error}");
        tokio::task::yield_now().await;
    }
    let text = node.metrics().await;
    let restarts = text.lines().filter(|line| {
        line.starts_with("kukuri_node_restarts_total{service=\"identity\"") && line.ends_with(" 1")
    });
    assert_eq!(restarts.count(), 1, "{text}");
    node.shutdown().await;
}

// --- on a terminal -------------------------------------------------------------------------------

/// A shell command on a pseudo-terminal.
struct Terminal {
    script: Child,
    output: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    /// `None` where the program that makes one is missing.
    fn run(line: &str, home: &Path) -> Option<Self> {
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", line, "/dev/null"]);
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap());
        command
            .env("HOME", home)
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm");
        command.envs(BARE.iter().filter(|(_, value)| !value.is_empty()).copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut script) = command.spawn() else {
            println!("SKIPPED on a terminal: needs the program `script` of util-linux");
            return None;
        };
        let mut stdout = script.stdout.take().unwrap();
        let (tx, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut bytes) {
                if tx.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let text = String::new();
        Some(Self {
            script,
            output,
            text,
        })
    }

    /// Waits for a question, and until the terminal shows nothing that is typed; then answers.
    fn answer(&mut self, question: &str, answer: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.text.contains(question) {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.output.recv_timeout(left);
            let more = more.unwrap_or_else(|error| panic!("{question}: {error}: {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        let (_, rest) = self.text.split_once(question).unwrap();
        self.text = rest.to_owned();
        while !self.is_silent() {
            assert!(Instant::now() < deadline, "it shows what is typed");
        }
        let input = self.script.stdin.as_mut().unwrap();
        write!(input, "{answer}").unwrap();
        input.flush().unwrap();
    }

    /// Whether the terminal does not echo: asked of the terminal itself.
    fn is_silent(&self) -> bool {
        let pid = self.script.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let child = children.unwrap().trim().to_owned();
        let Ok(terminal) = fs::read_link(format!("/proc/{child}/fd/0")) else {
            return false;
        };
        let state = Command::new("stty")
            .arg("-a")
            .arg("-F")
            .arg(terminal)
            .output();
        let state = String::from_utf8(state.unwrap().stdout).unwrap();
        state.split([' ', '\n']).any(|word| word == "-echo")
    }

    /// The rest of what it shows, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        while let Ok(more) = self.output.recv_timeout(DEADLINE) {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        let code = self.script.wait().unwrap().code();
        (std::mem::take(&mut self.text), code)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.script.kill();
        let _ended = self.script.wait();
    }
}

#[test]
fn a_user_is_asked_on_the_terminal_and_nothing_of_the_answer_is_shown() {
    let data = dir();
    let line = format!(
        "{} id --data-dir {}",
        binary().display(),
        data.path().display()
    );
    let Some(mut terminal) = Terminal::run(&line, data.path()) else {
        return;
    };
    terminal.answer("New passphrase that encrypts them", "oolong\n");
    terminal.answer("The same again: ", "ooolong\n");
    terminal.answer("They differ. New passphrase: ", "oolong\n");
    terminal.answer("The same again: ", "oolong\n");
    let (made, code) = terminal.end();
    assert_eq!(code, Some(0), "{made}");
    let endpoint = |text: &str| {
        text.split("endpoint")
            .nth(1)
            .map(|rest| rest[..70].to_owned())
    };
    assert!(made.contains("a passphrase that is typed"), "{made}");
    assert!(!is_plain(data.path()));

    let mut terminal = Terminal::run(&line, data.path()).unwrap();
    terminal.answer("Passphrase of ", "wrong\n");
    terminal.answer("This does not open it. Passphrase: ", "oolong\n");
    let (opened, code) = terminal.end();
    assert_eq!(code, Some(0), "{opened}");
    assert_eq!(endpoint(&opened), endpoint(&made));
    assert!(endpoint(&made).is_some(), "{made}");
    for text in [made, opened] {
        assert!(!text.contains("olong") && !text.contains("wrong"), "{text}");
    }
}

#[test]
fn ctrl_c_at_the_question_leaves_a_terminal_that_works() {
    let data = dir();
    let id = format!("id --data-dir {}", data.path().display());
    for (command, question) in [
        (&id[..], "New passphrase that encrypts them"),
        ("topic accept", "Paste the invite"),
    ] {
        let line = format!(
            "{} {command}; echo ended with $?; stty -a",
            binary().display()
        );
        let Some(mut terminal) = Terminal::run(&line, data.path()) else {
            return;
        };
        terminal.answer(question, "oolong\x03");
        let (text, _) = terminal.end();
        assert!(text.contains("ended with 1"), "{text}");
        assert!(text.contains("interrupted"), "{text}");
        let words: Vec<_> = text.split_whitespace().collect();
        let works = ["echo", "icanon"].iter().all(|word| words.contains(word));
        assert!(works, "{text}");
    }
    assert!(!keys(data.path()).exists());
}
