//! The world: all nodes on one clock. This file has the clockwork and discovery; `swarm.rs` has
//! dials, connections and gossip, `queries.rs` what goes to the DHT, `actions.rs` what the scenario
//! does to them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    AnnounceResult, DiscoveryEvent, EPOCH_SECONDS, EndpointId, Epoch, EpochKeys, SignRequest,
    SkipReason, TopicId, UnixMillis,
};
use kukuri_discovery::core::{DhtState, Effect, Input, Now, QueryId};
use kukuri_identity::core::derive::TopicKey;
use tokio::time::Instant;

use super::dht::Dht;
use super::event::Event;
use super::links::Connection;
use super::measure::Tally;
use super::network::{Network, NodeId};
use super::node::Node;
use super::pages::Answers;
use super::queue::Queue;
use super::rng::Seeded;
use super::scenario::{Scenario, range};
use super::store::Item;

/// Some moment: the wall clock at the start of a run lies within the ten minutes after it.
const EPOCH_ZERO: u64 = 1_780_000_200;
/// A node's start until its DHT node can be asked: binding, resolving.
const DHT_START: Duration = Duration::from_millis(20);

/// All nodes, the network and the DHT.
#[derive(Debug)]
pub struct World {
    pub(super) scenario: Scenario,
    pub(super) queue: Queue<Event>,
    pub(super) rng: Seeded,
    pub(super) network: Network,
    pub(super) dht: Dht,
    pub(super) nodes: Vec<Option<Box<Node>>>,
    pub(super) ids: HashMap<EndpointId, NodeId>,
    pub(super) connections: Vec<Connection>,
    pub(super) topic: TopicId,
    pub(super) tally: Tally,
    /// Nodes that were told to join so far.
    pub(super) invited: NodeId,
    /// When the last node of the start joins.
    pub(super) all_invited: Duration,
    /// When the network became whole, while the swarm is not.
    pub(super) whole_since: Option<Duration>,
    pub(super) base: Instant,
    /// Puts of pages under way.
    pub(super) page_answers: HashMap<(NodeId, QueryId), Answers>,
    topic_key: TopicKey,
    keys: HashMap<Epoch, EpochKeys>,
    start: UnixMillis,
}

