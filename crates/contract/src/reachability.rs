//! Whether others reach this node.

/// Whether datagrams of others reach the hello port of this node without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reachability {
    /// Nothing has shown it yet, or the last proof is too old.
    #[default]
    Unknown,
    /// A datagram came in that this node had not asked for, or a member reached it when asked to.
    Proven,
    /// At least two members sent a datagram when asked to, and none has arrived.
    Unproven,
}

impl Reachability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Proven, Self::Unproven];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Proven => "proven",
            Self::Unproven => "unproven",
        }
    }
}
