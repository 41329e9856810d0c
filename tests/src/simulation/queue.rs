//! The virtual clock: what happens next, and when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Events in the order of their times; those of one time in the order in which they were planned.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Planned<E>>,
    planned: u64,
    now: Duration,
}

#[derive(Debug)]
struct Planned<E> {
    at: Duration,
    number: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            planned: 0,
            now: Duration::ZERO,
        }
    }
}

impl<E> Queue<E> {
    /// The time of the last event that was taken.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Events so far.
    pub fn planned(&self) -> u64 {
        self.planned
    }

    /// Plans an event; one of the past comes next.
    pub fn plan(&mut self, at: Duration, event: E) {
        let number = self.planned;
        self.planned += 1;
        let at = at.max(self.now);
        self.heap.push(Planned { at, number, event });
    }

    /// Takes the next event, unless it comes after `end`.
    pub fn next(&mut self, end: Duration) -> Option<E> {
        if self.heap.peek()?.at > end {
            return None;
        }
        let Planned { at, event, .. } = self.heap.pop()?;
        self.now = at;
        Some(event)
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives out its greatest.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Planned<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_in_the_order_of_planning() {
        let mut queue = Queue::default();
        let s = Duration::from_secs;
        for (at, event) in [(3, 'c'), (1, 'a'), (3, 'd'), (2, 'b'), (9, 'x')] {
            queue.plan(s(at), event);
        }
        let order: String = std::iter::from_fn(|| queue.next(s(5))).collect();
        assert_eq!((order.as_str(), queue.now()), ("abcd", s(3)));
        queue.plan(s(1), 'e');
        assert_eq!(queue.next(s(5)), Some('e'), "what is late comes next");
        assert_eq!(queue.now(), s(3), "time never goes back");
    }
}
