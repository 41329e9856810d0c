//! Who waits at the door: connections whose proof has not come yet.

use std::collections::VecDeque;

use kukuri_contract::EndpointId;

/// A bounded queue. Who knocks when it is full takes the place of the one that waits longest: members
/// prove at once, and whoever holds places without proving anything must not keep them out.
#[derive(Debug)]
pub struct Waiting {
    limit: usize,
    per_peer: usize,
    next: u64,
    /// The longest wait first.
    queue: VecDeque<(Ticket, EndpointId)>,
}

/// Names a place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Waiting {
    /// At most so many in all, and of one peer.
    pub fn new(limit: usize, per_peer: usize) -> Self {
        Self {
            limit,
            per_peer,
            next: 0,
            queue: VecDeque::new(),
        }
    }

    /// A peer knocks: its place, and whose place it is if that had to go. `None` if it has as many
    /// as a peer may.
    pub fn knock(&mut self, peer: EndpointId) -> Option<(Ticket, Option<Ticket>)> {
        let own = self.queue.iter().filter(|(_, other)| *other == peer);
        if own.count() >= self.per_peer {
            return None;
        }
        let full = self.queue.len() >= self.limit;
        let gone = full.then(|| self.queue.pop_front()).flatten();
        let ticket = Ticket(self.next);
        self.next += 1;
        self.queue.push_back((ticket, peer));
        Some((ticket, gone.map(|(ticket, _)| ticket)))
    }

    /// It waits no more.
    pub fn leave(&mut self, ticket: Ticket) {
        self.queue.retain(|(other, _)| *other != ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    #[test]
    fn the_one_that_waits_longest_gives_way() {
        let mut waiting = Waiting::new(3, 2);
        let mut tickets = Vec::new();
        for n in [1, 1, 2] {
            let (ticket, gone) = waiting.knock(peer(n)).unwrap();
            assert_eq!(gone, None);
            tickets.push(ticket);
        }
        assert_eq!(waiting.knock(peer(1)), None, "a peer has its own bound");
        assert_eq!(waiting.knock(peer(3)).unwrap().1, Some(tickets[0]));
        waiting.leave(tickets[1]);
        assert_eq!(waiting.knock(peer(1)).unwrap().1, None);
        assert_eq!(waiting.knock(peer(4)).unwrap().1, Some(tickets[2]));
        waiting.leave(tickets[0]);
        assert_eq!(waiting.queue.len(), 3);
    }
}
