//! Gap repair: what two neighbors say to each other, and when a node asks.
//!
//! The asker says which posts it has, the other one sends those that it lacks:
//!
//! ```text
//! question  version 1 | epoch 8 | nonce 24 | XChaCha20-Poly1305(summary)
//! summary   from author 32 | to author 32 | n 2 | n x (author 32 | k 1 | k x (first 8 | last 8))
//! answer    version 1 | nonce 24 | XChaCha20-Poly1305(more 1 | n 2 | n x (length 2 | envelope))
//! ```
//!
//! Both are sealed with the topic's repair key of the asker's epoch. The additional data is
//! direction, topic, asker, answerer and epoch; in an answer also the nonce of the question. So
//! only members can ask and answer, nobody can pass on what was said, and an answer fits one
//! question only. Envelopes are in the clear inside; each is verified by its author's signature.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use kukuri_contract::{AuthorId, EndpointId, Epoch, Holding, KeyBytes, TopicId};

/// Version of questions and answers.
pub const VERSION: u8 = 1;
/// Authors in one question: so many, each with [`MAX_RANGES`], fit the transport's 64 KiB.
pub const MAX_AUTHORS: usize = 48;
/// Ranges of one author in one question.
pub const MAX_RANGES: usize = 64;
/// Posts in one answer.
pub const MAX_POSTS: usize = 256;
/// Bytes of envelopes in one answer: half of what the transport carries.
pub const MAX_BYTES: usize = 512 * 1024;
/// Questions of epochs so far from the own one are answered: clocks differ.
pub const EPOCHS_ACCEPTED: u64 = 2;

const NONCE_BYTES: usize = 24;
/// The least id: questions start from here.
pub const FIRST_AUTHOR: AuthorId = AuthorId::from_bytes([0; 32]);
/// The greatest id: the last question ends here.
pub const LAST_AUTHOR: AuthorId = AuthorId::from_bytes([0xff; 32]);

/// Why a question or an answer can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// A version that this node does not speak.
    #[error("version {0} is unknown; this node speaks {VERSION}")]
    Version(u8),
    /// Of an epoch that is not near the own one.
    #[error("it is of epoch {0}, which is not near the own one")]
    Epoch(u64),
    /// The seal is broken: not a member, or not meant for this question.
    #[error("the seal is broken")]
    Seal,
    /// The content can't be read.
    #[error("the content can't be read")]
    Malformed,
}

/// Between whom a repair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// The topic.
    pub topic: TopicId,
    /// Who asks.
    pub asker: EndpointId,
    /// Who answers.
    pub answerer: EndpointId,
}

/// What the asker has of the authors in a range of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// First author of the range.
    pub from: AuthorId,
    /// Last author of the range.
    pub to: AuthorId,
    /// What it has; of authors in the range that are not listed, nothing.
    pub have: Vec<Holding>,
}

/// What the answerer sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Envelopes of posts, none of them verified yet.
    pub envelopes: Vec<Bytes>,
    /// There are more in this range of authors.
    pub more: bool,
}

/// Whether somebody who has `theirs` has posts that are not among `ours`.
pub fn is_lacking<'a>(ours: &[Holding], theirs: impl IntoIterator<Item = &'a Holding>) -> bool {
    theirs.into_iter().any(|theirs| {
        let ours = ours.iter().find(|ours| ours.author == theirs.author);
        let covers = |(first, last): &(u64, u64)| {
            let mut ranges = ours.iter().flat_map(|ours| &ours.ranges);
            ranges.any(|(from, to)| from <= first && last <= to)
        };
        !theirs.ranges.iter().all(covers)
    })
}

/// The nonce of a question: its answer is bound to it.
pub type Nonce = [u8; NONCE_BYTES];

impl Summary {
    /// A sealed question. The nonce must be random and fresh.
    pub fn seal(&self, between: Between, epoch: Epoch, key: &KeyBytes, nonce: Nonce) -> Bytes {
        let mut plain = Vec::new();
        plain.extend(self.from.as_bytes());
        plain.extend(self.to.as_bytes());
        let have = &self.have[..self.have.len().min(MAX_AUTHORS)];
        plain.extend((have.len() as u16).to_be_bytes());
        for holding in have {
            plain.extend(holding.author.as_bytes());
            let ranges = &holding.ranges[..holding.ranges.len().min(MAX_RANGES)];
            plain.push(ranges.len() as u8);
            for (first, last) in ranges {
                plain.extend(first.to_be_bytes());
                plain.extend(last.to_be_bytes());
            }
        }
        let sealed = seal(&plain, &question_data(between, epoch), key, nonce);
        let epoch = epoch.0.to_be_bytes();
        [&[VERSION], &epoch[..], &nonce, &sealed].concat().into()
    }

    /// The epoch and the nonce of a question, which are in the clear.
    ///
    /// # Errors
    /// Unknown version, far epoch, too short.
    pub fn peek(question: &[u8], now: Epoch) -> Result<(Epoch, Nonce), RepairError> {
        let mut read = Reader(question);
        let [version] = read.array()?;
        if version != VERSION {
            return Err(RepairError::Version(version));
        }
        let epoch = Epoch(u64::from_be_bytes(read.array()?));
        if epoch.0.abs_diff(now.0) > EPOCHS_ACCEPTED {
            return Err(RepairError::Epoch(epoch.0));
        }
        Ok((epoch, read.array()?))
    }

