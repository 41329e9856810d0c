//! The seam between kukuri's actor crates.
//!
//! Every actor crate depends on this one and on no other actor crate. What passes between actors
//! is plain data: `Debug + Clone`, no locks, no channels, no types of iroh or mainline.
//!
//! - **Requests** are imperative and have a reply; a [`Request`] names its reply and its error.
//!   They go through a *port* ([`IdentityPort`], [`DiscoveryPort`], ...), which puts a time limit
//!   and an in-flight bound on each and survives a restart of the actor behind it.
//! - **Events** are facts in the past tense ([`DiscoveryEvent`], [`GossipEvent`], ...). They leave
//!   an actor through an [`Outlet`], which never waits: a subscriber whose mailbox is full misses
//!   events, and is told how many.
//! - A **service** trait ([`IdentityService`], ...) lists the requests that an implementation must
//!   handle, so that a missing handler is a compile error.
//! - A [`Factory`] makes an implementation, from what every one of its service is given
//!   ([`DiscoveryDeps`], ...); a [`Maker`] is one with its config, whichever it is.
//!
//! Long-term secrets stay inside the identity service: others get keys derived for one epoch.
//!
//! # What every implementation keeps to
//!
//! Beside what the docs of each request and event say:
//!
//! - **Replies.** A request is answered well within [`Limits::timeout`], whatever the network does. One
//!   that is refused had no effect. One that is called idempotent may come again and again, and then
//!   changes nothing. A caller that goes away, or that does not wait any longer, wedges nothing: the request
//!   may take effect all the same.
//! - **Order.** Requests of one caller that waits for each reply take effect in that order. Events of one
//!   topic come in the order in which they happened; between topics, and between services, there is none.
//! - **Unknown topics** are no fault: what there is nothing to do for is done, a list of it is empty, and a
//!   request that can't be answered says `UnknownTopic`.
//! - **Time.** A [`Duration`](std::time::Duration) is measured by a monotonic clock. [`UnixMillis`] are by the
//!   [`WallClock`] of the service, which may be wrong and may jump.
//! - **Bounds.** All that others can make grow has a bound: a request beyond it is refused with the limit,
//!   other input is dropped, and each drop is told as an event.
//! - **Stop** is answered once nothing is left to do, within a second or so: the node takes 2 s in all. What
//!   was acknowledged is safe. After it, the actor is gone and requests are [`CallError::Unavailable`]; a
//!   second [`Stop`] does no harm. Sockets, files and threads are let go of.
//! - **Restart.** An actor may end at any moment, in the middle of a request too, and a fresh one is made from
//!   the same config behind the same port. It knows nothing but what is on disk, and needs nobody to ask.
//!   The node tells it again all that it must know, and does so every 10 s in any case. Times that count from
//!   a request count from its repetition.
//! - **Secrets** show in no `Debug`, no error and no log.

mod ban;
mod board;
mod clock;
mod composition;
mod discovery;
mod event;
mod factory;
mod gossip;
mod identity;
mod ids;
mod lease;
mod member;
mod metrics;
mod peer;
mod port;
mod reachability;
mod store;
mod supervision;
mod topic;
mod verdict;

pub use ban::{Ban, Offense};
pub use board::{BoardResult, PageDrop};
pub use clock::WallClock;
pub use composition::{
    DiscoveryDeps, DiscoveryMaker, DiscoveryRunning, GossipDeps, GossipMaker, GossipRunning,
    IdentityDeps, IdentityMaker, IdentityRunning, MetricsDeps, MetricsMaker, MetricsRunning,
    StoreDeps, StoreMaker, StoreRunning,
};
pub use discovery::{
    Announce, AnnounceError, AnnounceResult, Announced, BEACON, BeaconDrop, DhtHealth,
    DhtHealthQuery, Discover, DiscoverError, DiscoveryEvent, DiscoveryPort, DiscoveryService,
    Forget, HearBeacon, HelloDrop, Lookup, LookupError, LookupStats, MAX_BEACON_BYTES, SetAddress,
    SetAddressError, SetNeighbors, SkipReason,
};
pub use event::{Event, Outlet};
pub use factory::{CONTRACT_VERSION, Factory, MakeError, Maker, OtherContract};
pub use gossip::{
    Answer, AnswerError, Ask, AskDrop, AskError, AskId, Broadcast, BroadcastError, Counters, Dial,
    DialError, DialReason, DialResult, GossipEvent, GossipPort, GossipService, Join, JoinError,
    Joined, Leave, LocalAddress, LocalAddresses, MAX_ANSWER_BYTES, MAX_ASK_BYTES, SetBanned,
};
pub use identity::{
    AddTopic, AddTopicError, AuthorLink, AuthorLinks, EndpointKey, EpochKeys, IdentityInfo,
    IdentityPort, IdentityService, KeyBytes, Links, LinksError, MAX_REVOKED, RemoveTopic,
    SecretStoreKind, Sign, SignError, SignRequest, TopicKeys, TopicKeysError, Whoami,
};
pub use ids::{
    AuthorId, EPOCH_SECONDS, EndpointId, Epoch, IdError, InfoHash, Signature, TopicId, UnixMillis,
};
pub use lease::{Lease, LeaseHolder};
pub use member::{MEMBER_EPOCHS, MemberKeys, ProofDrop, ProofSide};
pub use metrics::{
    MetricsPort, MetricsService, NodeEvent, PostDrop, Render, RepairResult, RestartReason,
};
pub use peer::{EndpointAddr, EndpointAddrError, MAX_DIRECT_ADDRESSES, Source};
pub use port::{CallError, Gate, Limits, Line, Never, Probe, Request, Stop};
pub use reachability::Reachability;
pub use store::{
    Bans, Beyond, Contacts, Holding, Holdings, KnownPeer, KnownPeers, LastSeq, MAX_KEPT,
    MAX_LISTED, MAX_RANGES, Post, Posts, PostsBeyond, Remember, RememberContacts, Revocation,
    RevocationsDue, SaveBan, SavePost, Saved, StoreError, StoreEvent, StorePort, StoreService,
};
pub use supervision::{Drill, Watch};
pub use topic::{MAX_TOPIC_NAME_BYTES, SECRET_BYTES, TopicName, TopicNameError, TopicSecret};
pub use verdict::Verdict;
