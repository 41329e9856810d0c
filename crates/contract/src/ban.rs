//! What a peer can do wrong, and what becomes of it.

use crate::ids::{EndpointId, UnixMillis};

/// What a peer did that an honest node does not do, and that it alone is answerable for: it sent this
/// itself. Whoever hands on what others said has done none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offense {
    /// Broadcasts of its own that no author has written like this: unreadable, too large, of the wrong
    /// kind, with a broken seal or signature.
    Garbage,
    /// More broadcasts of its own than an honest node sends.
    Flood,
    /// Posts that were delivered long ago, as broadcasts of its own.
    Replay,
    /// A question that can't be read, or that was sealed for somebody else.
    BadQuestion,
    /// More questions than a node asks that catches up.
    Questions,
    /// An answer that can't be read, or with posts that no author has written like this.
    BadAnswer,
    /// A stream that is too long, cut short, or never came to its end.
    BadStream,
    /// A claim of membership that can't be read.
    BadClaim,
}

impl Offense {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Garbage,
        Self::Flood,
        Self::Replay,
        Self::BadQuestion,
        Self::Questions,
        Self::BadAnswer,
        Self::BadStream,
        Self::BadClaim,
    ];

    /// The name in labels, logs and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Flood => "flood",
            Self::Replay => "replay",
            Self::BadQuestion => "bad_question",
            Self::Questions => "questions",
            Self::BadAnswer => "bad_answer",
            Self::BadStream => "bad_stream",
            Self::BadClaim => "bad_claim",
        }
    }
}

/// A peer that this node has nothing to do with for a time, in no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub peer: EndpointId,
    /// Until when, by this node's clock.
    pub until: UnixMillis,
    /// How often it was banned for what it did for sure, this time included; each of these is longer than
    /// the one before.
    pub times: u32,
    /// What it did last.
    pub reason: Offense,
}
