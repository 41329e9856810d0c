//! What nodes ask their neighbors for gap repair, as far as it shapes the swarm: who learns twice in
//! a row that a neighbor does not count it as one hangs up (`docs/PROTOCOL.md`, sections 11 and 12).

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::Event;
use super::network::NodeId;
use super::world::World;

/// Pause between repairs that find nothing missing (`ROUTINE` of the node's plan).
const ROUTINE: Duration = Duration::from_secs(30);
/// Pause after a repair that failed (`RETRY_PAUSE` there).
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// A peer that is no neighbor yet is waited for so long (`GRACE` of gossip's answers).
const GRACE: Duration = Duration::from_secs(1);
/// Longest question, connection included (`gossip.question_timeout_ms`).
const QUESTION: Duration = Duration::from_secs(9);

/// The questions of one node, one at a time.
#[derive(Debug)]
pub(super) struct Asks {
    /// Neighbors that were not asked yet.
    new: BTreeSet<NodeId>,
    /// When any neighbor is asked.
    due: Duration,
    /// Whom the question under way goes to.
    asked: Option<NodeId>,
    /// Neighbors whose last answer was that this node is a stranger.
    one_sided: BTreeSet<NodeId>,
    /// The next look at what is due.
    look_at: Option<Duration>,
}

/// What comes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An answer.
    Neighbor,
    /// The other side counts the asker not as a neighbor.
    Stranger,
    /// Nothing.
    None,
}

impl Asks {
    /// A node that joins now.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            new: BTreeSet::new(),
            due: now + ROUTINE,
            asked: None,
            one_sided: BTreeSet::new(),
            look_at: None,
        }
    }

    /// A peer is a neighbor now.
    pub(super) fn neighbor_up(&mut self, peer: NodeId) {
        self.new.insert(peer);
    }

    /// Whom to ask now; `below` draws among so many.
    fn next(
        &mut self,
        neighbors: &BTreeSet<NodeId>,
        now: Duration,
        below: impl FnOnce(usize) -> usize,
    ) -> Option<NodeId> {
        if self.asked.is_some() || neighbors.is_empty() {
            return None;
        }
        self.new.retain(|peer| neighbors.contains(peer));
        self.asked = match self.new.pop_first() {
            Some(peer) => Some(peer),
            None if self.due <= now => neighbors.iter().nth(below(neighbors.len())).copied(),
            None => None,
        };
        self.asked
    }

    /// The question is over. Says whether to hang up.
    fn answered(&mut self, answer: Answer, now: Duration) -> Option<NodeId> {
        let peer = self.asked.take()?;
        self.due = now
            + match answer {
                Answer::Neighbor => ROUTINE,
                Answer::Stranger | Answer::None => RETRY_PAUSE,
            };
        match answer {
            Answer::Neighbor => _ = self.one_sided.remove(&peer),
            Answer::Stranger if !self.one_sided.insert(peer) => {
                self.one_sided.remove(&peer);
                return Some(peer);
            }
            Answer::Stranger | Answer::None => {}
        }
        None
    }
}

impl World {
    /// Asks a neighbor, if it is time.
    pub(super) fn ask(&mut self, id: NodeId) {
        let now = self.queue.now();
        let rng = &mut self.rng;
        let Some(node) = self.nodes[id as usize].as_mut().filter(|n| n.alive()) else {
            return;
        };
        let asks = &mut node.asks;
        asks.look_at.take_if(|at| *at <= now);
        let to = asks.next(&node.neighbors, now, |len| rng.index(len));
        if let Some(to) = to {
            let took = self.network.handshake(id, to, &mut self.rng);
            let took = took + self.network.message(id, to, &mut self.rng);
            let (from, waited) = (id, false);
            match took < QUESTION {
                true => self.plan(took, Event::Question { from, to, waited }),
                false => self.answer(id, Answer::None, QUESTION),
            }
        } else if asks.asked.is_none() && asks.look_at.is_none_or(|at| at > asks.due) {
            // Without neighbors, the next one comes back here.
            if !node.neighbors.is_empty() {
                asks.look_at = Some(asks.due);
                self.queue.plan(asks.due, Event::Ask(id));
            }
        }
    }

    /// A question is at its answerer.
    pub(super) fn question(&mut self, from: NodeId, to: NodeId, waited: bool) {
        let way = self.network.message(to, from, &mut self.rng);
        let reached = !self.network.blocked(from, to);
        let Some(node) = self.node(to).filter(|_| reached) else {
            self.answer(from, Answer::None, QUESTION);
            return;
        };
        match node.neighbors.contains(&from) {
            true => self.answer(from, Answer::Neighbor, way),
            false if waited => self.answer(from, Answer::Stranger, way),
            false => {
                let waited = true;
                self.plan(GRACE, Event::Question { from, to, waited });
            }
        }
    }

    fn answer(&mut self, to: NodeId, answer: Answer, after: Duration) {
        self.plan(after, Event::Answer { to, answer });
    }

    pub(super) fn answered(&mut self, id: NodeId, answer: Answer) {
        let now = self.queue.now();
        let Some(node) = self.node(id) else {
            return;
        };
        if let Some(peer) = node.asks.answered(answer, now) {
            self.end_connections(id, peer, |_| true);
        }
        self.ask(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_a_stranger_twice_in_a_row_hangs_up() {
        let s = Duration::from_secs;
        let mut asks = Asks::new(s(0));
        let neighbors = BTreeSet::from([7]);
        asks.neighbor_up(7);
        let hung_up = [
            (1, Answer::Stranger),
            (3, Answer::Neighbor),
            (33, Answer::Stranger),
            (35, Answer::None),
            (37, Answer::Stranger),
        ]
        .map(|(at, answer)| {
            assert_eq!(asks.next(&neighbors, s(at), |_| 0), Some(7));
            asks.answered(answer, s(at))
        });
        assert_eq!(hung_up, [None, None, None, None, Some(7)]);
    }
}
