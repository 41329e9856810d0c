//! When a topic repairs its gaps, and with which neighbor.
//!
//! A new neighbor is asked at once: it may have what was said while this node was away. A gap in an
//! author's numbers is given a moment to close by itself. And now and then some neighbor is asked in
//! any case, because nothing tells of a last post that was lost on the way.

use std::collections::BTreeSet;
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
}

impl RepairPlan {
    /// A topic without neighbors.
    pub fn new(now: Duration) -> Self {
        Self {
            new: BTreeSet::new(),
            due: now + ROUTINE,
            running: None,
            again: false,
        }
    }

    /// A peer is a neighbor now.
    pub fn neighbor_up(&mut self, peer: EndpointId) {
        self.new.insert(peer);
    }

    /// A peer is no neighbor any more.
    pub fn neighbor_down(&mut self, peer: EndpointId) {
        self.new.remove(&peer);
    }

    /// Something is missing.
    pub fn gap(&mut self, now: Duration) {
        self.again |= self.running.is_some();
        self.due = self.due.min(now + GAP_PAUSE);
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

    /// The repair that ran has ended.
    pub fn ended(&mut self, result: RepairResult, now: Duration) {
        let peer = self.running.take();
        let again = std::mem::take(&mut self.again);
        match result {
            RepairResult::Complete if again => self.due = now + GAP_PAUSE,
            RepairResult::Complete => self.due = now + ROUTINE,
            // The same neighbor has the rest.
            RepairResult::Partial => self.new.extend(peer),
            RepairResult::Failed | RepairResult::Invalid => self.due = now + RETRY_PAUSE,
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
        plan.ended(RepairResult::Partial, S);
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(1), "it has the rest");
        plan.ended(RepairResult::Complete, S);
        assert_eq!(plan.next(S, &neighbors, |_| 0), peer(2));
        plan.ended(RepairResult::Complete, S);
        assert_eq!(plan.next(S, &neighbors, |_| 0), None);
    }

    #[test]
    fn gaps_and_routine_have_their_time() {
        let mut plan = RepairPlan::new(S);
        let neighbors = peers(&[1, 2]);
        assert_eq!(plan.next(30 * S, &neighbors, |_| 1), None);
        assert_eq!(plan.next(31 * S, &neighbors, |_| 1), peer(2));
        plan.ended(RepairResult::Failed, 31 * S);
        assert_eq!(plan.next(32 * S, &neighbors, |_| 0), None);
        assert_eq!(plan.next(33 * S, &neighbors, |_| 0), peer(1));
        plan.ended(RepairResult::Complete, 33 * S);
        plan.gap(40 * S);
        assert_eq!(plan.next(41 * S, &neighbors, |_| 0), peer(1));
        plan.gap(42 * S);
        plan.ended(RepairResult::Complete, 43 * S);
        assert_eq!(
            plan.next(44 * S, &neighbors, |_| 0),
            peer(1),
            "seen meanwhile"
        );
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
