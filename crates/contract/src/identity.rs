//! The identity service: keys, topic secrets, signatures.
//!
//! The endpoint's secret key leaves it once, as [`EndpointKey`], when the gossip service is made.
//! Author keys and topic secrets never leave it.
//!
//! It is the first service that is made, and needs no other. The same data directory is the same node, over
//! restarts of the service and of the program; one that keeps its keys in memory promises the first only.
//! Topics are not kept: a fresh service knows none, and the node adds them again.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{AuthorId, EndpointId, Epoch, InfoHash, Signature, TopicId, UnixMillis};
use crate::port::{Never, request, service};
use crate::topic::{TopicName, TopicSecret};

service! {
    /// The identity service: keys, topic secrets, signatures.
    IdentityService, IdentityPort, "identity" {
        /// Who this node is, and where its secrets are kept.
        whoami: Whoami,
        /// Takes in a topic; the same name and secret give the same [`TopicId`]. Idempotent.
        add_topic: AddTopic,
        /// Drops a topic and its secret from memory. Unknown topics are fine.
        remove_topic: RemoveTopic,
        /// Derives the keys of a topic for one epoch.
        topic_keys: TopicKeys,
        /// Signs one of the statements that kukuri knows; never raw bytes.
        sign: Sign,
        /// Under whose link this node writes, and whom its author no longer lets write.
        links: Links,
    }
}

request! {
    Whoami => IdentityInfo, Never;
    AddTopic => TopicId, AddTopicError;
    RemoveTopic => (), Never;
    TopicKeys => EpochKeys, TopicKeysError;
    Sign => Signature, SignError;
    Links => AuthorLinks, LinksError;
}

/// Asks who this node is.
#[derive(Debug, Clone, Copy)]
pub struct Whoami;

/// Answer to [`Whoami`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityInfo {
    /// The endpoint of this node.
    pub endpoint: EndpointId,
    /// This node's own author key, the *writer* of its posts. The author, too, unless it writes under
    /// a link.
    pub author: AuthorId,
    /// The links of its author key, as of the start.
    pub links: AuthorLinks,
    /// Where the secrets are kept.
    pub store: SecretStoreKind,
}

/// Kinds of places for secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretStoreKind {
    /// The keyring of the operating system.
    Os,
    /// An encrypted file.
    File,
    /// A file in the clear, by the user's will.
    Plaintext,
    /// Memory: gone with the process.
    Memory,
}

impl SecretStoreKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Os, Self::File, Self::Plaintext, Self::Memory];

    /// The name in events, labels and config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::File => "file",
            Self::Plaintext => "plaintext",
            Self::Memory => "memory",
        }
    }
}

/// The statement "this writer may write in this author's name", signed by the author. The writer
/// agrees by its own signature under each post that has the link in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorLink {
    /// The author: the key of one node of a person, its *main* node.
    pub author: AuthorId,
    /// The writer: the key of another node of that person.
    pub writer: AuthorId,
    /// When it was made.
    pub issued_at: UnixMillis,
    /// By the author's key over [`SignRequest::Link`].
    pub signature: Signature,
}

/// Asks for the links as they are at the moment: a user may have changed them.
#[derive(Debug, Clone, Copy)]
pub struct Links;

/// Answer to [`Links`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorLinks {
    /// Under which link this node writes; without one, in its own name. Its signature is verified.
    pub used: Option<AuthorLink>,
    /// Whom the author of this node no longer lets write, at most [`MAX_REVOKED`].
    pub revoked: Vec<AuthorId>,
}

/// Most writers that an author can revoke, in a topic and in all. 64: far more nodes than a person
/// has, and it bounds what any author key can have others remember.
pub const MAX_REVOKED: usize = 64;

/// Why there are no links.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinksError {
    /// Where they are kept can't be read.
    #[error("the author links can't be read: {0}")]
    Unreadable(String),
}

/// Adds a topic.
#[derive(Debug, Clone)]
pub struct AddTopic {
    /// Its name.
    pub name: TopicName,
    /// Its secret; a public topic has none: whoever knows the name can take part.
    pub secret: Option<TopicSecret>,
}

/// Why a topic could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddTopicError {
    /// The node has as many topics as it may have.
    #[error("this node has {limit} topics already, the most it may have; leave one first")]
    TooManyTopics {
        /// Most topics of a node.
        limit: usize,
    },
}

/// Drops a topic.
#[derive(Debug, Clone, Copy)]
pub struct RemoveTopic {
    /// Which.
    pub topic: TopicId,
}

/// Asks for the keys of a topic in one epoch, any: who asks decides which epochs it takes. Epochs beside
/// the present one are asked for all the time, as clocks differ.
#[derive(Debug, Clone, Copy)]
pub struct TopicKeys {
    /// Which topic.
    pub topic: TopicId,
    /// Which epoch.
    pub epoch: Epoch,
}

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicKeysError {
    /// The topic was never added.
    #[error("topic {0:?} is unknown; add it first")]
    UnknownTopic(TopicId),
}

