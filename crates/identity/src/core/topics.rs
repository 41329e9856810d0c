//! The topics of a node, and the keys that others get of them.

use std::collections::BTreeMap;

use kukuri_contract::{
    AddTopicError, Epoch, EpochKeys, TopicId, TopicKeysError, TopicName, TopicSecret,
};

use super::derive::TopicKey;

/// The topics of a node.
#[derive(Debug)]
pub struct Topics {
    topics: BTreeMap<TopicId, TopicKey>,
    limit: usize,
}

impl Topics {
    /// None yet, and at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self {
            topics: BTreeMap::new(),
            limit,
        }
    }

    /// Takes in a topic. One that is there already is no error.
    ///
    /// # Errors
    /// At the limit.
    pub fn add(
        &mut self,
        name: &TopicName,
        secret: Option<&TopicSecret>,
    ) -> Result<TopicId, AddTopicError> {
        let key = TopicKey::new(name, secret);
        let id = key.topic_id();
        if self.topics.len() >= self.limit && !self.topics.contains_key(&id) {
            let limit = self.limit;
            return Err(AddTopicError::TooManyTopics { limit });
        }
        self.topics.insert(id, key);
        Ok(id)
    }

    /// Drops a topic with its key.
    pub fn remove(&mut self, topic: TopicId) {
        self.topics.remove(&topic);
    }

    /// The keys of a topic in an epoch.
    ///
    /// # Errors
    /// The topic was never added.
    pub fn keys(&self, topic: TopicId, epoch: Epoch) -> Result<EpochKeys, TopicKeysError> {
        let key = self.topics.get(&topic);
        let key = key.ok_or(TopicKeysError::UnknownTopic(topic))?;
        Ok(key.epoch_keys(epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_bounded_and_adding_twice_is_fine() {
        let mut topics = Topics::new(1);
        let (tea, coffee) = ("tea".parse().unwrap(), "coffee".parse().unwrap());
        let id = topics.add(&tea, None).unwrap();
        assert_eq!(topics.add(&tea, None), Ok(id));
        let full = AddTopicError::TooManyTopics { limit: 1 };
        assert_eq!(topics.add(&coffee, None), Err(full));
        assert!(topics.keys(id, Epoch(1)).is_ok());
        topics.remove(id);
        let unknown = TopicKeysError::UnknownTopic(id);
        assert_eq!(topics.keys(id, Epoch(1)), Err(unknown));
        assert!(topics.add(&coffee, None).is_ok());
    }
}
