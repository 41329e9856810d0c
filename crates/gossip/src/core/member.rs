//! How the two ends of a connection prove to each other that they know the secret of a topic.
//!
//! ```text
//! claim  = version 1 | epoch u64 | proof of the initiator 32
//! answer = proof of the responder 32
//! proof  = HMAC-SHA256(member key of the epoch,
//!                      "kukuri/1 member" | 0 | role 1 | binding 32 | initiator 32 | responder 32)
//! ```
//!
//! This is mutual authentication by a keyed MAC in two passes (ISO/IEC 9798-4). What is fresh in it
//! is the channel binding `tls-exporter` (RFC 9266), which both ends of one TLS connection have in
//! common, and no other connection has. It does not cover the certificate of the side that dialed
//! (RFC 8446, section 7.5), so both endpoints, as TLS has proven them, are in the MAC too.

use hmac::{Hmac, KeyInit, Mac};
use kukuri_contract::{EndpointId, Epoch, KeyBytes, MemberKeys, ProofDrop, TopicId};
use sha2::Sha256;

/// The version of the claim.
pub const VERSION: u8 = 1;
/// Bytes of a proof.
pub const PROOF_BYTES: usize = 32;
/// Bytes of what the side that dials sends.
pub const CLAIM_BYTES: usize = 1 + 8 + PROOF_BYTES;
/// Bytes of what the other side answers.
pub const ANSWER_BYTES: usize = PROOF_BYTES;
/// The exporter label of the channel binding, whose context is empty (RFC 9266, section 2).
pub const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Bytes of the channel binding (RFC 9266, section 2).
pub const BINDING_BYTES: usize = 32;

const PREFIX: &[u8] = b"kukuri/1 member\0";

/// One connection, as both of its ends know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The channel binding.
    pub binding: [u8; BINDING_BYTES],
    /// Who dialed.
    pub initiator: EndpointId,
    /// Who was dialed.
    pub responder: EndpointId,
}

/// Who proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Initiator = 0,
    Responder = 1,
}

impl Channel {
    fn mac(&self, key: &KeyBytes, role: Role) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        let [initiator, responder] = [&self.initiator, &self.responder].map(EndpointId::as_bytes);
        for part in [PREFIX, &[role as u8], &self.binding, initiator, responder] {
            mac.update(part);
        }
        mac
    }

    fn prove(&self, key: &KeyBytes, role: Role) -> [u8; PROOF_BYTES] {
        self.mac(key, role).finalize().into_bytes().into()
    }

    /// In constant time.
    fn is_proven(&self, key: &KeyBytes, role: Role, proof: &[u8]) -> bool {
        self.mac(key, role).verify_slice(proof).is_ok()
    }
}

/// The side that dialed, waiting for the answer.
#[derive(Debug)]
pub struct Claimed {
    channel: Channel,
    key: KeyBytes,
}

/// The side that dialed proves first, for the one topic that it dialed for. Whoever does not know
/// the topic can't tell the claim from noise.
pub fn claim(channel: Channel, keys: &MemberKeys) -> (Claimed, [u8; CLAIM_BYTES]) {
    let mut claim = [VERSION; CLAIM_BYTES];
    claim[1..9].copy_from_slice(&keys.epoch.0.to_be_bytes());
    claim[9..].copy_from_slice(&channel.prove(&keys.own, Role::Initiator));
    let key = keys.own.clone();
    (Claimed { channel, key }, claim)
}

impl Claimed {
    /// Reads the answer: it proves the same topic under the same epoch.
    ///
    /// # Errors
    /// [`ProofDrop::Malformed`] and [`ProofDrop::NotMember`].
    pub fn check(self, answer: &[u8]) -> Result<(), ProofDrop> {
        if answer.len() != ANSWER_BYTES {
            return Err(ProofDrop::Malformed);
        }
        let proven = self.channel.is_proven(&self.key, Role::Responder, answer);
        proven.then_some(()).ok_or(ProofDrop::NotMember)
    }
}

