//! Who may be asked and answered, and how much at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kukuri_contract::{AskError, EndpointId, MAX_ASK_BYTES, TopicId};

/// Who is a neighbor where: what those who answer are told of the actor's knowledge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster(BTreeMap<TopicId, BTreeSet<EndpointId>>);

impl Roster {
    /// The neighbors of a topic now; none of one that is not joined.
    pub fn set(&mut self, topic: TopicId, neighbors: BTreeSet<EndpointId>) {
        match neighbors.is_empty() {
            true => self.0.remove(&topic),
            false => self.0.insert(topic, neighbors),
        };
    }

    /// Is the peer a neighbor in this topic?
    pub fn may_ask(&self, topic: TopicId, peer: EndpointId) -> bool {
        self.0.get(&topic).is_some_and(|all| all.contains(&peer))
    }

    /// Is the peer a neighbor in any topic?
    pub fn knows(&self, peer: EndpointId) -> bool {
        self.0.values().any(|all| all.contains(&peer))
    }
}

/// The questions of this node, and whose connections they use.
#[derive(Debug)]
pub struct Questions {
    limit: usize,
    idle: Duration,
    under_way: BTreeSet<(TopicId, EndpointId)>,
    /// When the last question to a peer ended.
    ended: BTreeMap<EndpointId, Duration>,
}

impl Questions {
    /// At most `limit` at once; a connection that was not used for `idle` is given up.
    pub fn new(limit: usize, idle: Duration) -> Self {
        Self {
            limit,
            idle,
            under_way: BTreeSet::new(),
            ended: BTreeMap::new(),
        }
    }

    /// May this be asked now? `neighbors` are those of the topic, if it is joined. Each question
    /// that may needs an [`end`](Self::end).
    ///
    /// # Errors
    /// Why it may not.
    pub fn begin(
        &mut self,
        topic: TopicId,
        peer: EndpointId,
        bytes: usize,
        neighbors: Option<&BTreeSet<EndpointId>>,
    ) -> Result<(), AskError> {
        if bytes > MAX_ASK_BYTES {
            return Err(AskError::TooLarge(bytes));
        }
        let neighbors = neighbors.ok_or(AskError::UnknownTopic(topic))?;
        if !neighbors.contains(&peer) {
            return Err(AskError::NoNeighbor(peer));
        }
        if self.under_way.len() >= self.limit {
            return Err(AskError::Busy { limit: self.limit });
        }
        // One per neighbor and topic: a slow neighbor can't use up all of them.
        match self.under_way.insert((topic, peer)) {
            true => Ok(()),
            false => Err(AskError::Busy { limit: 1 }),
        }
    }

    /// A question has ended, with or without an answer.
    pub fn end(&mut self, topic: TopicId, peer: EndpointId, now: Duration) {
        self.under_way.remove(&(topic, peer));
        self.ended.insert(peer, now);
    }

    /// The peer is a neighbor nowhere any more: its connection is not kept for later questions.
    pub fn forget(&mut self, peer: EndpointId) {
        self.ended.remove(&peer);
    }

    /// Peers whose connections were not used for long. Each is told once.
    pub fn idle(&mut self, now: Duration) -> Vec<EndpointId> {
        let asked: BTreeSet<_> = self.under_way.iter().map(|(_, peer)| *peer).collect();
        let idle = |peer, since| !asked.contains(peer) && since + self.idle <= now;
        let ended = self.ended.iter();
        let peers: Vec<_> = ended
            .filter_map(|(peer, since)| idle(peer, *since).then_some(*peer))
            .collect();
        for peer in &peers {
            self.ended.remove(peer);
        }
        peers
    }

    /// When [`idle`](Self::idle) may have something.
    pub fn next_idle(&self) -> Option<Duration> {
        let asked = |peer| self.under_way.iter().any(|(_, busy)| busy == peer);
        let free = self.ended.iter().filter(|(peer, _)| !asked(*peer));
        free.map(|(_, since)| *since + self.idle).min()
    }
}

/// Who takes a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A neighbor in some topic.
    Neighbor,
    /// Anybody else: perhaps a neighbor in a moment.
    Stranger,
}

/// Places that are taken and freed. Strangers have their own, so that they can't take those of the
/// neighbors.
#[derive(Debug)]
pub struct Places {
    neighbors: usize,
    strangers: usize,
    per_peer: usize,
    taken: BTreeMap<(Kind, EndpointId), usize>,
}

impl Places {
    /// So many for all neighbors, for all strangers, and for one peer.
    pub fn new(neighbors: usize, strangers: usize, per_peer: usize) -> Self {
        Self {
            neighbors,
            strangers,
            per_peer,
            taken: BTreeMap::new(),
        }
    }

