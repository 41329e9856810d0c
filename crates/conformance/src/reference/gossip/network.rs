//! The network of the reference gossip: all endpoints, and what passes between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    AskError, AskId, DialResult, EndpointId, GossipEvent, MemberKeys, Outlet, ProofDrop, ProofSide,
    TopicId,
};
use tokio::sync::oneshot;

use super::Fault;

/// Events that are told before some are swallowed.
const TOLD: usize = 16;

/// All endpoints that run.
#[derive(Debug, Default)]
pub struct Network {
    fault: Option<Fault>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    questions: u64,
    stays: u64,
}

#[derive(Debug)]
struct Endpoint {
    /// Which of the endpoint's stays this is.
    stay: u64,
    events: Outlet<GossipEvent>,
    told: usize,
    topics: BTreeMap<TopicId, Topic>,
    banned: BTreeSet<EndpointId>,
    waiting: BTreeMap<AskId, oneshot::Sender<Option<Bytes>>>,
}

#[derive(Debug)]
struct Topic {
    keys: MemberKeys,
    neighbors: BTreeSet<EndpointId>,
}

impl Network {
    pub fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// An endpoint comes; the number of its stay.
    pub fn enter(&mut self, id: EndpointId, events: Outlet<GossipEvent>) -> u64 {
        self.stays += 1;
        let endpoint = Endpoint {
            stay: self.stays,
            events,
            told: 0,
            topics: BTreeMap::new(),
            banned: BTreeSet::new(),
            waiting: BTreeMap::new(),
        };
        self.endpoints.insert(id, endpoint);
        self.stays
    }

    /// It leaves all topics and is gone, unless it has come back since.
    pub fn exit(&mut self, id: EndpointId, stay: u64) {
        let own = self.endpoints.get(&id);
        if own.is_none_or(|own| own.stay != stay) {
            return;
        }
        for topic in self.topics(id) {
            self.go(id, topic, true);
        }
        self.endpoints.remove(&id);
    }

    pub fn topics(&self, id: EndpointId) -> Vec<TopicId> {
        let endpoint = self.endpoints.get(&id);
        endpoint.map_or_else(Vec::new, |own| own.topics.keys().copied().collect())
    }

    pub fn join(&mut self, id: EndpointId, topic: TopicId, keys: MemberKeys) {
        if let Some(own) = self.endpoints.get_mut(&id) {
            let neighbors = BTreeSet::new();
            let open = own.topics.entry(topic).or_insert(Topic {
                keys: keys.clone(),
                neighbors,
            });
            open.keys = keys;
        }
    }

    pub fn neighbors(&self, id: EndpointId, topic: TopicId) -> Option<BTreeSet<EndpointId>> {
        let open = self.endpoints.get(&id)?.topics.get(&topic)?;
        Some(open.neighbors.clone())
    }

    pub fn leave(&mut self, id: EndpointId, topic: TopicId) {
        self.go(id, topic, !self.has(Fault::LeavesSilently));
    }

    fn go(&mut self, id: EndpointId, topic: TopicId, tells: bool) {
        for peer in self.neighbors(id, topic).unwrap_or_default() {
            if tells {
                self.part(peer, id, topic);
            }
        }
        if let Some(own) = self.endpoints.get_mut(&id) {
            own.topics.remove(&topic);
        }
    }

    fn tell(&mut self, id: EndpointId, event: GossipEvent) {
        let swallows = self.has(Fault::SwallowsEvents);
        if let Some(to) = self.endpoints.get_mut(&id) {
            to.told += 1;
            if !swallows || to.told <= TOLD {
                to.events.emit(event);
            }
        }
    }

    fn meet(&mut self, id: EndpointId, peer: EndpointId, topic: TopicId) {
        let own = self.endpoints.get_mut(&id);
        let Some(open) = own.and_then(|own| own.topics.get_mut(&topic)) else {
            return;
        };
        if open.neighbors.insert(peer) {
            let neighbors =
                open.neighbors.len() - usize::from(self.fault == Some(Fault::Miscounts));
            let event = GossipEvent::NeighborUp {
                topic,
                peer,
                neighbors,
            };
            self.tell(id, event);
        }
    }

    fn part(&mut self, id: EndpointId, peer: EndpointId, topic: TopicId) {
        let own = self.endpoints.get_mut(&id);
        let Some(open) = own.and_then(|own| own.topics.get_mut(&topic)) else {
            return;
        };
        if open.neighbors.remove(&peer) {
            let event = GossipEvent::NeighborDown {
                topic,
                peer,
                neighbors: open.neighbors.len(),
            };
            self.tell(id, event);
        }
    }

