//! The nodes of one run, and what they have told.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::child::dht::LocalDht;
use crate::child::node::Contender;
use crate::child::{Line, Process, poll};
use crate::graph::{Word, is_whole};
use crate::usage;

/// Most time for a child to be ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How often the children's lines are read; they are stamped as they come in.
const READ_EVERY: Duration = Duration::from_millis(2);

/// Nodes in a topic.
#[derive(Debug)]
pub struct Swarm<'a> {
    contender: Contender,
    dht: &'a LocalDht,
    topic: String,
    steps: bool,
    members: Vec<Member>,
    go: Instant,
    whole: Option<Duration>,
    word: Word,
}

#[derive(Debug)]
struct Member {
    process: Process,
    id: Option<String>,
    address: Option<String>,
    neighbors: BTreeSet<String>,
    first_ms: Option<f64>,
    all_ms: Option<f64>,
    got: HashSet<String>,
    steps: Vec<Step>,
}

/// A step of a join, and when it was taken, in ms since its begin.
pub type Step = (String, f64);

impl<'a> Swarm<'a> {
    /// Nodes that have not joined yet. With `steps` they tell the steps of their join.
    ///
    /// # Errors
    /// A child does not start.
    pub fn start(
        contender: Contender,
        dht: &'a LocalDht,
        topic: String,
        nodes: usize,
        steps: bool,
    ) -> anyhow::Result<Self> {
        let ips = vec![Ipv4Addr::LOCALHOST; nodes];
        Self::start_at(contender, dht, topic, &ips, steps)
    }

    /// The same, each at an IP address of its own.
    ///
    /// # Errors
    /// A child does not start.
    pub fn start_at(
        contender: Contender,
        dht: &'a LocalDht,
        topic: String,
        ips: &[Ipv4Addr],
        steps: bool,
    ) -> anyhow::Result<Self> {
        let mut swarm = Self {
            contender,
            dht,
            topic,
            steps,
            members: Vec::new(),
            go: Instant::now(),
            whole: None,
            word: Word::Either,
        };
        for ip in ips {
            let member = swarm.member(*ip)?;
            swarm.members.push(member);
        }
        swarm.introduce(0)?;
        Ok(swarm)
    }

    /// All join at once.
    ///
    /// # Errors
    /// A child has ended.
    pub fn go(&mut self) -> anyhow::Result<()> {
        self.go = Instant::now();
        self.members
            .iter_mut()
            .try_for_each(|m| m.process.tell("go"))
    }

    /// One more joins. Says how long it took to its first neighbor in milliseconds, or `None` after
    /// the limit.
    ///
    /// # Errors
    /// A child has ended.
    pub fn join_late(&mut self, limit: Duration) -> anyhow::Result<Option<f64>> {
        let member = self.member(Ipv4Addr::LOCALHOST)?;
        let at = self.members.len();
        self.members.push(member);
        self.introduce(at)?;
        self.members[at].process.tell("go")?;
        self.wait(limit, |swarm| swarm.members[at].first_ms.is_some());
        Ok(self.members[at].first_ms)
    }

    /// Reads until the condition holds, or the limit is over. Says whether it holds.
    pub fn wait(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        poll(limit, READ_EVERY, || {
            self.read();
            holds(self)
        })
    }

    /// Times to the first neighbor, in milliseconds, of those that have one.
    pub fn firsts(&self) -> Vec<f64> {
        self.members.iter().filter_map(|m| m.first_ms).collect()
    }

    /// The same with the start of the node itself.
    pub fn firsts_with_start(&self) -> Vec<f64> {
        self.members.iter().filter_map(|m| m.all_ms).collect()
    }

