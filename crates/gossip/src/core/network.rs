//! A network in memory: its endpoints, and the links between them.
//!
//! One state machine has all of it, so both sides of a link have the same one, and
//! a link that has ended has ended for both. What a side knows of it comes later, over the network:
//! each packet takes its time, and may be lost, and is then sent again, as under QUIC. So loss is
//! delay, and never a gap while a link lives. Whatever comes names its link, so nothing that is late
//! can touch a newer one.
//!
//! Time is passed in, and chance comes from a seed.

mod carry;
mod chance;
mod counters;
mod dial;
mod endpoint;
mod flood;
mod link;
mod questions;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{DialResult, EndpointId, MemberKeys, TopicId};

use self::chance::Chance;
use self::endpoint::{Endpoint, Key, Member};
pub use self::endpoint::{Limits, MAX_MESSAGES, MAX_NEWS, News};
pub use self::flood::{MAX_BROADCAST_BYTES, MAX_SEEN};
pub use self::link::Number;
use self::link::{End, Item, Link, Packet, Pair};
use super::banned::Banned;

/// Endpoints in a network. 1024: more than one process has nodes.
pub const MAX_ENDPOINTS: usize = 1024;

/// How the network treats packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// The least and the most time that a packet takes.
    pub latency: (Duration, Duration),
    /// How many packets of a hundred are lost.
    pub loss_percent: u32,
    /// A link whose sides can't reach each other ends after so long.
    pub silence: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// A stay of an endpoint in the network. Whoever comes back has another one, and the earlier one is
/// good for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Which endpoint.
    pub id: EndpointId,
    stay: u64,
}

/// All places of the network are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The network.
#[derive(Debug)]
pub struct Network {
    conditions: Conditions,
    chance: Chance,
    now: Duration,
    /// Of stays, links, messages, questions, and of all that is on its way.
    next: u64,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    links: BTreeMap<Number, Link>,
    /// The one link of two members of a topic, once it was accepted.
    pairs: BTreeMap<Pair, Number>,
    /// Who is in which part, while the network is split.
    parts: Option<BTreeMap<EndpointId, usize>>,
    /// To whom something comes earlier than before, or who has news.
    touched: BTreeSet<EndpointId>,
}

/// The address that stands for an endpoint in records: a loopback address that nothing is bound to.
/// It depends on the id alone, so it is the same after each restart.
pub fn address_of(id: EndpointId) -> SocketAddr {
    let [a, b, c, d, e, ..] = *id.as_bytes();
    // Below 1024 are services, which discovery has nobody dial.
    let port = 1024 + u16::from_be_bytes([d, e]) % (u16::MAX - 1023);
    SocketAddrV4::new(Ipv4Addr::new(127, a, b, c), port).into()
}

