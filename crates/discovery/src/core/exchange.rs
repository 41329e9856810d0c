//! The hellos under way, and the addresses that rest.

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

    /// Has an address asked in vain, at its time; how many packets it got.
    fn ask_in_vain(exchange: &mut Exchange, to: SocketAddrV4, now: &mut Duration) -> usize {
        exchange.begin(T, Epoch(1), Source::Lan, to, [7; 16], *now);
        let mut sent = 1;
        loop {
            *now = exchange.next_wake().unwrap();
            match &exchange.late(*now)[..] {
                [Late::Again(_)] => sent += 1,
                [Late::GaveUp(_)] => return sent,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_host_whose_addresses_do_not_answer_rests_at_all_ports() {
        let config = Config::default();
        let mut exchange = Exchange::new(&config);
        let (mut now, mut sent, mut rests) = (Duration::ZERO, 0, Vec::new());
        let host = |port| SocketAddrV4::new([192, 0, 2, 1].into(), port);
        for port in 4000..4020 {
            let start = now;
            while !exchange.may_ask(T, host(port), now) {
                now += 1000 * MS;
            }
            rests.extend((now > start).then(|| (now - start).as_secs()));
            sent += ask_in_vain(&mut exchange, host(port), &mut now);
        }
        assert_eq!(rests, [60, 120, 240, 300]);
        assert_eq!(sent, 20 * 3);
        let elsewhere = "192.0.2.2:4000".parse().unwrap();
        assert!(exchange.may_ask(T, elsewhere, now));
        // A member there asks: the host is no victim.
        assert!(!exchange.may_ask(T, host(5000), now));
        exchange.met(T, host(4999), now);
        assert!(exchange.may_ask(T, host(5000), now));
    }

    #[test]
    fn a_host_is_asked_at_few_ports_at_once() {
        let mut exchange = Exchange::new(&Config::default());
        let host = |port| SocketAddrV4::new([192, 0, 2, 1].into(), port);
        for port in 4000..4004 {
            assert!(exchange.may_ask(T, host(port), MS));
            exchange.begin(T, Epoch(1), Source::Lan, host(port), [7; 16], MS);
        }
        assert!(!exchange.may_ask(T, host(4004), MS));
    }

    #[test]
    fn later_tries_leave_room_up_to_a_bound() {
        let config = Config::default();
        let mut exchange = Exchange::new(&config);
        let (mut now, mut host) = (Duration::ZERO, 0);
        let mut most = 0;
        for _ in 0..100 {
            while exchange.has_room() {
                host += 1;
                let to = SocketAddrV4::new((0x0900_0000 + host).into(), 4000);
                exchange.begin(T, Epoch(1), Source::Lan, to, [7; 16], now);
            }
            most = most.max(exchange.pending.len());
            now = exchange.next_wake().unwrap();
            exchange.late(now);
        }
        assert!(most <= config.hello_in_flight * ALL_TRIES, "{most}");
        // 16 new ones every 300 ms, where 16 every 2.1 s had room.
        let asked_per_s = u64::from(host) * 1000 / now.as_millis() as u64;
        assert!((50..60).contains(&asked_per_s), "{asked_per_s}");
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
        for n in 0..5_000u32 {
            exchange.met(T, SocketAddrV4::new(n.into(), 4000), MS);
            exchange.host_failed(T, n.into(), MS);
        }
        assert_eq!(exchange.rests.len(), MAX_RESTING);
        assert!(exchange.hosts.len() <= MAX_RESTING);
    }
}
