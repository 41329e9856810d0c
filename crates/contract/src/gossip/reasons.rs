//! How things ended, and why something was not done.

/// Why a neighbor's question was not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskDrop {
    /// The topic is not joined here, or the asker is no neighbor in it.
    NotMember,
    /// Too many questions of this neighbor, or of all of them, are under way.
    Busy,
    /// Larger than a question may be, or cut short.
    Malformed,
    /// Of another version.
    Version,
    /// It had not come to its end in time.
    Unfinished,
    /// It was not answered in time, or nobody waits for an answer any more.
    TimedOut,
    /// The asker is banned.
    Banned,
}

impl AskDrop {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::NotMember,
        Self::Busy,
        Self::Malformed,
        Self::Version,
        Self::Unfinished,
        Self::TimedOut,
        Self::Banned,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotMember => "not_member",
            Self::Busy => "busy",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Unfinished => "unfinished",
            Self::TimedOut => "timed_out",
            Self::Banned => "banned",
        }
    }
}

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialResult {
    /// Connected.
    Connected,
    /// No answer in time.
    TimedOut,
    /// The transport gave up: no address, refused, wrong key.
    Failed,
    /// One side did not prove to the other that it is a member of the topic.
    NotMember,
    /// Nobody was dialed: the peer is banned.
    Banned,
}

impl DialResult {
    /// All results.
    pub const ALL: [Self; 5] = [
        Self::Connected,
        Self::TimedOut,
        Self::Failed,
        Self::NotMember,
        Self::Banned,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::NotMember => "not_member",
            Self::Banned => "banned",
        }
    }
}
