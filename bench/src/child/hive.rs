//! Many whole nodes of kukuri in one process, all in one topic.
//!
//! In: `post I TEXT` (node I posts), `counters` (what the nodes have counted).
//! Out: `{"ready": K}` once all have joined, and of each node, numbered from 0, `{"node": I, ..}`
//! with `"id": ID`, `"first_ms": T` (its first neighbor, since its start), `"up": ID`, `"down": ID`,
//! `"got": TEXT`; and `{"counters": {..}}`, the counters of all nodes added up.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use futures_util::future::try_join_all;
use kukuri::{JoinOptions, Node, Topic, TopicEvent};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{ours, say, words};

/// Which nodes to run.
#[derive(Debug, Args)]
pub struct HiveArgs {
    /// How many.
    #[arg(long)]
    nodes: usize,
    /// DHT nodes to start from.
    #[arg(long, value_delimiter = ',')]
    dht: Vec<String>,
    /// Name of the topic.
    #[arg(long)]
    topic: String,
    /// Threads for the network of each node, other than the default.
    #[arg(long)]
    workers: Option<usize>,
}

/// A word of the parent.
#[derive(Debug)]
enum Word {
    Post(usize, String),
    Counters,
}

/// Runs the child.
pub fn run(args: HiveArgs) -> anyhow::Result<()> {
    let words = words(read);
    // One thread: what is measured are the nodes, which have their own.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(hive(args, words))
}

fn read(line: &[&str]) -> Option<Word> {
    match *line {
        ["post", node, text] => Some(Word::Post(node.parse().ok()?, text.to_owned())),
        ["counters"] => Some(Word::Counters),
        _ => None,
    }
}

async fn hive(args: HiveArgs, mut words: mpsc::Receiver<Word>) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let bees = (0..args.nodes).map(|at| bee(at, &dir, &args));
    let bees: Vec<(Node, Topic)> = try_join_all(bees).await?;
    say(&json!({ "ready": bees.len() }));
    while let Some(word) = words.recv().await {
        match word {
            Word::Post(at, text) => {
                let (_, topic) = bees.get(at).context("no such node")?;
                topic.post(text).await?;
            }
            Word::Counters => say(&json!({ "counters": counters(&bees).await })),
        }
    }
    Ok(())
}

/// Starts one node; what it hears is told from now on.
async fn bee(at: usize, dir: &TempDir, args: &HiveArgs) -> anyhow::Result<(Node, Topic)> {
    let started = Instant::now();
    let mut config = ours::config(true);
    config.node.worker_threads = args.workers.unwrap_or(config.node.worker_threads);
    let node = Node::builder()
        .config(config)
        .data_dir(dir.path().join(at.to_string()))
        .bind_ip(Ipv4Addr::LOCALHOST)
        .dht_bootstrap(&args.dht)
        .spawn()
        .await?;
    let topic = node.join(args.topic.parse()?, JoinOptions::default());
    let topic = topic.await?;
    say(&json!({ "node": at, "id": node.info().endpoint.to_string() }));
    tokio::spawn(tell(at, started, topic.clone()));
    Ok((node, topic))
}

async fn tell(at: usize, started: Instant, topic: Topic) {
    let mut events = topic.events();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            TopicEvent::NeighborUp { endpoint, .. } => {
                if std::mem::take(&mut first) {
                    let first_ms = started.elapsed().as_secs_f64() * 1e3;
                    say(&json!({ "node": at, "first_ms": first_ms }));
                }
                say(&json!({ "node": at, "up": endpoint.to_string() }));
            }
            TopicEvent::NeighborDown { endpoint, .. } => {
                say(&json!({ "node": at, "down": endpoint.to_string() }));
            }
            TopicEvent::Post(post) => {
                say(&json!({ "node": at, "got": String::from_utf8_lossy(&post.body) }));
            }
            _ => {}
        }
    }
}

/// The counters of all nodes, added up, by name and labels.
async fn counters(bees: &[(Node, Topic)]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (node, _) in bees {
        for line in node.metrics().await.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = series.split('{').next().unwrap_or(series);
            if let (true, Ok(value)) = (name.ends_with("_total"), value.parse::<f64>()) {
                *sums.entry(series.to_owned()).or_default() += value;
            }
        }
    }
    sums
}
