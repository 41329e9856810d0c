//! Posts: signed envelopes, sealed in a secret topic.
//!
//! ```text
//! envelope  version 1 | writer 32 | seq 8 | time, ms 8 | length 2 | body | signature 64
//!           version 2 | writer 32 | seq 8 | time, ms 8 | author 32 | issued at, ms 8
//!                     | signature of the link 64 | length 2 | body | signature 64
//!           version 3 | writer 32 | seq 8 | time, ms 8 | revoked writer 32
//!                     | k 1 | k x (first 8 | last 8) | signature 64
//! clear     0 | envelope                                            (public topic)
//! sealed    1 | epoch 8 | nonce 24 | XChaCha20-Poly1305(envelope)   (secret topic)
//! ```
//!
//! Version 1 is a text in the writer's own name, version 2 one in the name of an author that has let
//! it write (section 9.1 of `docs/PROTOCOL.md`), version 3 says that a writer may no longer.
//!
//! Integers are big endian. The signature is the writer's, over [`SignRequest::Post`]: domain prefix, topic, and
//! all of the envelope before it. The seal's additional data is the kind, the topic and the epoch,
//! so that a post can be moved neither to another topic nor to another epoch.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::VerifyingKey;
use kukuri_contract::{
    AuthorId, AuthorLink, Epoch, KeyBytes, MAX_KEPT, Post, PostDrop, Revocation, SignRequest,
    Signature, TopicId, UnixMillis,
};

/// Version of the envelope of a text in the writer's own name.
pub const VERSION: u8 = 1;
/// Version of the envelope of a text in another author's name.
pub const LINKED: u8 = 2;
/// Version of the envelope of a revocation.
pub const REVOCATION: u8 = 3;
/// Longest body in bytes: a sealed post of this size fits one gossip message of 4096.
pub const MAX_BODY_BYTES: usize = 3072;
/// Highest number of a post: what a signed 64-bit column of a database holds. Numbers start at 1.
pub const MAX_SEQ: u64 = i64::MAX as u64;
/// Posts from further in the future than this (milliseconds) are dropped.
pub const MAX_FUTURE_MS: u64 = 15 * 60 * 1000;

const SIGNATURE_BYTES: usize = 64;
/// Version, writer, seq, time: what all envelopes begin with.
const HEAD_BYTES: usize = 1 + 32 + 8 + 8;
/// Author, time and signature of a link.
const LINK_BYTES: usize = 32 + 8 + SIGNATURE_BYTES;
const CLEAR: u8 = 0;
const SEALED: u8 = 1;

/// The part of an envelope that is signed, of a text in the writer's own name.
///
/// The caller has checked that the body has at most [`MAX_BODY_BYTES`].
pub fn unsigned(writer: AuthorId, seq: u64, time: UnixMillis, body: &[u8]) -> Vec<u8> {
    let mut out = head(VERSION, writer, seq, time);
    put_body(&mut out, body);
    out
}

/// The same of a text in the name of the author who has made a link for the writer.
pub fn unsigned_linked(link: &AuthorLink, seq: u64, time: UnixMillis, body: &[u8]) -> Vec<u8> {
    let mut out = head(LINKED, link.writer, seq, time);
    out.extend(link.author.as_bytes());
    out.extend(link.issued_at.0.to_be_bytes());
    out.extend(link.signature.as_bytes());
    put_body(&mut out, body);
    out
}

/// The same of a revocation, of which the first [`MAX_KEPT`] ranges are taken.
pub fn unsigned_revocation(
    author: AuthorId,
    seq: u64,
    time: UnixMillis,
    revocation: &Revocation,
) -> Vec<u8> {
    let mut out = head(REVOCATION, author, seq, time);
    out.extend(revocation.writer.as_bytes());
    let kept = &revocation.kept[..revocation.kept.len().min(MAX_KEPT)];
    out.push(kept.len() as u8);
    for (first, last) in kept {
        out.extend(first.to_be_bytes());
        out.extend(last.to_be_bytes());
    }
    out
}

fn head(version: u8, writer: AuthorId, seq: u64, time: UnixMillis) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + LINK_BYTES + 2 + SIGNATURE_BYTES);
    out.push(version);
    out.extend(writer.as_bytes());
    out.extend(seq.to_be_bytes());
    out.extend(time.0.to_be_bytes());
    out
}

