//! Whole-node tests: real processes against a real DHT, all on loopback.
//!
//! [`Process`] runs the binary `kukuri` and lets a test wait for the events that it prints; a
//! [`Swarm`](swarm::Swarm) is many of them, on both sides of a [`network`] that can be split.
//! [`decoders`] are all that read bytes from others, to be fuzzed; an [`insider`] is a member with bad intent. [`simulation`] runs thousands of
//! nodes on a virtual clock instead. [`containers`] run what `deploy/` ships. [`prometheus`] watches nodes as operators do, [`dashboards`] are
//! what they look at, and a [`picture`] is one of those with what nodes of a test have done.
//! [`variants`] are all implementations of all services; what nodes push is [`collected`], so that it can be
//! scraped.

pub mod collected;
#[allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "it is a part of the tests of metrics, which it is documented for"
)]
#[path = "../../crates/metrics/tests/otlp/collector.rs"]
pub mod collector;
pub mod containers;
pub mod dashboards;
pub mod decoders;
pub mod insider;
pub mod network;
pub mod picture;
pub mod prometheus;
pub mod simulation;
pub mod swarm;
pub mod variants;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything: generous, because waiting for a condition costs its time only when
/// the test fails.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What encrypts the keys of each [`Process`]: a key, because a passphrase takes its time.
pub const KEY: &str = "6b756b7572692074657374733a206e6f7468696e6720746f2067756172642e2e";

/// A file with [`KEY`] in a directory of its own.
///
/// # Panics
/// When it can't be written.
pub fn key_file(dir: &Path) -> PathBuf {
    let file = dir.join("key");
    secret_file(&file, KEY);
    file
}

/// Writes a file that nobody else may read.
///
/// # Panics
/// When it can't be written.
pub fn secret_file(file: &Path, content: &str) {
    std::fs::write(file, content).expect("a file in a directory of the test");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(file, mode).expect("a file of the test");
}

/// A running `kukuri`. Killed when dropped.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    events: Receiver<Value>,
    seen: Vec<Value>,
    said: Arc<Mutex<String>>,
    errors: PathBuf,
    _dir: TempDir,
}

impl Process {
    /// Starts `kukuri ARGS --json`, with its keys in a file, encrypted with [`KEY`], and no settings
    /// but these.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::start_with(args, &[])
    }

    /// The same with more settings, as environment variables; an empty value takes one away.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start_with(
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        settings: &[(&str, &str)],
    ) -> Self {
        let dir = TempDir::with_prefix("kukuri-test-").expect("a temporary directory");
        let errors = dir.path().join("stderr");
        let mut command = Command::new(binary());
        command
            .args(args)
            .arg("--json")
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .env("HOME", dir.path())
            .env("KUKURI_IDENTITY__STORE", "file")
            .env("KUKURI_IDENTITY__KEY_FILE", key_file(dir.path()))
            .env("RUST_BACKTRACE", "1")
            .envs(
                settings
                    .iter()
                    .filter(|(_, value)| !value.is_empty())
                    .copied(),
            );
        for (name, _) in settings.iter().filter(|(_, value)| value.is_empty()) {
            command.env_remove(name);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("a file for standard error"))
            .spawn()
            .expect("the binary starts");
        let output = child.stdout.take().expect("standard output is piped");
        let (tx, events) = mpsc::channel();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend([line.as_str(), "\n"]);
                drop(heard);
                let event = serde_json::from_str(&line).expect("each line is a JSON object");
                if tx.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            events,
            seen: Vec::new(),
            said,
            errors,
            _dir: dir,
        }
    }

    /// Waits for an event that fits; those before it are kept in [`seen`](Self::seen).
    ///
    /// # Panics
    /// When none comes in time, or the process ends before.
    pub fn wait_for(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = match self.events.recv_timeout(left) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("no {name:?} in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(&format!("ended without {name:?}"))
                }
            };
            self.seen.push(event.clone());
            if event["event"] == name && fits(&event) {
                return event;
            }
        }
    }

    /// Waits for the next event of a name.
    ///
    /// # Panics
    /// As [`wait_for`](Self::wait_for).
    pub fn next(&mut self, name: &str) -> Value {
        self.wait_for(name, |_| true)
    }

    /// Waits for a post with this body.
    ///
    /// # Panics
    /// As [`wait_for`](Self::wait_for).
    pub fn post(&mut self, body: &str) -> Value {
        self.wait_for("post", |event| event["body"] == body)
    }

    /// All events that have come until now.
    pub fn seen(&mut self) -> &[Value] {
        self.seen.extend(self.events.try_iter());
        &self.seen
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the process does not listen any more.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").expect("the process reads its input");
    }

    /// Ends the input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid is an i32"));
        kill(pid, signal).expect("the process is there");
    }

    /// Waits until the process has ended, and says how.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => self.seen.push(event),
                Err(RecvTimeoutError::Timeout) => self.fail("does not end"),
                // Its standard output is closed: it is ending.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.child.wait().expect("a child can be waited for")
    }

    /// What the process has written to standard output, as it is.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process wrote to standard error.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    fn fail(&self, what: &str) -> ! {
        let seen: Vec<_> = self.seen.iter().map(ToString::to_string).collect();
        panic!(
            "{what}; seen:\n{}\nerrors:\n{}",
            seen.join("\n"),
            self.errors()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if thread::panicking() {
            eprintln!("a kukuri's standard error:\n{}", self.errors());
        }
    }
}