    /// The steps that each node has told.
    pub fn steps(&self) -> impl Iterator<Item = &[Step]> {
        self.members.iter().map(|member| &member.steps[..])
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// When all nodes were in one piece for the first time, since they began to join, or since the
    /// clock was set anew.
    pub fn whole(&self) -> Option<Duration> {
        self.whole
    }

    /// The clock starts again, for a swarm that is to be whole again for good: by the word of both of
    /// two neighbors now, because one may not have noticed that it lost the other; and the time
    /// counts from when it was last not whole, because a first connection may come and go.
    pub fn restart_clock(&mut self) {
        self.read();
        self.word = Word::Both;
        self.go = Instant::now();
        self.whole = None;
    }

    /// Whether it has been whole for so long.
    pub fn is_whole_since(&self, lasting: Duration) -> bool {
        let whole = self.whole.map(|whole| whole + lasting);
        whole.is_some_and(|until| self.go.elapsed() >= until)
    }

    /// Whether no node has a neighbor on the other side of a split, whose first side are so many.
    pub fn is_split(&self, first: usize) -> bool {
        let (one, other) = self.members.split_at(first.min(self.members.len()));
        let names = |side: &[Member], others: &[Member]| {
            let ids: HashSet<_> = others.iter().filter_map(|m| m.id.as_ref()).collect();
            let mut named = side.iter().flat_map(|m| &m.neighbors);
            named.any(|id| ids.contains(id))
        };
        !names(one, other) && !names(other, one)
    }

    /// The first node tells everybody; says what share of the others has it within the limit, in
    /// percent.
    ///
    /// # Errors
    /// A child has ended.
    pub fn cast(&mut self, text: &str, limit: Duration) -> anyhow::Result<f64> {
        self.members[0].process.tell(&format!("cast {text}"))?;
        let others = self.members.len() - 1;
        let reached = |s: &Self| s.members.iter().filter(|m| m.got.contains(text)).count();
        self.wait(limit, |swarm| reached(swarm) == others);
        Ok(100.0 * reached(self) as f64 / others.max(1) as f64)
    }

    /// Processor time of all nodes so far.
    ///
    /// # Errors
    /// A child has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        self.members
            .iter()
            .map(|m| usage::cpu(m.process.id()))
            .sum()
    }

    /// Resident memory of each node in MiB.
    ///
    /// # Errors
    /// A child has ended.
    pub fn memory(&self) -> anyhow::Result<Vec<f64>> {
        let each = self.members.iter();
        each.map(|m| usage::memory(m.process.id())).collect()
    }

    fn member(&self, ip: Ipv4Addr) -> anyhow::Result<Member> {
        use clap::ValueEnum;
        let contender = self.contender.to_possible_value();
        let contender = contender
            .expect("no contender is skipped")
            .get_name()
            .to_owned();
        let dht = self.dht.nodes.last().cloned().unwrap_or_default();
        let mut args: Vec<String> = ["node", "--contender", &contender]
            .map(str::to_owned)
            .to_vec();
        args.extend(["--topic".into(), self.topic.clone(), "--dht".into(), dht]);
        args.extend(["--ip".into(), ip.to_string()]);
        args.extend(self.steps.then(|| "--steps".to_owned()));
        let mut process = Process::start(&args)?;
        let ready = process.expect("ready", READY_LIMIT)?.value;
        let text = |field: &str| ready[field].as_str().map(str::to_owned);
        Ok(Member {
            process,
            id: text("ready"),
            address: text("address"),
            neighbors: BTreeSet::new(),
            first_ms: None,
            all_ms: None,
            got: HashSet::new(),
            steps: Vec::new(),
        })
    }

    /// Tells all about the members from this one on, and those about all: the address lookup that
    /// the rival's nodes share.
    fn introduce(&mut self, from: usize) -> anyhow::Result<()> {
        let known: Vec<_> = self
            .members
            .iter()
            .map(|m| (m.id.clone(), m.address.clone()))
            .collect();
        for (to, member) in self.members.iter_mut().enumerate() {
            for (about, known) in known.iter().enumerate() {
                let news = to != about && (to >= from || about >= from);
                if let (true, (Some(id), Some(address))) = (news, known) {
                    member.process.tell(&format!("peer {id} {address}"))?;
                }
            }
        }
        Ok(())
    }

    /// Reads what the nodes have said.
    pub fn read(&mut self) {
        let mut lines: Vec<(usize, Line)> = Vec::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            lines.extend(member.process.heard().into_iter().map(|line| (at, line)));
        }
        lines.sort_by_key(|(_, line)| line.at);
        for (at, line) in lines {
            self.members[at].hear(&line);
            if self.whole.is_none() || self.word == Word::Both {
                let now = line.at.saturating_duration_since(self.go);
                self.whole = self.is_whole().then(|| self.whole.unwrap_or(now));
            }
        }
    }

    /// Whether all nodes are one swarm.
    fn is_whole(&self) -> bool {
        is_whole(
            self.word,
            self.members.iter().map(|m| (m.id.as_ref(), &m.neighbors)),
        )
    }
}

impl Member {
    fn hear(&mut self, line: &Line) {
        let text = |field: &str| line.value[field].as_str().map(str::to_owned);
        if let Some(id) = text("id") {
            self.id = Some(id);
        }
        self.neighbors.extend(text("up"));
        if let Some(down) = text("down") {
            self.neighbors.remove(&down);
        }
        self.got.extend(text("got"));
        if let (Some(step), Some(ms)) = (text("step"), line.value["ms"].as_f64()) {
            self.steps.push((step, ms));
        }
        if let Some(first) = line.value["first_ms"].as_f64() {
            self.first_ms = Some(first);
            self.all_ms = line.value["all_ms"].as_f64();
        }
    }
}