fn put_body(out: &mut Vec<u8>, body: &[u8]) {
    debug_assert!(body.len() <= MAX_BODY_BYTES);
    out.extend((body.len() as u16).to_be_bytes());
    out.extend(body);
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

/// Reads and verifies an envelope of a topic. What comes out is the writer's word, in the name of
/// an author that has let it write; whether that holds still, the store knows.
///
/// # Errors
/// The reason to count; the signatures are checked last, because they cost most.
pub fn verify(topic: TopicId, envelope: &Bytes, now: UnixMillis) -> Result<Post, PostDrop> {
    let mut read = Reader(envelope);
    let [version] = read.array()?;
    if !(VERSION..=REVOCATION).contains(&version) {
        return Err(PostDrop::Version);
    }
    let writer = AuthorId::from_bytes(read.array()?);
    let seq = u64::from_be_bytes(read.array()?);
    let time = UnixMillis(u64::from_be_bytes(read.array()?));
    let link = match version {
        LINKED => Some(read.link(writer)?),
        _ => None,
    };
    let (revokes, len) = match version {
        REVOCATION => (Some(read.revocation()?), 0),
        _ => (None, usize::from(u16::from_be_bytes(read.array()?))),
    };
    if len > MAX_BODY_BYTES {
        return Err(PostDrop::Oversize);
    }
    let body_at = envelope.len() - read.0.len();
    let whole = read.0.len() == len + SIGNATURE_BYTES;
    let author = link.as_ref().map_or(writer, |link| link.author);
    let about = revokes.as_ref().map(|revokes| revokes.writer);
    // Whoever writes in its own name needs no link, and can't be revoked.
    let itself = about == Some(writer) || link.is_some() && author == writer;
    if !whole || itself || !(1..=MAX_SEQ).contains(&seq) {
        return Err(PostDrop::Malformed);
    }
    if time.0 > now.0.saturating_add(MAX_FUTURE_MS) {
        return Err(PostDrop::Future);
    }
    let (signed, signature) = envelope.split_at(envelope.len() - SIGNATURE_BYTES);
    let statement = SignRequest::Post {
        topic,
        envelope: signed.to_vec(),
    };
    let signature = signature.try_into().map_err(|_| PostDrop::Malformed)?;
    check(writer, &statement, signature)?;
    if let Some(link) = link {
        let statement = SignRequest::Link {
            author,
            writer,
            issued_at: link.issued_at,
        };
        check(author, &statement, link.signature.as_bytes())?;
    }
    Ok(Post {
        topic,
        author,
        writer,
        seq,
        time,
        body: envelope.slice(body_at..body_at + len),
        revokes,
        envelope: envelope.clone(),
    })
}

fn check(
    key: AuthorId,
    statement: &SignRequest,
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), PostDrop> {
    VerifyingKey::from_bytes(key.as_bytes())
        .and_then(|key| key.verify_strict(&statement.preimage(), &signature.into()))
        .map_err(|_| PostDrop::BadSignature)
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

    fn link(&mut self, writer: AuthorId) -> Result<AuthorLink, PostDrop> {
        Ok(AuthorLink {
            author: AuthorId::from_bytes(self.array()?),
            writer,
            issued_at: UnixMillis(u64::from_be_bytes(self.array()?)),
            signature: Signature::from_bytes(self.array()?),
        })
    }

    /// The ranges ascend, with gaps between, so that each set of numbers has one form.
    fn revocation(&mut self) -> Result<Revocation, PostDrop> {
        let writer = AuthorId::from_bytes(self.array()?);
        let [k] = self.array()?;
        if usize::from(k) > MAX_KEPT {
            return Err(PostDrop::Malformed);
        }
        let mut kept: Vec<(u64, u64)> = Vec::with_capacity(k.into());
        for _ in 0..k {
            let first = u64::from_be_bytes(self.array()?);
            let last = u64::from_be_bytes(self.array()?);
            let next = kept.last().map_or(1, |(_, last)| last + 2);
            if first < next || last < first || last > MAX_SEQ {
                return Err(PostDrop::Malformed);
            }
            kept.push((first, last));
        }
        Ok(Revocation { writer, kept })
    }
}

#[cfg(test)]
mod tests;