impl Network {
    /// A network with nobody in it.
    pub fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            chance: Chance::new(conditions.seed),
            now: Duration::ZERO,
            next: 0,
            endpoints: BTreeMap::new(),
            links: BTreeMap::new(),
            pairs: BTreeMap::new(),
            parts: None,
            touched: BTreeSet::new(),
        }
    }

    /// An endpoint comes. If it is here, that stay ends.
    ///
    /// # Errors
    /// [`Full`].
    pub fn enter(&mut self, id: EndpointId, limits: Limits, now: Duration) -> Result<Pass, Full> {
        self.at(now);
        if let Some(Endpoint { stay, .. }) = self.endpoints.get(&id) {
            let earlier = Pass { id, stay: *stay };
            self.exit(earlier, now);
        }
        if self.endpoints.len() >= MAX_ENDPOINTS {
            return Err(Full);
        }
        let Number(stay) = self.number();
        self.endpoints.insert(id, Endpoint::new(stay, limits));
        Ok(Pass { id, stay })
    }

    /// An endpoint goes, and those that it has links with hear of it. Says whether it was here.
    pub fn exit(&mut self, pass: Pass, now: Duration) -> bool {
        self.at(now);
        if self.own(pass).is_none() {
            return false;
        }
        self.endpoints.remove(&pass.id);
        for link in self.links_of(pass.id, |_| true) {
            self.end(link, End::Lost, Some(pass.id));
        }
        true
    }

    /// An endpoint takes part in a topic, or gets other keys for it. Says whether it is here.
    pub fn join(&mut self, pass: Pass, topic: TopicId, keys: MemberKeys) -> bool {
        let Some(own) = self.own(pass) else {
            return false;
        };
        match own.topics.get_mut(&topic) {
            Some(member) => member.keys = keys,
            None => _ = own.topics.insert(topic, Member::new(keys)),
        }
        true
    }

    /// An endpoint takes part in a topic no more. It is told nothing more of it, but of the ends of
    /// its dials and questions.
    pub fn leave(&mut self, pass: Pass, topic: TopicId, now: Duration) {
        self.at(now);
        let Some(own) = self.own(pass) else {
            return;
        };
        own.topics.remove(&topic);
        own.forget(topic);
        for link in self.links_of(pass.id, |link| link.topic == topic) {
            self.end(link, End::Lost, Some(pass.id));
        }
    }

    /// These and no others are banned by an endpoint: links with them end, also those that are only
    /// about to be.
    pub fn ban(&mut self, pass: Pass, banned: Banned, now: Duration) {
        self.at(now);
        let Some(own) = self.own(pass) else {
            return;
        };
        own.banned = banned.clone();
        let is_barred = |link: &Link| {
            // Whoever dials hears of it when it has proven who it is.
            let (_, peer) = link.sides(pass.id);
            banned.has(peer.id) && (link.accepted || link.dialer == pass)
        };
        for link in self.links_of(pass.id, is_barred) {
            self.end(link, End::Banned, Some(pass.id));
        }
    }

    /// Takes in what has come to an endpoint by now, at most so much of it.
    pub fn advance(&mut self, pass: Pass, now: Duration, most: usize) {
        self.at(now);
        for _ in 0..most {
            let now = self.now;
            let Some(item) = self.own(pass).and_then(|own| own.due(now)) else {
                return;
            };
            self.take_in(pass, item);
        }
    }

    /// When something comes to an endpoint next.
    pub fn next_due(&self, pass: Pass) -> Option<Duration> {
        self.endpoint(pass)?.next_due()
    }

    /// Whether an endpoint is here, in this stay.
    pub fn has(&self, pass: Pass) -> bool {
        self.endpoint(pass).is_some()
    }

    /// Whether there are news for its actor.
    pub fn has_news(&self, pass: Pass) -> bool {
        self.endpoint(pass).is_some_and(Endpoint::has_news)
    }

    /// The news for its actor. `None` if it is not here (any more).
    pub fn take_news(&mut self, pass: Pass) -> Option<Vec<News>> {
        self.own(pass).map(Endpoint::take_news)
    }

    /// To whom something comes earlier than before, or who has news, since it was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<EndpointId> {
        std::mem::take(&mut self.touched)
    }

    /// What an endpoint has counted, as OpenMetrics text without the final `# EOF`.
    pub fn counters(&self, pass: Pass) -> String {
        let endpoint = self.endpoint(pass);
        endpoint.map_or_else(String::new, |own| own.counts.open_metrics())
    }

    /// A number below the bound, by the network's chance.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).unwrap_or(0)
    }

    fn take_in(&mut self, pass: Pass, item: Item) {
        match item {
            Item::Packet(link, packet) => self.arrived(pass, link, packet),
            Item::Ended {
                link,
                topic,
                peer,
                end,
                mine,
            } => self.hear_end(pass, link, (topic, peer), end, mine),
            Item::DialDue(link) => {
                self.dial_ended(pass, link, DialResult::TimedOut);
                self.end(link, End::Late, Some(pass.id));
            }
            Item::QuestionDue(question) => self.question_is_late(pass, question),
            Item::AnswerDue(id) => self.answer_is_late(pass, id),
            Item::Broken(link) => self.end(link, End::Lost, None),
            Item::Silent(link, since) => {
                let cut = self.links.get(&link).and_then(|link| link.cut.as_ref());
                if cut.is_some_and(|cut| cut.since == since) {
                    self.end(link, End::Lost, None);
                }
            }
        }
    }

    fn arrived(&mut self, pass: Pass, number: Number, packet: Packet) {
        let Some(link) = self.links.get(&number) else {
            // It has ended meanwhile, and the news of that is on its way.
            return;
        };
        let (topic, (_, peer)) = (link.topic, link.sides(pass.id));
        if let Some(own) = self.own(pass) {
            own.counts.arrived += 1;
        }
        match packet {
            Packet::Hello => self.greeted(pass, number, peer),
            Packet::HelloBack => self.claim(pass, number),
            Packet::Claim(claim) => self.judge(pass, number, &claim),
            Packet::Proof(proof) => self.check(pass, number, &proof),
            Packet::Message {
                id,
                payload,
                first_hand,
            } => self.heard(pass, (topic, peer.id, number), id, payload, first_hand),
            Packet::Question { id, payload } => {
                self.asked(pass, (topic, peer.id, number), id, payload);
            }
            Packet::Reply { to, answer } => self.answered(pass, to, answer),
        }
    }

    /// Time never goes back.
    fn at(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn number(&mut self) -> Number {
        self.next += 1;
        Number(self.next)
    }

    fn endpoint(&self, pass: Pass) -> Option<&Endpoint> {
        let endpoint = self.endpoints.get(&pass.id);
        endpoint.filter(|endpoint| endpoint.stay == pass.stay)
    }

    fn own(&mut self, pass: Pass) -> Option<&mut Endpoint> {
        let endpoint = self.endpoints.get_mut(&pass.id);
        endpoint.filter(|endpoint| endpoint.stay == pass.stay)
    }

    fn links_of(&self, id: EndpointId, which: impl Fn(&Link) -> bool) -> Vec<Number> {
        let links = self.links.iter();
        let links = links.filter(|(_, link)| link.has(id) && which(link));
        links.map(|(number, _)| *number).collect()
    }

    /// Has something come to an endpoint at its time, if it is still here then.
    fn plan(&mut self, to: Pass, due: Duration, item: Item, topic: Option<TopicId>) -> Key {
        let key = (due, self.number());
        if let Some(endpoint) = self.own(to)
            && endpoint.plan(key, item, topic)
        {
            self.touched.insert(to.id);
        }
        key
    }

    /// Tells an actor.
    fn tell(&mut self, pass: Pass, news: News) {
        if let Some(own) = self.own(pass) {
            own.tell(news);
            self.touched.insert(pass.id);
        }
    }
}

#[cfg(test)]
mod tests;
