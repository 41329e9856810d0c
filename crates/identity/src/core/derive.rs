//! From the name and the secret of a topic to every key it needs.
//!
//! ```text
//! topic_key = HKDF-SHA256(ikm = secret or empty, salt = "kukuri/1", info = "topic" || name)
//! TopicId   = HKDF-Expand(topic_key, "topic id", 32)
//! per epoch = HKDF-Expand(topic_key, label || 0 || epoch as u64 big endian, 20 or 32)
//! ```
//!
//! HKDF is RFC 5869. Without the secret nobody can derive the place on the DHT, read what is
//! there, or pass for a member; the topic of a name without a secret is another topic.

use hkdf::Hkdf;
use kukuri_contract::{Epoch, EpochKeys, InfoHash, KeyBytes, TopicId, TopicName, TopicSecret};
use sha2::Sha256;
use zeroize::Zeroizing;

const SALT: &[u8] = b"kukuri/1";
const INFO: &[u8] = b"topic";

/// The key that all others of a topic come from. Never leaves the identity service.
#[derive(Clone, PartialEq, Eq)]
pub struct TopicKey {
    key: Zeroizing<[u8; 32]>,
    /// A secret topic seals its posts.
    secret: bool,
}

impl std::fmt::Debug for TopicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicKey(..)")
    }
}

impl TopicKey {
    /// The key of a topic.
    pub fn new(name: &TopicName, secret: Option<&TopicSecret>) -> Self {
        let ikm = secret.map_or(&[][..], |secret| secret.expose());
        let info = [INFO, name.as_str().as_bytes()].concat();
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(SALT), ikm)
            .expand(&info, key.as_mut())
            .expect("32 bytes are within HKDF's limit of 8160");
        Self {
            key,
            secret: secret.is_some(),
        }
    }

    /// The topic as iroh-gossip knows it.
    pub fn topic_id(&self) -> TopicId {
        TopicId::from_bytes(self.expand(b"topic id"))
    }

    /// The keys of one epoch.
    pub fn epoch_keys(&self, epoch: Epoch) -> EpochKeys {
        let key = |label: &str| KeyBytes::new(self.expand(&in_epoch(label, epoch)));
        EpochKeys {
            infohash: InfoHash::from_bytes(self.expand(&in_epoch("rendezvous", epoch))),
            hello_tag: key("hello tag"),
            hello_request: key("hello request"),
            hello_reply: key("hello reply"),
            beacon: key("beacon"),
            board_key: key("board key"),
            board_seal: key("board seal"),
            board_salt: key("board salt"),
            member: key("member"),
            repair: key("repair"),
            post_seal: self.secret.then(|| key("post")),
        }
    }

    fn expand<const N: usize>(&self, info: &[u8]) -> [u8; N] {
        let mut out = [0; N];
        Hkdf::<Sha256>::from_prk(self.key.as_ref())
            .expect("a topic key is as long as the hash")
            .expand(info, &mut out)
            .expect("20 and 32 bytes are within HKDF's limit of 8160");
        out
    }
}

fn in_epoch(label: &str, epoch: Epoch) -> Vec<u8> {
    [label.as_bytes(), &[0], &epoch.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(name: &str, secret: Option<u8>) -> TopicKey {
        let secret = secret.map(|byte| TopicSecret::from_bytes([byte; 32]));
        TopicKey::new(&name.parse().unwrap(), secret.as_ref())
    }

    #[test]
    fn name_and_secret_both_decide() {
        let ids = [
            key("tea", None),
            key("tea", Some(0)),
            key("tea", Some(1)),
            key("teas", None),
        ]
        .map(|key| key.topic_id());
        assert_eq!(BTreeSet::from(ids).len(), 4);
        assert_eq!(key("tea", Some(1)).topic_id(), ids[2]);
    }

    #[test]
    fn every_key_differs_by_label_and_epoch() {
        let key = key("tea", Some(1));
        let mut seen = BTreeSet::new();
        for epoch in [Epoch(1), Epoch(2)] {
            let keys = key.epoch_keys(epoch);
            seen.insert(keys.infohash.as_bytes().to_vec());
            let seals = [
                &keys.hello_tag,
                &keys.hello_request,
                &keys.hello_reply,
                &keys.beacon,
                &keys.board_key,
                &keys.board_seal,
                &keys.board_salt,
                &keys.member,
                &keys.repair,
                keys.post_seal.as_ref().unwrap(),
            ];
            seen.extend(seals.map(|key| key.expose().to_vec()));
        }
        assert_eq!(seen.len(), 22);
    }

    #[test]
    fn a_public_topic_seals_no_posts() {
        assert_eq!(key("tea", None).epoch_keys(Epoch(1)).post_seal, None);
    }

    #[test]
    fn debug_prints_nothing_of_a_key() {
        assert_eq!(format!("{:?}", key("tea", Some(7))), "TopicKey(..)");
    }
}
