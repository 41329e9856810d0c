//! The topics that a user has added, with their secrets, and the sealed form in which a file keeps
//! them. PROTOCOL.md, section 17, has the rules.
//!
//! ```text
//! "kukuri-topics" 13 | version 1 | nonce 24 | XChaCha20-Poly1305 of JSON, additional data: all before
//! ```
//!
//! The cipher's key comes from the node's keys, so the list is as safe as they are, wherever they are.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use kukuri_contract::{EndpointAddr, KeyBytes, TopicId, TopicName, TopicSecret, UnixMillis};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::derive::TopicKey;
use super::sealed::NONCE_BYTES;
use super::secret::{format_secret, parse_secret};

/// Version of the sealed form.
pub const VERSION: u8 = 1;
/// Most topics in a book; as many as a node may be in.
pub const MAX_SAVED: usize = 64;
/// Most earlier topics that are remembered of one, whose posts are its history.
pub const MAX_EARLIER: usize = 8;

const MAGIC: &[u8] = b"kukuri-topics";
const HEADER_BYTES: usize = MAGIC.len() + 1 + NONCE_BYTES;

/// A topic that a user has added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its secret; a topic without one is public.
    pub secret: Option<TopicSecret>,
    /// The secret before, as long as the node takes part under both.
    pub former: Option<Former>,
    /// The topics of earlier secrets, the newest first, at most [`MAX_EARLIER`].
    pub earlier: Vec<TopicId>,
    /// Members to dial at once.
    pub peers: Vec<EndpointAddr>,
}

impl SavedTopic {
    /// The topic as iroh-gossip knows it.
    pub fn id(&self) -> TopicId {
        TopicKey::new(&self.name, self.secret.as_ref()).topic_id()
    }
}

/// A secret that was replaced, and how long it is still used beside the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// It; `None`: the topic was public.
    pub secret: Option<TopicSecret>,
    /// When the overlap ends, by this node's clock.
    pub until: UnixMillis,
}

/// Why a book is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no such topic.
    #[error("no topic {0:?} was added here; `kukuri topic list` shows those that were")]
    Unknown(String),
    /// The topic is there, with another secret.
    #[error(
        "a topic {0:?} with another secret was added already; replace its secret with `kukuri topic \
         rotate`, or take it out first with `kukuri topic remove`"
    )]
    OtherSecret(String),
    /// The new secret is the one that it has.
    #[error("the topic {0:?} has this secret already")]
    SameSecret(String),
    /// The book is full.
    #[error(
        "{MAX_SAVED} topics were added already, the most there may be; `kukuri topic remove` one"
    )]
    Full,
}

/// Why a sealed book is not opened. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// Something else.
    #[error("it is no list of topics")]
    NotTopics,
    /// A version that this program does not know.
    #[error("its version {0} is unknown, this program knows {VERSION}; update kukuri")]
    Version(u8),
    /// It is damaged, or belongs to another identity.
    #[error(
        "it does not open with this identity's keys: it is damaged, or of another identity; restore \
         both from one backup, or move it away and add the topics again"
    )]
    Wrong,
    /// It opens, and what is in it can't be read.
    #[error("its content can't be read; restore it from a backup, or move it away")]
    Malformed,
}

/// The topics that a user has added, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book(Vec<SavedTopic>);

impl Book {
    /// All topics.
    pub fn topics(&self) -> &[SavedTopic] {
        &self.0
    }

    /// Adds a topic; false if it is there already, with the same secret.
    ///
    /// # Errors
    /// It is there with another secret, or the book is full.
    pub fn add(&mut self, topic: SavedTopic) -> Result<bool, ChangeError> {
        let name = topic.name.as_str();
        match self.0.binary_search_by(|saved| saved.name.cmp(&topic.name)) {
            Ok(at) if self.0[at].secret == topic.secret => {
                if !topic.peers.is_empty() {
                    self.0[at].peers = topic.peers;
                }
                Ok(false)
            }
            Ok(_) => Err(ChangeError::OtherSecret(name.to_owned())),
            Err(_) if self.0.len() >= MAX_SAVED => Err(ChangeError::Full),
            Err(at) => {
                self.0.insert(at, topic);
                Ok(true)
            }
        }
    }

