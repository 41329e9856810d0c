//! Whom a topic dials, and when.
//!
//! HyParView (iroh-gossip) keeps a swarm together once a node is in it; what it does not do is get
//! a node in, and in well enough. So a newcomer dials a handful of distinct peers while the swarm
//! forms, and a node that has lost (nearly) all neighbors dials again. In between it dials nobody:
//! rejoining at every lost neighbor makes a swarm of more than six churn forever.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use kukuri_contract::{Dial, DialReason, DialResult, EndpointAddr, EndpointId, GossipEvent};

use super::banned::Banned;
use super::hosts::Hosts;

/// Peers that are remembered to be dialed.
const MAX_CANDIDATES: usize = 64;
/// Peers of other parts of the swarm that wait to be dialed: one of them is enough.
const MAX_HEALERS: usize = 8;
/// Dials that begin at once; the next ones follow at the configured pace.
const FIRST_DIALS: u32 = 2;
/// First and longest rest of a peer that was dialed and did not become a neighbor: it takes this node
/// for the neighbor that it was before a crash, until its connections of that life have timed out.
const REST_CONNECTED: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
/// First and longest rest of a peer that could not be dialed, or is no member (yet).
const REST_FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How many peers are dialed for a topic, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Distinct peers that a newcomer dials.
    pub min_distinct: usize,
    /// Below so many neighbors it dials again.
    pub min_neighbors: usize,
    /// How long a swarm forms.
    pub settle: Duration,
    /// Time between two dials, beyond the first ones.
    pub pace: Duration,
}

/// The dials of one topic.
#[derive(Debug)]
pub struct Membership {
    me: EndpointId,
    wants: Wants,
    settle_until: Duration,
    /// When the dials so far would have been paced without the first ones (a leaky bucket).
    paced_until: Duration,
    neighbors: BTreeSet<EndpointId>,
    dialing: BTreeSet<EndpointId>,
    /// Dialed since the swarm began to form.
    dialed: BTreeSet<EndpointId>,
    /// Of other parts of the swarm: dialed whatever the neighbors.
    healers: VecDeque<EndpointAddr>,
    /// Newest first.
    candidates: VecDeque<EndpointAddr>,
    rests: HashMap<EndpointId, Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Duration,
    failures: u32,
}

impl Membership {
    /// A topic that is joined now.
    pub fn new(me: EndpointId, wants: Wants, now: Duration) -> Self {
        Self {
            me,
            wants,
            settle_until: now + wants.settle,
            paced_until: now,
            neighbors: BTreeSet::new(),
            dialing: BTreeSet::new(),
            dialed: BTreeSet::new(),
            healers: VecDeque::new(),
            candidates: VecDeque::new(),
            rests: HashMap::new(),
        }
    }

    /// Neighbors now.
    pub fn neighbors(&self) -> &BTreeSet<EndpointId> {
        &self.neighbors
    }

    /// Takes in peers to dial. What is to be told of those that are not.
    pub fn take(&mut self, dial: Dial, banned: &Banned) -> Vec<GossipEvent> {
        let Dial {
            topic,
            peers,
            reason,
        } = dial;
        let (barred, peers): (Vec<_>, Vec<_>) =
            peers.into_iter().partition(|peer| banned.has(peer.id));
        let dropped = peers.into_iter().filter(|peer| match reason {
            DialReason::Found => self.found(peer.clone()),
            DialReason::Heal => self.heal_with(peer.clone()),
        });
        let dropped = dropped.map(|_| GossipEvent::DialDropped { topic });
        let barred = barred.into_iter().map(|peer| GossipEvent::DialEnded {
            topic,
            peer: peer.id,
            result: DialResult::Banned,
            took: Duration::ZERO,
        });
        dropped.chain(barred).collect()
    }

    /// A peer was found, or found again at other addresses. Says whether an older candidate was
    /// forgotten for it.
    pub fn found(&mut self, peer: EndpointAddr) -> bool {
        if peer.id == self.me {
            return false;
        }
        if let Some(known) = self.candidates.iter_mut().find(|known| known.id == peer.id) {
            if known.direct != peer.direct {
                self.rests.remove(&peer.id);
            }
            *known = peer;
            return false;
        }
        self.candidates.push_front(peer);
        if self.candidates.len() <= MAX_CANDIDATES {
            return false;
        }
        if let Some(oldest) = self.candidates.pop_back() {
            self.rests.remove(&oldest.id);
        }
        true
    }

