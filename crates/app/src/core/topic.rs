//! What the node knows of one topic: neighbors, who was found how, numbers of posts.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    AuthorId, EndpointAddr, EndpointId, Epoch, KeyBytes, MAX_DIRECT_ADDRESSES, RepairResult,
    Source, UnixMillis, Verdict,
};

use super::plan::RepairPlan;

/// Peers whose source and address are remembered.
const MAX_FOUND: usize = 1024;
/// Authors whose highest number is remembered.
const MAX_AUTHORS: usize = 4096;
/// Epochs whose sealing keys are kept.
const MAX_SEAL_KEYS: usize = 16;
/// With a neighbor, but no complete repair, revocations wait no longer than this after the join. 30 s:
/// as long as a neighbor that answers nothing is asked again, and a thief can't put them off.
const CATCH_UP: Duration = Duration::from_secs(30);
/// Posts that wait for the first neighbor; they are in the store already.
pub const MAX_UNSENT: usize = 1024;

/// Milliseconds by which the time of a post may be ahead of the clock: a burst of so many.
const MAX_AHEAD_MS: u64 = 1000;

/// The state of one topic.
#[derive(Debug)]
pub struct TopicState {
    /// When gaps are repaired.
    pub repairs: RepairPlan,
    found: HashMap<EndpointId, (EndpointAddr, Source)>,
    neighbors: BTreeSet<EndpointId>,
    /// Counts changes of the neighbors.
    generation: u64,
    /// Time of the join, or of the loss of the last neighbor.
    since: Duration,
    joined_at: Duration,
    /// A repair was complete: what the others had is here.
    caught_up: bool,
    joined_before: bool,
    verdict: Option<Verdict>,
    next_seq: u64,
    returned_seqs: BTreeSet<u64>,
    highest: HashMap<AuthorId, u64>,
    seal_keys: BTreeMap<Epoch, Option<KeyBytes>>,
    unsent: VecDeque<Bytes>,
    last_post: UnixMillis,
}

/// What a first neighbor means.
#[derive(Debug, PartialEq, Eq)]
pub struct FirstNeighbor {
    /// How it was found.
    pub source: Source,
    /// Since the join, or since the last neighbor was lost.
    pub after: Duration,
    /// There was one before in this run.
    pub again: bool,
}

/// How neighbors differ from what was thought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Neighbors that were not known.
    pub up: Vec<EndpointId>,
    /// Known ones that are none.
    pub down: Vec<EndpointId>,
}

impl TopicState {
    /// A topic that is joined now, whose last own post had this number.
    pub fn new(last_seq: Option<u64>, joined_before: bool, now: Duration) -> Self {
        Self {
            repairs: RepairPlan::new(now),
            found: HashMap::new(),
            neighbors: BTreeSet::new(),
            generation: 0,
            since: now,
            joined_at: now,
            caught_up: false,
            joined_before,
            verdict: None,
            next_seq: last_seq.unwrap_or(0) + 1,
            returned_seqs: BTreeSet::new(),
            highest: HashMap::new(),
            seal_keys: BTreeMap::new(),
            unsent: VecDeque::new(),
            last_post: UnixMillis(0),
        }
    }

    // --- peers and neighbors ---

    /// A peer was found. The first source counts, and the newest addresses.
    pub fn found(&mut self, peer: &EndpointAddr, source: Source) {
        if self.found.len() >= MAX_FOUND {
            let neighbors = &self.neighbors;
            self.found.retain(|id, _| neighbors.contains(id));
        }
        let known = self.found.entry(peer.id);
        let (address, _) = known.or_insert_with(|| (peer.clone(), source));
        address.clone_from(peer);
        address.direct.truncate(MAX_DIRECT_ADDRESSES);
    }

    /// Where a peer was found, and how.
    pub fn address_of(&self, peer: EndpointId) -> Option<&(EndpointAddr, Source)> {
        self.found.get(&peer)
    }

    /// The addresses of all peers that were found.
    pub fn addresses(&self) -> impl Iterator<Item = &EndpointAddr> {
        self.found.values().map(|(address, _)| address)
    }

    /// A peer is a neighbor; says what that means if it is the first one.
    pub fn neighbor_up(&mut self, peer: EndpointId, now: Duration) -> Option<FirstNeighbor> {
        let first = self.neighbors.is_empty();
        if !self.neighbors.insert(peer) {
            return None;
        }
        self.generation += 1;
        self.repairs.neighbor_up(peer);
        let source = self.found.get(&peer).map(|(_, source)| *source);
        first.then(|| FirstNeighbor {
            // Nobody told us of it: it found us.
            source: source.unwrap_or(Source::Inbound),
            after: now.saturating_sub(self.since),
            again: std::mem::replace(&mut self.joined_before, true),
        })
    }

