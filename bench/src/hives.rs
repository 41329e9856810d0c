//! Hives (see `child/hive.rs`) with nodes in one topic, and what their nodes have told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::child::dht::LocalDht;
use crate::child::{Line, Process, poll};
use crate::graph::{Word, is_whole};
use crate::usage::{self, Threads};

/// Most time for a hive to start its nodes.
const READY_LIMIT: Duration = Duration::from_secs(300);
/// Most time for a hive to ask its nodes for their counters.
const COUNTERS_LIMIT: Duration = Duration::from_secs(60);
/// How often the hives' lines are read; they are stamped as they come in.
const READ_EVERY: Duration = Duration::from_millis(5);

/// Nodes in a topic, several to a process.
#[derive(Debug)]
pub struct Hives {
    hives: Vec<Hive>,
}

#[derive(Debug)]
struct Hive {
    process: Process,
    nodes: Vec<NodeState>,
}

/// What a node has told.
#[derive(Debug, Default)]
struct NodeState {
    id: Option<String>,
    first_ms: Option<f64>,
    neighbors: BTreeSet<String>,
    got: HashMap<String, Instant>,
}

/// Counters of all nodes, added up.
#[derive(Debug, Default)]
pub struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// The sum of a series over all its labels.
    pub fn of(&self, name: &str) -> f64 {
        let is = |series: &str| series.split('{').next() == Some(name);
        let series = self.0.iter().filter(|(series, _)| is(series));
        series.map(|(_, value)| value).sum()
    }
}

impl Hives {
    /// Starts the hives one after the other: each once the nodes of the one before have joined.
    ///
    /// # Errors
    /// A node does not start.
    pub fn start(
        dht: &LocalDht,
        nodes: usize,
        per_process: usize,
        workers: Option<usize>,
    ) -> anyhow::Result<Self> {
        let mut hives = Self { hives: Vec::new() };
        let bootstrap = dht.nodes.last().context("a DHT without nodes")?;
        let mut left = nodes;
        while left > 0 {
            let here = left.min(per_process);
            left -= here;
            let count = here.to_string();
            let args = [
                "hive", "--topic", "measured", "--dht", bootstrap, "--nodes", &count,
            ];
            let mut args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
            if let Some(workers) = workers {
                args.extend(["--workers".to_owned(), workers.to_string()]);
            }
            let process = Process::start(&args)?;
            let nodes = (0..here).map(|_| NodeState::default()).collect();
            hives.hives.push(Hive { process, nodes });
            hives.until("ready", READY_LIMIT)?;
            eprintln!("  {} nodes have joined", hives.len());
        }
        Ok(hives)
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.hives.iter().map(|hive| hive.nodes.len()).sum()
    }

    /// Reads until the condition holds, or the limit is over. Says whether it holds.
    pub fn wait(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        poll(limit, READ_EVERY, || {
            self.read();
            holds(self)
        })
    }

    /// Times to the first neighbor since the node's start, in milliseconds, of those that have one.
    pub fn firsts(&self) -> Vec<f64> {
        self.nodes().filter_map(|node| node.first_ms).collect()
    }

    /// Neighbors of each node.
    pub fn neighbors(&self) -> Vec<f64> {
        self.nodes()
            .map(|node| node.neighbors.len() as f64)
            .collect()
    }

    /// Whether all nodes are one swarm.
    pub fn is_whole(&self) -> bool {
        is_whole(
            Word::Either,
            self.nodes().map(|node| (node.id.as_ref(), &node.neighbors)),
        )
    }

    /// Has a node post, and says after how many milliseconds each of the others had it, of those
    /// that had it within the limit.
    ///
    /// # Errors
    /// A hive has ended.
    pub fn post(&mut self, from: usize, text: &str, limit: Duration) -> anyhow::Result<Vec<f64>> {
        let (mut hive, mut node) = (0, from);
        while node >= self.hives[hive].nodes.len() {
            node -= self.hives[hive].nodes.len();
            hive += 1;
        }
        let begin = Instant::now();
        self.hives[hive]
            .process
            .tell(&format!("post {node} {text}"))?;
        let others = self.len() - 1;
        self.wait(limit, |hives| hives.heard(text) == others);
        self.tell_missing(text, from);
        let at = self.nodes().filter_map(|node| node.got.get(text));
        let after = at.map(|at| at.saturating_duration_since(begin).as_secs_f64() * 1e3);
        Ok(after.collect())
    }