/// The side that was dialed finds the topic of a claim, and answers it.
///
/// # Errors
/// [`ProofDrop::Version`], [`ProofDrop::Malformed`], [`ProofDrop::Epoch`] and
/// [`ProofDrop::NotMember`].
pub fn answer<'a>(
    channel: &Channel,
    claim: &[u8],
    topics: impl IntoIterator<Item = (TopicId, &'a MemberKeys)>,
) -> Result<(TopicId, [u8; ANSWER_BYTES]), ProofDrop> {
    // The version first: another one may have another length.
    match claim.first() {
        Some(&VERSION) if claim.len() == CLAIM_BYTES => {}
        Some(&VERSION) | None => return Err(ProofDrop::Malformed),
        Some(_) => return Err(ProofDrop::Version),
    }
    let epoch = claim[1..9].try_into().map_err(|_| ProofDrop::Malformed)?;
    let epoch = Epoch(u64::from_be_bytes(epoch));
    let mut why = ProofDrop::NotMember;
    let mut found = None;
    // All topics, whichever fits: the time tells nobody how many there are before it.
    for (topic, keys) in topics {
        match keys.of(epoch) {
            None => why = ProofDrop::Epoch,
            Some(key) if channel.is_proven(key, Role::Initiator, &claim[9..]) => {
                found = Some((topic, channel.prove(key, Role::Responder)));
            }
            Some(_) => {}
        }
    }
    found.ok_or(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEA: TopicId = TopicId::from_bytes([1; 32]);
    const MATE: TopicId = TopicId::from_bytes([2; 32]);

    fn endpoint(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    fn channel(binding: u8) -> Channel {
        Channel {
            binding: [binding; 32],
            initiator: endpoint(1),
            responder: endpoint(2),
        }
    }

    /// Keys of a topic as a clock in this epoch has them.
    fn keys(topic: TopicId, epoch: u64) -> MemberKeys {
        let epoch = Epoch(epoch);
        let key = |epoch: Epoch| KeyBytes::new([topic.as_bytes()[0] ^ (epoch.0 as u8) << 2; 32]);
        MemberKeys {
            epoch,
            own: key(epoch),
            others: MemberKeys::others_around(epoch)
                .map(|other| (other, key(other)))
                .collect(),
        }
    }

    /// What becomes of a claim for the first topic where the others are known.
    fn meet(from: &MemberKeys, at: &[(TopicId, MemberKeys)]) -> Result<TopicId, ProofDrop> {
        let (claimed, sent) = claim(channel(7), from);
        let topics = at.iter().map(|(topic, keys)| (*topic, keys));
        let (topic, back) = answer(&channel(7), &sent, topics)?;
        claimed.check(&back)?;
        Ok(topic)
    }

    #[test]
    fn two_members_prove_each_other_the_topic() {
        let both = [(MATE, keys(MATE, 9)), (TEA, keys(TEA, 9))];
        assert_eq!(meet(&keys(TEA, 9), &both), Ok(TEA));
        assert_eq!(meet(&keys(MATE, 9), &both), Ok(MATE));
        assert_eq!(meet(&keys(TEA, 9), &both[..1]), Err(ProofDrop::NotMember));
        assert_eq!(meet(&keys(TEA, 9), &[]), Err(ProofDrop::NotMember));
    }

    #[test]
    fn clocks_may_differ_by_two_epochs() {
        for (here, there) in (5..=13).map(|there| (9, there)) {
            let expected = match u64::abs_diff(here, there) {
                0..=2 => Ok(TEA),
                _ => Err(ProofDrop::Epoch),
            };
            assert_eq!(meet(&keys(TEA, there), &[(TEA, keys(TEA, here))]), expected);
        }
    }

    #[test]
    fn a_replay_a_reflection_and_another_endpoint_prove_nothing() {
        let keys = keys(TEA, 9);
        let at = || [(TEA, &keys)];
        let (_, sent) = claim(channel(7), &keys);
        assert!(answer(&channel(7), &sent, at()).is_ok());
        let elsewhere = [
            channel(8),
            Channel {
                initiator: endpoint(3),
                ..channel(7)
            },
            Channel {
                responder: endpoint(3),
                ..channel(7)
            },
            Channel {
                initiator: endpoint(2),
                responder: endpoint(1),
                ..channel(7)
            },
        ];
        for channel in elsewhere {
            let answered = answer(&channel, &sent, at());
            assert_eq!(answered, Err(ProofDrop::NotMember), "{channel:?}");
        }
        // Its own proof, sent back.
        let (claimed, sent) = claim(channel(7), &keys);
        assert_eq!(claimed.check(&sent[9..]), Err(ProofDrop::NotMember));
        // A responder's proof, used as a claim of the same connection.
        let (_, back) = answer(&channel(7), &sent, at()).unwrap();
        let turned = [&sent[..9], &back].concat();
        let answered = answer(&channel(7), &turned, at());
        assert_eq!(answered, Err(ProofDrop::NotMember));
    }

    proptest! {
        #[test]
        fn no_other_bytes_are_taken(at in 0..CLAIM_BYTES, flip in 1u8..) {
            let keys = keys(TEA, 9);
            let (_, mut sent) = claim(channel(7), &keys);
            sent[at] ^= flip;
            prop_assert!(answer(&channel(7), &sent, [(TEA, &keys)]).is_err());
        }

        #[test]
        fn any_bytes_are_a_typed_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let keys = keys(TEA, 9);
            prop_assert!(answer(&channel(7), &bytes, [(TEA, &keys)]).is_err());
            let (claimed, _) = claim(channel(7), &keys);
            prop_assert!(claimed.check(&bytes).is_err());
        }
    }
}
