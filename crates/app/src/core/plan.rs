//! When a topic repairs its gaps, and with which neighbor.
//!
//! A new neighbor is asked at once: it may have what was said while this node was away. A gap in an
//! author's numbers is given a moment to close by itself. And now and then some neighbor is asked in
//! any case, because nothing tells of a last post that was lost on the way.
//!
//! What a repair brings is not broadcast again. It goes on from neighbor to neighbor all the same:
//! after a repair that brought posts all other neighbors are asked, and who is asked by a neighbor
//! that has more asks back. So where two parts of a swarm meet, all have all posts within seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kukuri_contract::{EndpointId, RepairResult};

/// Pause between repairs of a topic that lacks nothing, as far as it knows. 30 s: a question and its
/// answer are some 500 bytes then.
pub const ROUTINE: Duration = Duration::from_secs(30);
/// A gap closes by itself within so long where posts only overtook each other.
pub const GAP_PAUSE: Duration = Duration::from_secs(1);
/// Pause after a repair that failed.
pub const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The plan of one topic. One repair at a time.
#[derive(Debug)]
pub struct RepairPlan {
    new: BTreeSet<EndpointId>,
    due: Duration,
    running: Option<EndpointId>,
    /// Something was missed since the running repair began, which it may not bring.
    again: bool,
    /// Repairs since the last complete one have brought posts.
    news: bool,
    /// Neighbors that brought nothing, or nothing that can be read, and when.
    vain: BTreeMap<EndpointId, Duration>,
}

impl RepairPlan {
    /// A topic without neighbors.
    pub fn new(now: Duration) -> Self {
        Self {
            new: BTreeSet::new(),
            due: now + ROUTINE,
            running: None,
            again: false,
            news: false,
            vain: BTreeMap::new(),
        }
    }

    /// A peer is a neighbor now.
    pub fn neighbor_up(&mut self, peer: EndpointId) {
        self.new.insert(peer);
    }

    /// A peer is no neighbor any more.
    pub fn neighbor_down(&mut self, peer: EndpointId) {
        self.new.remove(&peer);
        self.vain.remove(&peer);
    }

    /// Something is missing.
    pub fn gap(&mut self, now: Duration) {
        self.again |= self.running.is_some();
        self.due = self.due.min(now + GAP_PAUSE);
    }

    /// A neighbor has posts that are not here, as its question shows. What can't be had from it (it may
    /// be too old here) is not asked for again and again.
    pub fn knows_more(&mut self, peer: EndpointId, now: Duration) {
        let vain = self.vain.get(&peer);
        if vain.is_none_or(|at| *at + ROUTINE <= now) {
            self.new.insert(peer);
        }
    }

    /// The neighbor to ask now, if it is time; `pick` draws among so many.
    pub fn next(
        &mut self,
        now: Duration,
        neighbors: &BTreeSet<EndpointId>,
        pick: impl FnOnce(usize) -> usize,
    ) -> Option<EndpointId> {
        if self.running.is_some() || neighbors.is_empty() {
            return None;
        }
        self.new.retain(|peer| neighbors.contains(peer));
        let peer = match self.new.pop_first() {
            Some(peer) => peer,
            None if self.due <= now => *neighbors.iter().nth(pick(neighbors.len()))?,
            None => return None,
        };
        self.running = Some(peer);
        Some(peer)
    }

