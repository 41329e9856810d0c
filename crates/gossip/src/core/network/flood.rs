//! Broadcasts: each member hands on to its other neighbors what it sees for the first time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{BroadcastError, EndpointId, MemberKeys, TopicId};

use super::endpoint::Member;
use super::link::{Number, Packet};
use super::{Network, Pass};

/// Largest payload of a broadcast in bytes: that of the implementation `iroh`, so that what fits here
/// fits there.
pub const MAX_BROADCAST_BYTES: usize = 4000;
/// Broadcasts of a topic that a member remembers; beyond, one that is that late is taken for a new one.
/// 8192: twice as many as can be on their way to it.
pub const MAX_SEEN: usize = 8192;

impl Member {
    /// With nobody beside it.
    pub(super) fn new(keys: MemberKeys) -> Self {
        Self {
            keys,
            neighbors: BTreeMap::new(),
            seen: Seen::default(),
        }
    }
}

/// Broadcasts that were seen.
#[derive(Debug, Default)]
pub struct Seen(BTreeSet<Number>);

impl Seen {
    /// Says whether it is seen for the first time.
    fn is_new(&mut self, id: Number) -> bool {
        let new = self.0.insert(id);
        if self.0.len() > MAX_SEEN {
            // Numbers go up: the oldest.
            self.0.pop_first();
        }
        new
    }
}

impl Network {
    /// Sends to all members of a topic.
    ///
    /// # Errors
    /// See [`BroadcastError`].
    pub fn broadcast(
        &mut self,
        pass: Pass,
        topic: TopicId,
        payload: Bytes,
        now: Duration,
    ) -> Result<(), BroadcastError> {
        self.at(now);
        let (got, limit) = (payload.len(), MAX_BROADCAST_BYTES);
        if got > limit {
            return Err(BroadcastError::TooLarge { got, limit });
        }
        let id = self.number();
        let own = self.own(pass).ok_or(BroadcastError::Closed)?;
        let member = own.topics.get_mut(&topic);
        let member = member.ok_or(BroadcastError::UnknownTopic(topic))?;
        member.seen.is_new(id);
        let neighbors = member.neighbors.clone();
        for (peer, link) in neighbors {
            let payload = payload.clone();
            let message = Packet::Message {
                id,
                payload,
                first_hand: true,
            };
            self.send(link, peer, message);
        }
        Ok(())
    }

    /// A broadcast came from a neighbor.
    pub(super) fn heard(
        &mut self,
        pass: Pass,
        (topic, from, link): (TopicId, EndpointId, Number),
        id: Number,
        payload: Bytes,
        first_hand: bool,
    ) {
        let Some(own) = self.own(pass) else {
            return;
        };
        let Some(member) = own.topics.get_mut(&topic) else {
            return;
        };
        if member.neighbors.get(&from) != Some(&link) || !member.seen.is_new(id) {
            return;
        }
        let mut others = member.neighbors.clone();
        others.remove(&from);
        own.received(topic, payload.clone(), from, first_hand);
        self.touched.insert(pass.id);
        for (peer, link) in others {
            let payload = payload.clone();
            let message = Packet::Message {
                id,
                payload,
                first_hand: false,
            };
            self.send(link, peer, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_bounded_and_the_oldest_goes() {
        let mut seen = Seen::default();
        assert!(seen.is_new(Number(1)) && !seen.is_new(Number(1)));
        for n in 2..=MAX_SEEN as u64 + 1 {
            assert!(seen.is_new(Number(n)));
        }
        assert_eq!(seen.0.len(), MAX_SEEN);
        assert!(!seen.is_new(Number(2)));
        assert!(seen.is_new(Number(1)), "that was forgotten");
    }

    #[cfg(feature = "iroh")]
    #[test]
    fn what_fits_here_fits_over_iroh() {
        assert_eq!(MAX_BROADCAST_BYTES, crate::MAX_PAYLOAD_BYTES);
    }
}
