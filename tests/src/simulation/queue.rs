//! The virtual clock: what happens next, and when.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// Events in the order of their times; those of one time in the order in which they were planned.
///
/// Only those of the present millisecond are kept in order: with a million planned, one heap of all
/// would take a quarter of the time of a run.
#[derive(Debug)]
pub struct Queue<E> {
    /// Those up to the end of a millisecond, which is `until`.
    soon: BinaryHeap<Planned<E>>,
    until: u64,
    /// Later ones by the millisecond.
    later: BTreeMap<u64, Vec<Planned<E>>>,
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
            soon: BinaryHeap::new(),
            until: 0,
            later: BTreeMap::new(),
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
        let planned = Planned { at, number, event };
        match millisecond(at) {
            ms if ms <= self.until => self.soon.push(planned),
            ms => self.later.entry(ms).or_default().push(planned),
        }
    }

    /// Takes the next event, unless it comes after `end`.
    pub fn next(&mut self, end: Duration) -> Option<E> {
        if self.soon.is_empty() {
            let (ms, events) = self.later.pop_first()?;
            self.until = ms;
            self.soon.extend(events);
        }
        if self.soon.peek()?.at > end {
            return None;
        }
        let Planned { at, event, .. } = self.soon.pop()?;
        self.now = at;
        Some(event)
    }
}

fn millisecond(at: Duration) -> u64 {
    at.as_secs() * 1000 + u64::from(at.subsec_millis())
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

    #[test]
    fn moments_of_one_millisecond_keep_their_order() {
        let mut queue = Queue::default();
        let us = Duration::from_micros;
        for (at, event) in [(2_900, 'd'), (2_100, 'a'), (3_000, 'e'), (2_100, 'b')] {
            queue.plan(us(at), event);
        }
        assert_eq!(queue.next(us(9_000)), Some('a'));
        queue.plan(us(2_500), 'c');
        let order: String = std::iter::from_fn(|| queue.next(us(2_950))).collect();
        assert_eq!(order, "bcd");
        queue.plan(us(2_960), 'x');
        assert_eq!(
            queue.next(us(9_000)),
            Some('x'),
            "though the next had been looked at"
        );
        assert_eq!(queue.next(us(9_000)), Some('e'));
        assert_eq!(queue.next(us(9_000)), None);
    }
}
