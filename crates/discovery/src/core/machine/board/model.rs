//! Whole cores around a model of the DHT nodes that store one slot, on a virtual clock.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{
    AnnounceResult, BoardResult, DiscoveryEvent, EndpointId, InfoHash, PageDrop, Signature, Source,
    UnixMillis,
};

use super::super::Core;
use crate::config::Config;
use crate::core::board::write::PutResult;
use crate::core::testing::{NOW, Seeded, TOPIC, keys, peer, sign};
use crate::core::{DhtState, Effect, Entropy, Input, Me, Now, PageAt, QueryId};

pub const MS: Duration = Duration::from_millis(1);
pub const S: Duration = Duration::from_secs(1);
/// DHT nodes that store an item (Kademlia's k).
const STORING: usize = 20;
/// How long a reply is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// How DHT nodes treat an item whose number they hold already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The old value stays, and the answer is "ok" all the same (libtorrent).
    Strict,
    /// The new value takes its place (mainline).
    Lenient,
}

pub struct Node {
    pub core: Core,
    n: u8,
    clock_offset_ms: i64,
    pub events: Vec<(Duration, DiscoveryEvent)>,
    pub reads: usize,
    pub ticks: usize,
    pub announces: usize,
    /// Number and value of each put.
    pub puts: Vec<(i64, Vec<u8>)>,
    /// No hello request comes in here.
    pub is_blocked: bool,
    planned_tick: Option<(u64, Duration)>,
}

type Slot = ([u8; 32], [u8; 16]);

#[allow(
    clippy::large_enum_variant,
    reason = "as many of them as there are inputs"
)]
enum Event {
    Input(usize, Input),
    Get(usize, QueryId, usize, Slot),
    Put(usize, usize, Put),
}

#[derive(Clone)]
struct Put {
    slot: Slot,
    value: Vec<u8>,
    seq: i64,
    cas: i64,
    query: QueryId,
}

pub struct World {
    pub now: Duration,
    pub nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    payloads: HashMap<u64, Event>,
    pub entries: HashMap<InfoHash, Vec<SocketAddrV4>>,
    pub rules: Rules,
    /// What each storing node holds.
    stored: Vec<HashMap<Slot, (i64, Vec<u8>)>>,
    /// The first of them answer "ok" and store nothing.
    pub liars: usize,
    /// The first of them take no notice of `cas`.
    pub careless: usize,
    /// Percent of requests and of replies that are lost, each.
    pub loss: u64,
    /// Answers to a put that have come in: acknowledged, refused, of how many.
    acks: HashMap<(usize, QueryId), (usize, usize)>,
    last: u64,
    pub rng: Seeded,
}

