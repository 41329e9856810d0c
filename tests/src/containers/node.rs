//! A node in a container, and what it says.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{LOOK_EVERY, docker};
use crate::{http_get, series};

/// Longest wait for the acknowledgement of a post by the node that wrote it.
const ACKNOWLEDGED: Duration = Duration::from_secs(20);
/// Where each node serves its metrics.
const HTTP_PORT: u16 = 9100;

/// A node in a container.
pub struct Node {
    /// Its endpoint id.
    pub id: String,
    /// Whether it has started, and not ended.
    pub runs: bool,
    /// The endpoint ids of its neighbors.
    pub neighbors: BTreeSet<String>,
    /// What it last made of its search.
    pub verdict: Option<String>,
    /// Milliseconds to its first neighbor since its last start, by its own clock.
    pub joined_ms: Option<u64>,
    /// The bodies of the posts that came from others.
    pub got: BTreeSet<String>,
    container: String,
    acknowledged: usize,
    events: Receiver<Value>,
    input: Option<Child>,
    over: Arc<AtomicBool>,
}

impl Node {
    pub(super) fn listen(container: String) -> Self {
        let (tx, events) = mpsc::channel();
        let over = Arc::new(AtomicBool::new(false));
        let (id, is_over) = (container.clone(), over.clone());
        thread::spawn(move || {
            // The log of a container goes on when it is started again; following it ends when it stops.
            let mut read = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut logs = Command::new("docker");
                logs.args(["logs", "--follow", &id]);
                logs.stdout(Stdio::piped()).stderr(Stdio::null());
                let mut logs = logs.spawn().expect("docker has run before");
                let lines = logs.stdout.take().map(BufReader::new).expect("it is piped");
                for line in lines.lines().map_while(Result::ok).skip(read) {
                    read += 1;
                    let event = serde_json::from_str(&line).expect("each line is a JSON object");
                    if tx.send(event).is_err() {
                        break;
                    }
                }
                let _ended = logs.kill();
                let _ended = logs.wait();
                thread::sleep(LOOK_EVERY);
            }
        });
        Self {
            id: String::new(),
            runs: false,
            neighbors: BTreeSet::new(),
            verdict: None,
            joined_ms: None,
            got: BTreeSet::new(),
            container,
            acknowledged: 0,
            events,
            input: None,
            over,
        }
    }

    pub(super) fn read(&mut self) {
        for event in self.events.try_iter() {
            let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str() {
                Some("started") => {
                    self.id = field("endpoint_id");
                    self.runs = true;
                    self.neighbors.clear();
                    self.verdict = None;
                    self.joined_ms = None;
                }
                Some("stopped" | "gave_up") => self.runs = false,
                Some("joined") => self.joined_ms = event["after_ms"].as_u64(),
                Some("neighbor_up") => _ = self.neighbors.insert(field("endpoint_id")),
                Some("neighbor_down") => _ = self.neighbors.remove(&field("endpoint_id")),
                Some("verdict") => self.verdict = Some(field("outcome")),
                Some("post") => _ = self.got.insert(field("body")),
                Some("posted") => self.acknowledged += 1,
                _ => {}
            }
        }
    }

    pub(super) fn say(&mut self, line: &str) -> bool {
        self.read();
        let before = self.acknowledged;
        if self.write(line).is_err() {
            return false;
        }
        let begin = Instant::now();
        while self.acknowledged == before {
            if begin.elapsed() > ACKNOWLEDGED {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
            self.read();
        }
        true
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        // It ends with the container.
        let ended = |input: &mut Child| !matches!(input.try_wait(), Ok(None));
        if self.input.as_mut().is_none_or(ended) {
            let mut attach = Command::new("docker");
            attach.args(["attach", "--sig-proxy=false", &self.container]);
            attach.stdin(Stdio::piped());
            attach.stdout(Stdio::null()).stderr(Stdio::null());
            self.input = Some(attach.spawn()?);
        }
        let input = self.input.as_mut().and_then(|input| input.stdin.as_mut());
        writeln!(input.expect("it is piped"), "{line}")
    }

    /// It has ended, and told nobody.
    pub(super) fn is_gone(&mut self) {
        self.read();
        self.runs = false;
        self.neighbors.clear();
    }

    /// The container's id.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Runs the binary once more in its container, beside the node.
    ///
    /// # Panics
    /// When it fails.
    pub fn kukuri(&self, args: &[&str]) -> String {
        docker(&[&["exec", &self.container, "kukuri"], args].concat())
    }

    /// The bodies of all posts in its store, its own too.
    ///
    /// # Panics
    /// When the store can't be read.
    pub fn stored(&self) -> BTreeSet<String> {
        // As many as there are in a long soak.
        let setting = "KUKURI_STORE__MAX_POSTS_PER_QUERY=1000000";
        let posts = ["kukuri", "posts", "tea", "--json", "--limit", "1000000"];
        let lines = docker(&[&["exec", "--env", setting, &self.container], &posts[..]].concat());
        let event = |line: &str| serde_json::from_str(line).expect("a JSON object");
        let events = lines.lines().map(event);
        let posts = events.filter(|event: &Value| event["event"] == "post");
        posts
            .filter_map(|post| Some(post["body"].as_str()?.to_owned()))
            .collect()
    }

    /// What Docker makes of its health check.
    pub fn health(&self) -> String {
        docker(&[
            "inspect",
            "--format",
            "{{.State.Health.Status}}",
            &self.container,
        ])
    }

    /// The value of a series of its metrics, as this machine sees them.
    ///
    /// # Panics
    /// When it does not serve them.
    pub fn series(&self, name: &str) -> Option<f64> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = docker(&["inspect", "--format", format, &self.container]);
        let address = addresses.split_whitespace().next().expect("an address");
        series(
            &http_get(&format!("{address}:{HTTP_PORT}"), "/metrics"),
            name,
        )
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(input) = &mut self.input {
            let _ended = input.kill();
            let _ended = input.wait();
        }
    }
}
