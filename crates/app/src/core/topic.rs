//! What the node knows of one topic: neighbors, who was found how, numbers of posts.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{EndpointId, Epoch, KeyBytes, Source, Verdict};

/// Peers whose source is remembered until they become neighbors.
const MAX_SOURCES: usize = 1024;
/// Epochs whose sealing keys are kept.
const MAX_SEAL_KEYS: usize = 16;
/// Posts that wait for the first neighbor; they are in the store already.
pub const MAX_UNSENT: usize = 1024;

/// The state of one topic.
#[derive(Debug, Default)]
pub struct TopicState {
    sources: HashMap<EndpointId, Source>,
    neighbors: usize,
    /// Time of the join, or of the loss of the last neighbor.
    since: Duration,
    joined_before: bool,
    verdict: Option<Verdict>,
    next_seq: u64,
    returned_seqs: BTreeSet<u64>,
    seal_keys: BTreeMap<Epoch, Option<KeyBytes>>,
    unsent: VecDeque<Bytes>,
}

/// What a new neighbor means.
#[derive(Debug, PartialEq, Eq)]
pub struct FirstNeighbor {
    /// How it was found.
    pub source: Source,
    /// Since the join, or since the last neighbor was lost.
    pub after: Duration,
    /// There was one before in this run.
    pub again: bool,
}

impl TopicState {
    /// A topic that is joined now, whose last own post had this number.
    pub fn new(last_seq: Option<u64>, now: Duration) -> Self {
        Self {
            since: now,
            next_seq: last_seq.unwrap_or(0) + 1,
            ..Self::default()
        }
    }

    // --- neighbors ---

    /// A peer was found. The first source counts.
    pub fn found(&mut self, peer: EndpointId, source: Source) {
        if self.sources.len() >= MAX_SOURCES {
            self.sources.clear();
        }
        self.sources.entry(peer).or_insert(source);
    }

    /// The number of neighbors has changed because `peer` came; says if it is the first one.
    pub fn neighbor_up(
        &mut self,
        peer: EndpointId,
        neighbors: usize,
        now: Duration,
    ) -> Option<FirstNeighbor> {
        let before = std::mem::replace(&mut self.neighbors, neighbors);
        if before > 0 || neighbors == 0 {
            return None;
        }
        Some(FirstNeighbor {
            // Nobody told us of it: it found us.
            source: self.sources.get(&peer).copied().unwrap_or(Source::Inbound),
            after: now.saturating_sub(self.since),
            again: std::mem::replace(&mut self.joined_before, true),
        })
    }

    /// The number of neighbors has changed because one went.
    pub fn neighbor_down(&mut self, neighbors: usize, now: Duration) {
        if self.neighbors > 0 && neighbors == 0 {
            self.since = now;
        }
        self.neighbors = neighbors;
    }

    /// Neighbors now.
    pub fn neighbors(&self) -> usize {
        self.neighbors
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

    /// Keeps a payload until there is a neighbor; false if there is no room.
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

    /// Payloads that wait for a neighbor.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn peer(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    #[test]
    fn the_first_neighbor_is_told_with_its_source() {
        let mut topic = TopicState::new(None, S);
        topic.found(peer(1), Source::Rendezvous);
        topic.found(peer(1), Source::Inbound);
        let first = topic.neighbor_up(peer(1), 1, 3 * S).unwrap();
        let expected = FirstNeighbor {
            source: Source::Rendezvous,
            after: 2 * S,
            again: false,
        };
        assert_eq!(first, expected);
        assert_eq!(topic.neighbor_up(peer(2), 2, 4 * S), None);
        topic.neighbor_down(1, 5 * S);
        topic.neighbor_down(0, 6 * S);
        let again = topic.neighbor_up(peer(3), 1, 8 * S).unwrap();
        assert_eq!(again.source, Source::Inbound, "nobody told us of it");
        assert_eq!((again.after, again.again), (2 * S, true));
    }

    #[test]
    fn numbers_go_on_after_a_restart_and_leave_no_gap() {
        let mut topic = TopicState::new(Some(41), S);
        assert_eq!(topic.take_seq(), 42);
        assert_eq!(topic.take_seq(), 43);
        topic.return_seq(42);
        assert_eq!(topic.take_seq(), 42);
        topic.own_seq_seen(50);
        assert_eq!(topic.take_seq(), 51);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut topic = TopicState::new(None, S);
        for n in 0..2000u64 {
            topic.put_seal_key(Epoch(n), None);
            topic.keep_unsent(Bytes::new());
        }
        assert_eq!(topic.seal_keys.len(), MAX_SEAL_KEYS);
        assert_eq!(topic.take_unsent().len(), MAX_UNSENT);
        assert!(topic.seal_key(Epoch(1999)).is_some());
    }

    #[test]
    fn a_verdict_is_told_when_it_changes() {
        let mut topic = TopicState::new(None, S);
        assert_eq!(topic.set_verdict(Verdict::Alone), Some(None));
        assert_eq!(topic.set_verdict(Verdict::Alone), None);
        let changed = topic.set_verdict(Verdict::DhtBlocked);
        assert_eq!(changed, Some(Some(Verdict::Alone)));
    }
}
