//! Beacons: what the members of a swarm say of it, broadcast in it.
//!
//! ```text
//! beacon  kind 1 (2) | version 1 | epoch 8 | nonce 24 | sealed
//! sealed  root 32 | beat, ms 8 | signature of the root 64 | hello port 2 | length 2 | record
//! ```
//!
//! The seal is XChaCha20-Poly1305 under the epoch's beacon key, so only members make beacons. The
//! root's heartbeat is signed by the root and handed on by all; all zeros if the sender knows of
//! none. Kinds 0 and 1 are posts.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use kukuri_contract::{
    BEACON, BeaconDrop, EndpointId, Epoch, KeyBytes, MAX_BEACON_BYTES, SignRequest, Signature,
    TopicId, UnixMillis,
};

use super::record::{MAX_RECORD_BYTES, RecordError};
use super::signature;

/// Version of the beacon format.
pub const VERSION: u8 = 1;

const HEADER_BYTES: usize = 1 + 1 + 8;
const NONCE_BYTES: usize = 24;
const SEAL_OVERHEAD: usize = 16;
const FIXED_BYTES: usize = 32 + 8 + 64 + 2 + 2;
const MOST_BYTES: usize =
    HEADER_BYTES + NONCE_BYTES + FIXED_BYTES + MAX_RECORD_BYTES + SEAL_OVERHEAD;
const _: () = assert!(MOST_BYTES <= MAX_BEACON_BYTES);

/// "I am the root of this swarm, and live", signed by the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who.
    pub root: EndpointId,
    /// When, by the root's clock; it never goes back.
    pub beat: UnixMillis,
    /// Over [`SignRequest::Heartbeat`].
    pub signature: Signature,
}

/// What a member says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    /// The newest heartbeat that it has heard, not verified yet.
    pub heartbeat: Option<Heartbeat>,
    /// Port of its hello service, at the IP addresses of its record.
    pub hello_port: u16,
    /// Its record, not verified yet.
    pub record: Vec<u8>,
}

impl Heartbeat {
    /// Whether the root has signed it for this topic.
    pub fn is_signed(&self, topic: TopicId) -> bool {
        let beat = self.beat;
        let preimage = SignRequest::Heartbeat { topic, beat }.preimage();
        signature::is_signed(self.root, &preimage, &self.signature)
    }
}

/// The epoch whose keys a beacon is sealed with.
///
/// # Errors
/// It is no beacon that this node can read.
pub fn epoch(payload: &[u8]) -> Result<Epoch, BeaconDrop> {
    let header = payload.first_chunk::<HEADER_BYTES>();
    match header.ok_or(BeaconDrop::Malformed)? {
        [BEACON, VERSION, epoch @ ..] => Ok(Epoch(u64::from_be_bytes(*epoch))),
        [BEACON, ..] => Err(BeaconDrop::Version),
        _ => Err(BeaconDrop::Malformed),
    }
}

impl Beacon {
    /// A sealed beacon. The nonce must be random and fresh.
    pub fn seal(&self, topic: TopicId, epoch: Epoch, key: &KeyBytes, nonce: [u8; 24]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(FIXED_BYTES + self.record.len());
        match &self.heartbeat {
            Some(heartbeat) => {
                plain.extend(heartbeat.root.as_bytes());
                plain.extend(heartbeat.beat.0.to_be_bytes());
                plain.extend(heartbeat.signature.as_bytes());
            }
            None => plain.extend([0; 32 + 8 + 64]),
        }
        plain.extend(self.hello_port.to_be_bytes());
        plain.extend((self.record.len() as u16).to_be_bytes());
        plain.extend(&self.record);
        let mut payload = vec![BEACON, VERSION];
        payload.extend(epoch.0.to_be_bytes());
        let sealed = cipher(key)
            .encrypt(
                &XNonce::from(nonce),
                bound(&payload, topic, &plain).payload(),
            )
            .expect("a beacon is far below the cipher's limit of 256 GiB");
        payload.extend(nonce);
        payload.extend(sealed);
        payload
    }

    /// Opens a beacon whose [`epoch`] has this key.
    ///
    /// # Errors
    /// [`BeaconDrop::Seal`] or [`BeaconDrop::Malformed`].
    pub fn open(topic: TopicId, payload: &[u8], key: &KeyBytes) -> Result<Self, BeaconDrop> {
        if payload.len() > MOST_BYTES {
            return Err(BeaconDrop::Malformed);
        }
        let header = payload.split_at_checked(HEADER_BYTES);
        let (header, rest) = header.ok_or(BeaconDrop::Malformed)?;
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(BeaconDrop::Malformed)?;
        let plain = cipher(key)
            .decrypt(
                &XNonce::from(*nonce),
                bound(header, topic, sealed).payload(),
            )
            .map_err(|_| BeaconDrop::Seal)?;
        Self::read(&plain).ok_or(BeaconDrop::Malformed)
    }