    /// Takes a topic out.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&mut self, name: &TopicName) -> Result<(), ChangeError> {
        let at = self.find(name)?;
        self.0.remove(at);
        Ok(())
    }

    /// Gives a topic another secret; the one that it has is used beside it until then. One that was
    /// replaced before is used no more.
    ///
    /// # Errors
    /// The topic is not there, or has this secret.
    pub fn rotate(
        &mut self,
        name: &TopicName,
        secret: Option<TopicSecret>,
        until: UnixMillis,
    ) -> Result<(), ChangeError> {
        let at = self.find(name)?;
        let topic = &mut self.0[at];
        if topic.secret == secret {
            return Err(ChangeError::SameSecret(name.as_str().to_owned()));
        }
        let id = topic.id();
        topic.earlier.retain(|earlier| *earlier != id);
        topic.earlier.insert(0, id);
        topic.earlier.truncate(MAX_EARLIER);
        let before = std::mem::replace(&mut topic.secret, secret);
        topic.former = Some(Former {
            secret: before,
            until,
        });
        Ok(())
    }

    /// Drops the former secrets whose overlap has ended; says whether there was one.
    pub fn expire(&mut self, now: UnixMillis) -> bool {
        let mut expired = false;
        for topic in &mut self.0 {
            expired |= topic.former.take_if(|f| f.until <= now).is_some();
        }
        expired
    }

    fn find(&self, name: &TopicName) -> Result<usize, ChangeError> {
        let found = self.0.binary_search_by(|saved| saved.name.cmp(name));
        found.map_err(|_| ChangeError::Unknown(name.as_str().to_owned()))
    }

    // --- the sealed form ---

    /// The form that a file keeps. The nonce must be random and new.
    pub fn seal(&self, key: &KeyBytes, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
        let written: Vec<_> = self.0.iter().map(Written::from).collect();
        let json = serde_json::to_vec(&written).expect("it has text and numbers only");
        let json = Zeroizing::new(json);
        let head = [MAGIC, &[VERSION], nonce].concat();
        let payload = Payload {
            msg: &json,
            aad: &head,
        };
        let sealed = XChaCha20Poly1305::new(key.expose().into())
            .encrypt(&XNonce::from(*nonce), payload)
            .expect("a list of topics is far below the cipher's limit of 256 GiB");
        [head, sealed].concat()
    }

    /// Opens the form that a file keeps.
    ///
    /// # Errors
    /// See [`BookError`].
    pub fn open(bytes: &[u8], key: &KeyBytes) -> Result<Self, BookError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BookError::NotTopics)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(version) => return Err(BookError::Version(*version)),
            None => return Err(BookError::NotTopics),
        }
        let (nonce, sealed) = rest[1..]
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(BookError::Wrong)?;
        let payload = Payload {
            msg: sealed,
            aad: &bytes[..HEADER_BYTES],
        };
        let json = XChaCha20Poly1305::new(key.expose().into())
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| BookError::Wrong)?;
        let written: Vec<Written> =
            serde_json::from_slice(&json).map_err(|_| BookError::Malformed)?;
        let mut book = Self::default();
        for topic in written {
            if book.add(topic.into()) != Ok(true) {
                return Err(BookError::Malformed);
            }
        }
        Ok(book)
    }
}

/// A topic as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: TopicName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<SecretText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<WrittenFormer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<TopicId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    peers: Vec<EndpointAddr>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFormer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<SecretText>,
    until: UnixMillis,
}

/// A secret in its text form, which is wiped on either way.
struct SecretText(TopicSecret);

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_secret(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        parse_secret(&text).map(Self).map_err(Error::custom)
    }
}

impl From<&SavedTopic> for Written {
    fn from(topic: &SavedTopic) -> Self {
        Self {
            name: topic.name.clone(),
            secret: topic.secret.clone().map(SecretText),
            former: topic.former.clone().map(|former| WrittenFormer {
                secret: former.secret.map(SecretText),
                until: former.until,
            }),
            earlier: topic.earlier.clone(),
            peers: topic.peers.clone(),
        }
    }
}

impl From<Written> for SavedTopic {
    fn from(written: Written) -> Self {
        Self {
            name: written.name,
            secret: written.secret.map(|SecretText(secret)| secret),
            former: written.former.map(|former| Former {
                secret: former.secret.map(|SecretText(secret)| secret),
                until: former.until,
            }),
            earlier: written.earlier,
            peers: written.peers,
        }
    }
}

#[cfg(test)]
mod tests;