    /// The repair that ran has ended; it brought so many posts.
    pub fn ended(
        &mut self,
        result: RepairResult,
        posts: u64,
        now: Duration,
        neighbors: &BTreeSet<EndpointId>,
    ) {
        let peer = self.running.take();
        let again = std::mem::take(&mut self.again);
        self.news |= posts > 0;
        match result {
            RepairResult::Complete => {
                let pause = if again { GAP_PAUSE } else { ROUTINE };
                self.due = now + pause;
                let news = std::mem::take(&mut self.news);
                if news {
                    let others = neighbors.iter().filter(|other| Some(**other) != peer);
                    self.new.extend(others);
                }
                self.vain
                    .extend(peer.filter(|_| !news).map(|peer| (peer, now)));
            }
            // The same neighbor has the rest.
            RepairResult::Partial => self.new.extend(peer),
            RepairResult::Failed => self.due = now + RETRY_PAUSE,
            RepairResult::Invalid => {
                self.due = now + RETRY_PAUSE;
                self.vain.extend(peer.map(|peer| (peer, now)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn peers(ids: &[u8]) -> BTreeSet<EndpointId> {
        ids.iter()
            .map(|id| EndpointId::from_bytes([*id; 32]))
            .collect()
    }

    fn peer(id: u8) -> Option<EndpointId> {
        Some(EndpointId::from_bytes([id; 32]))
    }

    #[test]
    fn a_new_neighbor_is_asked_at_once_and_one_at_a_time() {
        let mut plan = RepairPlan::new(S);
        let neighbors = peers(&[1, 2]);
        for id in &neighbors {
            plan.neighbor_up(*id);
        }
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(1));
        assert_eq!(plan.next(S, &neighbors, |_| 0), None);
        plan.ended(RepairResult::Partial, 0, S, &neighbors);
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(1), "it has the rest");
        plan.ended(RepairResult::Complete, 0, S, &neighbors);
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(2));
        plan.ended(RepairResult::Complete, 0, S, &neighbors);
        assert_eq!(plan.next(S, &neighbors, |_| 0), None);
    }

    #[test]
    fn gaps_and_routine_have_their_time() {
        let mut plan = RepairPlan::new(S);
        let neighbors = peers(&[1, 2]);
        assert_eq!(plan.next(30 * S, &neighbors, |_| 1), None);
        assert_eq!(plan.next(31 * S, &neighbors, |_| 1), peer(2));
        plan.ended(RepairResult::Failed, 0, 31 * S, &neighbors);
        assert_eq!(plan.next(32 * S, &neighbors, |_| 0), None);
        assert_eq!(plan.next(33 * S, &neighbors, |_| 0), peer(1));
        plan.ended(RepairResult::Complete, 0, 33 * S, &neighbors);
        plan.gap(40 * S);
        assert_eq!(plan.next(41 * S, &neighbors, |_| 0), peer(1));
        plan.gap(42 * S);
        plan.ended(RepairResult::Complete, 0, 43 * S, &neighbors);
        assert_eq!(
            plan.next(44 * S, &neighbors, |_| 0),
            peer(1),
            "seen meanwhile"
        );
    }

    #[test]
    fn news_are_followed_by_questions_to_all_other_neighbors() {
        let mut plan = RepairPlan::new(S);
        let neighbors = peers(&[1, 2, 3]);
        plan.neighbor_up(EndpointId::from_bytes([2; 32]));
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(2));
        plan.ended(RepairResult::Partial, 9, S, &neighbors);
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(2));
        plan.ended(RepairResult::Complete, 0, S, &neighbors);
        for other in [1, 3] {
            assert_eq!(plan.next(S, &neighbors, |_| 0), peer(other));
            plan.ended(RepairResult::Complete, 0, S, &neighbors);
        }
        assert_eq!(plan.next(S, &neighbors, |_| 0), None, "no more news");
    }

    #[test]
    fn who_has_more_is_asked_back_but_not_in_vain_all_the_time() {
        let mut plan = RepairPlan::new(S);
        let neighbors = peers(&[1, 2]);
        let one = EndpointId::from_bytes([1; 32]);
        plan.knows_more(one, S);
        assert_eq!(plan.next(S, &neighbors, |_| 1), peer(1));
        plan.ended(RepairResult::Complete, 0, S, &neighbors);
        plan.knows_more(one, 30 * S);
        assert_eq!(plan.next(30 * S, &neighbors, |_| 1), None);
        plan.knows_more(one, 31 * S);
        assert_eq!(plan.next(31 * S, &neighbors, |_| 1), peer(1));
    }

    #[test]
    fn alone_there_is_nobody_to_ask() {
        let mut plan = RepairPlan::new(S);
        assert_eq!(plan.next(100 * S, &peers(&[]), |_| 0), None);
        plan.neighbor_up(EndpointId::from_bytes([1; 32]));
        plan.neighbor_down(EndpointId::from_bytes([1; 32]));
        assert_eq!(plan.next(2 * S, &peers(&[2]), |_| 0), None);
        plan.neighbor_up(EndpointId::from_bytes([1; 32]));
        assert_eq!(plan.next(2 * S, &peers(&[2]), |_| 0), None, "gone by now");
    }
}
