//! One endpoint of the network: where it takes part, what is on its way to it, and what waits for
//! its actor.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{AskError, AskId, DialResult, EndpointId, GossipEvent, MemberKeys, TopicId};

use super::counters::Counts;
use super::flood::Seen;
use super::link::{Item, Number};
use crate::core::asks::Places;
use crate::core::banned::Banned;

/// News that wait for an actor, and broadcasts are dropped beyond. As many as iroh-gossip keeps for a
/// topic. With so many, an endpoint neither answers dials nor takes questions: what else can come is
/// the end of what there is.
pub const MAX_NEWS: usize = 2048;
/// Broadcasts on their way to one endpoint; beyond, they are dropped. 4096: as many as fit the batches
/// that wait for the actor over iroh.
pub const MAX_MESSAGES: usize = 4096;

/// What an endpoint does at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Neighbors' questions answered at once, in all and of one peer.
    pub answers: (usize, usize),
    /// Longest dial.
    pub dial: Duration,
    /// Longest question.
    pub question: Duration,
    /// Longest time for the answer to a neighbor.
    pub answer: Duration,
}

/// What an actor is told.
#[derive(Debug, Clone)]
pub enum News {
    /// A peer is a neighbor.
    Up {
        /// The topic.
        topic: TopicId,
        /// Who.
        peer: EndpointId,
    },
    /// A peer is no neighbor any more.
    Down {
        /// The topic.
        topic: TopicId,
        /// Who.
        peer: EndpointId,
    },
    /// A dial has ended.
    DialEnded {
        /// The topic.
        topic: TopicId,
        /// Who was dialed.
        peer: EndpointId,
        /// How it ended.
        result: DialResult,
        /// From the start.
        took: Duration,
    },
    /// A question of this endpoint has ended.
    Answered {
        /// Which.
        question: Number,
        /// How it ended.
        answer: Result<Bytes, AskError>,
    },
    /// What is to be told as it is.
    Event(GossipEvent),
}

impl News {
    /// The topic in which an actor that has left it is told this no more.
    fn in_topic(&self) -> Option<TopicId> {
        match self {
            Self::Up { topic, .. } | Self::Down { topic, .. } => Some(*topic),
            Self::Event(GossipEvent::Received { topic, .. } | GossipEvent::Asked { topic, .. }) => {
                Some(*topic)
            }
            _ => None,
        }
    }
}

/// When something comes, and its number among all that does.
pub type Key = (Duration, Number);

/// An endpoint.
#[derive(Debug)]
pub struct Endpoint {
    pub stay: u64,
    pub limits: Limits,
    pub banned: Banned,
    pub topics: BTreeMap<TopicId, Member>,
    /// Dials under way.
    pub dials: BTreeMap<Number, Dialed>,
    /// Questions under way.
    pub asked: BTreeMap<Number, Asked>,
    /// Neighbors' questions.
    pub waiting: BTreeMap<AskId, Waiting>,
    pub places: Places,
    pub counts: Counts,
    /// What is on its way.
    queue: BTreeMap<Key, Item>,
    /// How much of it is broadcasts.
    messages: usize,
    news: VecDeque<News>,
    lagged: BTreeSet<TopicId>,
}

/// An endpoint in a topic.
#[derive(Debug)]
pub struct Member {
    pub keys: MemberKeys,
    /// Those that it knows of, each with the link.
    pub neighbors: BTreeMap<EndpointId, Number>,
    pub seen: Seen,
}

#[derive(Debug)]
pub struct Dialed {
    pub topic: TopicId,
    pub peer: EndpointId,
    pub since: Duration,
    pub due: Key,
}

#[derive(Debug)]
pub struct Asked {
    pub link: Number,
    pub due: Key,
}

#[derive(Debug)]
pub struct Waiting {
    pub link: Number,
    pub question: Number,
    pub peer: EndpointId,
    pub due: Key,
}

impl Endpoint {
    pub fn new(stay: u64, limits: Limits) -> Self {
        let (answers, per_peer) = limits.answers;
        Self {
            stay,
            limits,
            banned: Banned::default(),
            topics: BTreeMap::new(),
            dials: BTreeMap::new(),
            asked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            // Nobody asks but over a link, so there are no strangers.
            places: Places::new(answers, 0, per_peer),
            counts: Counts::default(),
            queue: BTreeMap::new(),
            messages: 0,
            news: VecDeque::new(),
            lagged: BTreeSet::new(),
        }
    }

    /// Has something come at its time. Says whether it is the next thing that does, or there was no
    /// room for a broadcast.
    pub fn plan(&mut self, key: Key, item: Item, topic: Option<TopicId>) -> bool {
        if item.is_message() {
            if self.messages >= MAX_MESSAGES {
                self.lagged.extend(topic);
                return true;
            }
            self.messages += 1;
        }
        self.queue.insert(key, item);
        self.queue
            .first_key_value()
            .is_some_and(|(first, _)| *first == key)
    }

    /// What comes next does not come.
    pub fn cancel(&mut self, key: Key) {
        self.queue.remove(&key);
    }

    /// When something comes next.
    pub fn next_due(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// What has come by now, the first of it.
    pub fn due(&mut self, now: Duration) -> Option<Item> {
        let first = self.queue.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let item = first.remove();
        self.messages -= usize::from(item.is_message());
        Some(item)
    }

    /// As much waits for the actor as may.
    pub fn is_full(&self) -> bool {
        self.news.len() >= MAX_NEWS
    }

    /// Tells the actor.
    pub fn tell(&mut self, news: News) {
        self.news.push_back(news);
    }

    /// Tells the actor of a broadcast, or that it was too slow.
    pub fn received(&mut self, topic: TopicId, payload: Bytes, from: EndpointId, first_hand: bool) {
        if self.is_full() {
            self.lagged.insert(topic);
            return;
        }
        self.tell(News::Event(GossipEvent::Received {
            topic,
            payload,
            from,
            first_hand,
        }));
    }

    /// The topic was left: the actor is told nothing more of it, but how what it began has ended.
    pub fn forget(&mut self, topic: TopicId) {
        self.lagged.remove(&topic);
        self.news.retain(|news| news.in_topic() != Some(topic));
    }

    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        !(self.news.is_empty() && self.lagged.is_empty())
    }

    /// All that there is to tell.
    pub fn take_news(&mut self) -> Vec<News> {
        let lagged = std::mem::take(&mut self.lagged).into_iter();
        let lagged = lagged.map(|topic| News::Event(GossipEvent::TopicLagged { topic }));
        self.news.drain(..).chain(lagged).collect()
    }
}
