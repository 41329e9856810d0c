//! Proofs of membership: what gossip is given for them, and why one fails.

use crate::identity::KeyBytes;
use crate::ids::Epoch;

/// Epochs before and after the own one whose proofs are accepted: clocks differ.
pub const MEMBER_EPOCHS: i64 = 2;

/// The `member` keys of a topic ([`EpochKeys`](crate::EpochKeys)) around the present epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberKeys {
    /// The present epoch, under which this node proves.
    pub epoch: Epoch,
    /// Its key.
    pub own: KeyBytes,
    /// The other epochs under which others may prove.
    pub others: Vec<(Epoch, KeyBytes)>,
}

impl MemberKeys {
    /// The other epochs under which others may prove, seen from this one.
    pub fn others_around(epoch: Epoch) -> impl Iterator<Item = Epoch> {
        let around = (-MEMBER_EPOCHS..=MEMBER_EPOCHS).map(move |by| epoch.offset(by));
        around.filter(move |other| *other != epoch)
    }

    /// The key of an epoch, if proofs under it are accepted.
    pub fn of(&self, epoch: Epoch) -> Option<&KeyBytes> {
        if epoch == self.epoch {
            return Some(&self.own);
        }
        let mut others = self.others.iter();
        others.find_map(|(other, key)| (*other == epoch).then_some(key))
    }
}

/// Which side of a connection this node was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProofSide {
    /// The other side dialed.
    Accepted,
    /// This node dialed.
    Dialed,
}

impl ProofSide {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Accepted, Self::Dialed];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dialed => "dialed",
        }
    }
}

/// Why a connection was not let into a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProofDrop {
    /// The other side's proof fits no topic of this node, this connection and these two endpoints.
    NotMember,
    /// The other side does not take this node for a member.
    Refused,
    /// The other side proves under an epoch that is too far away.
    Epoch,
    /// Another version.
    Version,
    /// Too long or cut short.
    Malformed,
    /// No proof came in time.
    TimedOut,
    /// Too many connections without a proof at once, here or there.
    Busy,
    /// The connection ended before.
    Lost,
    /// The other side is banned here.
    Banned,
}

impl ProofDrop {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::NotMember,
        Self::Refused,
        Self::Epoch,
        Self::Version,
        Self::Malformed,
        Self::TimedOut,
        Self::Busy,
        Self::Lost,
        Self::Banned,
    ];

    /// The name in labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotMember => "not_member",
            Self::Refused => "refused",
            Self::Epoch => "epoch",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::TimedOut => "timed_out",
            Self::Busy => "busy",
            Self::Lost => "lost",
            Self::Banned => "banned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_epochs_have_a_key_and_no_other() {
        let key = |epoch: Epoch| KeyBytes::new([epoch.0 as u8; 32]);
        let epoch = Epoch(7);
        let others = MemberKeys::others_around(epoch).map(|other| (other, key(other)));
        let keys = MemberKeys {
            epoch,
            own: key(epoch),
            others: others.collect(),
        };
        for n in 0..20 {
            let expected = (5..=9).contains(&n).then(|| key(Epoch(n)));
            assert_eq!(keys.of(Epoch(n)), expected.as_ref(), "{n}");
        }
        assert_eq!(MemberKeys::others_around(Epoch(0)).count(), 2);
    }
}
