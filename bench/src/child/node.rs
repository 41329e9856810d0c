//! One measured node in a process of its own: kukuri or the rival, behind the same few words.
//!
//! In: `peer ID ADDRESS` (the rival's address lookup), `go` (join now), `cast TEXT` (to everybody).
//! Out: `{"ready": ID, ..}`, `{"up": ID}`, `{"down": ID}`, `{"got": TEXT}`, and for the first
//! neighbor `{"first_ms": T, "all_ms": T}`, since the join began and since `go`; of kukuri also the
//! steps of the join, `{"step": NAME, "ms": T}`.

use std::net::Ipv4Addr;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ours, rival, say, words};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Contender {
    /// kukuri whose DHT node does not answer queries: "base".
    KukuriSilent,
    /// kukuri whose DHT node answers, as it does where it can be reached: "clean".
    Kukuri,
    /// distributed-topic-tracker, as shipped: its DHT node does not answer.
    Rival,
}

impl Contender {
    /// Its name in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::KukuriSilent => "kukuri, silent",
            Self::Kukuri => "kukuri, serving",
            Self::Rival => "distributed-topic-tracker",
        }
    }
}

/// Which node to run.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Who.
    #[arg(long)]
    contender: Contender,
    /// Name of the topic.
    #[arg(long)]
    pub topic: String,
    /// DHT nodes to start from; the rival has its own fixed names.
    #[arg(long, value_delimiter = ',')]
    pub dht: Vec<String>,
    /// Its IP address, of the loopback network.
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
    pub ip: Ipv4Addr,
    /// Tell the steps of the join too.
    #[arg(long)]
    pub steps: bool,
}

/// A word of the parent.
#[derive(Debug)]
pub enum Word {
    /// Join now.
    Go,
    /// An endpoint id, and where it is.
    Peer(String, String),
    /// Tell everybody in the topic.
    Cast(String),
}

/// Runs the child.
pub fn run(args: NodeArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let words = words(read);
    runtime.block_on(async {
        match args.contender {
            Contender::Kukuri => ours::run(true, args, words).await,
            Contender::KukuriSilent => ours::run(false, args, words).await,
            Contender::Rival => rival::run(&args.topic, args.ip, words).await,
        }
    })
}

fn read(line: &[&str]) -> Option<Word> {
    match *line {
        ["go"] => Some(Word::Go),
        ["peer", id, address] => Some(Word::Peer(id.to_owned(), address.to_owned())),
        ["cast", text] => Some(Word::Cast(text.to_owned())),
        _ => None,
    }
}

/// Tells the parent about neighbors, and when the first one came.
#[derive(Debug)]
pub struct Neighbors {
    go: Instant,
    join: Instant,
    any: bool,
}

impl Neighbors {
    /// The clock starts now.
    pub fn since_now() -> Self {
        let now = Instant::now();
        Self {
            go: now,
            join: now,
            any: false,
        }
    }

    /// The join began later than the node.
    pub fn joins_at(&mut self, at: Option<Instant>) {
        self.join = at.unwrap_or(self.join);
    }

    /// A neighbor more.
    pub fn up(&mut self, id: &str) {
        let ms = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
        let (first_ms, all_ms) = (ms(self.join), ms(self.go));
        say(&json!({ "up": id }));
        if !std::mem::replace(&mut self.any, true) {
            say(&json!({ "first_ms": first_ms, "all_ms": all_ms }));
        }
    }

    /// A neighbor less.
    pub fn down(&self, id: &str) {
        say(&json!({ "down": id }));
    }
}