/// A local DHT in a process of its own.
pub struct Dht {
    /// Behind a lock, so that threads can share the DHT.
    _process: Mutex<Process>,
    bootstrap: String,
}

impl Dht {
    /// Starts so many DHT nodes.
    ///
    /// # Panics
    /// When they don't start.
    pub fn start(nodes: usize) -> Self {
        Self::start_at(nodes, 0)
    }

    /// The same with the first of them at a port of this machine.
    ///
    /// # Panics
    /// When they don't start.
    pub fn start_at(nodes: usize, port: u16) -> Self {
        let (count, port) = (nodes.to_string(), port.to_string());
        let mut process = Process::start(["testnet", "--nodes", &count, "--port", &port]);
        let ready = process.next("ready");
        assert_eq!(ready["nodes"], nodes);
        let bootstrap = ready["bootstrap"].as_str().expect("an address").to_owned();
        Self {
            _process: Mutex::new(process),
            bootstrap,
        }
    }

    /// The DHT node that others start from.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A node on this DHT that joins a topic, with more flags.
    pub fn join(&self, topic: &str, data_dir: &Path, flags: &[&str]) -> Process {
        self.join_with(topic, data_dir, flags, &[])
    }

    /// The same with more settings, as environment variables.
    pub fn join_with(
        &self,
        topic: &str,
        data_dir: &Path,
        flags: &[&str],
        settings: &[(&str, &str)],
    ) -> Process {
        let mut args = vec!["join", topic, "--bind", "127.0.0.1:0"];
        args.extend(["--dht-bootstrap", &self.bootstrap, "--data-dir"]);
        args.push(data_dir.to_str().expect("a path of this test is UTF-8"));
        args.extend(flags);
        Process::start_with(args, settings)
    }
}

/// The body of an HTTP answer with status 200.
///
/// # Panics
/// When the answer is another one.
pub fn http_get(address: &str, path: &str) -> String {
    let (status, body) = http(address, "GET", path);
    assert_eq!(status, 200, "{body}");
    body
}

/// The status and the body of what an HTTP server answers.
///
/// # Panics
/// When there is no answer.
pub fn http(address: &str, method: &str, path: &str) -> (u16, String) {
    let address: SocketAddr = address.parse().expect("a socket address");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    // HTTP/1.0: the body ends with the connection, in one piece.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Length: 0\r\n\r\n"
    )
    .expect("the server reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// The value of a series in Prometheus text.
pub fn series(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok())
}

/// The binary under test: cargo puts it beside the tests when the whole workspace is tested.
///
/// # Panics
/// When it is not there.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("KUKURI_BIN") {
        return binary.into();
    }
    let own = std::env::current_exe().expect("a program knows its own file");
    // A test is target/PROFILE/deps/TEST, a tool target/PROFILE/TOOL.
    let mut dirs = own.ancestors().skip(1).filter(|dir| !dir.ends_with("deps"));
    let dir = dirs.next().expect("a program is in a folder");
    let binary = dir.join(format!("kukuri{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is missing: run the tests of the whole workspace, or set KUKURI_BIN",
        binary.display()
    );
    binary
}
