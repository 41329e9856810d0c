//! The hellos under way, and the addresses that rest.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{Epoch, Source, TopicId};

use super::hello::RequestId;
use crate::config::Config;

/// Most addresses that are remembered as resting or own.
const MAX_RESTING: usize = 4096;
/// How long an address counts as our own.
const OWN_FOR: Duration = Duration::from_secs(600);
/// Longest rest of an address that never answers. 5 min, the usual interval of announcements: halves
/// of a swarm that the network kept apart meet within one, once it is whole.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// A hello that waits for its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The topic.
    pub topic: TopicId,
    /// The epoch whose keys it uses.
    pub epoch: Epoch,
    /// How the address was found.
    pub source: Source,
    /// Who was asked.
    pub to: SocketAddrV4,
    /// The same in every try.
    pub id: RequestId,
    /// When the first try was sent.
    pub first_sent: Duration,
    tries: u32,
    deadline: Duration,
    /// The address rests if it does not answer.
    rests: bool,
}

/// What to do about a hello whose reply is late.
#[derive(Debug, PartialEq, Eq)]
pub enum Late {
    /// Send it again (sealed anew: the same packet would count as a replay).
    Again(Pending),
    /// All tries are used up; the address rests now.
    GaveUp(Pending),
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Duration,
    failures: u32,
}

/// The hellos under way, and the addresses that rest.
#[derive(Debug)]
pub struct Exchange {
    pending: Vec<Pending>,
    rests: HashMap<(TopicId, SocketAddrV4), Rest>,
    /// Until when an address counts as our own.
    own: HashMap<SocketAddrV4, Duration>,
    most: usize,
    tries: u32,
    timeout: Duration,
    rest: Duration,
    answered_rest: Duration,
}

impl Exchange {
    /// Nothing under way.
    pub fn new(config: &Config) -> Self {
        Self {
            pending: Vec::new(),
            rests: HashMap::new(),
            own: HashMap::new(),
            most: config.hello_in_flight,
            tries: config.hello_tries,
            timeout: Duration::from_millis(config.hello_timeout_ms),
            rest: Duration::from_millis(config.hello_rest_ms),
            answered_rest: Duration::from_millis(config.hello_answered_rest_ms),
        }
    }

    /// Whether one more hello may be under way.
    pub fn has_room(&self) -> bool {
        self.pending.len() < self.most
    }

    /// Whether an address may be asked: not under way, not resting, not our own.
    pub fn may_ask(&self, topic: TopicId, to: SocketAddrV4, now: Duration) -> bool {
        let resting = self
            .rests
            .get(&(topic, to))
            .is_some_and(|rest| rest.until > now);
        let under_way = || self.pending.iter().any(|p| p.topic == topic && p.to == to);
        let own = self.own.get(&to).is_some_and(|until| *until > now);
        !own && !resting && !under_way()
    }

    /// Notes the first try of a hello.
    pub fn begin(
        &mut self,
        topic: TopicId,
        epoch: Epoch,
        source: Source,
        to: SocketAddrV4,
        id: RequestId,
        now: Duration,
    ) {
        self.pending.push(Pending {
            topic,
            epoch,
            source,
            to,
            id,
            first_sent: now,
            tries: 1,
            deadline: now + self.timeout,
            rests: true,
        });
    }

    /// A hello under way is not sent again, and its address does not rest if it stays silent: who was
    /// lost is asked at a pace of its own.
    pub fn only_try(&mut self, id: &RequestId) {
        if let Some(hello) = self.pending.iter_mut().find(|p| p.id == *id) {
            hello.tries = self.tries;
            hello.rests = false;
        }
    }

    /// The hellos that were sent to an address: a reply from there may belong to one of them.
    pub fn asked(&self, from: SocketAddrV4) -> impl Iterator<Item = &Pending> {
        self.pending.iter().filter(move |p| p.to == from)
    }

    /// A hello was answered.
    pub fn answered(&mut self, id: &RequestId, now: Duration) {
        if let Some(at) = self.pending.iter().position(|p| p.id == *id) {
            let done = self.pending.swap_remove(at);
            self.met(done.topic, done.to, now);
        }
    }

    /// A member is known to be behind this address: no need to ask it for a while.
    pub fn met(&mut self, topic: TopicId, at: SocketAddrV4, now: Duration) {
        let until = now + self.answered_rest;
        self.set_rest(topic, at, Rest { until, failures: 0 }, now);
    }

    /// An address seems to be our own, for a while: somebody may have sent our own packet back to
    /// us, to make us think so.
    pub fn is_own(&mut self, address: SocketAddrV4, now: Duration) {
        self.own.retain(|_, until| *until > now);
        if self.own.len() < MAX_RESTING {
            self.own.insert(address, now + OWN_FOR);
        }
        self.pending.retain(|p| p.to != address);
    }

