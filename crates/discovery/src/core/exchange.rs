//! The hellos under way, and the addresses that rest.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{Epoch, Source, TopicId};

use super::hello::RequestId;
use crate::config::Config;

/// Most addresses that are remembered as resting or own, and most hosts that are as resting.
const MAX_RESTING: usize = 4096;
/// How long an address counts as our own.
const OWN_FOR: Duration = Duration::from_secs(600);
/// Longest rest of an address, and of a host none of whose addresses answers. 5 min, the usual interval
/// of announcements: halves of a swarm that the network kept apart meet within one, once it is whole,
/// and who can name bad ports of a member's host does not hide the member for long.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// All hellos under way are at most so many times those in their first try. With the default waits
/// there are 7 times as many.
const ALL_TRIES: usize = 8;

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
    /// Hosts that have not answered since so many of their addresses failed. Loopback has none.
    hosts: HashMap<(TopicId, Ipv4Addr), Rest>,
    /// Until when an address counts as our own.
    own: HashMap<SocketAddrV4, Duration>,
    most: usize,
    per_host: usize,
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
            hosts: HashMap::new(),
            own: HashMap::new(),
            most: config.hello_in_flight,
            per_host: config.hellos_per_ip,
            tries: config.hello_tries,
            timeout: Duration::from_millis(config.hello_timeout_ms),
            rest: Duration::from_millis(config.hello_rest_ms),
            answered_rest: Duration::from_millis(config.hello_answered_rest_ms),
        }
    }

    /// Whether one more hello may be under way. Those that wait for the reply to their first try
    /// count: most addresses that answer do so then, and false entries must not hold up the others
    /// for all their tries.
    pub fn has_room(&self) -> bool {
        let first = self.pending.iter().filter(|p| p.tries == 1).count();
        first < self.most && self.pending.len() < self.most * ALL_TRIES
    }

    /// Whether an address may be asked: not under way, not resting, not our own, and its host
    /// neither rests nor is being asked at as many addresses as one look-up may.
    pub fn may_ask(&self, topic: TopicId, to: SocketAddrV4, now: Duration) -> bool {
        let resting = self
            .rests
            .get(&(topic, to))
            .is_some_and(|rest| rest.until > now);
        let under_way = || self.pending.iter().any(|p| p.topic == topic && p.to == to);
        let own = self.own.get(&to).is_some_and(|until| *until > now);
        !own && !resting && !under_way() && self.may_ask_host(topic, *to.ip(), now)
    }

    fn may_ask_host(&self, topic: TopicId, host: Ipv4Addr, now: Duration) -> bool {
        let rests = self.hosts.get(&(topic, host));
        let of_host = |p: &&Pending| p.topic == topic && *p.to.ip() == host;
        host.is_loopback()
            || rests.is_none_or(|rest| rest.until <= now)
                && self.pending.iter().filter(of_host).count() < self.per_host
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
        let rest = Rest { until, failures: 0 };
        keep((topic, at), rest, &mut self.rests, now);
        self.hosts.remove(&(topic, *at.ip()));
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
        self.hosts.retain(|(of, _), _| *of != topic);
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
        let failures = self.rests.get(&key).map_or(0, |rest| rest.failures) + 1;
        let until = now + self.rest_after(failures).min(LONGEST_REST);
        keep(key, Rest { until, failures }, &mut self.rests, now);
        self.host_failed(hello.topic, *hello.to.ip(), now);
    }

    /// Each time that as many addresses of a host have failed as one look-up may ask, and none has
    /// answered, the host rests: else every look-up would ask a victim at other ports.
    fn host_failed(&mut self, topic: TopicId, host: Ipv4Addr, now: Duration) {
        let known = self.hosts.get(&(topic, host));
        let failures = known.map_or(0, |rest| rest.failures) + 1;
        let mut until = known.map_or(now, |rest| rest.until);
        let round = self.per_host.max(1) as u32;
        let rounds = failures / round;
        if failures.is_multiple_of(round) {
            until = now + self.rest_after(rounds).min(LONGEST_REST);
        }
        keep(
            (topic, host),
            Rest { until, failures },
            &mut self.hosts,
            now,
        );
    }

    /// The rest after so many failures in a row: it doubles each time.
    fn rest_after(&self, failures: u32) -> Duration {
        self.rest * 2u32.saturating_pow((failures - 1).min(16))
    }
}

/// Notes a rest. Where too many rest, the one that would be free first is forgotten.
fn keep<K: Copy + Eq + Hash>(key: K, rest: Rest, rests: &mut HashMap<K, Rest>, now: Duration) {
    if rests.len() >= MAX_RESTING {
        rests.retain(|_, rest| rest.until > now);
    }
    if rests.len() >= MAX_RESTING {
        let first = rests.iter().min_by_key(|(_, rest)| rest.until);
        if let Some(key) = first.map(|(key, _)| *key) {
            rests.remove(&key);
        }
    }
    rests.insert(key, rest);
}
