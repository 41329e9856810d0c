//! The topics that the user wants, kept outside of every actor: whatever is started again, they are
//! joined again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kukuri_contract::{EndpointAddr, TopicId, TopicName, TopicSecret, UnixMillis};
use tokio::sync::broadcast;

use super::topic::TopicEvent;

/// The topics that the user wants. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Wanted(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<TopicId, WantedTopic>,
    /// Topics that were left, as long as not every service is known to have heard it.
    left: BTreeSet<TopicId>,
}

/// A topic that the user wants.
#[derive(Debug, Clone)]
pub struct WantedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its secret; a fresh identity service must be told again.
    pub secret: Option<TopicSecret>,
    /// Peers that the user named.
    pub peers: Vec<EndpointAddr>,
    /// Who hears of it.
    pub events: broadcast::Sender<TopicEvent>,
    /// It had a neighbor in this run, and its listeners know.
    pub joined: bool,
    /// The topic of the secret before, where this node takes part under both.
    pub former: Option<TopicId>,
    /// This one is the topic of the secret before.
    pub replaced: Option<Replaced>,
}

/// Another topic is in the place of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Which.
    pub by: TopicId,
    /// When this node leaves the one that was replaced, by its clock.
    pub until: UnixMillis,
}

impl Wanted {
    /// Adds a topic.
    pub fn insert(&self, topic: TopicId, wanted: WantedTopic) {
        let mut state = self.lock();
        state.left.remove(&topic);
        state.topics.insert(topic, wanted);
    }

    /// Drops a topic, and with it the one that it has replaced. Their listeners hear that they have
    /// ended; the services must be told.
    pub fn remove(&self, topic: TopicId) {
        let mut state = self.lock();
        let gone = state.topics.remove(&topic);
        state.left.insert(topic);
        let Some(WantedTopic {
            former, replaced, ..
        }) = gone
        else {
            return;
        };
        if let Some(former) = former {
            state.topics.remove(&former);
            state.left.insert(former);
        }
        let current = replaced.and_then(|replaced| state.topics.get_mut(&replaced.by));
        if let Some(current) = current {
            current.former = None;
        }
    }

    /// A topic that is wanted.
    pub fn get(&self, topic: TopicId) -> Option<WantedTopic> {
        self.lock().topics.get(&topic).cloned()
    }

    /// Every service has heard that a topic was left.
    pub fn told(&self, topic: TopicId) {
        self.lock().left.remove(&topic);
    }

    /// Whether a topic is wanted.
    pub fn contains(&self, topic: TopicId) -> bool {
        self.lock().topics.contains_key(&topic)
    }

    /// Notes that a topic had a neighbor.
    pub fn note_joined(&self, topic: TopicId) {
        if let Some(wanted) = self.lock().topics.get_mut(&topic) {
            wanted.joined = true;
        }
    }

    /// All topics that are wanted.
    pub fn all(&self) -> Vec<(TopicId, WantedTopic)> {
        let state = self.lock();
        let topics = state.topics.iter();
        topics
            .map(|(topic, wanted)| (*topic, wanted.clone()))
            .collect()
    }

    /// Topics that were left, and of which some service may not have heard.
    pub fn left(&self) -> Vec<TopicId> {
        self.lock().left.iter().copied().collect()
    }

    /// Drops all topics.
    pub fn clear(&self) {
        self.lock().topics.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