    /// A peer of another part of the swarm was found. Says whether there is no room for it.
    pub fn heal_with(&mut self, peer: EndpointAddr) -> bool {
        if peer.id == self.me || self.healers.iter().any(|known| known.id == peer.id) {
            return false;
        }
        let full = self.healers.len() >= MAX_HEALERS;
        if !full {
            self.healers.push_back(peer);
        }
        full
    }

    /// The peers to dial now, at most `room` of them, in random order.
    pub fn dials(
        &mut self,
        now: Duration,
        room: usize,
        hosts: &Hosts,
        below: &mut impl FnMut(usize) -> usize,
    ) -> Vec<EndpointAddr> {
        let mut out = Vec::new();
        while out.len() < room
            && let Some(peer) = self.healers.pop_front()
        {
            if self.is_free(peer.id) {
                self.dialing.insert(peer.id);
                out.push(peer);
            }
        }
        while out.len() < room && self.wants_dial(now) && self.pace_ends() <= now {
            let ready = self
                .candidates
                .iter()
                .filter(|peer| self.is_ready(peer.id, now) && hosts.free_at(peer) <= now);
            let mut ready: Vec<_> = ready.cloned().collect();
            if ready.is_empty() {
                break;
            }
            let peer = ready.swap_remove(below(ready.len()));
            self.paced_until = self.paced_until.max(now) + self.wants.pace;
            self.dialing.insert(peer.id);
            self.dialed.insert(peer.id);
            out.push(peer);
        }
        out
    }

    /// A dial has ended.
    pub fn dial_ended(&mut self, peer: EndpointId, connected: bool, now: Duration) {
        self.dialing.remove(&peer);
        let failures = self.rests.get(&peer).map_or(0, |rest| rest.failures);
        let (first, longest) = if connected {
            REST_CONNECTED
        } else {
            REST_FAILED
        };
        let rest = Rest {
            until: now + (first * 2u32.saturating_pow(failures)).min(longest),
            failures: failures.saturating_add(1).min(16),
        };
        if self.candidates.iter().any(|known| known.id == peer) {
            self.rests.insert(peer, rest);
        }
    }

    /// A peer is a neighbor now.
    pub fn neighbor_up(&mut self, peer: EndpointId) {
        self.neighbors.insert(peer);
        self.rests.remove(&peer);
    }

    /// A peer is no neighbor any more. Without any, the swarm forms anew: everybody known is tried
    /// at once.
    pub fn neighbor_down(&mut self, peer: EndpointId, now: Duration) {
        self.neighbors.remove(&peer);
        if self.neighbors.is_empty() {
            self.settle_until = now + self.wants.settle;
            self.dialed.clear();
            self.rests.clear();
        }
    }

    /// A peer is not to be dialed, until it is found again.
    pub fn forget(&mut self, peer: EndpointId) {
        self.candidates.retain(|known| known.id != peer);
        self.healers.retain(|known| known.id != peer);
        self.rests.remove(&peer);
    }

    /// Whether a peer is being dialed.
    pub fn is_dialing(&self, peer: EndpointId) -> bool {
        self.dialing.contains(&peer)
    }

    /// When [`dials`](Self::dials) may have something new, without any input before.
    pub fn next_wake(&self, hosts: &Hosts, now: Duration) -> Option<Duration> {
        if !self.healers.is_empty() {
            return Some(now);
        }
        if !self.wants_dial(now) {
            return None;
        }
        let resting = self.candidates.iter().filter(|peer| self.is_free(peer.id));
        let ends = resting.map(|peer| {
            let own = self.rests.get(&peer.id).map_or(now, |rest| rest.until);
            own.max(hosts.free_at(peer))
        });
        ends.min().map(|end| end.max(self.pace_ends()))
    }

    /// When the next dial may begin.
    fn pace_ends(&self) -> Duration {
        self.paced_until
            .saturating_sub(self.wants.pace * (FIRST_DIALS - 1))
    }

    fn wants_dial(&self, now: Duration) -> bool {
        let forming = now < self.settle_until && self.dialed.len() < self.wants.min_distinct;
        forming || self.neighbors.len() + self.dialing.len() < self.wants.min_neighbors
    }

    fn is_free(&self, peer: EndpointId) -> bool {
        !self.neighbors.contains(&peer) && !self.dialing.contains(&peer)
    }

    fn is_ready(&self, peer: EndpointId, now: Duration) -> bool {
        self.is_free(peer) && self.rests.get(&peer).is_none_or(|rest| rest.until <= now)
    }
}

#[cfg(test)]
mod tests;
