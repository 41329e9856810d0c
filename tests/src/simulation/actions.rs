//! What the scenario does to the world, and what is seen of the swarm.

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::EndpointId;

use super::event::Event;
use super::measure::{Parts, Tally, Wait};
use super::network::{Network, NodeId};
use super::node::{Node, Traits};
use super::scenario::{Action, minutes};
use super::world::World;

/// Lowest port of false entries: below, no hello is sent.
const FALSE_PORTS: u16 = 2000;

impl World {
    /// Plans all that the scenario says.
    pub(super) fn plan_all(&mut self) {
        let count = self.scenario.nodes.count;
        let over = Duration::from_secs_f64(self.scenario.nodes.over_s);
        self.all_invited = self.invite(count, over, false);
        for (at, planned) in self.scenario.events.clone().iter().enumerate() {
            let later = Duration::from_secs_f64(planned.within_s * self.rng.unit());
            self.plan(minutes(planned.at) + later, Event::Action(at));
        }
        if let Some(churn) = &self.scenario.churn {
            self.plan(minutes(churn.from), Event::Churn);
        }
        self.plan(Duration::ZERO, Event::Strays);
        self.plan(Duration::ZERO, Event::Sample);
    }

    /// Has so many nodes join, at random moments of this time. Says when the last one does.
    fn invite(&mut self, count: u32, over: Duration, late: bool) -> Duration {
        let mut last = Duration::ZERO;
        for _ in 0..count {
            let node = self.invited;
            self.invited += 1;
            let after = over.mul_f64(self.rng.unit());
            last = last.max(after);
            self.plan(after, Event::Join { node, late });
        }
        self.queue.now() + last
    }

    pub(super) fn join(&mut self, id: NodeId, late: bool) {
        let nodes = &self.scenario.nodes;
        let off = nodes.clock_off_s * 1000.0 * (2.0 * self.rng.unit() - 1.0);
        let traits = Traits {
            clock_off: off as i64,
            reachable: !self.rng.chance(nodes.unreachable),
            late,
        };
        let now = self.queue.now();
        let node = Node::new(id, traits, now, &mut self.rng);
        self.ids.insert(node.endpoint, id);
        let place = id as usize;
        if self.nodes.len() <= place {
            self.nodes.resize_with(place + 1, || None);
        }
        self.nodes[place] = Some(Box::new(node));
        self.begin(id);
    }

    pub(super) fn act(&mut self, at: usize) {
        match self.scenario.events[at].action.clone() {
            Action::Join { count, over_s } => {
                self.invite(count, Duration::from_secs_f64(over_s), true);
            }
            Action::Split { parts } => {
                self.network.split(parts);
                self.break_connections();
            }
            Action::Heal => {
                self.network.heal();
                self.whole_since = Some(self.queue.now());
            }
            Action::Kill { count } => {
                for _ in 0..count {
                    if let Some(id) = self.somebody() {
                        self.remove(id, false);
                    }
                }
            }
            Action::KillRoot => {
                if let Some(root) = self.root() {
                    self.remove(root, false);
                }
            }
            Action::Flood { .. } => self.flood(at),
        }
    }

    /// A random node that is there.
    fn somebody(&mut self) -> Option<NodeId> {
        let ids = 0..self.nodes.len() as NodeId;
        let alive: Vec<_> = ids.filter(|id| self.node(*id).is_some()).collect();
        alive.get(self.rng.index(alive.len())).copied()
    }

    /// Whom most nodes take for their root; the first node where nobody knows one.
    fn root(&mut self) -> Option<NodeId> {
        let mut named: BTreeMap<EndpointId, usize> = BTreeMap::new();
        for node in self.nodes.iter().flatten().filter(|node| node.alive()) {
            if let Some(root) = node.root {
                *named.entry(root).or_default() += 1;
            }
        }
        let most = named.into_iter().max_by_key(|(_, count)| *count);
        let root = most.and_then(|(root, _)| self.ids.get(&root).copied());
        root.filter(|id| self.node(*id).is_some()).or(Some(0))
    }

    fn remove(&mut self, id: NodeId, graceful: bool) {
        if graceful {
            self.leave_swarm(id);
        }
        self.abandon_connections(id, !graceful);
        let now = self.queue.now();
        if let Some(node) = self.node(id) {
            node.bury(now);
        }
    }

