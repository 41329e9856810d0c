//! Bounded memories against replays and floods.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Nonces of packets that were opened. A packet seen again within the span is a replay.
#[derive(Debug)]
pub struct ReplayCache {
    seen: HashSet<[u8; 24]>,
    order: VecDeque<(Duration, [u8; 24])>,
    span: Duration,
    capacity: usize,
}

impl ReplayCache {
    /// A cache for packets that are valid for `span`; beyond `capacity` the oldest are forgotten.
    pub fn new(span: Duration, capacity: usize) -> Self {
        Self {
            seen: HashSet::new(),
            order: VecDeque::new(),
            span,
            capacity,
        }
    }

    /// Notes a nonce; false if it was seen before.
    pub fn admit(&mut self, nonce: [u8; 24], now: Duration) -> bool {
        let expired = |at: Duration| at + self.span < now;
        while self.order.len() >= self.capacity
            || self.order.front().is_some_and(|&(at, _)| expired(at))
        {
            let Some((_, old)) = self.order.pop_front() else {
                break;
            };
            self.seen.remove(&old);
        }
        let new = self.seen.insert(nonce);
        if new {
            self.order.push_back((now, nonce));
        }
        new
    }
}

/// At most so many events per key and window. Fixed windows: simple, and a burst over a border is
/// at most twice the limit.
#[derive(Debug)]
pub struct RateLimit<K> {
    counts: HashMap<K, (Duration, u32)>,
    window: Duration,
    limit: u32,
    capacity: usize,
}

impl<K: Copy + Eq + Hash> RateLimit<K> {
    /// `limit` events per `window` and key; of at most `capacity` keys.
    pub fn new(limit: u32, window: Duration, capacity: usize) -> Self {
        Self {
            counts: HashMap::new(),
            window,
            limit,
            capacity,
        }
    }

    /// Counts an event; false if it is one too many.
    pub fn allow(&mut self, key: K, now: Duration) -> bool {
        if self.counts.len() >= self.capacity && !self.counts.contains_key(&key) {
            let window = self.window;
            self.counts.retain(|_, (start, _)| *start + window >= now);
            if self.counts.len() >= self.capacity {
                // Full of keys that are active now: an attack with many sources. Better to forget
                // all counts than to refuse a member that comes new.
                self.counts.clear();
            }
        }
        let (start, count) = self.counts.entry(key).or_insert((now, 0));
        if *start + self.window < now {
            (*start, *count) = (now, 0);
        }
        *count += 1;
        *count <= self.limit
    }

    /// Whether a key has used up its window.
    pub fn exhausted(&self, key: &K, now: Duration) -> bool {
        self.counts
            .get(key)
            .is_some_and(|(start, count)| *start + self.window >= now && *count >= self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_replay_is_noticed_within_the_span_and_the_cache_is_bounded() {
        let mut cache = ReplayCache::new(10 * S, 3);
        assert!(cache.admit([1; 24], S));
        assert!(!cache.admit([1; 24], 11 * S));
        assert!(cache.admit([1; 24], 12 * S));
        for n in 2..100 {
            assert!(cache.admit([n; 24], 13 * S));
            assert!(cache.order.len() <= 3 && cache.seen.len() <= 3);
        }
    }

    #[test]
    fn a_limit_is_per_key_and_window() {
        let mut limit = RateLimit::new(2, 10 * S, 100);
        assert!(limit.allow('a', S) && limit.allow('a', S));
        assert!(limit.exhausted(&'a', S));
        assert!(!limit.allow('a', S));
        assert!(limit.allow('b', S));
        assert!(limit.allow('a', 12 * S));
    }

    #[test]
    fn many_keys_stay_bounded() {
        let mut limit = RateLimit::new(1, 10 * S, 8);
        for key in 0..1000 {
            assert!(limit.allow(key, S));
            assert!(limit.counts.len() <= 8);
        }
    }
}
