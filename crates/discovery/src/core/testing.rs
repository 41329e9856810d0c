//! What the tests of the core share: fixed keys, a fixed time, seeded randomness.

use ed25519_dalek::{Signer, SigningKey};
use kukuri_contract::{
    EndpointAddr, EndpointId, Epoch, EpochKeys, InfoHash, KeyBytes, SignRequest, TopicId,
    UnixMillis,
};

use super::Entropy;
use super::beacon::Heartbeat;
use super::record::{NO_MARK, body, finish};

/// Some moment in the middle of an epoch.
pub const NOW: UnixMillis = UnixMillis(1_780_000_500_000);
/// Some topic.
pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);

/// Repeatable randomness (SplitMix64).
pub struct Seeded(pub u64);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// The secret key of endpoint number n.
pub fn signing_key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Endpoint number n, at a loopback address.
pub fn peer(n: u8) -> EndpointAddr {
    EndpointAddr {
        id: EndpointId::from_bytes(signing_key(n).verifying_key().to_bytes()),
        direct: vec![([127, 0, 0, 1], 20_000 + u16::from(n)).into()],
        relay: None,
    }
}

/// The signature of endpoint number n under the body of a record.
pub fn sign(n: u8, topic: TopicId, epoch: Epoch, body: Vec<u8>) -> [u8; 64] {
    let preimage = SignRequest::Record { topic, epoch, body }.preimage();
    signing_key(n).sign(&preimage).to_bytes()
}

/// A record about `peer`, signed by endpoint number n.
pub fn signed_record(n: u8, topic: TopicId, peer: &EndpointAddr, at: UnixMillis) -> Vec<u8> {
    let body = body(peer, at, NO_MARK);
    let signature = sign(n, topic, Epoch::at(at), body.clone());
    finish(body, &kukuri_contract::Signature::from_bytes(signature))
}

/// Keys that are different for each n.
pub fn keys(n: u8) -> EpochKeys {
    EpochKeys {
        infohash: InfoHash::from_bytes([n; 20]),
        hello_tag: KeyBytes::new([n; 32]),
        hello_request: KeyBytes::new([n ^ 0x40; 32]),
        hello_reply: KeyBytes::new([n ^ 0x80; 32]),
        beacon: KeyBytes::new([n ^ 0x10; 32]),
        board_key: KeyBytes::new([n ^ 0x50; 32]),
        board_seal: KeyBytes::new([n ^ 0x90; 32]),
        board_salt: KeyBytes::new([n ^ 0xd0; 32]),
        member: KeyBytes::new([n ^ 0x60; 32]),
        repair: KeyBytes::new([n ^ 0x20; 32]),
        post_seal: None,
    }
}

/// A heartbeat of endpoint number n.
pub fn heartbeat(n: u8, topic: TopicId, beat: UnixMillis) -> Heartbeat {
    let preimage = SignRequest::Heartbeat { topic, beat }.preimage();
    let signature = signing_key(n).sign(&preimage).to_bytes();
    Heartbeat {
        root: peer(n).id,
        beat,
        signature: kukuri_contract::Signature::from_bytes(signature),
    }
}
