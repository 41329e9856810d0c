//! Endpoints in a network whose time the test has.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    AnswerError, AskDrop, AskError, AskId, DialResult, EndpointAddr, EndpointId, Epoch,
    GossipEvent, KeyBytes, MemberKeys, ProofDrop, ProofSide, TopicId,
};

use super::super::*;

pub const MS: Duration = Duration::from_millis(1);
pub const S: Duration = Duration::from_secs(1);
pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
pub const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);

pub const FINE: Conditions = Conditions {
    latency: (MS, Duration::from_millis(5)),
    loss_percent: 0,
    silence: Duration::from_secs(6),
    seed: 1,
};

pub const LIMITS: Limits = Limits {
    answers: (4, 4),
    dial: Duration::from_secs(5),
    question: Duration::from_secs(9),
    answer: Duration::from_secs(8),
};

/// What members of a topic have in an epoch.
pub fn keys_at(topic: TopicId, epoch: Epoch) -> MemberKeys {
    let key = |epoch: Epoch| KeyBytes::new([topic.as_bytes()[0] ^ epoch.0 as u8; 32]);
    let others = MemberKeys::others_around(epoch).map(|other| (other, key(other)));
    MemberKeys {
        epoch,
        own: key(epoch),
        others: others.collect(),
    }
}

pub fn keys(topic: TopicId) -> MemberKeys {
    keys_at(topic, Epoch(100))
}

pub struct World {
    pub network: Network,
    pub now: Duration,
    /// Whose actor takes no news.
    pub slow: Option<usize>,
    passes: Vec<Pass>,
    news: Vec<Vec<News>>,
}

impl World {
    /// So many endpoints, all of them in the topic.
    pub fn new(n: usize, conditions: Conditions) -> Self {
        let mut network = Network::new(conditions);
        let id = |n: usize| EndpointId::from_bytes([n as u8 + 1; 32]);
        let enter = |n| network.enter(id(n), LIMITS, Duration::ZERO).unwrap();
        let passes = (0..n).map(enter).collect();
        let mut world = Self {
            network,
            now: Duration::ZERO,
            slow: None,
            passes,
            news: vec![Vec::new(); n],
        };
        (0..n).for_each(|n| world.join(n, TOPIC, keys(TOPIC)));
        world
    }

    pub fn pass(&self, n: usize) -> Pass {
        self.passes[n]
    }

    pub fn number_of(&self, id: EndpointId) -> usize {
        self.passes.iter().position(|pass| pass.id == id).unwrap()
    }

    pub fn address(&self, n: usize) -> EndpointAddr {
        let id = self.passes[n].id;
        EndpointAddr {
            id,
            direct: vec![address_of(id)],
            relay: None,
        }
    }

    /// Comes (again), in no topic, and has no news.
    pub fn enter(&mut self, n: usize) {
        let id = self.passes[n].id;
        self.passes[n] = self.network.enter(id, LIMITS, self.now).unwrap();
        self.news[n].clear();
    }

    pub fn exit(&mut self, n: usize) {
        assert!(self.network.exit(self.passes[n], self.now));
    }

    pub fn join(&mut self, n: usize, topic: TopicId, keys: MemberKeys) {
        assert!(self.network.join(self.passes[n], topic, keys));
    }

    pub fn leave(&mut self, n: usize) {
        self.network.leave(self.passes[n], TOPIC, self.now);
    }

    pub fn ban(&mut self, n: usize, whom: &[usize]) {
        let banned = whom.iter().map(|n| self.passes[*n].id).collect();
        self.network
            .ban(self.passes[n], Banned::new(banned), self.now);
    }

    pub fn split(&mut self, parts: &[&[usize]]) {
        let part = |part: &&[usize]| part.iter().map(|n| self.passes[*n].id).collect();
        let parts: Vec<BTreeSet<_>> = parts.iter().map(part).collect();
        self.network.split(&parts, self.now);
    }

    pub fn heal(&mut self) {
        self.network.heal(self.now);
    }

    pub fn dial_at(&mut self, n: usize, to: &EndpointAddr) {
        self.network.dial(self.passes[n], TOPIC, to, self.now);
    }

    pub fn dial(&mut self, n: usize, to: usize) {
        let to = self.address(to);
        self.dial_at(n, &to);
    }

    /// Makes neighbors of two.
    pub fn meet(&mut self, n: usize, to: usize) {
        self.dial(n, to);
        self.settle();
        let member = &self.network.endpoint(self.passes[n]).unwrap().topics[&TOPIC];
        assert!(member.neighbors.contains_key(&self.passes[to].id));
    }

    pub fn broadcast(&mut self, n: usize, what: u32) {
        let payload = what.to_be_bytes().to_vec().into();
        let pass = self.passes[n];
        self.network
            .broadcast(pass, TOPIC, payload, self.now)
            .unwrap();
    }

    pub fn ask(&mut self, n: usize, whom: usize, what: &[u8]) -> Result<Number, AskError> {
        let (pass, peer) = (self.passes[n], self.passes[whom].id);
        let payload = what.to_vec().into();
        self.network.ask(pass, TOPIC, peer, payload, self.now)
    }

    pub fn answer(&mut self, n: usize, id: AskId, what: Option<&[u8]>) -> Result<(), AnswerError> {
        let payload = what.map(|what| what.to_vec().into());
        self.network.answer(self.passes[n], id, payload, self.now)
    }

