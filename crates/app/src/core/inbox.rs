//! Broadcasts that wait to be verified, so that one neighbor can't crowd out the others.
//!
//! They are taken from the neighbors in turn (fair queuing: Nagle, RFC 970), and where there is no
//! room left, the neighbor with most of them gives one up.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kukuri_contract::{EndpointId, TopicId};

/// A broadcast, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The topic.
    pub topic: TopicId,
    /// What was sent.
    pub payload: Bytes,
    /// The neighbor that handed it on.
    pub from: EndpointId,
    /// The neighbor is the first to send it, and answers for it.
    pub first_hand: bool,
}

/// Broadcasts by the neighbor that handed them on.
#[derive(Debug)]
pub struct Inbox {
    most: usize,
    len: usize,
    queues: BTreeMap<EndpointId, VecDeque<Waiting>>,
    /// Whose turn was the last one.
    last: Option<EndpointId>,
}

impl Inbox {
    /// Room for so many.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            len: 0,
            queues: BTreeMap::new(),
            last: None,
        }
    }

    /// Puts one at the end of its neighbor's queue. Says whether one had to go for it.
    pub fn put(&mut self, waiting: Waiting) -> bool {
        let queue = self.queues.entry(waiting.from).or_default();
        queue.push_back(waiting);
        self.len += 1;
        if self.len <= self.most {
            return false;
        }
        let longest = self.queues.iter().max_by_key(|(_, queue)| queue.len());
        if let Some(from) = longest.map(|(from, _)| *from) {
            self.take(from, VecDeque::pop_back);
        }
        true
    }

    /// Takes the oldest of the neighbor whose turn it is.
    pub fn take_next(&mut self) -> Option<Waiting> {
        let after = self.last.map(|last| self.queues.range(last..));
        let after = after.and_then(|mut rest| rest.find(|(from, _)| Some(**from) != self.last));
        let from = after.or_else(|| self.queues.first_key_value());
        let from = *from?.0;
        self.last = Some(from);
        self.take(from, VecDeque::pop_front)
    }

    fn take(
        &mut self,
        from: EndpointId,
        take: impl FnOnce(&mut VecDeque<Waiting>) -> Option<Waiting>,
    ) -> Option<Waiting> {
        let queue = self.queues.get_mut(&from)?;
        let taken = take(queue);
        if queue.is_empty() {
            self.queues.remove(&from);
        }
        self.len -= usize::from(taken.is_some());
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicId = TopicId::from_bytes([7; 32]);

    fn put(inbox: &mut Inbox, from: u8, body: &'static str) -> bool {
        inbox.put(Waiting {
            topic: TOPIC,
            payload: Bytes::from_static(body.as_bytes()),
            from: EndpointId::from_bytes([from; 32]),
            first_hand: false,
        })
    }

    fn all(inbox: &mut Inbox) -> Vec<String> {
        let next = || {
            inbox
                .take_next()
                .map(|waiting| String::from_utf8(waiting.payload.to_vec()).unwrap())
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn neighbors_take_turns_and_each_is_served_in_order() {
        let mut inbox = Inbox::new(10);
        for body in ["a1", "a2", "a3"] {
            assert!(!put(&mut inbox, 1, body));
        }
        put(&mut inbox, 2, "b1");
        put(&mut inbox, 3, "c1");
        assert_eq!(inbox.take_next().unwrap().payload, "a1");
        put(&mut inbox, 2, "b2");
        assert_eq!(all(&mut inbox), ["b1", "c1", "a2", "b2", "a3"]);
        assert!(inbox.take_next().is_none());
    }

    #[test]
    fn a_flood_pushes_out_its_own() {
        let mut inbox = Inbox::new(4);
        put(&mut inbox, 2, "b1");
        for body in ["a1", "a2", "a3"] {
            assert!(!put(&mut inbox, 1, body));
        }
        assert!(put(&mut inbox, 1, "a4"), "no room");
        assert!(put(&mut inbox, 2, "b2"), "one of the others goes");
        assert_eq!(all(&mut inbox), ["a1", "b1", "a2", "b2"]);
    }
}