impl World {
    /// The world of a scenario before anything has happened.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let mut rng = Seeded::of(seed, 0);
        let name = "simulation".parse().expect("a name of a topic");
        let topic_key = TopicKey::new(&name, None);
        let into_epoch = rng.index(EPOCH_SECONDS as usize) as u64;
        let model = &scenario.network;
        let mut network = Network::new(seed, range(model.latency_ms), model.loss);
        model
            .split
            .into_iter()
            .for_each(|parts| network.split(parts));
        let mut world = Self {
            scenario: scenario.clone(),
            queue: Queue::default(),
            network,
            dht: Dht::new(&scenario.dht, seed, &mut Seeded::of(seed, 1)),
            nodes: Vec::new(),
            ids: HashMap::new(),
            connections: Vec::new(),
            topic: topic_key.topic_id(),
            tally: Tally {
                first_epoch: Duration::from_secs(into_epoch),
                ..Tally::default()
            },
            invited: 0,
            all_invited: Duration::ZERO,
            whole_since: None,
            base: Instant::now(),
            page_answers: HashMap::new(),
            topic_key,
            keys: HashMap::new(),
            start: UnixMillis((EPOCH_ZERO + into_epoch) * 1000),
            rng,
        };
        world.plan_all();
        world
    }

    /// Runs until the end; `progress` hears of each simulated minute.
    pub fn run(mut self, mut progress: impl FnMut(u64, usize)) -> Tally {
        let end = self.scenario.end();
        let mut minute = 0;
        while let Some(event) = self.queue.next(end) {
            self.happen(event);
            let now = self.queue.now().as_secs() / 60;
            if now > minute {
                minute = now;
                progress(minute, self.nodes.len());
            }
        }
        self.finish()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Join { node, late } => self.join(node, late),
            Event::Tick(node) => self.tick(node),
            Event::Table(node) => self.count_table(node),
            Event::Fed(node, input) => self.drive(node, *input),
            Event::Asked {
                node,
                query,
                infohash,
                dht,
                reply_at,
            } => self.asked(node, query, infohash, dht, reply_at),
            Event::Put {
                node,
                query,
                infohash,
                since,
            } => self.put(node, query, infohash, since),
            Event::Stored {
                dht,
                infohash,
                address,
            } => {
                let now = self.queue.now();
                let rng = &mut self.rng;
                self.dht.announce(dht, infohash, address, now, rng);
            }
            Event::PageAsked {
                node,
                query,
                target,
                dht,
                reply_at,
            } => self.page_asked(node, query, target, dht, reply_at),
            Event::PutPage(put) => self.put_page(&put),
            Event::PageStored { dht, answered, put } => self.page_stored(dht, answered, *put),
            Event::PageEnded {
                node,
                query,
                timed_out,
            } => self.page_ended(node, query, timed_out),
            Event::Pump(node) => self.pump(node),
            Event::Connected { from, to, by } => self.connected(from, to, by),
            Event::DialFailed { from, to, by } => self.dial_failed(from, to, by),
            Event::Door { connection } => self.door(connection),
            Event::Accepted { connection } => self.accepted(connection),
            Event::Gossip {
                connection,
                side,
                message,
            } => self.gossip(connection, side, *message),
            Event::Timer(node, timer) => self.timer(node, timer),
            Event::Closed { connection, side } => self.closed(connection, side),
            Event::Silent { connection } => self.silent(connection),
            Event::Expect { node, peer } => self.expect(node, peer),
            Event::Ask(node) => self.ask(node),
            Event::Question { from, to, waited } => self.question(from, to, waited),
            Event::Answer { to, answer } => self.answered(to, answer),
            Event::Strays => self.hang_up_strays(),
            Event::Action(at) => self.act(at),
            Event::Flood(at) => self.flood(at),
            Event::Churn => self.churn(),
            Event::Sample => self.sample(),
        }
    }

    // --- discovery ---

    /// A node that is there.
    pub(super) fn node(&mut self, id: NodeId) -> Option<&mut Node> {
        let node = self.nodes.get_mut(id as usize)?.as_deref_mut()?;
        node.alive().then_some(node)
    }

    pub(super) fn plan(&mut self, after: Duration, event: Event) {
        self.queue.plan(self.queue.now() + after, event);
    }

    fn clock(&self, id: NodeId) -> Now {
        let mono = self.queue.now();
        let node = self.nodes.get(id as usize).and_then(Option::as_ref);
        let off = node.map_or(0, |node| node.clock_off);
        let unix = self.start.0 + mono.as_millis() as u64;
        Now {
            mono,
            unix: UnixMillis(unix.saturating_add_signed(off)),
        }
    }

    /// The epoch by a clock that is right.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch::at(UnixMillis(
            self.start.0 + self.queue.now().as_millis() as u64,
        ))
    }

    pub(super) fn keys_of(&mut self, epoch: Epoch) -> &EpochKeys {
        let topic_key = &self.topic_key;
        let keys = self.keys.entry(epoch);
        keys.or_insert_with(|| topic_key.epoch_keys(epoch))
    }

    /// A node's first moments: what the composition root and the node's actor do.
    pub(super) fn begin(&mut self, id: NodeId) {
        let Some(node) = self.node(id) else {
            return;
        };
        let address = node.address.clone();
        self.enter_swarm(id);
        self.drive(id, Input::Address(address));
        self.drive(id, Input::EndpointPort(Some(Network::endpoint(id).port())));
        let discover = Input::Discover {
            topic: self.topic,
            peers: Vec::new(),
            cached: Vec::new(),
        };
        self.drive(id, discover);
        let up = Input::Dht(DhtState::Up { routing_table: 0 });
        self.plan(DHT_START, Event::Fed(id, Box::new(up)));
        self.plan(DHT_START, Event::Table(id));
    }

    fn tick(&mut self, id: NodeId) {
        let now = self.queue.now();
        // An earlier one was planned since, if the time is not the one that was meant.
        let due = |node: &mut Node| node.tick_at.take_if(|at| *at == now).is_some();
        if self.node(id).is_some_and(due) {
            self.drive(id, Input::Tick);
        }
    }

    /// One step of a node's discovery, with all that follows from it at once.
    pub(super) fn drive(&mut self, id: NodeId, input: Input) {
        let now = self.clock(id);
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let node = self.nodes.get_mut(id as usize).and_then(Option::as_mut);
            let Some(node) = node.filter(|node| node.alive()) else {
                return;
            };
            for effect in node.core.handle(input, now, &mut self.rng) {
                inputs.extend(self.carry_out(id, effect));
            }
        }
        let Some(node) = self.node(id) else {
            return;
        };
        let wake = node.core.next_wake(now).max(now.mono + STEP);
        // One that comes too early does no harm.
        if node.tick_at.is_none_or(|planned| planned > wake) {
            node.tick_at = Some(wake);
            self.queue.plan(wake, Event::Tick(id));
        }
    }

    /// What the actor of discovery does. Some of it has an answer at once.
    fn carry_out(&mut self, id: NodeId, effect: Effect) -> Option<Input> {
        match effect {
            Effect::FetchKeys(topic, epoch) => {
                let keys = self.keys_of(epoch).clone();
                return Some(Input::Keys(topic, epoch, keys));
            }
            Effect::SignRecord { topic, epoch, body } => {
                let request = SignRequest::Record {
                    topic,
                    epoch,
                    body: body.clone(),
                };
                let signature = self.node(id)?.sign(&request);
                return Some(Input::Signed {
                    topic,
                    body,
                    signature,
                });
            }
            Effect::SignHeartbeat(topic, beat) => {
                let request = SignRequest::Heartbeat { topic, beat };
                let signature = self.node(id)?.sign(&request);
                return Some(Input::Beat(topic, beat, signature));
            }
            Effect::StartLookup(query, infohash) => self.start_lookup(id, query, infohash),
            Effect::StartAnnounce(query, infohash) => self.start_announce(id, query, infohash),
            Effect::ReadPage(query, at) => self.read_page(id, query, &at),
            Effect::WritePage {
                query,
                at,
                page,
                seq,
                cas,
            } => self.write_page(id, query, &at, Item { value: page, seq }, cas),
            Effect::ProbeDht => self.probe(id),
            Effect::WaitForReplies(wait) => {
                if let Some(node) = self.node(id) {
                    node.reply_wait = wait;
                }
                self.plan(DHT_START, Event::Table(id));
            }
            Effect::Send(to, packet) => self.send_datagram(id, to, packet, Network::hello(id)),
            Effect::DialBack(to, packet) => {
                self.send_datagram(id, to, packet, Network::other(id));
            }
            Effect::Emit(event) => self.emitted(id, event),
            // Nobody asks for these, and the local network is off.
            Effect::Show(_) | Effect::AnswerAnnounce(..) | Effect::AnswerLookup(..) => {}
        }
        None
    }

    /// What listeners do.
    fn emitted(&mut self, id: NodeId, event: DiscoveryEvent) {
        let now = self.queue.now();
        match event {
            DiscoveryEvent::PeerFound { peer, .. } => {
                if let Some(node) = self.node(id) {
                    node.membership.found(peer);
                }
                self.pump(id);
            }
            DiscoveryEvent::PartFound { peer, .. } => self.heal_with(id, peer),
            DiscoveryEvent::BeaconDue { payload, .. } => self.broadcast_beacon(id, payload),
            DiscoveryEvent::SwarmChanged { root, members, .. } => {
                if let Some(node) = self.node(id) {
                    (node.root, node.members) = (root, members);
                }
            }
            DiscoveryEvent::AnnounceEnded { result, .. } => {
                self.tally.at(now).writes += 1;
                if result == AnnounceResult::Stored {
                    self.tally.announced(id, now);
                }
            }
            DiscoveryEvent::BoardWritten { .. } => self.tally.at(now).writes += 1,
            DiscoveryEvent::AnnounceSkipped { reason, .. } => {
                let minute = self.tally.at(now);
                match reason {
                    SkipReason::Budget => minute.skipped_budget += 1,
                    SkipReason::Crowded => minute.skipped_crowd += 1,
                    _ => minute.skipped_other += 1,
                }
            }
            DiscoveryEvent::HelloSent | DiscoveryEvent::HelloServed => {
                self.tally.at(now).hellos += 1;
            }
            DiscoveryEvent::Dropped { .. } | DiscoveryEvent::BeaconDropped { .. } => {
                self.tally.at(now).dropped += 1;
            }
            _ => {}
        }
    }

    fn send_datagram(&mut self, id: NodeId, to: SocketAddrV4, packet: Vec<u8>, from: SocketAddrV4) {
        /// The second byte of a reply; whatever else comes was not asked for.
        const REPLY: Option<&u8> = Some(&1);
        let Some(peer) = Network::node_at(to) else {
            return;
        };
        let Some(way) = self.network.datagram(id, peer, &mut self.rng) else {
            return;
        };
        let unasked = packet.get(1) != REPLY;
        let there = self
            .node(peer)
            .is_some_and(|node| node.reachable || !unasked);
        if there {
            let datagram = Input::Datagram(from, packet);
            self.plan(way, Event::Fed(peer, Box::new(datagram)));
        }
    }

    pub(super) fn broadcast_beacon(&mut self, id: NodeId, payload: Bytes) {
        let now = self.queue.now();
        self.tally.at(now).beacons += 1;
        self.broadcast(id, payload);
    }
}

/// A timer waits at least so long: what is due now was looked at now.
const STEP: Duration = Duration::from_millis(1);