    fn read(plain: &[u8]) -> Option<Self> {
        let (root, rest) = plain.split_first_chunk::<32>()?;
        let (beat, rest) = rest.split_first_chunk::<8>()?;
        let (signature, rest) = rest.split_first_chunk::<64>()?;
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let (len, record) = rest.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len != record.len() || len > MAX_RECORD_BYTES {
            return None;
        }
        let known = *root != [0; 32];
        Some(Self {
            heartbeat: known.then(|| Heartbeat {
                root: EndpointId::from_bytes(*root),
                beat: UnixMillis(u64::from_be_bytes(*beat)),
                signature: Signature::from_bytes(*signature),
            }),
            hello_port: u16::from_be_bytes(*port),
            record: record.to_vec(),
        })
    }
}

impl From<RecordError> for BeaconDrop {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::BadSignature => Self::BadSignature,
            RecordError::Stale(_) => Self::Stale,
            RecordError::Version(_) => Self::Version,
            _ => Self::Malformed,
        }
    }
}

/// A message with what it is bound to: header and topic.
struct Bound<'a> {
    aad: Vec<u8>,
    msg: &'a [u8],
}

fn bound<'a>(header: &[u8], topic: TopicId, msg: &'a [u8]) -> Bound<'a> {
    let aad = [header, topic.as_bytes()].concat();
    Bound { aad, msg }
}

impl Bound<'_> {
    fn payload(&self) -> Payload<'_, '_> {
        Payload {
            msg: self.msg,
            aad: &self.aad,
        }
    }
}

fn cipher(key: &KeyBytes) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::testing::{NOW, TOPIC, heartbeat, keys, peer, signed_record};

    fn beacon() -> Beacon {
        Beacon {
            heartbeat: Some(heartbeat(2, TOPIC, NOW)),
            hello_port: 4000,
            record: signed_record(1, TOPIC, &peer(1), NOW),
        }
    }

    fn sealed(beacon: &Beacon) -> Vec<u8> {
        beacon.seal(TOPIC, Epoch::at(NOW), &keys(1).beacon, [7; 24])
    }

    #[test]
    fn round_trip() {
        for heartbeat in [beacon().heartbeat, None] {
            let beacon = Beacon {
                heartbeat,
                ..beacon()
            };
            let payload = sealed(&beacon);
            assert_eq!(epoch(&payload), Ok(Epoch::at(NOW)));
            assert_eq!(Beacon::open(TOPIC, &payload, &keys(1).beacon), Ok(beacon));
        }
    }

    #[test]
    fn another_key_topic_or_epoch_breaks_the_seal() {
        let payload = sealed(&beacon());
        let open = |topic, payload: &[u8], n| Beacon::open(topic, payload, &keys(n).beacon);
        assert_eq!(open(TOPIC, &payload, 2), Err(BeaconDrop::Seal));
        let other = TopicId::from_bytes([9; 32]);
        assert_eq!(open(other, &payload, 1), Err(BeaconDrop::Seal));
        let mut moved = payload.clone();
        moved[9] ^= 1;
        assert_eq!(open(TOPIC, &moved, 1), Err(BeaconDrop::Seal));
    }

    #[test]
    fn what_is_no_beacon_is_a_typed_error() {
        let mut payload = sealed(&beacon());
        assert_eq!(epoch(&payload[..9]), Err(BeaconDrop::Malformed));
        let key = keys(1).beacon;
        let open = |payload: &[u8]| Beacon::open(TOPIC, payload, &key);
        assert_eq!(open(&payload[..20]), Err(BeaconDrop::Malformed));
        assert_eq!(open(&[BEACON; 600]), Err(BeaconDrop::Malformed));
        payload[1] = 2;
        assert_eq!(epoch(&payload), Err(BeaconDrop::Version));
        payload[0] = 0;
        assert_eq!(epoch(&payload), Err(BeaconDrop::Malformed));
    }

    #[test]
    fn a_heartbeat_is_its_roots_for_its_topic() {
        let heartbeat = heartbeat(2, TOPIC, NOW);
        assert!(heartbeat.is_signed(TOPIC));
        assert!(!heartbeat.is_signed(TopicId::from_bytes([9; 32])));
        let later = Heartbeat {
            beat: UnixMillis(NOW.0 + 1),
            ..heartbeat
        };
        assert!(!later.is_signed(TOPIC));
        let stolen = Heartbeat {
            root: peer(3).id,
            ..heartbeat
        };
        assert!(!stolen.is_signed(TOPIC));
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _epoch = epoch(&bytes);
            prop_assert!(Beacon::open(TOPIC, &bytes, &keys(1).beacon).is_err());
        }

        #[test]
        fn any_plain_text_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _read = Beacon::read(&bytes);
        }
    }
}
