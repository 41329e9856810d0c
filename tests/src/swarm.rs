//! A swarm of processes on both sides of a network, and the graph that their neighbors make.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::network::{DHT_PORT, Side};
use crate::{Dht, Process, http_get, series};

/// Longest wait for a swarm to change. Generous: it costs its time only when the test fails.
const DEADLINE: Duration = Duration::from_secs(180);
/// How often all events are read.
const READ_EVERY: Duration = Duration::from_millis(20);

impl Member {
    /// Where it serves its metrics.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }
}

/// Nodes in one topic.
pub struct Swarm {
    members: Vec<Member>,
    dir: TempDir,
    settings: Vec<(&'static str, &'static str)>,
}

/// One of them.
pub struct Member {
    /// Where it is.
    pub side: Side,
    /// Its endpoint id.
    pub id: String,
    /// The endpoint ids of its neighbors.
    pub neighbors: BTreeSet<String>,
    /// How often somebody became its neighbor.
    pub joins: usize,
    /// What it last said of the swarm, the event `swarm`.
    pub swarm: Option<Value>,
    /// The bodies of the posts that it got.
    pub got: BTreeSet<String>,
    process: Process,
    metrics: String,
    read: usize,
}

impl Swarm {
    /// So many nodes on each side, in the topic "tea". They need not have met when this returns.
    ///
    /// # Panics
    /// When one does not start.
    pub fn start(
        dht: &Dht,
        sides: [(Side, usize); 2],
        settings: &[(&'static str, &'static str)],
    ) -> Self {
        let mut swarm = Self {
            members: Vec::new(),
            dir: TempDir::with_prefix("kukuri-test-").expect("a temporary directory"),
            settings: settings.to_vec(),
        };
        let each = sides
            .iter()
            .flat_map(|&(side, n)| (1..=n).map(move |n| (side, n)));
        let starting: Vec<_> = each
            .map(|(side, n)| (side, swarm.spawn(dht, side, n)))
            .collect();
        for (side, mut process) in starting {
            let started = process.next("started");
            let text = |field: &str| started[field].as_str().expect("a text").to_owned();
            swarm.members.push(Member {
                side,
                id: text("endpoint_id"),
                neighbors: BTreeSet::new(),
                joins: 0,
                swarm: None,
                got: BTreeSet::new(),
                metrics: text("metrics"),
                process,
                read: 0,
            });
        }
        swarm
    }

    fn spawn(&self, dht: &Dht, side: Side, n: usize) -> Process {
        let ip = side.ip(n);
        let (bind, dht_bind) = (format!("{ip}:0"), format!("{ip}:{DHT_PORT}"));
        let data = self.dir.path().join(&ip);
        let mut args = vec!["join", "tea", "--bind", &bind, "--dht-bind", &dht_bind];
        args.extend(["--dht-bootstrap", dht.bootstrap()]);
        args.extend(["--metrics", "127.0.0.1:0", "--data-dir"]);
        args.push(data.to_str().expect("a path of this test is UTF-8"));
        Process::start_with(args, &self.settings)
    }