    pub(super) fn churn(&mut self) {
        let Some(churn) = self.scenario.churn.clone() else {
            return;
        };
        if self.queue.now() >= minutes(churn.until) {
            return;
        }
        if let Some(id) = self.somebody() {
            let graceful = self.rng.chance(churn.graceful);
            self.remove(id, graceful);
        }
        self.invite(1, Duration::ZERO, true);
        self.plan(Duration::from_secs_f64(churn.every_s), Event::Churn);
    }

    /// False entries for all epochs that are read now. The attacker knows the places as a member
    /// does.
    pub(super) fn flood(&mut self, at: usize) {
        let Action::Flood {
            entries,
            addresses,
            every_s,
        } = self.scenario.events[at].action
        else {
            return;
        };
        let now = self.queue.now();
        let epoch = self.epoch();
        for by in [-1, 0, 1] {
            let infohash = self.keys_of(epoch.offset(by)).infohash;
            for dht in self.dht.closest(infohash, 0, 1) {
                for n in 0..entries {
                    let port = FALSE_PORTS + (n / addresses.max(1)) as u16;
                    let entry = Network::nobody(n % addresses.max(1), port);
                    self.dht.announce(dht, infohash, entry, now, &mut self.rng);
                }
            }
        }
        self.plan(Duration::from_secs_f64(every_s), Event::Flood(at));
    }

    // --- what is seen ---

    /// Looks into how many parts the swarm is.
    pub(super) fn sample(&mut self) {
        let now = self.queue.now();
        let (nodes, parts) = self.count_parts();
        let minute = self.tally.at(now);
        (minute.nodes, minute.parts) = (nodes, parts);
        if parts <= 1 && now >= self.all_invited {
            let after = now - self.all_invited;
            if self.tally.whole.is_none() && nodes > 0 {
                self.tally.whole = Some(after);
            }
            if let Some(since) = self.whole_since.take() {
                self.tally.healed.push(Some(now - since));
            }
        }
        let every = match self.nodes.len() {
            ..=200 => Duration::from_millis(50),
            201..=2000 => Duration::from_millis(250),
            _ => Duration::from_secs(2),
        };
        self.plan(every, Event::Sample);
    }

    /// Nodes that are there, and parts of the swarm: two are connected if each has the other as its
    /// neighbor.
    fn count_parts(&self) -> (u64, u64) {
        let mut parts = Parts::new(self.nodes.len());
        let alive = |id: NodeId| {
            let node = self.nodes[id as usize].as_deref();
            node.filter(|node| node.alive())
        };
        let ids = 0..self.nodes.len() as NodeId;
        let mut there = Vec::with_capacity(self.nodes.len());
        for id in ids {
            let Some(node) = alive(id) else {
                continue;
            };
            there.push(id);
            for peer in node.neighbors.range(id + 1..) {
                let mutual = alive(*peer).is_some_and(|peer| peer.neighbors.contains(&id));
                if mutual && !self.network.blocked(id, *peer) {
                    parts.join(id, *peer);
                }
            }
        }
        let leaders = there.iter().filter(|id| parts.find(**id) == **id);
        (there.len() as u64, leaders.count() as u64)
    }

    /// The end of a run: what is left to be measured.
    pub(super) fn finish(mut self) -> Tally {
        let (_, parts) = self.count_parts();
        let end = self.scenario.end();
        let mut tally = std::mem::take(&mut self.tally);
        if self.whole_since.is_some() {
            tally.healed.push(None);
        }
        tally.parts_at_end = parts;
        tally.events = self.queue.planned();
        let mut estimates = Vec::new();
        for node in self.nodes.iter().flatten() {
            let wait = match node.first_neighbor {
                Some(at) => Wait::Over(at - node.joined_at),
                None => Wait::Vain(node.gone_at.unwrap_or(end) - node.joined_at),
            };
            match node.late {
                true => tally.late.push(wait),
                false => tally.first.push(wait),
            }
            if node.alive() {
                estimates.push(node.members);
            }
        }
        estimates.sort_unstable();
        if let (Some(low), Some(high)) = (estimates.first(), estimates.last()) {
            tally.estimates = [*low, estimates[estimates.len() / 2], *high];
        }
        tally
    }
}