impl World {
    pub fn new(seed: u64, rules: Rules) -> Self {
        println!("seed {seed}, {rules:?}");
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            payloads: HashMap::new(),
            entries: HashMap::new(),
            rules,
            stored: vec![HashMap::new(); STORING],
            liars: 0,
            careless: 0,
            loss: 0,
            acks: HashMap::new(),
            last: 0,
            rng: Seeded(seed),
        }
    }

    /// A node with the board only.
    pub fn add(&mut self, n: u8) -> usize {
        self.add_with(n, 0, |config| config.sources.rendezvous = false)
    }

    pub fn add_with(&mut self, n: u8, offset_ms: i64, tweak: impl FnOnce(&mut Config)) -> usize {
        let mut config = Config::default();
        tweak(&mut config);
        let me = Me {
            endpoint: peer(n).id,
            hello: hello_address(n),
        };
        self.nodes.push(Node {
            core: Core::new(config, me),
            n,
            clock_offset_ms: offset_ms,
            events: Vec::new(),
            reads: 0,
            ticks: 0,
            announces: 0,
            puts: Vec::new(),
            is_blocked: false,
            planned_tick: None,
        });
        let at = self.nodes.len() - 1;
        self.feed(at, Input::Address(peer(n)));
        let up = DhtState::Up { routing_table: 20 };
        self.feed(at, Input::Dht(up));
        at
    }

    pub fn join(&mut self, at: usize) {
        let discover = Input::Discover {
            topic: TOPIC,
            peers: vec![],
            cached: vec![],
        };
        self.feed(at, discover);
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.last += 1;
        self.payloads.insert(self.last, event);
        self.queue.push(Reverse((self.now + after, self.last)));
    }

    pub fn feed(&mut self, at: usize, input: Input) {
        let node = &mut self.nodes[at];
        node.ticks += usize::from(matches!(input, Input::Tick));
        let unix = NOW.0 as i64 + self.now.as_millis() as i64 + node.clock_offset_ms;
        let now = Now {
            mono: self.now,
            unix: UnixMillis(unix as u64),
        };
        let effects = node.core.handle(input, now, &mut self.rng);
        let wake = node.core.next_wake(now).max(self.now + MS);
        for effect in effects {
            self.run(at, effect);
        }
        let planned = self.nodes[at].planned_tick.filter(|(_, p)| *p > self.now);
        match planned {
            Some((_, planned)) if planned <= wake => return,
            Some((id, _)) => _ = self.payloads.remove(&id),
            None => {}
        }
        self.later(wake - self.now, Event::Input(at, Input::Tick));
        self.nodes[at].planned_tick = Some((self.last, wake));
    }

    fn run(&mut self, at: usize, effect: Effect) {
        let soon = |input| Event::Input(at, input);
        let n = self.nodes[at].n;
        match effect {
            Effect::FetchKeys(topic, epoch) => {
                let derived = keys((epoch.0 % 97) as u8);
                self.later(MS, soon(Input::Keys(topic, epoch, derived)));
            }
            Effect::SignRecord { topic, epoch, body } => {
                let signature = Signature::from_bytes(sign(n, topic, epoch, body.clone()));
                let signed = Input::Signed {
                    topic,
                    body,
                    signature,
                };
                self.later(MS, soon(signed));
            }
            Effect::StartLookup(query, infohash) => {
                let found = self.entries.get(&infohash).cloned().unwrap_or_default();
                self.later(30 * MS, soon(Input::Entries(query, found)));
                self.later(100 * MS, soon(Input::LookupEnded(query)));
            }
            Effect::StartAnnounce(query, infohash) => {
                self.nodes[at].announces += 1;
                let entries = self.entries.entry(infohash).or_default();
                entries.push(hello_address(n));
                let stored = Input::AnnounceTryEnded(query, AnnounceResult::Stored);
                self.later(120 * MS, soon(stored));
            }
            Effect::Send(to, packet) => {
                let mut nodes = self.nodes.iter();
                let target = nodes.position(|node| hello_address(node.n) == to);
                let is_request = packet[1] == 0;
                let open = |at: &usize| !(is_request && self.nodes[*at].is_blocked);
                if let Some(target) = target.filter(open) {
                    let datagram = Input::Datagram(hello_address(n), packet);
                    self.later(5 * MS, Event::Input(target, datagram));
                }
            }
            Effect::ReadPage(query, at_page) => {
                self.nodes[at].reads += 1;
                self.get(at, query, slot(&at_page));
            }
            Effect::WritePage {
                query,
                at: at_page,
                page,
                seq,
                cas,
            } => {
                self.nodes[at].puts.push((seq, page.clone()));
                let put = Put {
                    slot: slot(&at_page),
                    value: page,
                    seq,
                    cas,
                    query,
                };
                self.put(at, &put);
            }
            Effect::Emit(event) => self.nodes[at].events.push((self.now, event)),
            _ => {}
        }
    }

    fn lost(&mut self) -> bool {
        self.rng.below(100) < self.loss
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(5 + self.rng.below(60))
    }

    /// Each storing node is asked, after a walk to it; the query ends when the last one has answered
    /// or is not waited for any more.
    fn get(&mut self, at: usize, query: QueryId, slot: Slot) {
        let mut end = Duration::ZERO;
        for node in 0..STORING {
            let (walk, there) = (self.delay(), self.delay());
            if self.lost() {
                end = end.max(walk + PATIENCE);
                continue;
            }
            end = end.max(walk + 2 * there);
            self.later(walk + there, Event::Get(at, query, node, slot));
        }
        let ended = Input::PageReadEnded(query);
        self.later(end + 65 * MS, Event::Input(at, ended));
    }

    fn put(&mut self, at: usize, put: &Put) {
        self.acks.insert((at, put.query), (0, 0));
        for node in 0..STORING {
            let there = self.delay();
            if !self.lost() {
                self.later(there, Event::Put(at, node, put.clone()));
            }
        }
        // The result is read then.
        let written = Input::PageWritten(put.query, PutResult::Failed);
        self.later(PATIENCE, Event::Input(at, written));
    }

    fn store(&mut self, at: usize, node: usize, put: Put) {
        let held = self.stored[node].get(&put.slot).map(|(seq, _)| *seq);
        let checks = node >= self.careless;
        let refused = held.is_some_and(|held| (checks && held != put.cas) || put.seq < held);
        let lost = self.lost();
        let acks = self.acks.entry((at, put.query)).or_default();
        match refused {
            _ if lost => {}
            true => acks.1 += 1,
            false => acks.0 += 1,
        }
        let stays = self.rules == Rules::Strict && held == Some(put.seq);
        if !refused && !stays && node >= self.liars {
            self.stored[node].insert(put.slot, (put.seq, put.value));
        }
    }

    fn result(&mut self, at: usize, query: QueryId) -> PutResult {
        match self.acks.remove(&(at, query)).unwrap_or_default() {
            (_, refused) if refused > STORING / 2 => PutResult::Refused,
            (0, 0) => PutResult::TimedOut,
            (0, _) => PutResult::Refused,
            _ => PutResult::Stored,
        }
    }

    pub fn run_until(&mut self, end: Duration) {
        while let Some(Reverse((when, id))) = self.queue.pop() {
            if when > end {
                self.queue.push(Reverse((when, id)));
                break;
            }
            self.now = when;
            match self.payloads.remove(&id) {
                Some(Event::Input(at, Input::PageWritten(query, _))) => {
                    let result = self.result(at, query);
                    self.feed(at, Input::PageWritten(query, result));
                }
                Some(Event::Input(at, input)) => self.feed(at, input),
                Some(Event::Get(at, query, node, slot)) => {
                    let value = self.stored[node].get(&slot).cloned();
                    let back = self.delay();
                    let lost = self.lost();
                    if let Some((seq, value)) = value.filter(|_| !lost) {
                        let seen = Input::PageSeen(query, value, seq);
                        self.later(back, Event::Input(at, seen));
                    }
                }
                Some(Event::Put(at, node, put)) => self.store(at, node, put),
                None => {}
            }
        }
        self.now = end;
    }

    /// All storing nodes hold this in a slot, whatever they held.
    pub fn plant(&mut self, at: &PageAt, seq: i64, value: &[u8]) {
        for node in &mut self.stored {
            node.insert(slot(at), (seq, value.to_vec()));
        }
    }
}

impl Node {
    /// Who was found on the board.
    pub fn found(&self) -> BTreeSet<EndpointId> {
        let peers = self.events.iter().filter_map(|(_, event)| match event {
            DiscoveryEvent::PeerFound {
                peer,
                source: Source::Board,
                ..
            } => Some(peer.id),
            _ => None,
        });
        peers.collect()
    }

    pub fn results(&self) -> Vec<BoardResult> {
        let results = self.events.iter().filter_map(|(_, event)| match event {
            DiscoveryEvent::BoardWritten { result, .. } => Some(*result),
            _ => None,
        });
        results.collect()
    }

    pub fn page_drops(&self, reason: PageDrop) -> usize {
        let is_drop = |(_, event): &&(Duration, DiscoveryEvent)| match event {
            DiscoveryEvent::PageDropped { reason: r } => *r == reason,
            _ => false,
        };
        self.events.iter().filter(is_drop).count()
    }
}

fn slot(at: &PageAt) -> Slot {
    (*at.key.expose(), at.salt)
}

fn hello_address(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new([127, 0, 0, 1].into(), 10_000 + u16::from(n))
}
