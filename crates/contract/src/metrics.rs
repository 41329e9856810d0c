//! The metrics service: turns every event of the contract into series.
//!
//! It hears the events of all services and answers nothing else than [`Render`]. What it counts starts at 0
//! when it does: after a restart the node tells it again what goes on ([`NodeEvent::Started`],
//! [`NodeEvent::TopicResumed`]), not what was counted. Labels are bounded: never an endpoint, a topic or an
//! author. An implementation may be without series to render, where it sends them elsewhere or counts nothing.

use std::time::Duration;

use crate::ban::Offense;
use crate::discovery::DiscoveryEvent;
use crate::event::Event;
use crate::gossip::GossipEvent;
use crate::identity::SecretStoreKind;
use crate::ids::TopicId;
use crate::peer::Source;
use crate::port::{Never, request, service};
use crate::store::StoreEvent;
use crate::verdict::Verdict;

service! {
    /// The metrics service: turns every event of the contract into series.
    MetricsService, MetricsPort, "metrics" {
        /// All series as Prometheus text (exposition format 0.0.4); empty where they go elsewhere.
        render: Render,
    }
    events {
        DiscoveryEvent,
        GossipEvent,
        StoreEvent,
        NodeEvent,
    }
}

request! {
    Render => String, Never;
}

/// Asks for all series as Prometheus text.
#[derive(Debug, Clone, Copy)]
pub struct Render;

/// Why a post was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PostDrop {
    /// The envelope can't be read.
    Malformed,
    /// A version that this node does not speak.
    Version,
    /// The body is larger than a post may be.
    Oversize,
    /// The signature is not the writer's, or is for another topic, or the link is not the author's.
    BadSignature,
    /// The seal is broken, or made with another key.
    Seal,
    /// In the clear where it must be sealed, or sealed where it must be in the clear.
    WrongKind,
    /// Delivered before.
    Duplicate,
    /// Its author no longer lets its writer write.
    Revoked,
    /// Written in the future.
    Future,
    /// The identity service gave no key to open it with.
    NoKey,
    /// The topic was left before it was looked at.
    NotJoined,
    /// The store did not take it.
    NotStored,
    /// This node could not keep up.
    Overload,
    /// More than the author, or the peer that sent it first, may send at once; gap repair brings what is
    /// left out.
    RateLimited,
}

impl PostDrop {
    /// All reasons.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::Version,
        Self::Oversize,
        Self::BadSignature,
        Self::Seal,
        Self::WrongKind,
        Self::Duplicate,
        Self::Revoked,
        Self::Future,
        Self::NoKey,
        Self::NotJoined,
        Self::NotStored,
        Self::Overload,
        Self::RateLimited,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Oversize => "oversize",
            Self::BadSignature => "bad_signature",
            Self::Seal => "seal",
            Self::WrongKind => "wrong_kind",
            Self::Duplicate => "duplicate",
            Self::Revoked => "revoked",
            Self::Future => "future",
            Self::NoKey => "no_key",
            Self::NotJoined => "not_joined",
            Self::NotStored => "not_stored",
            Self::Overload => "overload",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// How a gap repair with a neighbor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RepairResult {
    /// All that the neighbor has is here now.
    Complete,
    /// The neighbor has more than one repair may bring; another one follows.
    Partial,
    /// The neighbor did not answer.
    Failed,
    /// What came back can't be used.
    Invalid,
}

impl RepairResult {
    /// All results.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Partial, Self::Failed, Self::Invalid];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }
}

/// Why a service was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestartReason {
    /// Its actor is gone: a handler panicked.
    Panic,
    /// It did not answer its probe.
    Hang,
}

impl RestartReason {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::Panic, Self::Hang];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Hang => "hang",
        }
    }
}

/// What happened in the node around the services.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum NodeEvent {
    /// The node runs.
    Started {
        /// Version of the program.
        version: &'static str,
        /// Where its secrets are kept.
        secret_store: SecretStoreKind,
    },
    /// A topic was opened: a join began.
    TopicOpened {
        /// Which.
        topic: TopicId,
    },
    /// A topic was closed.
    TopicClosed {
        /// Which.
        topic: TopicId,
    },
    /// A topic has its first neighbor.
    FirstNeighbor {
        /// How that neighbor was found.
        source: Source,
        /// Since the join.
        after: Duration,
    },
    /// What came of looking for a topic's peers has changed.
    VerdictChanged {
        /// The topic.
        topic: TopicId,
        /// What it was.
        from: Option<Verdict>,
        /// What it is.
        to: Verdict,
    },
    /// A post of this node is in its store and on its way.
    PostSent,
    /// A post of another node was verified, stored and delivered.
    PostReceived {
        /// From the author's clock to this node's; zero where the clocks disagree.
        after: Duration,
    },
    /// A post was not delivered.
    PostDropped {
        /// Why.
        reason: PostDrop,
    },
    /// Gap repair with a neighbor has ended.
    RepairEnded {
        /// How.
        result: RepairResult,
        /// Posts that it brought.
        posts: u64,
    },
    /// A neighbor's gap repair was answered.
    RepairServed {
        /// Posts that were given.
        posts: u64,
    },
    /// A peer did what no honest one does.
    Offended {
        /// What.
        offense: Offense,
    },
    /// A peer was banned for a time.
    Banned {
        /// What it did last.
        reason: Offense,
    },
    /// Other peers are banned than before.
    BansChanged {
        /// How many.
        peers: usize,
    },
    /// A service was started again.
    Restarted {
        /// Which.
        service: &'static str,
        /// Why.
        reason: RestartReason,
    },
    /// Where a topic stands, told again to metrics that have just started.
    TopicResumed {
        /// The topic.
        topic: TopicId,
        /// Neighbors now.
        neighbors: usize,
        /// What has come of looking for its peers.
        verdict: Option<Verdict>,
    },
    /// Requests that are under way to a service.
    RequestsInFlight {
        /// The service.
        service: &'static str,
        /// How many.
        requests: usize,
    },
    /// The node missed events of a service.
    EventsMissed {
        /// Whose.
        service: &'static str,
        /// How many.
        missed: u64,
    },
    /// A request between services failed.
    CallFailed {
        /// Which service was asked.
        service: &'static str,
    },
    /// The listener missed events.
    Lagged(u64),
}

impl Event for NodeEvent {
    fn lagged(missed: u64) -> Self {
        Self::Lagged(missed)
    }
}
