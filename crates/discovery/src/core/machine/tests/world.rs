//! Whole cores on a virtual clock, around a model DHT: no socket, no thread, no waiting.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{
    AnnounceResult, DiscoveryEvent, EndpointId, HelloDrop, InfoHash, Signature, Source, UnixMillis,
    Verdict,
};

use super::super::*;
use crate::core::Entropy;
use crate::core::testing::{NOW, Seeded, TOPIC, heartbeat, keys, peer, sign};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const S: Duration = Duration::from_secs(1);
/// The model DHT: first entries and end of a look-up, end of an announcement, one UDP way.
pub(super) const FIRST: Duration = Duration::from_millis(30);
pub(super) const LOOKUP: Duration = Duration::from_millis(100);
pub(super) const PUT: Duration = Duration::from_millis(120);
pub(super) const WIRE: Duration = Duration::from_millis(5);

pub(super) struct Node {
    pub(super) core: Core,
    pub(super) n: u8,
    /// Whose members derive the same keys.
    pub(super) secret: u8,
    pub(super) clock_offset_ms: i64,
    pub(super) events: Vec<(Duration, DiscoveryEvent)>,
    pub(super) sent: HashMap<SocketAddrV4, usize>,
    /// Waits for replies that were asked for.
    pub(super) waits: Vec<Duration>,
    pub(super) announces: usize,
    pub(super) beacons: usize,
    /// Gossip carries broadcasts among the nodes of one swarm.
    pub(super) swarm: u8,
    /// Where the network is split, packets stay on their side.
    pub(super) side: u8,
    pub(super) planned_tick: Option<(u64, Duration)>,
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    pub(super) queue: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    pub(super) payloads: HashMap<u64, Input>,
    pub(super) entries: HashMap<InfoHash, Vec<SocketAddrV4>>,
    pub(super) seq: u64,
    pub(super) rng: Seeded,
    /// Percent of hello packets that are lost.
    pub(super) loss: u64,
    pub(super) puts_fail: bool,
    /// Look-ups end within so many milliseconds of each other.
    pub(super) lookup_spread: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            payloads: HashMap::new(),
            entries: HashMap::new(),
            seq: 0,
            rng: Seeded(seed),
            loss: 0,
            puts_fail: false,
            lookup_spread: 0,
        }
    }

    pub(super) fn add(&mut self, n: u8, secret: u8, clock_offset_ms: i64) -> usize {
        let me = Me {
            endpoint: peer(n).id,
            hello: hello_address(n),
        };
        // The board has tests of its own.
        let mut config = Config::default();
        config.sources.board = false;
        self.nodes.push(Node {
            core: Core::new(config, me),
            n,
            secret,
            clock_offset_ms,
            events: Vec::new(),
            sent: HashMap::new(),
            waits: Vec::new(),
            announces: 0,
            beacons: 0,
            swarm: 0,
            side: 0,
            planned_tick: None,
        });
        let at = self.nodes.len() - 1;
        self.feed(at, Input::Address(peer(n)));
        let up = DhtState::Up { routing_table: 20 };
        self.feed(at, Input::Dht(up));
        at
    }

    pub(super) fn join(&mut self, at: usize) {
        let topic = TOPIC;
        self.feed(
            at,
            Input::Discover {
                topic,
                peers: vec![],
                cached: vec![],
            },
        );
    }

    /// Whether the network keeps two nodes apart.
    fn blocked(&self, a: usize, b: usize) -> bool {
        self.nodes[a].side != self.nodes[b].side
    }

    pub(super) fn later(&mut self, after: Duration, at: usize, input: Input) {
        self.seq += 1;
        self.payloads.insert(self.seq, input);
        self.queue.push(Reverse((self.now + after, self.seq, at)));
    }

    pub(super) fn feed(&mut self, at: usize, input: Input) {
        let node = &mut self.nodes[at];
        let unix = NOW.0 as i64 + self.now.as_millis() as i64 + node.clock_offset_ms;
        let now = Now {
            mono: self.now,
            unix: UnixMillis(unix as u64),
        };
        let effects = node.core.handle(input, now, &mut self.rng);
        let wake = node.core.next_wake(now);
        for effect in effects {
            self.run(at, effect);
        }
        self.plan_tick(at, wake.max(self.now + MS));
    }

    /// One planned tick per node: an earlier one replaces a later one.
    pub(super) fn plan_tick(&mut self, at: usize, when: Duration) {
        let planned = self.nodes[at]
            .planned_tick
            .filter(|(_, planned)| *planned > self.now);
        match planned {
            Some((_, planned)) if planned <= when => return,
            Some((seq, _)) => _ = self.payloads.remove(&seq),
            None => {}
        }
        self.later(when - self.now, at, Input::Tick);
        self.nodes[at].planned_tick = Some((self.seq, when));
    }

    pub(super) fn run(&mut self, at: usize, effect: Effect) {
        let (n, secret) = (self.nodes[at].n, self.nodes[at].secret);
        match effect {
            Effect::FetchKeys(topic, epoch) => {
                let derived = keys(secret.wrapping_add((epoch.0 % 97) as u8));
                self.later(Duration::ZERO, at, Input::Keys(topic, epoch, derived));
            }
            Effect::SignRecord { topic, epoch, body } => {
                let signature = Signature::from_bytes(sign(n, topic, epoch, body.clone()));
                let signed = Input::Signed {
                    topic,
                    body,
                    signature,
                };
                self.later(Duration::ZERO, at, signed);
            }
            Effect::SignHeartbeat(topic, beat) => {
                let signature = heartbeat(n, topic, beat).signature;
                self.later(Duration::ZERO, at, Input::Beat(topic, beat, signature));
            }
            Effect::StartLookup(query, infohash) => {
                let found = self.entries.get(&infohash).cloned().unwrap_or_default();
                if !found.is_empty() {
                    self.later(FIRST, at, Input::Entries(query, found));
                }
                let spread = Duration::from_millis(self.rng.below(self.lookup_spread + 1));
                self.later(LOOKUP + spread, at, Input::LookupEnded(query));
            }
            Effect::StartAnnounce(query, infohash) => {
                self.nodes[at].announces += 1;
                if self.puts_fail {
                    let failed = Input::AnnounceTryEnded(query, AnnounceResult::Failed);
                    return self.later(PUT, at, failed);
                }
                self.entries
                    .entry(infohash)
                    .or_default()
                    .push(hello_address(n));
                self.later(
                    PUT,
                    at,
                    Input::AnnounceTryEnded(query, AnnounceResult::Stored),
                );
            }
            Effect::Send(to, packet) => {
                *self.nodes[at].sent.entry(to).or_default() += 1;
                if self.rng.below(100) < self.loss {
                    return;
                }
                let from = hello_address(n);
                let target = self
                    .nodes
                    .iter()
                    .position(|node| hello_address(node.n) == to);
                let reached = target.filter(|target| !self.blocked(at, *target));
                if let Some(target) = reached {
                    self.later(WIRE, target, Input::Datagram(from, packet));
                }
            }
            Effect::Emit(DiscoveryEvent::BeaconDue { topic, payload }) => {
                for other in (0..self.nodes.len()).filter(|other| *other != at) {
                    if self.nodes[other].swarm == self.nodes[at].swarm {
                        self.later(WIRE, other, Input::Beacon(topic, payload.to_vec()));
                    }
                }
                self.nodes[at].beacons += 1;
            }
            Effect::Emit(event) => self.nodes[at].events.push((self.now, event)),
            Effect::ProbeDht => {
                let answered = if self.puts_fail { 1 } else { 15 };
                let asked = 20;
                self.later(LOOKUP, at, Input::DhtReplies { asked, answered });
            }
            Effect::WaitForReplies(wait) => self.nodes[at].waits.push(wait),
            _ => {}
        }
    }

    pub(super) fn run_until(&mut self, end: Duration) {
        while let Some(Reverse((when, seq, at))) = self.queue.pop() {
            if when > end {
                self.queue.push(Reverse((when, seq, at)));
                break;
            }
            self.now = when;
            if let Some(input) = self.payloads.remove(&seq) {
                self.feed(at, input);
            }
        }
        self.now = end;
    }
}

impl Node {
    pub(super) fn found(&self) -> HashSet<EndpointId> {
        let peers = self.events.iter().filter_map(|(_, event)| match event {
            DiscoveryEvent::PeerFound { peer, .. } => Some(peer.id),
            _ => None,
        });
        peers.collect()
    }

    pub(super) fn first_found(&self) -> Option<(Duration, Source)> {
        self.events.iter().find_map(|(at, event)| match event {
            DiscoveryEvent::PeerFound { source, .. } => Some((*at, *source)),
            _ => None,
        })
    }

    pub(super) fn drops(&self, reason: HelloDrop) -> usize {
        let dropped = |event: &DiscoveryEvent| match event {
            DiscoveryEvent::Dropped { reason: r } => *r == reason,
            _ => false,
        };
        self.events
            .iter()
            .filter(|(_, event)| dropped(event))
            .count()
    }

    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let said = self.events.iter().filter_map(|(_, event)| match event {
            DiscoveryEvent::VerdictChanged { verdict, .. } => Some(*verdict),
            _ => None,
        });
        said.collect()
    }
}

pub(super) fn hello_address(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new([127, 0, 0, 1].into(), 10_000 + u16::from(n))
}
