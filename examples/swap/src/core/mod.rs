//! What is known of the topics, without files and clocks: what was found goes in, what is to be told comes
//! out.

pub mod entry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::{
    DiscoverError, DiscoveryEvent, EndpointAddr, EndpointId, Source, TopicId, Verdict,
};

/// Most peers of a topic that are remembered as told; beyond, the rest is told again and again, which
/// costs, and harms nobody.
pub const MAX_TOLD: usize = 1024;
/// After so long without a neighbor a topic has a verdict; the contract's time.
pub const FIRST_CONTACT: Duration = Duration::from_secs(10);

/// The topics.
#[derive(Debug)]
pub struct Core {
    me: EndpointId,
    max_topics: usize,
    topics: BTreeMap<TopicId, Topic>,
}

#[derive(Debug)]
struct Topic {
    /// When it was asked for.
    since: Duration,
    /// Since when it has no neighbor.
    alone_since: Option<Duration>,
    /// Members were found since then, by their own word.
    found: bool,
    verdict: Option<Verdict>,
    told: BTreeMap<(Source, EndpointId), EndpointAddr>,
}

impl Core {
    /// None yet.
    pub fn new(me: EndpointId, max_topics: usize) -> Self {
        Self {
            me,
            max_topics,
            topics: BTreeMap::new(),
        }
    }

    /// Takes in a topic; one that is there stays as it is. `now` is the time since any start, here and
    /// below.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub fn discover(&mut self, topic: TopicId, now: Duration) -> Result<(), DiscoverError> {
        let limit = self.max_topics;
        if self.topics.len() >= limit && !self.topics.contains_key(&topic) {
            return Err(DiscoverError::TooManyTopics { limit });
        }
        self.topics.entry(topic).or_insert_with(|| Topic {
            since: now,
            alone_since: Some(now),
            found: false,
            verdict: None,
            told: BTreeMap::new(),
        });
        Ok(())
    }

    /// Forgets a topic.
    pub fn forget(&mut self, topic: TopicId) {
        self.topics.remove(&topic);
    }

    /// Whether a topic was asked for.
    pub fn knows(&self, topic: TopicId) -> bool {
        self.topics.contains_key(&topic)
    }

    /// The topics that were asked for.
    pub fn topics(&self) -> Vec<TopicId> {
        self.topics.keys().copied().collect()
    }

    /// Without a neighbor, whom it found is told again.
    pub fn set_neighbors(&mut self, topic: TopicId, any: bool, now: Duration) {
        let Some(topic) = self.topics.get_mut(&topic) else {
            return;
        };
        if any {
            (topic.alone_since, topic.found, topic.verdict) = (None, false, None);
        } else {
            topic.alone_since.get_or_insert(now);
        }
    }

    /// What came of looking for a topic's peers, where that is new.
    pub fn verdict(&mut self, id: TopicId, now: Duration) -> Option<DiscoveryEvent> {
        let topic = self.topics.get_mut(&id)?;
        if now < topic.alone_since? + FIRST_CONTACT {
            return None;
        }
        let verdict = match topic.found {
            true => Verdict::FoundButUnreachable,
            false => Verdict::Alone,
        };
        let is_new = topic.verdict.replace(verdict) != Some(verdict);
        is_new.then_some(DiscoveryEvent::VerdictChanged { topic: id, verdict })
    }

    /// A member was found; what is to be told of it.
    pub fn found(
        &mut self,
        topic: TopicId,
        peer: EndpointAddr,
        source: Source,
        now: Duration,
    ) -> Option<DiscoveryEvent> {
        let known = self.topics.get_mut(&topic)?;
        let key = (source, peer.id);
        let is_old = known.alone_since.is_none() && known.told.get(&key) == Some(&peer);
        if is_old || peer.id == self.me {
            return None;
        }
        known.found |= source == Source::Rendezvous;
        if known.told.len() < MAX_TOLD || known.told.contains_key(&key) {
            known.told.insert(key, peer.clone());
        }
        Some(DiscoveryEvent::PeerFound {
            topic,
            peer,
            source,
            after: now.saturating_sub(known.since),
        })
    }
}