    /// A peer is no neighbor; false if it was none before.
    pub fn neighbor_down(&mut self, peer: EndpointId, now: Duration) -> bool {
        if !self.neighbors.remove(&peer) {
            return false;
        }
        self.generation += 1;
        self.repairs.neighbor_down(peer);
        if self.neighbors.is_empty() {
            self.since = now;
        }
        true
    }

    /// A repair has ended; it brought so many posts.
    pub fn repair_ended(&mut self, result: RepairResult, posts: u64, now: Duration) {
        self.caught_up |= result == RepairResult::Complete;
        self.repairs.ended(result, posts, now, &self.neighbors);
    }

    /// Whether it is time to say whom the author has revoked. First it catches up, since a revocation
    /// says which posts stay good: those that are here.
    pub fn may_revoke(&self, now: Duration) -> bool {
        self.caught_up || (!self.neighbors.is_empty() && now >= self.joined_at + CATCH_UP)
    }

    /// Neighbors now.
    pub fn neighbors(&self) -> &BTreeSet<EndpointId> {
        &self.neighbors
    }

    /// Counts changes of the neighbors: a list of them that was asked for at another count is out
    /// of date.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Compares the neighbors with a list of them.
    pub fn differs_from(&self, list: &[EndpointId]) -> Difference {
        let list: BTreeSet<_> = list.iter().copied().collect();
        Difference {
            up: list.difference(&self.neighbors).copied().collect(),
            down: self.neighbors.difference(&list).copied().collect(),
        }
    }

    /// Takes in a verdict; gives the one before, if it is another.
    pub fn set_verdict(&mut self, verdict: Verdict) -> Option<Option<Verdict>> {
        let before = self.verdict.replace(verdict);
        (before != Some(verdict)).then_some(before)
    }

    /// The verdict now.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    // --- posts ---

    /// The time of an own post: no two in a row have the same, so that copies are known by it. Where the
    /// clock was set back, it is what the clock says.
    pub fn post_time(&mut self, now: UnixMillis) -> UnixMillis {
        let next = UnixMillis(self.last_post.0 + 1);
        let ahead = next.0.saturating_sub(now.0);
        self.last_post = if ahead < MAX_AHEAD_MS {
            now.max(next)
        } else {
            now
        };
        self.last_post
    }

    /// The number of the next own post.
    pub fn take_seq(&mut self) -> u64 {
        self.returned_seqs.pop_first().unwrap_or_else(|| {
            let seq = self.next_seq;
            self.next_seq += 1;
            seq
        })
    }

    /// A number was not used after all: the next post gets it, so that no gap stays.
    pub fn return_seq(&mut self, seq: u64) {
        self.returned_seqs.insert(seq);
    }

    /// An own post came back from the network, written by this author on another node or before
    /// the store was lost: its number is taken.
    pub fn own_seq_seen(&mut self, seq: u64) {
        self.returned_seqs.remove(&seq);
        self.next_seq = self.next_seq.max(seq.saturating_add(1));
    }

    /// A post of a writer was delivered; says whether one before it seems to be missing.
    pub fn seq_seen(&mut self, author: AuthorId, seq: u64) -> bool {
        if self.highest.len() >= MAX_AUTHORS {
            self.highest.clear();
        }
        let highest = self.highest.entry(author).or_default();
        let gap = seq > *highest + 1;
        *highest = seq.max(*highest);
        gap
    }

    /// The key that seals posts of an epoch: `None` if unknown, `Some(None)` in a public topic.
    pub fn seal_key(&self, epoch: Epoch) -> Option<Option<&KeyBytes>> {
        self.seal_keys.get(&epoch).map(Option::as_ref)
    }

    /// Keeps the key that seals posts of an epoch.
    pub fn put_seal_key(&mut self, epoch: Epoch, key: Option<KeyBytes>) {
        self.seal_keys.insert(epoch, key);
        while self.seal_keys.len() > MAX_SEAL_KEYS {
            self.seal_keys.pop_first();
        }
    }

    /// Keeps a payload until there is a neighbor; false if there is no room. It is in the store in
    /// any case, where gap repair finds it.
    pub fn keep_unsent(&mut self, payload: Bytes) -> bool {
        let room = self.unsent.len() < MAX_UNSENT;
        if room {
            self.unsent.push_back(payload);
        }
        room
    }

    /// The payloads that waited for a neighbor.
    pub fn take_unsent(&mut self) -> Vec<Bytes> {
        self.unsent.drain(..).collect()
    }
}

#[cfg(test)]
mod tests;
