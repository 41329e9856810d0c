//! How things ended, and why something was not done, or not used.

/// How an announcement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnounceResult {
    /// Others can find it: at least one DHT node, say, has acknowledged it.
    Stored,
    /// All tries failed.
    Failed,
    /// All tries ran into the time limit.
    TimedOut,
}

impl AnnounceResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Stored, Self::Failed, Self::TimedOut];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Why an announcement was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The writes of this minute are used up.
    Budget,
    /// Enough others are announced; a newcomer adds itself only with a small probability.
    Crowded,
    /// No DHT node runs here, or the rendezvous is turned off.
    NoDht,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Budget, Self::Crowded, Self::NoDht];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Crowded => "crowded",
            Self::NoDht => "no_dht",
        }
    }
}

/// Why a datagram, a record or an entry of the rendezvous was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HelloDrop {
    /// Shorter or longer than a hello can be.
    Length,
    /// A version that this node does not speak.
    Version,
    /// No topic of this node fits the tag: noise, another topic, or a wrong secret.
    UnknownTag,
    /// The seal is broken.
    Seal,
    /// The content can't be read.
    Malformed,
    /// Meant for another address.
    WrongRecipient,
    /// Sent too long ago, or in the future.
    Stale,
    /// Seen before.
    Replay,
    /// A reply that nothing was asked for.
    Unasked,
    /// A record with a bad signature.
    BadSignature,
    /// A record issued too long ago, or in the future.
    StaleRecord,
    /// Too many from this address or endpoint.
    RateLimited,
    /// An entry at an address that is not asked: low port, private, own, or resting after failures.
    RefusedAddress,
    /// An entry beyond the bounds of one look-up.
    Bound,
    /// No answer to any try.
    NoAnswer,
    /// This node could not keep up.
    Overload,
}

impl HelloDrop {
    /// All reasons.
    pub const ALL: [Self; 16] = [
        Self::Length,
        Self::Version,
        Self::UnknownTag,
        Self::Seal,
        Self::Malformed,
        Self::WrongRecipient,
        Self::Stale,
        Self::Replay,
        Self::Unasked,
        Self::BadSignature,
        Self::StaleRecord,
        Self::RateLimited,
        Self::RefusedAddress,
        Self::Bound,
        Self::NoAnswer,
        Self::Overload,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Version => "version",
            Self::UnknownTag => "unknown_tag",
            Self::Seal => "seal",
            Self::Malformed => "malformed",
            Self::WrongRecipient => "wrong_recipient",
            Self::Stale => "stale",
            Self::Replay => "replay",
            Self::Unasked => "unasked",
            Self::BadSignature => "bad_signature",
            Self::StaleRecord => "stale_record",
            Self::RateLimited => "rate_limited",
            Self::RefusedAddress => "refused_address",
            Self::Bound => "bound",
            Self::NoAnswer => "no_answer",
            Self::Overload => "overload",
        }
    }
}

/// Why a beacon was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BeaconDrop {
    /// Shorter or longer than a beacon can be, or its content can't be read.
    Malformed,
    /// A version that this node does not speak.
    Version,
    /// An epoch whose keys are not in use.
    Epoch,
    /// The seal is broken: not by a member.
    Seal,
    /// A record or a heartbeat with a bad signature.
    BadSignature,
    /// Made too long ago, or in the future.
    Stale,
    /// More than a swarm's beacons can be.
    RateLimited,
}

impl BeaconDrop {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Version,
        Self::Epoch,
        Self::Seal,
        Self::BadSignature,
        Self::Stale,
        Self::RateLimited,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Epoch => "epoch",
            Self::Seal => "seal",
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::RateLimited => "rate_limited",
        }
    }
}
