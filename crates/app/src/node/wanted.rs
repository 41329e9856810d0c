//! The topics that the user wants, kept outside of every actor: whatever is started again, they are
//! joined again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kukuri_contract::{EndpointAddr, TopicId, TopicName, TopicSecret};
use tokio::sync::broadcast;

use super::topic::TopicEvent;

/// The topics that the user wants. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Wanted(Arc<Mutex<BTreeMap<TopicId, WantedTopic>>>);

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
}

impl Wanted {
    /// Adds a topic.
    pub fn insert(&self, topic: TopicId, wanted: WantedTopic) {
        self.lock().insert(topic, wanted);
    }

    /// Drops a topic. Its listeners hear that it has ended.
    pub fn remove(&self, topic: TopicId) {
        self.lock().remove(&topic);
    }

    /// Notes that a topic had a neighbor.
    pub fn note_joined(&self, topic: TopicId) {
        if let Some(wanted) = self.lock().get_mut(&topic) {
            wanted.joined = true;
        }
    }

    /// All topics.
    pub fn all(&self) -> Vec<(TopicId, WantedTopic)> {
        let topics = self.lock();
        topics
            .iter()
            .map(|(topic, wanted)| (*topic, wanted.clone()))
            .collect()
    }

    /// Drops all topics.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicId, WantedTopic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
