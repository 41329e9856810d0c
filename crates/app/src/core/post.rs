//! Posts: signed envelopes, sealed in a secret topic.
//!
//! ```text
//! envelope  version 1 | author 32 | seq 8 | time, ms 8 | length 2 | body | signature 64
//! clear     0 | envelope                                            (public topic)
//! sealed    1 | epoch 8 | nonce 24 | XChaCha20-Poly1305(envelope)   (secret topic)
//! ```
//!
//! Integers are big endian. The signature is over [`SignRequest::Post`]: domain prefix, topic, and
//! all of the envelope before it. The seal's additional data is the kind, the topic and the epoch,
//! so that a post can be moved neither to another topic nor to another epoch.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::VerifyingKey;
use kukuri_contract::{
    AuthorId, Epoch, KeyBytes, Post, PostDrop, SignRequest, Signature, TopicId, UnixMillis,
};

/// Version of the envelope.
pub const VERSION: u8 = 1;
/// Longest body in bytes: a sealed post of this size fits one gossip message of 4096.
pub const MAX_BODY_BYTES: usize = 3072;
/// Highest number of a post: what a signed 64-bit column of a database holds. Numbers start at 1.
pub const MAX_SEQ: u64 = i64::MAX as u64;
/// Posts from further in the future than this (milliseconds) are dropped.
pub const MAX_FUTURE_MS: u64 = 15 * 60 * 1000;

const SIGNATURE_BYTES: usize = 64;
const FIXED_BYTES: usize = 1 + 32 + 8 + 8 + 2 + SIGNATURE_BYTES;
const CLEAR: u8 = 0;
const SEALED: u8 = 1;

/// The part of an envelope that is signed.
///
/// The caller has checked that the body has at most [`MAX_BODY_BYTES`].
pub fn unsigned(author: AuthorId, seq: u64, time: UnixMillis, body: &[u8]) -> Vec<u8> {
    debug_assert!(body.len() <= MAX_BODY_BYTES);
    let mut out = Vec::with_capacity(FIXED_BYTES + body.len());
    out.push(VERSION);
    out.extend(author.as_bytes());
    out.extend(seq.to_be_bytes());
    out.extend(time.0.to_be_bytes());
    out.extend((body.len() as u16).to_be_bytes());
    out.extend(body);
    out
}

/// A whole envelope from its signed part and the signature.
pub fn finish(mut unsigned: Vec<u8>, signature: &Signature) -> Bytes {
    unsigned.extend(signature.as_bytes());
    unsigned.into()
}

/// What is broadcast in a public topic.
pub fn clear(envelope: &[u8]) -> Bytes {
    [&[CLEAR], envelope].concat().into()
}

/// What is broadcast in a secret topic. The nonce must be random and fresh.
pub fn seal(
    envelope: &[u8],
    topic: TopicId,
    epoch: Epoch,
    key: &KeyBytes,
    nonce: [u8; 24],
) -> Bytes {
    let payload = Payload {
        msg: envelope,
        aad: &additional_data(topic, epoch),
    };
    let sealed = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a post is far below the cipher's limit of 256 GiB");
    let epoch = epoch.0.to_be_bytes();
    [&[SEALED], epoch.as_slice(), &nonce, &sealed]
        .concat()
        .into()
}

/// What a broadcast turns out to be, before anything is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// An envelope in the clear.
    Clear(Bytes),
    /// An envelope under the key of an epoch.
    Sealed {
        /// Whose key.
        epoch: Epoch,
        /// Nonce and ciphertext.
        nonce: [u8; 24],
        /// The ciphertext.
        sealed: Bytes,
    },
}

impl Packet {
    /// Takes a broadcast apart.
    ///
    /// # Errors
    /// [`PostDrop::Malformed`].
    pub fn parse(payload: &Bytes) -> Result<Self, PostDrop> {
        match payload.first() {
            Some(&CLEAR) => Ok(Self::Clear(payload.slice(1..))),
            Some(&SEALED) if payload.len() >= 33 => {
                let mut read = Reader(&payload[1..33]);
                Ok(Self::Sealed {
                    epoch: Epoch(u64::from_be_bytes(read.array()?)),
                    nonce: read.array()?,
                    sealed: payload.slice(33..),
                })
            }
            _ => Err(PostDrop::Malformed),
        }
    }
}

/// Opens a sealed envelope.
///
/// # Errors
/// [`PostDrop::Seal`].
pub fn open(
    sealed: &[u8],
    nonce: [u8; 24],
    topic: TopicId,
    epoch: Epoch,
    key: &KeyBytes,
) -> Result<Bytes, PostDrop> {
    let payload = Payload {
        msg: sealed,
        aad: &additional_data(topic, epoch),
    };
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt(&XNonce::from(nonce), payload)
        .map(Bytes::from)
        .map_err(|_| PostDrop::Seal)
}

