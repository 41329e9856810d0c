//! What can go wrong with a node, and what to do.

mod unknown_kind;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::error::Kind as Wrong;
use kukuri_contract::{
    AddTopicError, AuthorId, CallError, DiscoverError, DiscoveryPort, GossipPort, IdentityPort,
    JoinError, OtherContract, SetAddressError, SignError, StoreError, StorePort, TopicKeysError,
};
use kukuri_identity::{LinkError, LinkRefused, LinksFileError};

pub use self::unknown_kind::UnknownKind;
use crate::config::FLAG;
use crate::core::post::MAX_BODY_BYTES;

/// A cause of any kind.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a config can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file that was named is not there.
    #[error("there is no config file {0}")]
    NoFile(PathBuf),
    /// A value can't be read.
    #[error("the config can't be read: {}", one_line(.0))]
    Read(#[source] Box<figment::Error>),
    /// A value of the section `node` is zero.
    #[error("node.{0} is wrong: it must be at least 1")]
    Node(&'static str),
    /// A value of another section is wrong.
    #[error("{0}")]
    Section(#[source] Cause),
    /// A section names an implementation that this build does not have.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
    /// A flag is for another implementation.
    #[error(
        "a flag sets {0}, which the kind in use does not have; leave that flag out, or choose a kind that has \
         it (`kukuri config kinds` lists them)"
    )]
    Flag(String),
    /// A section has settings, and this build no implementation that would read them.
    #[error(
        "[{0}] has settings, and this build has no implementation of {0} that reads them; leave the section \
         out, and give the settings to the implementation that the program brings"
    )]
    NobodysSettings(&'static str),
    /// Posts would be numbered from 1 again by an author that others know.
    #[error(
        "store.kind is \"memory\", which forgets the numbers of this author's posts, but the author stays: \
         others would take new posts for old ones; set identity.kind to \"memory\" too, or keep another \
         store.kind"
    )]
    StoreForgets,
    /// There is no data directory.
    #[error("this platform names no data directory; give one with --data-dir")]
    NoDataDir,
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        let by_flag = error
            .metadata
            .as_ref()
            .is_some_and(|from| from.name == FLAG);
        match &error.kind {
            Wrong::UnknownField(..) if by_flag => Self::Flag(error.path.join(".")),
            _ => Self::Read(Box::new(error)),
        }
    }
}

fn one_line(error: &figment::Error) -> String {
    let text = error.to_string();
    let parts: Vec<_> = text.split_whitespace().collect();
    parts.join(" ")
}

