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
        self.repairs.ended(result, posts, now, &self.neighbors);
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

    /// The time of an own post: no two in a row have the same, so that a post and its copy under
    /// another secret are known by it. Where the clock was set back, it is what the clock says.
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

    /// A post of an author was delivered; says whether one before it seems to be missing.
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
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn peer(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    fn address(n: u8) -> EndpointAddr {
        EndpointAddr {
            id: peer(n),
            direct: vec![([127, 0, 0, 1], u16::from(n)).into()],
            relay: None,
        }
    }

    #[test]
    fn the_first_neighbor_is_told_with_its_source() {
        let mut topic = TopicState::new(None, false, S);
        topic.found(&address(1), Source::Rendezvous);
        topic.found(&address(1), Source::Inbound);
        let first = topic.neighbor_up(peer(1), 3 * S).unwrap();
        let expected = FirstNeighbor {
            source: Source::Rendezvous,
            after: 2 * S,
            again: false,
        };
        assert_eq!(first, expected);
        assert_eq!(topic.neighbor_up(peer(2), 4 * S), None);
        assert!(topic.neighbor_down(peer(1), 5 * S));
        assert!(!topic.neighbor_down(peer(1), 5 * S));
        assert!(topic.neighbor_down(peer(2), 6 * S));
        let again = topic.neighbor_up(peer(3), 8 * S).unwrap();
        assert_eq!(again.source, Source::Inbound, "nobody told us of it");
        assert_eq!((again.after, again.again), (2 * S, true));
    }

    #[test]
    fn a_list_of_neighbors_is_compared() {
        let mut topic = TopicState::new(None, false, S);
        topic.neighbor_up(peer(1), S);
        topic.neighbor_up(peer(2), S);
        assert_eq!(topic.generation(), 2);
        let expected = Difference {
            up: vec![peer(3)],
            down: vec![peer(1)],
        };
        assert_eq!(topic.differs_from(&[peer(2), peer(3)]), expected);
    }

    #[test]
    fn numbers_go_on_after_a_restart_and_leave_no_gap() {
        let mut topic = TopicState::new(Some(41), false, S);
        assert_eq!(topic.take_seq(), 42);
        assert_eq!(topic.take_seq(), 43);
        topic.return_seq(42);
        assert_eq!(topic.take_seq(), 42);
        topic.own_seq_seen(50);
        assert_eq!(topic.take_seq(), 51);
    }

    #[test]
    fn no_two_posts_in_a_row_have_the_same_time() {
        let mut topic = TopicState::new(None, false, S);
        let times =
            [5000, 5000, 5001, 6000, 4500, 60].map(|now| topic.post_time(UnixMillis(now)).0);
        assert_eq!(times, [5000, 5001, 5002, 6000, 4500, 60]);
        let burst: BTreeSet<_> = (0..1000)
            .map(|_| topic.post_time(UnixMillis(100)).0)
            .collect();
        assert_eq!(burst.len(), 1000);
    }

    #[test]
    fn a_gap_in_an_authors_numbers_is_noticed() {
        let mut topic = TopicState::new(None, false, S);
        let author = AuthorId::from_bytes([1; 32]);
        let gaps = [1, 2, 5, 3, 6, 8].map(|seq| topic.seq_seen(author, seq));
        assert_eq!(gaps, [false, false, true, false, false, true]);
        assert!(
            topic.seq_seen(AuthorId::from_bytes([2; 32]), 9),
            "its first eight"
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut topic = TopicState::new(None, false, S);
        topic.found(&address(1), Source::Cache);
        topic.neighbor_up(peer(1), S);
        for n in 0..5000u64 {
            topic.put_seal_key(Epoch(n), None);
            topic.keep_unsent(Bytes::new());
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            topic.seq_seen(AuthorId::from_bytes(id), 1);
            let id = EndpointId::from_bytes(id);
            topic.found(&EndpointAddr { id, ..address(2) }, Source::Rendezvous);
        }
        assert_eq!(topic.seal_keys.len(), MAX_SEAL_KEYS);
        assert_eq!(topic.take_unsent().len(), MAX_UNSENT);
        assert!(topic.seal_key(Epoch(4999)).is_some());
        assert!(topic.found.len() <= MAX_FOUND && topic.highest.len() <= MAX_AUTHORS);
        assert!(
            topic.address_of(peer(1)).is_some(),
            "a neighbor's address stays"
        );
    }

    #[test]
    fn a_verdict_is_told_when_it_changes() {
        let mut topic = TopicState::new(None, false, S);
        assert_eq!(topic.set_verdict(Verdict::Alone), Some(None));
        assert_eq!(topic.set_verdict(Verdict::Alone), None);
        let changed = topic.set_verdict(Verdict::DhtBlocked);
        assert_eq!(changed, Some(Some(Verdict::Alone)));
    }
}
