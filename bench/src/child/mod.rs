//! Processes of a measurement: this program again, with a hidden command. They talk in lines: JSON
//! out, words in. A child ends when its input does, so none outlives the measurement.

pub mod dht;
pub mod hive;
pub mod node;
pub mod ours;
mod rival;
mod steps;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

/// A running child. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Line>,
}

/// A line that a child has printed.
#[derive(Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// What it says.
    pub value: Value,
}

impl Process {
    /// Starts this program with these arguments.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(args: &[String]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {args:?}"))?;
        let input = child.stdin.take().context("the child's input")?;
        let output = child.stdout.take().context("the child's output")?;
        let (tx, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let at = Instant::now();
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if tx.send(Line { at, value }).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            input,
            lines,
        })
    }

    /// Tells the child something.
    ///
    /// # Errors
    /// The child has ended.
    pub fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.input, "{line}").context("a child of the measurement has ended")
    }

    /// All lines that have come.
    pub fn heard(&mut self) -> Vec<Line> {
        self.lines.try_iter().collect()
    }

    /// The next line that has this field.
    ///
    /// # Errors
    /// None came within the limit.
    pub fn expect(&mut self, field: &str, limit: Duration) -> anyhow::Result<Line> {
        let deadline = Instant::now() + limit;
        loop {
            let line = self.next(deadline);
            let line = line.with_context(|| format!("no {field:?} within {limit:?}"))?;
            if line.value.get(field).is_some() {
                return Ok(line);
            }
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// None came until then.
    pub fn next(&mut self, deadline: Instant) -> anyhow::Result<Line> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left);
        line.context("a child of the measurement says nothing, or has ended")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Prints a line for the parent.
pub fn say(value: &Value) {
    println!("{value}");
}

/// Words of the parent that wait; it says few.
const WORDS: usize = 256;

/// What the parent says, line by line, as `read` understands it. When its input ends the parent has
/// ended, and so does this process, whatever its nodes do.
///
/// # Panics
/// The reading thread, at a line that is no word of the measurement.
pub fn words<T: Send + 'static>(read: fn(&[&str]) -> Option<T>) -> tokio::sync::mpsc::Receiver<T> {
    let (tx, rx) = tokio::sync::mpsc::channel(WORDS);
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let word = read(&line.split(' ').collect::<Vec<_>>());
            let word = word.unwrap_or_else(|| panic!("not a word of the measurement: {line:?}"));
            if tx.blocking_send(word).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    rx
}

/// Asks again and again until it holds, or the limit is over. Says whether it holds.
pub fn poll(limit: Duration, every: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(every);
    }
}

/// Waits until the parent is gone.
pub fn until_parent_ends() {
    for line in std::io::stdin().lines() {
        if line.is_err() {
            return;
        }
    }
}