/// Why stored posts can't be shown without a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory is not there.
    #[error(
        "there is no data directory {0}; name the one of your node with --data-dir (`kukuri join` \
         makes it)"
    )]
    NoDataDir(PathBuf),
    /// The store of choice keeps nothing on a disk.
    #[error(
        "the store {0:?} keeps nothing that could be read without its node; ask the node (a store that a \
         program gives is read by that program)"
    )]
    NothingKept(String),
    /// More posts are asked for than the store gives at once.
    #[error(
        "{limit} posts are more than store.max_posts_per_query allows; ask for at most {most}, or \
         raise the setting"
    )]
    Limit {
        /// Asked for.
        limit: usize,
        /// The setting.
        most: usize,
    },
    /// The store does not open.
    #[error("the store does not open: {0}")]
    Open(#[source] Cause),
    /// The store refused, or did not answer.
    #[error(transparent)]
    Store(#[from] CallError<StoreError>),
    /// The thread that reads can't be started.
    #[error("can't start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The thread that reads ended early.
    #[error("reading the posts ended early; the log says why")]
    Ended,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory can't be made or written.
    #[error("can't use the data directory {dir}: {source}; check its permissions")]
    DataDir {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another node runs on the data directory.
    #[error(
        "another node runs on the data directory {0}; stop it, or give this one its own with \
         --data-dir"
    )]
    DataDirInUse(PathBuf),
    /// The identity of choice keeps its keys in a place of its own.
    #[error(
        "the keys of the identity {0:?} can't be replaced or backed up here; use its own tools"
    )]
    NotByKind(String),
    /// An implementation was written for another version of the contract.
    #[error(transparent)]
    Contract(#[from] OtherContract),
    /// A service does not start.
    #[error("{service} does not start: {source}")]
    Service {
        /// Which.
        service: &'static str,
        /// Why.
        source: Cause,
    },
    /// The HTTP port can't be bound.
    #[error("can't serve metrics at {address}: {source}; choose another address with --metrics")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The node's thread can't be started.
    #[error("can't start the node's threads: {0}")]
    Thread(#[source] io::Error),
    /// The node ended while it started.
    #[error("the node ended while it started; the log says why")]
    Ended,
}

/// Why a topic is not joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The identity service refused, or did not answer.
    #[error(transparent)]
    Identity(#[from] CallError<AddTopicError>),
    /// The identity service gave no keys.
    #[error(transparent)]
    Keys(#[from] CallError<TopicKeysError>),
    /// The gossip service refused, or did not answer.
    #[error(transparent)]
    Gossip(#[from] CallError<JoinError>),
    /// The discovery service refused, or did not answer.
    #[error(transparent)]
    Discovery(#[from] CallError<DiscoverError>),
    /// The store can't tell which numbers were used.
    #[error(transparent)]
    Store(#[from] CallError<StoreError>),
    /// The node's addresses don't fit a record.
    #[error(transparent)]
    Address(#[from] CallError<SetAddressError>),
    /// The topic is open already.
    #[error("this node has joined the topic already")]
    AlreadyJoined,
    /// The topic is not open.
    #[error("this node has not joined the topic, or has left it")]
    NotJoined,
    /// The node did not answer in time; the topic may still be joined.
    #[error("the node did not answer within {0:?}; leave the topic and try again")]
    TimedOut(Duration),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl TopicError {
    /// The service that failed.
    pub(crate) fn service(&self) -> &'static str {
        match self {
            Self::Identity(_) | Self::Keys(_) => IdentityPort::SERVICE,
            Self::Gossip(_) => GossipPort::SERVICE,
            Self::Discovery(_) | Self::Address(_) => DiscoveryPort::SERVICE,
            Self::Store(_) => StorePort::SERVICE,
            Self::NotJoined | Self::AlreadyJoined | Self::TimedOut(_) | Self::Stopping => "node",
        }
    }
}

/// Why an author link is not made, used or revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkingError {
    /// The identity does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The text is no link.
    #[error("the link can't be used: {0}")]
    Link(#[from] LinkError),
    /// It would make no sense.
    #[error(transparent)]
    Refused(#[from] LinkRefused),
    /// The links of this node can't be read or written.
    #[error(transparent)]
    File(#[from] LinksFileError),
    /// The identity service did not sign.
    #[error(transparent)]
    Sign(#[from] CallError<SignError>),
}

/// Why a node gave up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the service \"{service}\" ended {times} times within {window:?} ({reason}); start the node again, \
     and look at its log"
)]
pub struct GaveUp {
    /// The service that ended again and again.
    pub service: &'static str,
    /// How it ended last.
    pub reason: String,
    /// How often.
    pub times: usize,
    /// Within which time.
    pub window: Duration,
}

/// Why a post was not accepted. An accepted post is in the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// Too long.
    #[error("a post has at most {MAX_BODY_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The topic was left.
    #[error("the topic was left")]
    NotJoined,
    /// The identity service did not sign.
    #[error(transparent)]
    Sign(#[from] CallError<SignError>),
    /// The identity service gave no key to seal with.
    #[error(transparent)]
    Keys(#[from] CallError<TopicKeysError>),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] CallError<StoreError>),
    /// The number is taken: another node writes with this identity, or wrote before a backup of it
    /// was restored.
    #[error(
        "this author has a post {0} in this topic already; does another node use the same \
         identity? The next post gets a higher number: try again"
    )]
    NumberTaken(u64),
    /// The author in whose name this node writes does not let it any more.
    #[error(
        "the author {0} no longer lets this node write in its name; ask for another identity of this \
         node, or take another --data-dir"
    )]
    Revoked(AuthorId),
    /// As many posts are being written as may be.
    #[error("{0} posts are being written already; wait for one of them, then try again")]
    Busy(usize),
    /// The node did not answer in time; the post may still be written.
    #[error("the node did not answer within {0:?}; the post may be written all the same")]
    TimedOut(Duration),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    NoRandomness(getrandom::Error),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl PostError {
    /// Whether the post is certainly not in the store. A write that was not answered in time may
    /// still come to pass, and then its number is taken.
    pub(crate) fn is_unwritten(&self) -> bool {
        match self {
            Self::Store(CallError::Refused(_) | CallError::Busy { .. }) => true,
            // Of a revoked one, the number is settled.
            Self::Store(_) | Self::NumberTaken(_) | Self::Revoked(_) => false,
            _ => true,
        }
    }
}

/// Why stored posts can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store refused, or did not answer.
    #[error(transparent)]
    Store(#[from] CallError<StoreError>),
}