/// 32 bytes of a symmetric key; wiped when dropped, and `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Zeroizing<[u8; 32]>);

impl KeyBytes {
    /// Takes the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be given to a cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(..)")
    }
}

/// The keys of one topic in one epoch; `docs/PROTOCOL.md` says how they are derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochKeys {
    /// Where members announce themselves. It may be seen by anybody: nothing follows from it.
    pub infohash: InfoHash,
    /// Tags hellos, so that only members can tell them from noise (HMAC-SHA256).
    pub hello_tag: KeyBytes,
    /// Seals hello requests (XChaCha20-Poly1305).
    pub hello_request: KeyBytes,
    /// Seals hello replies (XChaCha20-Poly1305).
    pub hello_reply: KeyBytes,
    /// Seals beacons (XChaCha20-Poly1305).
    pub beacon: KeyBytes,
    /// Seed of the Ed25519 key that all members write the board with.
    pub board_key: KeyBytes,
    /// Seals the pages of the board (XChaCha20-Poly1305).
    pub board_seal: KeyBytes,
    /// Under which the salts of the board's slots are hashed (HMAC-SHA256).
    pub board_salt: KeyBytes,
    /// Under which members prove to each other that they are members (HMAC-SHA256).
    pub member: KeyBytes,
    /// Seals the summaries and posts of gap repair (XChaCha20-Poly1305).
    pub repair: KeyBytes,
    /// Seals posts (XChaCha20-Poly1305); a public topic has none, its posts are in the clear.
    pub post_seal: Option<KeyBytes>,
}

/// Asks for a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign(pub SignRequest);

/// The statements that can be signed. Each has its own domain prefix, so that no signature can
/// stand for another statement.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignRequest {
    /// "This endpoint, at these addresses, is in this topic", by the endpoint's key.
    Record {
        /// The topic.
        topic: TopicId,
        /// The epoch that the record is issued in.
        epoch: Epoch,
        /// The record without its signature.
        body: Vec<u8>,
    },
    /// "I am the root of this topic's swarm, and live", by the endpoint's key.
    Heartbeat {
        /// The topic.
        topic: TopicId,
        /// When, by the root's clock; it never goes back.
        beat: UnixMillis,
    },
    /// "I wrote this", by the author's key.
    Post {
        /// The topic.
        topic: TopicId,
        /// The envelope without its signature.
        envelope: Vec<u8>,
    },
    /// "This writer may write in this author's name", by the key of the author.
    Link {
        /// The author.
        author: AuthorId,
        /// The writer.
        writer: AuthorId,
        /// When.
        issued_at: UnixMillis,
    },
}

impl SignRequest {
    /// The bytes that are signed: domain prefix, then the fields; only the last one varies in
    /// length.
    pub fn preimage(&self) -> Vec<u8> {
        match self {
            Self::Record { topic, epoch, body } => [
                b"kukuri/1 record\0".as_slice(),
                topic.as_bytes(),
                &epoch.0.to_be_bytes(),
                body,
            ]
            .concat(),
            Self::Heartbeat { topic, beat } => [
                b"kukuri/1 heartbeat\0".as_slice(),
                topic.as_bytes(),
                &beat.0.to_be_bytes(),
            ]
            .concat(),
            Self::Post { topic, envelope } => {
                [b"kukuri/1 post\0".as_slice(), topic.as_bytes(), envelope].concat()
            }
            Self::Link {
                author,
                writer,
                issued_at,
            } => [
                b"kukuri/1 delegate\0".as_slice(),
                author.as_bytes(),
                writer.as_bytes(),
                &issued_at.0.to_be_bytes(),
            ]
            .concat(),
        }
    }
}

impl fmt::Debug for SignRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { topic, epoch, body } => {
                write!(f, "Record({topic:?}, {epoch:?}, {} bytes)", body.len())
            }
            Self::Heartbeat { topic, beat } => write!(f, "Heartbeat({topic:?}, {beat:?})"),
            Self::Post { topic, envelope } => {
                write!(f, "Post({topic:?}, {} bytes)", envelope.len())
            }
            Self::Link { author, writer, .. } => write!(f, "Link({author:?}, {writer:?})"),
        }
    }
}

/// Why a statement was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A link names an author that is not this node's.
    #[error("the statement names a key that is not this node's")]
    NotOurs,
}

/// The secret key of the endpoint, handed over once when the gossip service is made.
pub struct EndpointKey(Zeroizing<[u8; 32]>);

impl EndpointKey {
    /// Takes the 32 bytes of an Ed25519 secret key (RFC 8032, section 5.1.5).
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be given to the endpoint.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointKey(..)")
    }
}
