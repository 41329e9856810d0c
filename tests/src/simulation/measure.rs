//! What is counted and timed in one run.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::network::NodeId;

/// Counts of one minute of simulated time, over all nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Minute {
    /// Logical writes to the DHT: announcements that have ended, retries not counted, and pages of
    /// the board.
    pub writes: u64,
    /// Tries of them, retries included.
    pub tries: u64,
    /// Look-ups in one epoch each.
    pub lookups: u64,
    /// Pages of the board that were read.
    pub page_reads: u64,
    /// Announcements that were skipped because of the budget.
    pub skipped_budget: u64,
    /// Announcements that were skipped in a crowd.
    pub skipped_crowd: u64,
    /// Announcements that were skipped for any other reason.
    pub skipped_other: u64,
    /// Hello packets, requests and replies.
    pub hellos: u64,
    /// What was not used, and counted by discovery.
    pub dropped: u64,
    /// Messages of iroh-gossip.
    pub gossip: u64,
    /// Beacons that were broadcast.
    pub beacons: u64,
    /// Dials to heal.
    pub heal_dials: u64,
    /// Neighbors that came.
    pub ups: u64,
    /// Neighbors that went.
    pub downs: u64,
    /// Nodes there are, at its end.
    pub nodes: u64,
    /// Parts of the swarm, at its end.
    pub parts: u64,
}

/// All that is measured in one run.
#[derive(Debug, Default)]
pub struct Tally {
    /// By minute.
    pub minutes: Vec<Minute>,
    /// Nodes that were announced, by epoch.
    pub announcers: Vec<BTreeSet<NodeId>>,
    /// When the first epoch began, before the start of the run.
    pub first_epoch: Duration,
    /// From the last join of the start until the swarm was in one piece.
    pub whole: Option<Duration>,
    /// From a whole network to a whole swarm; `None` if it did not come to that.
    pub healed: Vec<Option<Duration>>,
    /// From the join to the first neighbor, by node of the start.
    pub first: Vec<Wait>,
    /// The same of later ones.
    pub late: Vec<Wait>,
    /// Parts of the swarm at the end.
    pub parts_at_end: u64,
    /// How many members nodes think there are, at the end: lowest, median, highest.
    pub estimates: [u64; 3],
    /// Events of the simulation.
    pub events: u64,
}

/// How long a node waited for its first neighbor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// So long.
    Over(Duration),
    /// It had none when it was gone, or at the end.
    Vain(Duration),
}

impl Tally {
    /// The counts of this moment's minute.
    pub fn at(&mut self, now: Duration) -> &mut Minute {
        let minute = (now.as_secs() / 60) as usize;
        if self.minutes.len() <= minute {
            self.minutes.resize(minute + 1, Minute::default());
        }
        &mut self.minutes[minute]
    }

    /// A node was announced.
    pub fn announced(&mut self, node: NodeId, now: Duration) {
        let epoch = ((now + self.first_epoch).as_secs() / kukuri_contract::EPOCH_SECONDS) as usize;
        if self.announcers.len() <= epoch {
            self.announcers.resize(epoch + 1, BTreeSet::new());
        }
        self.announcers[epoch].insert(node);
    }

    /// Nodes that were announced, for each epoch that lies wholly between these times.
    pub fn announcers_between(&self, from: Duration, to: Duration) -> Vec<usize> {
        let length = Duration::from_secs(kukuri_contract::EPOCH_SECONDS);
        let whole = |epoch: &u32| {
            let (start, end) = (length * *epoch, length * (*epoch + 1));
            start >= from + self.first_epoch && end <= to + self.first_epoch
        };
        let last = ((to + self.first_epoch).as_secs() / kukuri_contract::EPOCH_SECONDS) as u32;
        let epochs = (0..=last).filter(whole);
        let count = |epoch| self.announcers.get(epoch as usize).map_or(0, BTreeSet::len);
        epochs.map(count).collect()
    }
}

/// The value below which this share of all lies (nearest rank); `None` of nothing.
pub fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

/// The parts of a graph.
#[derive(Debug)]
pub struct Parts {
    leader: Vec<NodeId>,
}

impl Parts {
    /// So many nodes without any edge.
    pub fn new(nodes: usize) -> Self {
        Self {
            leader: (0..nodes as NodeId).collect(),
        }
    }

    /// Adds an edge.
    pub fn join(&mut self, a: NodeId, b: NodeId) {
        let (a, b) = (self.find(a), self.find(b));
        self.leader[a as usize] = b;
    }

    /// The node that stands for the part of another.
    pub fn find(&mut self, node: NodeId) -> NodeId {
        let mut at = node;
        while self.leader[at as usize] != at {
            let next = self.leader[at as usize];
            self.leader[at as usize] = self.leader[next as usize];
            at = next;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.5), Some(10.0));
        assert_eq!(percentile(&mut values, 0.95), Some(19.0));
        assert_eq!(percentile(&mut values, 1.0), Some(20.0));
        assert_eq!(percentile(&mut [7.0], 0.5), Some(7.0));
        assert_eq!(percentile(&mut [], 0.5), None);
    }

    #[test]
    fn parts_of_a_graph() {
        let mut parts = Parts::new(6);
        for (a, b) in [(0, 1), (2, 3), (1, 3)] {
            parts.join(a, b);
        }
        let leaders: BTreeSet<_> = (0..6).map(|node| parts.find(node)).collect();
        assert_eq!(leaders.len(), 3);
        assert_eq!(parts.find(0), parts.find(2));
    }

    #[test]
    fn only_whole_epochs_count() {
        let s = Duration::from_secs;
        let mut tally = Tally {
            first_epoch: s(100),
            ..Tally::default()
        };
        for (node, at) in [(1, 10), (1, 20), (2, 30), (3, 600), (4, 1200)] {
            tally.announced(node, s(at));
        }
        // Epochs end at 500, 1100 and 1700 s of the run.
        assert_eq!(tally.announcers_between(s(0), s(2000)), [1, 1]);
        assert_eq!(tally.announcers_between(s(600), s(2000)), [1]);
    }
}