    /// Takes a place, if there is one. It must be freed.
    pub fn take(&mut self, kind: Kind, peer: EndpointId) -> bool {
        let of_kind = self.taken.iter().filter(|((other, _), _)| *other == kind);
        let in_all: usize = of_kind.map(|(_, taken)| taken).sum();
        let of_peer = self.taken.get(&(kind, peer)).copied().unwrap_or(0);
        let limit = match kind {
            Kind::Neighbor => self.neighbors,
            Kind::Stranger => self.strangers,
        };
        let free = in_all < limit && of_peer < self.per_peer;
        if free {
            self.taken.insert((kind, peer), of_peer + 1);
        }
        free
    }

    /// Frees a place that was taken.
    pub fn free(&mut self, kind: Kind, peer: EndpointId) {
        match self.taken.get_mut(&(kind, peer)) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => {
                self.taken.remove(&(kind, peer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const TOPIC: TopicId = TopicId::from_bytes([7; 32]);
    const OTHER: TopicId = TopicId::from_bytes([8; 32]);

    fn peer(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    fn peers(all: impl IntoIterator<Item = u8>) -> BTreeSet<EndpointId> {
        all.into_iter().map(peer).collect()
    }

    #[test]
    fn a_roster_knows_who_is_a_neighbor_where() {
        let mut roster = Roster::default();
        roster.set(TOPIC, peers([1]));
        roster.set(OTHER, peers([2]));
        assert!(roster.may_ask(TOPIC, peer(1)) && !roster.may_ask(TOPIC, peer(2)));
        assert!(roster.knows(peer(2)) && !roster.knows(peer(3)));
        roster.set(OTHER, peers([]));
        assert!(!roster.may_ask(OTHER, peer(2)) && !roster.knows(peer(2)));
    }

    #[test]
    fn only_neighbors_are_asked_one_question_per_topic_at_a_time() {
        let mut questions = Questions::new(3, S);
        let all = peers(1..=4);
        let mut begin = |topic, n, bytes| questions.begin(topic, peer(n), bytes, Some(&all));
        let too_large = MAX_ASK_BYTES + 1;
        assert_eq!(
            begin(TOPIC, 1, too_large),
            Err(AskError::TooLarge(too_large))
        );
        assert_eq!(begin(TOPIC, 5, 0), Err(AskError::NoNeighbor(peer(5))));
        assert_eq!(begin(TOPIC, 1, MAX_ASK_BYTES), Ok(()));
        assert_eq!(begin(TOPIC, 1, 0), Err(AskError::Busy { limit: 1 }));
        assert_eq!(begin(OTHER, 1, 0), Ok(()));
        assert_eq!(begin(TOPIC, 2, 0), Ok(()));
        assert_eq!(begin(TOPIC, 3, 0), Err(AskError::Busy { limit: 3 }));
        let unknown = questions.begin(TOPIC, peer(1), 0, None);
        assert_eq!(unknown, Err(AskError::UnknownTopic(TOPIC)));
        questions.end(TOPIC, peer(1), S);
        assert_eq!(questions.begin(TOPIC, peer(3), 0, Some(&all)), Ok(()));
    }

    #[test]
    fn a_connection_is_idle_once_no_question_has_used_it_for_long() {
        let mut questions = Questions::new(16, 20 * S);
        let all = peers([1]);
        for topic in [TOPIC, OTHER] {
            questions.begin(topic, peer(1), 0, Some(&all)).unwrap();
        }
        questions.end(TOPIC, peer(1), S);
        assert_eq!(questions.next_idle(), None, "the other one is under way");
        assert!(questions.idle(100 * S).is_empty());
        questions.end(OTHER, peer(1), 2 * S);
        assert_eq!(questions.next_idle(), Some(22 * S));
        assert!(questions.idle(21 * S).is_empty());
        assert_eq!(questions.idle(22 * S), [peer(1)]);
        assert_eq!(questions.next_idle(), None);
        questions.end(TOPIC, peer(1), 30 * S);
        questions.forget(peer(1));
        assert_eq!(questions.next_idle(), None);
    }

    #[test]
    fn strangers_do_not_take_the_places_of_neighbors() {
        let mut places = Places::new(3, 2, 2);
        let mut stranger = |n| places.take(Kind::Stranger, peer(n));
        assert_eq!([1, 2, 3].map(&mut stranger), [true, true, false]);
        let mut neighbor = |n| places.take(Kind::Neighbor, peer(n));
        assert_eq!([1, 1, 1].map(&mut neighbor), [true, true, false]);
        assert_eq!([2, 3].map(&mut neighbor), [true, false]);
        places.free(Kind::Neighbor, peer(1));
        assert!(places.take(Kind::Neighbor, peer(3)));
        assert!(!places.take(Kind::Neighbor, peer(1)));
        for n in [1, 2] {
            places.free(Kind::Stranger, peer(n));
        }
        assert!(places.take(Kind::Stranger, peer(3)));
    }
}