    /// Says who has not heard a post, and who their neighbors are.
    fn tell_missing(&self, text: &str, from: usize) {
        let missing = self.nodes().enumerate();
        for (at, node) in missing.filter(|(at, n)| *at != from && !n.got.contains_key(text)) {
            let neighbors = self.nodes().enumerate().filter(|(_, other)| {
                other
                    .id
                    .as_ref()
                    .is_some_and(|id| node.neighbors.contains(id))
            });
            let neighbors = neighbors.map(|(at, other)| {
                let mutual = node
                    .id
                    .as_ref()
                    .is_some_and(|id| other.neighbors.contains(id));
                format!("{at}{}", if mutual { "" } else { " (one way)" })
            });
            let neighbors: Vec<_> = neighbors.collect();
            eprintln!("  node {at} lacks {text}; neighbors {neighbors:?}");
        }
    }

    /// How many of the nodes have heard a post by now.
    pub fn heard(&self, text: &str) -> usize {
        self.nodes().filter(|n| n.got.contains_key(text)).count()
    }

    /// Processor time of all nodes so far.
    ///
    /// # Errors
    /// A hive has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        self.each(usage::cpu).map(|each| each.into_iter().sum())
    }

    /// Resident memory per node in MiB, one value per hive.
    ///
    /// # Errors
    /// A hive has ended.
    pub fn memory(&self) -> anyhow::Result<Vec<f64>> {
        let memory = self.each(usage::memory)?;
        let hives = self.hives.iter().zip(memory);
        Ok(hives
            .map(|(hive, all)| all / hive.nodes.len() as f64)
            .collect())
    }

    /// The threads of each hive.
    ///
    /// # Errors
    /// A hive has ended.
    pub fn threads(&self) -> anyhow::Result<Vec<Threads>> {
        self.each(usage::threads)
    }

    /// What all nodes have counted so far.
    ///
    /// # Errors
    /// A hive has ended.
    pub fn counters(&mut self) -> anyhow::Result<Counters> {
        let mut sums = Counters::default();
        for at in 0..self.hives.len() {
            self.hives[at].process.tell("counters")?;
            let line = self.hives[at].until("counters", COUNTERS_LIMIT)?;
            let counters = line.value["counters"].clone();
            let counters: BTreeMap<String, f64> = serde_json::from_value(counters)?;
            for (series, value) in counters {
                *sums.0.entry(series).or_default() += value;
            }
        }
        Ok(sums)
    }

    fn each<T>(&self, of: impl Fn(u32) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
        self.hives
            .iter()
            .map(|hive| of(hive.process.id()))
            .collect()
    }

    fn nodes(&self) -> impl Iterator<Item = &NodeState> {
        self.hives.iter().flat_map(|hive| &hive.nodes)
    }

    fn read(&mut self) {
        for hive in &mut self.hives {
            for line in hive.process.heard() {
                hive.hear(&line);
            }
        }
    }

    fn until(&mut self, field: &str, limit: Duration) -> anyhow::Result<()> {
        let newest = self.hives.last_mut().context("no hive")?;
        newest.until(field, limit).map(drop)
    }
}

impl Hive {
    /// Hears what its nodes tell until a line with this field comes.
    fn until(&mut self, field: &str, limit: Duration) -> anyhow::Result<Line> {
        let deadline = Instant::now() + limit;
        loop {
            let line = self.process.next(deadline)?;
            if line.value.get(field).is_some() {
                return Ok(line);
            }
            self.hear(&line);
        }
    }

    fn hear(&mut self, line: &Line) {
        let at = line.value["node"].as_u64().unwrap_or(u64::MAX) as usize;
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        let text = |field: &str| line.value[field].as_str().map(str::to_owned);
        node.id = text("id").or(node.id.take());
        node.first_ms = line.value["first_ms"].as_f64().or(node.first_ms);
        node.neighbors.extend(text("up"));
        if let Some(down) = text("down") {
            node.neighbors.remove(&down);
        }
        node.got.extend(text("got").map(|text| (text, line.at)));
    }
}
