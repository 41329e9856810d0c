//! How much of something there may be: at once, and in the long run.

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::{AuthorId, TopicId};

/// Authors whose rate is followed, over all topics. 4096, some 400 kB; beyond, those that have been
/// quiet for long enough to have all of their burst again are forgotten, and then the others too.
const MAX_AUTHORS: usize = 4096;
/// Posts of one author in one topic that are taken from broadcasts. As many as a node sends
/// ([`SENT`](super::score::SENT)), and a little more: clocks tick differently.
pub const OF_AUTHOR: Rate = Rate {
    burst: 2560.0,
    per_second: 110.0,
};

/// How much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// At once, after a pause.
    pub burst: f64,
    /// In the long run.
    pub per_second: f64,
}

/// What is left of a rate (a token bucket).
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    rate: Rate,
    left: f64,
    at: Duration,
}

impl Bucket {
    /// After a pause.
    pub fn full(rate: Rate, now: Duration) -> Self {
        Self {
            rate,
            left: rate.burst,
            at: now,
        }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        self.left = self.left_at(now);
        self.at = self.at.max(now);
        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        taken
    }

    /// Whether there is one.
    pub fn has_one(&self, now: Duration) -> bool {
        self.left_at(now) >= 1.0
    }

    fn is_full(&self, now: Duration) -> bool {
        self.left_at(now) >= self.rate.burst
    }

    fn left_at(&self, now: Duration) -> f64 {
        let grown = now.saturating_sub(self.at).as_secs_f64() * self.rate.per_second;
        (self.left + grown).min(self.rate.burst)
    }
}

/// How much each author writes.
#[derive(Debug, Default)]
pub struct Authors(BTreeMap<(TopicId, AuthorId), Bucket>);

impl Authors {
    /// Whether one more post of an author is taken in.
    pub fn may_write(&self, topic: TopicId, author: AuthorId, now: Duration) -> bool {
        let bucket = self.0.get(&(topic, author));
        bucket.is_none_or(|bucket| bucket.has_one(now))
    }

    /// A post of an author was taken in.
    pub fn wrote(&mut self, topic: TopicId, author: AuthorId, now: Duration) {
        if self.0.len() >= MAX_AUTHORS && !self.0.contains_key(&(topic, author)) {
            self.0.retain(|_, bucket| !bucket.is_full(now));
            if self.0.len() >= MAX_AUTHORS {
                self.0.clear();
            }
        }
        let bucket = self.0.entry((topic, author));
        bucket
            .or_insert_with(|| Bucket::full(OF_AUTHOR, now))
            .take(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const TOPIC: TopicId = TopicId::from_bytes([7; 32]);

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate {
            burst: 10.0,
            per_second: 2.0,
        };
        let mut bucket = Bucket::full(rate, S);
        let mut taken = |now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(S), 10);
        assert_eq!(taken(S), 0);
        assert_eq!(taken(4 * S), 6);
        assert_eq!(taken(3 * S), 0, "time does not go back");
        assert_eq!(taken(100 * S), 10, "no more than a burst");
    }

    #[test]
    fn an_author_that_writes_too_much_is_held_back_and_no_other() {
        let [a, b] = [1, 2].map(|n| AuthorId::from_bytes([n; 32]));
        let mut authors = Authors::default();
        let mut write = |author, now| {
            let may = authors.may_write(TOPIC, author, now);
            if may {
                authors.wrote(TOPIC, author, now);
            }
            may
        };
        let burst = (0..10_000).filter(|_| write(a, S)).count();
        assert_eq!(burst, OF_AUTHOR.burst as usize);
        assert!(write(b, S));
        let later = (0..10_000).filter(|_| write(a, 2 * S)).count();
        assert_eq!(later, OF_AUTHOR.per_second as usize);
    }

    #[test]
    fn authors_are_bounded() {
        let mut authors = Authors::default();
        for n in 0..3 * MAX_AUTHORS as u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            authors.wrote(TOPIC, AuthorId::from_bytes(id), S);
            assert!(authors.0.len() <= MAX_AUTHORS);
        }
    }
}