    /// The hellos whose reply is late by now.
    pub fn late(&mut self, now: Duration) -> Vec<Late> {
        let mut out = Vec::new();
        let mut kept = Vec::with_capacity(self.pending.len());
        for mut hello in std::mem::take(&mut self.pending) {
            if hello.deadline > now {
                kept.push(hello);
            } else if hello.tries < self.tries {
                hello.deadline = now + self.timeout * 2u32.saturating_pow(hello.tries);
                hello.tries += 1;
                kept.push(hello.clone());
                out.push(Late::Again(hello));
            } else {
                self.failed(&hello, now);
                out.push(Late::GaveUp(hello));
            }
        }
        self.pending = kept;
        out
    }

    /// Ends everything about a topic.
    pub fn forget(&mut self, topic: TopicId) {
        self.pending.retain(|p| p.topic != topic);
        self.rests.retain(|(of, _), _| *of != topic);
    }

    /// When the next reply is late.
    pub fn next_wake(&self) -> Option<Duration> {
        self.pending.iter().map(|p| p.deadline).min()
    }

    fn failed(&mut self, hello: &Pending, now: Duration) {
        if !hello.rests {
            return;
        }
        let key = (hello.topic, hello.to);
        let failures = self.rests.get(&key).map_or(0, |rest| rest.failures);
        let rest = self.rest * 2u32.saturating_pow(failures.min(16));
        let rest = Rest {
            until: now + rest.min(LONGEST_REST),
            failures: failures + 1,
        };
        self.set_rest(hello.topic, hello.to, rest, now);
    }

    fn set_rest(&mut self, topic: TopicId, at: SocketAddrV4, rest: Rest, now: Duration) {
        if self.rests.len() >= MAX_RESTING {
            self.rests.retain(|_, rest| rest.until > now);
        }
        if self.rests.len() >= MAX_RESTING {
            // All rest: forget the one that would be free first.
            let first = self.rests.iter().min_by_key(|(_, rest)| rest.until);
            if let Some(key) = first.map(|(key, _)| *key) {
                self.rests.remove(&key);
            }
        }
        self.rests.insert((topic, at), rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TopicId = TopicId::from_bytes([1; 32]);
    const MS: Duration = Duration::from_millis(1);

    fn address() -> SocketAddrV4 {
        "192.0.2.1:4000".parse().unwrap()
    }

    #[test]
    fn three_tries_then_a_growing_rest() {
        let config = Config::default();
        let mut exchange = Exchange::new(&config);
        let mut now = Duration::ZERO;
        let mut rests = Vec::new();
        for _ in 0..8 {
            assert!(exchange.may_ask(T, address(), now));
            exchange.begin(T, Epoch(1), Source::Lan, address(), [7; 16], now);
            let mut sent = 1;
            loop {
                now = exchange.next_wake().unwrap();
                match &exchange.late(now)[..] {
                    [Late::Again(_)] => sent += 1,
                    [Late::GaveUp(_)] => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(sent, config.hello_tries);
            assert!(!exchange.may_ask(T, address(), now));
            let start = now;
            while !exchange.may_ask(T, address(), now) {
                now += 1000 * MS;
            }
            rests.push((now - start).as_secs());
        }
        assert_eq!(rests, [60, 120, 240, 300, 300, 300, 300, 300]);
    }

    #[test]
    fn an_answer_ends_it_and_clears_failures() {
        let mut exchange = Exchange::new(&Config::default());
        exchange.begin(T, Epoch(1), Source::Lan, address(), [7; 16], MS);
        assert!(!exchange.may_ask(T, address(), MS));
        exchange.answered(&[7; 16], 2 * MS);
        assert_eq!(exchange.next_wake(), None);
        assert!(!exchange.may_ask(T, address(), 3 * MS));
        assert!(exchange.may_ask(T, address(), Duration::from_secs(31)));
    }

    #[test]
    fn an_own_address_is_not_asked_for_a_while() {
        let mut exchange = Exchange::new(&Config::default());
        exchange.is_own(address(), MS);
        assert!(!exchange.may_ask(T, address(), OWN_FOR));
        assert!(exchange.may_ask(T, address(), MS + OWN_FOR));
    }

    #[test]
    fn memory_is_bounded() {
        let mut exchange = Exchange::new(&Config::default());
        for n in 0..10_000u32 {
            exchange.met(T, SocketAddrV4::new(n.into(), 4000), MS);
        }
        assert_eq!(exchange.rests.len(), MAX_RESTING);
    }
}