    /// The nodes that are left.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Waits until the condition holds; says how long it took.
    ///
    /// # Panics
    /// When it does not hold in time, with the pieces of the swarm.
    pub fn wait(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Duration {
        self.wait_for_good(what, Duration::ZERO, holds)
    }

    /// Waits until the condition holds and has held for some time; says how long it took until it
    /// did, for good.
    ///
    /// # Panics
    /// When it does not hold in time, with the pieces of the swarm.
    pub fn wait_for_good(
        &mut self,
        what: &str,
        lasting: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Duration {
        let begin = Instant::now();
        let mut since = None;
        loop {
            self.read();
            let now = begin.elapsed();
            since = holds(self).then(|| since.unwrap_or(now));
            if let Some(took) = since.filter(|since| now >= *since + lasting) {
                println!("{what}: {:.2} s", took.as_secs_f64());
                return took;
            }
            assert!(now < DEADLINE, "not in time: {what}; {}", self.text());
            std::thread::sleep(READ_EVERY);
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        std::thread::sleep(time);
        self.read();
    }

    /// Whether all are one swarm.
    pub fn is_whole(&self) -> bool {
        self.pieces().len() == 1
    }

    /// Whether each side is in one piece, and nobody has a neighbor on the other one.
    pub fn is_in_two(&self) -> bool {
        self.pieces().len() == 2 && self.crossings() == 0
    }

    /// How often a node has a neighbor on the other side.
    pub fn crossings(&self) -> usize {
        let side = |id: &String| Some(self.members.iter().find(|m| m.id == *id)?.side);
        let crosses = |m: &Member| {
            let others = m.neighbors.iter().filter_map(side);
            others.filter(|other| *other != m.side).count()
        };
        self.members.iter().map(crosses).sum()
    }

    /// How often somebody became somebody's neighbor until now.
    pub fn joins(&self) -> usize {
        self.members.iter().map(|m| m.joins).sum()
    }

    /// The sum of a counter without labels over all nodes.
    ///
    /// # Panics
    /// When a node does not answer.
    pub fn counter(&self, name: &str) -> f64 {
        let of = |m: &Member| series(&http_get(&m.metrics, "/metrics"), name).unwrap_or(0.0);
        self.members.iter().map(of).sum()
    }

    /// The swarm's parts: who is connected with whom, over others too. A connection is one that both
    /// tell of: for one of them it may have ended.
    pub fn pieces(&self) -> Vec<BTreeSet<&str>> {
        let of = |id: &String| self.members.iter().find(|m| m.id == *id);
        let mut pieces: Vec<BTreeSet<&str>> = Vec::new();
        for member in &self.members {
            let both = |id: &&String| of(id).is_some_and(|m| m.neighbors.contains(&member.id));
            let neighbors = member.neighbors.iter().filter(both);
            let mut piece: BTreeSet<&str> = neighbors.map(|id| &id[..]).collect();
            piece.insert(&member.id);
            let (touched, others): (Vec<_>, Vec<_>) = pieces
                .into_iter()
                .partition(|other| !other.is_disjoint(&piece));
            pieces = others;
            piece.extend(touched.into_iter().flatten());
            pieces.push(piece);
        }
        pieces
    }

    /// A node posts a line.
    pub fn say(&mut self, at: usize, line: &str) {
        self.members[at].process.say(line);
    }

    /// The first of each side posts, and all get both.
    ///
    /// # Panics
    /// When somebody does not get one in time.
    pub fn posts_reach_all(&mut self) {
        let first = |side| self.members.iter().position(|m| m.side == side);
        let speakers = [Side::A, Side::B].into_iter().filter_map(first);
        let posts: Vec<_> = speakers.map(|at| (at, format!("from {at}"))).collect();
        for (speaker, body) in &posts {
            self.say(*speaker, body);
        }
        for (speaker, body) in &posts {
            self.have_all(*speaker, body);
        }
    }

    /// Waits until all but the speaker have a post.
    ///
    /// # Panics
    /// When somebody does not get it in time.
    pub fn have_all(&mut self, speaker: usize, body: &str) {
        self.wait(&format!("all have {body:?}"), |swarm| {
            let mut members = swarm.members.iter().enumerate();
            members.all(|(at, m)| at == speaker || m.got.contains(body))
        });
    }

    /// The root that all name, once they agree.
    pub fn root(&self) -> Option<&str> {
        let mut named = self
            .members
            .iter()
            .map(|m| m.swarm.as_ref()?["root"].as_str());
        let first = named.next()??;
        named.all(|root| root == Some(first)).then_some(first)
    }

    /// Kills a node, which can tell nobody. It is no member any more.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn kill(&mut self, id: &str) {
        let at = self.members.iter().position(|m| m.id == id);
        let member = self.members.remove(at.expect("a member"));
        member.process.signal(Signal::SIGKILL);
    }

    /// Whether any has complained on standard error.
    pub fn complaints(&self) -> Vec<String> {
        let errors = self.members.iter().map(|m| m.process.errors());
        errors.filter(|errors| !errors.is_empty()).collect()
    }

    fn read(&mut self) {
        for member in &mut self.members {
            let events = member.process.seen();
            for event in &events[member.read..] {
                let peer = || event["endpoint_id"].as_str().expect("a peer").to_owned();
                match event["event"].as_str() {
                    Some("neighbor_up") => {
                        member.neighbors.insert(peer());
                        member.joins += 1;
                    }
                    Some("neighbor_down") => {
                        member.neighbors.remove(&peer());
                    }
                    Some("post") => {
                        let body = event["body"].as_str().expect("a body");
                        member.got.insert(body.to_owned());
                    }
                    Some("swarm") => member.swarm = Some(event.clone()),
                    _ => {}
                }
            }
            member.read = events.len();
        }
    }

    fn text(&self) -> String {
        let sides: BTreeMap<&str, Side> =
            self.members.iter().map(|m| (&m.id[..], m.side)).collect();
        let piece = |ids: BTreeSet<&str>| {
            let short = |id: &str| format!("{:?}:{}", sides.get(id), &id[..6.min(id.len())]);
            ids.into_iter().map(short).collect::<Vec<_>>().join(" ")
        };
        let pieces: Vec<_> = self.pieces().into_iter().map(piece).collect();
        format!(
            "{} crossings, pieces:\n{}",
            self.crossings(),
            pieces.join("\n")
        )
    }
}