    /// Lets all come that comes until then; the time is then afterwards.
    pub fn run_until(&mut self, end: Duration) {
        loop {
            self.take_news();
            let passes = self.passes.iter();
            let due = passes.filter_map(|pass| Some((self.network.next_due(*pass)?, *pass)));
            let Some((due, pass)) = due
                .min_by_key(|(due, _)| *due)
                .filter(|(due, _)| *due <= end)
            else {
                break;
            };
            self.now = self.now.max(due);
            self.network.advance(pass, self.now, 1);
        }
        if end < Duration::MAX {
            self.now = self.now.max(end);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Until nothing comes any more.
    pub fn settle(&mut self) {
        self.run_until(Duration::MAX);
    }

    /// Until questions have arrived that nobody answers yet.
    pub fn settle_but_answers(&mut self) {
        self.run_for(S);
    }

    fn take_news(&mut self) {
        for (n, pass) in self.passes.iter().enumerate() {
            if self.slow != Some(n) {
                self.news[n].extend(self.network.take_news(*pass).into_iter().flatten());
            }
        }
    }

    pub fn forget_news(&mut self) {
        self.news.iter_mut().for_each(Vec::clear);
    }

    pub fn news(&self, n: usize) -> &[News] {
        &self.news[n]
    }

    /// Neighbors that came (true) and went.
    pub fn changes(&self, n: usize) -> Vec<(bool, usize)> {
        let news = self.news[n].iter();
        let changes = news.filter_map(|news| match news {
            News::Up { peer, .. } => Some((true, self.number_of(*peer))),
            News::Down { peer, .. } => Some((false, self.number_of(*peer))),
            _ => None,
        });
        changes.collect()
    }

    pub fn dials(&self, n: usize) -> Vec<(DialResult, Duration)> {
        let news = self.news[n].iter();
        let ended = news.filter_map(|news| match news {
            News::DialEnded { result, took, .. } => Some((*result, *took)),
            _ => None,
        });
        ended.collect()
    }

    pub fn results(&self, n: usize) -> Vec<DialResult> {
        self.dials(n)
            .into_iter()
            .map(|(result, _)| result)
            .collect()
    }

    pub fn answers(&self, n: usize) -> Vec<(Number, Result<Bytes, AskError>)> {
        let news = self.news[n].iter();
        let answers = news.filter_map(|news| match news {
            News::Answered { question, answer } => Some((*question, answer.clone())),
            _ => None,
        });
        answers.collect()
    }

    pub fn events(&self, n: usize) -> Vec<&GossipEvent> {
        let news = self.news[n].iter();
        let events = news.filter_map(|news| match news {
            News::Event(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// Broadcasts that came.
    pub fn heard(&self, n: usize) -> Vec<u32> {
        let events = self.events(n).into_iter();
        let heard = events.filter_map(|event| match event {
            GossipEvent::Received { payload, .. } => Some(number_in(payload)),
            _ => None,
        });
        heard.collect()
    }

    /// The question that came.
    pub fn asked(&self, n: usize) -> AskId {
        let events = self.events(n).into_iter();
        let mut asked = events.filter_map(|event| match event {
            GossipEvent::Asked { id, .. } => Some(*id),
            _ => None,
        });
        asked.next().unwrap()
    }

    pub fn ask_drops(&self, n: usize) -> Vec<AskDrop> {
        let events = self.events(n).into_iter();
        let drops = events.filter_map(|event| match event {
            GossipEvent::AskDropped { reason, .. } => Some(*reason),
            _ => None,
        });
        drops.collect()
    }

    pub fn proofs(&self, n: usize) -> Vec<(EndpointId, ProofSide, ProofDrop)> {
        let events = self.events(n).into_iter();
        let proofs = events.filter_map(|event| match event {
            GossipEvent::ProofDropped { peer, side, reason } => Some((*peer, *side, *reason)),
            _ => None,
        });
        proofs.collect()
    }

    /// Neighbors of an endpoint, as far as it knows.
    pub fn neighbors(&self, n: usize) -> BTreeMap<EndpointId, Number> {
        let own = self.network.endpoint(self.passes[n]);
        let member = own.and_then(|own| own.topics.get(&TOPIC));
        member
            .map(|member| member.neighbors.clone())
            .unwrap_or_default()
    }

    /// All has settled: both sides of each link have it, nobody has any other, and nothing is left
    /// over.
    pub fn agree(&self) {
        let mut sides = 0;
        for (number, link) in &self.network.links {
            assert!(link.accepted && link.cut.is_none(), "{link:?}");
            assert_eq!(self.network.pairs.get(&link.pair()), Some(number));
            for (side, other) in [(link.dialer, link.acceptor), (link.acceptor, link.dialer)] {
                let known = self.neighbors(self.number_of(side.id));
                assert_eq!(known.get(&other.id), Some(number), "{link:?}");
                sides += 1;
            }
        }
        let known = (0..self.passes.len()).map(|n| self.neighbors(n).len());
        assert_eq!(known.sum::<usize>(), sides);
        assert_eq!(self.network.pairs.len(), self.network.links.len());
        for pass in &self.passes {
            let Some(own) = self.network.endpoint(*pass) else {
                continue;
            };
            assert!(own.dials.is_empty() && own.asked.is_empty() && own.waiting.is_empty());
            assert_eq!(own.next_due(), None);
        }
    }
}

pub fn number_in(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload.try_into().unwrap())
}