    pub fn dial(&mut self, id: EndpointId, peer: EndpointId, topic: TopicId) {
        let result = self.connect(id, peer, topic);
        if result == DialResult::Failed && self.has(Fault::DialsSilently) {
            return;
        }
        if result == DialResult::Connected {
            self.meet(id, peer, topic);
            self.meet(peer, id, topic);
        }
        let event = GossipEvent::DialEnded {
            topic,
            peer,
            result,
            took: Duration::ZERO,
        };
        self.tell(id, event);
    }

    fn connect(&mut self, id: EndpointId, peer: EndpointId, topic: TopicId) -> DialResult {
        let bars = |one: EndpointId, other: EndpointId| {
            let one = self.endpoints.get(&one);
            one.is_some_and(|one| one.banned.contains(&other)) && !self.has(Fault::ForgivesBans)
        };
        if bars(id, peer) {
            return DialResult::Banned;
        }
        if !self.endpoints.contains_key(&peer) {
            return DialResult::Failed;
        }
        let proof = |one: EndpointId| Some(&self.endpoints.get(&one)?.topics.get(&topic)?.keys);
        let reason = match bars(peer, id) {
            true => ProofDrop::Banned,
            false if proof(id) == proof(peer) || self.has(Fault::LetsAnybodyIn) => {
                return DialResult::Connected;
            }
            false => ProofDrop::NotMember,
        };
        let event = GossipEvent::ProofDropped {
            peer: id,
            side: ProofSide::Accepted,
            reason,
        };
        self.tell(peer, event);
        DialResult::NotMember
    }

    pub fn ban(&mut self, id: EndpointId, peers: BTreeSet<EndpointId>) {
        for topic in self.topics(id) {
            for peer in &peers {
                self.part(id, *peer, topic);
                self.part(*peer, id, topic);
            }
        }
        if let Some(own) = self.endpoints.get_mut(&id) {
            own.banned = peers;
        }
    }

    pub fn broadcast(&mut self, id: EndpointId, topic: TopicId, payload: &Bytes) {
        let others = match self.has(Fault::MixesTopics) {
            true => self.topics(id),
            false => vec![topic],
        };
        let neighbors = |network: &Self, of| -> BTreeSet<_> {
            let in_topic = |topic: &TopicId| network.neighbors(of, *topic).unwrap_or_default();
            others.iter().flat_map(in_topic).collect()
        };
        let (mut reached, mut senders) = (BTreeSet::from([id]), vec![id]);
        if self.has(Fault::HearsItself) {
            reached.clear();
        }
        while let Some(from) = senders.pop() {
            for peer in neighbors(self, from) {
                if !reached.insert(peer) {
                    continue;
                }
                let event = GossipEvent::Received {
                    topic,
                    payload: payload.clone(),
                    from,
                    first_hand: from == id && !self.has(Fault::DeniesFirstHand),
                };
                self.tell(peer, event);
                if !self.has(Fault::HandsOnNothing) {
                    senders.push(peer);
                }
            }
        }
    }

    /// Asks a neighbor; the answer comes by what this gives.
    pub fn ask(
        &mut self,
        id: EndpointId,
        topic: TopicId,
        peer: EndpointId,
        payload: Bytes,
    ) -> Result<oneshot::Receiver<Option<Bytes>>, AskError> {
        let unknown = AskError::UnknownTopic(topic);
        let neighbors = self.neighbors(id, topic).ok_or(unknown.clone())?;
        let asked = self.endpoints.get_mut(&peer);
        let Some(asked) = asked.filter(|_| neighbors.contains(&peer)) else {
            return Err(match self.has(Fault::BlamesTheTopic) {
                true => unknown,
                false => AskError::NoNeighbor(peer),
            });
        };
        self.questions += 1;
        let question = AskId(1000 + self.questions);
        let (answer, answered) = oneshot::channel();
        asked.waiting.insert(question, answer);
        let event = GossipEvent::Asked {
            topic,
            from: id,
            id: question,
            payload,
        };
        self.tell(peer, event);
        Ok(answered)
    }

    /// Whoever waits for this answer.
    pub fn waits(
        &mut self,
        id: EndpointId,
        question: AskId,
    ) -> Option<oneshot::Sender<Option<Bytes>>> {
        self.endpoints.get_mut(&id)?.waiting.remove(&question)
    }
}