/// Reads and verifies an envelope of a topic. What comes out is the author's word.
///
/// # Errors
/// The reason to count; the signature is checked last, because it costs most.
pub fn verify(topic: TopicId, envelope: &Bytes, now: UnixMillis) -> Result<Post, PostDrop> {
    let mut read = Reader(envelope);
    let [version] = read.array()?;
    if version != VERSION {
        return Err(PostDrop::Version);
    }
    let author = AuthorId::from_bytes(read.array()?);
    let seq = u64::from_be_bytes(read.array()?);
    let time = UnixMillis(u64::from_be_bytes(read.array()?));
    let len = usize::from(u16::from_be_bytes(read.array()?));
    if len > MAX_BODY_BYTES {
        return Err(PostDrop::Oversize);
    }
    if envelope.len() != FIXED_BYTES + len || !(1..=MAX_SEQ).contains(&seq) {
        return Err(PostDrop::Malformed);
    }
    if time.0 > now.0.saturating_add(MAX_FUTURE_MS) {
        return Err(PostDrop::Future);
    }
    let (signed, signature) = envelope.split_at(envelope.len() - SIGNATURE_BYTES);
    let preimage = SignRequest::Post {
        topic,
        envelope: signed.to_vec(),
    }
    .preimage();
    let signature: [u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| PostDrop::Malformed)?;
    VerifyingKey::from_bytes(author.as_bytes())
        .and_then(|key| key.verify_strict(&preimage, &signature.into()))
        .map_err(|_| PostDrop::BadSignature)?;
    let body_at = FIXED_BYTES - SIGNATURE_BYTES;
    Ok(Post {
        topic,
        author,
        seq,
        time,
        body: envelope.slice(body_at..body_at + len),
        envelope: envelope.clone(),
    })
}

fn additional_data(topic: TopicId, epoch: Epoch) -> Vec<u8> {
    [
        &[SEALED],
        topic.as_bytes().as_slice(),
        &epoch.0.to_be_bytes(),
    ]
    .concat()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], PostDrop> {
        let (head, tail) = self.0.split_first_chunk().ok_or(PostDrop::Malformed)?;
        self.0 = tail;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    use super::*;

    const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
    const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);
    const NOW: UnixMillis = UnixMillis(1_780_000_500_000);

    fn envelope(seq: u64, body: &[u8]) -> Bytes {
        let key = SigningKey::from_bytes(&[1; 32]);
        let author = AuthorId::from_bytes(key.verifying_key().to_bytes());
        let unsigned = unsigned(author, seq, NOW, body);
        let request = SignRequest::Post {
            topic: TOPIC,
            envelope: unsigned.clone(),
        };
        let signature = key.sign(&request.preimage()).to_bytes();
        finish(unsigned, &Signature::from_bytes(signature))
    }

    #[test]
    fn round_trip_in_the_clear_and_sealed() {
        let envelope = envelope(7, b"hello");
        let post = verify(TOPIC, &envelope, NOW).unwrap();
        assert_eq!((post.seq, &post.body[..]), (7, b"hello".as_slice()));
        assert_eq!(
            Packet::parse(&clear(&envelope)),
            Ok(Packet::Clear(envelope.clone()))
        );

        let key = KeyBytes::new([5; 32]);
        let payload = seal(&envelope, TOPIC, Epoch(9), &key, [6; 24]);
        let Ok(Packet::Sealed {
            epoch,
            nonce,
            sealed,
        }) = Packet::parse(&payload)
        else {
            panic!("a sealed post");
        };
        assert_eq!(epoch, Epoch(9));
        assert_eq!(open(&sealed, nonce, TOPIC, epoch, &key), Ok(envelope));
        let seal = Err(PostDrop::Seal);
        assert_eq!(open(&sealed, nonce, OTHER, epoch, &key), seal);
        assert_eq!(open(&sealed, nonce, TOPIC, Epoch(8), &key), seal);
        assert_eq!(
            open(&sealed, nonce, TOPIC, epoch, &KeyBytes::new([6; 32])),
            seal
        );
    }

    #[test]
    fn bad_envelopes_have_a_reason() {
        let good = envelope(1, b"hello");
        let changed = |at: usize, to: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = to;
            verify(TOPIC, &bytes.into(), NOW).unwrap_err()
        };
        assert_eq!(changed(0, 2), PostDrop::Version);
        assert_eq!(changed(49, 0xff), PostDrop::Oversize);
        assert_eq!(changed(50, 4), PostDrop::Malformed);
        assert_eq!(changed(51, b'j'), PostDrop::BadSignature);
        assert_eq!(verify(OTHER, &good, NOW), Err(PostDrop::BadSignature));
        let early = UnixMillis(NOW.0 - MAX_FUTURE_MS - 1);
        assert_eq!(verify(TOPIC, &good, early), Err(PostDrop::Future));
        assert!(verify(TOPIC, &good, UnixMillis(NOW.0 - MAX_FUTURE_MS)).is_ok());
        for seq in [0, MAX_SEQ + 1] {
            let post = verify(TOPIC, &envelope(seq, b""), NOW);
            assert_eq!(post, Err(PostDrop::Malformed));
        }
    }

    #[test]
    fn the_longest_body_fits_one_gossip_message() {
        let envelope = envelope(1, &[0; MAX_BODY_BYTES]);
        assert!(verify(TOPIC, &envelope, NOW).is_ok());
        let payload = seal(&envelope, TOPIC, Epoch(1), &KeyBytes::new([5; 32]), [6; 24]);
        assert!(payload.len() <= 3600, "{}", payload.len());
    }

    proptest! {
        #[test]
        fn garbage_is_a_counted_drop(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let bytes = Bytes::from(bytes);
            let _packet = Packet::parse(&bytes);
            prop_assert!(verify(TOPIC, &bytes, NOW).is_err());
        }

        #[test]
        fn any_change_is_noticed(at in 0usize..120, bit in 0u8..8) {
            let mut bytes = envelope(1, b"hello").to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(verify(TOPIC, &bytes.into(), NOW).is_err());
        }
    }
}
