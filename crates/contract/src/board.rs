//! What discovery tells of the board: pages of records that all members of a topic can write.

/// How a write of the board ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoardResult {
    /// The own record was read back.
    Stored,
    /// The page is full of fresher records.
    Full,
    /// Others wrote over it, or the DHT said that it is stored and it was not there.
    Lost,
    /// No DHT node took it.
    Failed,
    /// The last write ran into the time limit.
    TimedOut,
    /// Somebody has made every page of the slot unwritable.
    Hostile,
}

impl BoardResult {
    /// All results.
    pub const ALL: [Self; 6] = [
        Self::Stored,
        Self::Full,
        Self::Lost,
        Self::Failed,
        Self::TimedOut,
        Self::Hostile,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Full => "full",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Hostile => "hostile",
        }
    }
}

/// Why a page of the board, or a record on it, was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageDrop {
    /// A length that no page has.
    Length,
    /// A page or a record of a version that this node does not speak.
    Version,
    /// The seal is broken, or of another topic, epoch or slot.
    Seal,
    /// The content of the page can't be read.
    Malformed,
    /// A sequence number far in the future: the page can't be replaced. Its records are used.
    HostileSeq,
    /// A record that can't be read.
    BadRecord,
    /// A record with a bad signature.
    BadSignature,
    /// A record issued too long ago, or in the future.
    StaleRecord,
    /// More different pages than one slot can have.
    Bound,
}

impl PageDrop {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Length,
        Self::Version,
        Self::Seal,
        Self::Malformed,
        Self::HostileSeq,
        Self::BadRecord,
        Self::BadSignature,
        Self::StaleRecord,
        Self::Bound,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Version => "version",
            Self::Seal => "seal",
            Self::Malformed => "malformed",
            Self::HostileSeq => "hostile_seq",
            Self::BadRecord => "bad_record",
            Self::BadSignature => "bad_signature",
            Self::StaleRecord => "stale_record",
            Self::Bound => "bound",
        }
    }
}
