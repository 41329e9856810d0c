//! What identity gives: the keys of epochs, and signatures under own records.

use kukuri_contract::{Epoch, EpochKeys, Signature, TopicId};

use super::super::record::finish;
use super::super::{Effect, Now};
use super::Core;

impl Core {
    pub(super) fn fetch_keys(&mut self, now: Now) {
        let epoch = Epoch::at(now.unix);
        for (id, topic) in &mut self.topics {
            let missing = topic.missing_keys(epoch);
            let fetch = missing.into_iter().map(|e| Effect::FetchKeys(*id, e));
            self.out.extend(fetch);
        }
    }

    pub(super) fn sign_records(&mut self, now: Now) {
        let Some(address) = &self.address else {
            return;
        };
        for (id, topic) in &mut self.topics {
            if let Some(body) = topic
                .own
                .to_sign(address, topic.swarm.roots.mark(), now.unix)
            {
                self.out.push(Effect::SignRecord {
                    topic: *id,
                    epoch: Epoch::at(now.unix),
                    body,
                });
            }
        }
    }

    pub(super) fn put_keys(&mut self, id: TopicId, epoch: Epoch, keys: EpochKeys, now: Now) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        topic.put_keys(epoch, keys);
        if topic.neighbors == 0 {
            self.ask_sighted(id, None, now);
        }
    }

    pub(super) fn no_keys(&mut self, id: TopicId, epoch: Epoch) {
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.ask_keys_again(epoch);
        }
    }

    pub(super) fn signed(&mut self, id: TopicId, body: &[u8], signature: &Signature) {
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.own.put(body, finish(body.to_vec(), signature));
        }
    }

    pub(super) fn not_signed(&mut self, id: TopicId) {
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.own.sign_again();
        }
    }
}