    /// Opens a question whose epoch was [peeked](Self::peek) at.
    ///
    /// # Errors
    /// [`RepairError::Seal`] or [`RepairError::Malformed`].
    pub fn open(
        question: &[u8],
        between: Between,
        epoch: Epoch,
        key: &KeyBytes,
    ) -> Result<Self, RepairError> {
        let mut read = Reader(question);
        let _clear: [u8; 9] = read.array()?;
        let nonce = read.array()?;
        let plain = open(read.0, &question_data(between, epoch), key, nonce)?;
        let mut read = Reader(&plain);
        let from = AuthorId::from_bytes(read.array()?);
        let to = AuthorId::from_bytes(read.array()?);
        let count = usize::from(u16::from_be_bytes(read.array()?));
        if count > MAX_AUTHORS {
            return Err(RepairError::Malformed);
        }
        let have = (0..count)
            .map(|_| read.holding())
            .collect::<Result<_, _>>()?;
        read.end()?;
        Ok(Self { from, to, have })
    }
}

impl Delivery {
    /// A sealed answer. The nonce must be random and fresh.
    pub fn seal(
        &self,
        between: Between,
        (epoch, asked): (Epoch, Nonce),
        key: &KeyBytes,
        nonce: Nonce,
    ) -> Bytes {
        let mut plain = vec![u8::from(self.more)];
        plain.extend((self.envelopes.len() as u16).to_be_bytes());
        for envelope in &self.envelopes {
            plain.extend((envelope.len() as u16).to_be_bytes());
            plain.extend(envelope);
        }
        let sealed = seal(&plain, &answer_data(between, epoch, asked), key, nonce);
        [&[VERSION], &nonce[..], &sealed].concat().into()
    }

    /// Opens the answer to a question.
    ///
    /// # Errors
    /// See [`RepairError`].
    pub fn open(
        answer: &[u8],
        between: Between,
        (epoch, asked): (Epoch, Nonce),
        key: &KeyBytes,
    ) -> Result<Self, RepairError> {
        let mut read = Reader(answer);
        let [version] = read.array()?;
        if version != VERSION {
            return Err(RepairError::Version(version));
        }
        let nonce = read.array()?;
        let plain = open(read.0, &answer_data(between, epoch, asked), key, nonce)?;
        let mut read = Reader(&plain);
        let [more] = read.array()?;
        let count = usize::from(u16::from_be_bytes(read.array()?));
        if count > MAX_POSTS || more > 1 {
            return Err(RepairError::Malformed);
        }
        let mut envelopes = Vec::with_capacity(count);
        for _ in 0..count {
            let len = u16::from_be_bytes(read.array()?).into();
            envelopes.push(Bytes::copy_from_slice(read.take(len)?));
        }
        read.end()?;
        let more = more == 1;
        Ok(Self { envelopes, more })
    }
}

/// The author that follows another one in the order of ids.
pub fn next_author(author: AuthorId) -> AuthorId {
    let mut bytes = *author.as_bytes();
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    AuthorId::from_bytes(bytes)
}

fn question_data(between: Between, epoch: Epoch) -> Vec<u8> {
    data(b"kukuri/1 repair question\0", between, epoch)
}

fn answer_data(between: Between, epoch: Epoch, asked: Nonce) -> Vec<u8> {
    let mut data = data(b"kukuri/1 repair answer\0", between, epoch);
    data.extend(asked);
    data
}

fn data(label: &[u8], between: Between, epoch: Epoch) -> Vec<u8> {
    let Between {
        topic,
        asker,
        answerer,
    } = between;
    [
        label,
        topic.as_bytes(),
        asker.as_bytes(),
        answerer.as_bytes(),
        &epoch.0.to_be_bytes(),
    ]
    .concat()
}

fn seal(plain: &[u8], aad: &[u8], key: &KeyBytes, nonce: Nonce) -> Vec<u8> {
    let payload = Payload { msg: plain, aad };
    XChaCha20Poly1305::new(key.expose().into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a megabyte is far below the cipher's limit of 256 GiB")
}

fn open(sealed: &[u8], aad: &[u8], key: &KeyBytes, nonce: Nonce) -> Result<Vec<u8>, RepairError> {
    let payload = Payload { msg: sealed, aad };
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt(&XNonce::from(nonce), payload)
        .map_err(|_| RepairError::Seal)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], RepairError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(RepairError::Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RepairError> {
        self.take(N)?.try_into().map_err(|_| RepairError::Malformed)
    }

    fn holding(&mut self) -> Result<Holding, RepairError> {
        let author = AuthorId::from_bytes(self.array()?);
        let [count] = self.array()?;
        if usize::from(count) > MAX_RANGES {
            return Err(RepairError::Malformed);
        }
        let range = |_| {
            let first = u64::from_be_bytes(self.array()?);
            let last = u64::from_be_bytes(self.array()?);
            (first <= last)
                .then_some((first, last))
                .ok_or(RepairError::Malformed)
        };
        let ranges = (0..count).map(range).collect::<Result<_, _>>()?;
        Ok(Holding { author, ranges })
    }

    fn end(self) -> Result<(), RepairError> {
        self.0
            .is_empty()
            .then_some(())
            .ok_or(RepairError::Malformed)
    }
}

#[cfg(test)]
mod tests;
