//! What came of looking: from the evidence to one typed outcome.

use std::collections::VecDeque;

use kukuri_contract::{EndpointId, UnixMillis, Verdict};

use super::DhtState;

/// Members whose clocks are remembered.
const MAX_CLOCKS: usize = 32;
/// So many members must agree before the own clock is blamed.
const MIN_CLOCKS: usize = 3;
/// The own clock is blamed when half of the members differ by more than this.
const SKEW_MS: i64 = 60_000;

/// What was seen while looking for a topic's peers.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Look-ups that have ended since the search began.
    pub lookups: u32,
    /// DHT nodes that answered a look-up or an announcement with something.
    pub answers: u64,
    /// The last announcement was acknowledged.
    pub announced: bool,
    /// The last announcement failed.
    pub announce_failed: bool,
    /// Members found since the search began.
    pub found: u64,
}

impl Evidence {
    /// The outcome for a node without neighbors, after the time for a first contact.
    pub fn verdict(&self, dht: DhtState, clocks: &Clocks) -> Verdict {
        if clocks.skewed() {
            return Verdict::ClockSkewed;
        }
        if self.found > 0 {
            return Verdict::FoundButUnreachable;
        }
        match dht {
            DhtState::NoIpv4 => Verdict::NoIpv4,
            DhtState::NoBootstrap | DhtState::Starting => Verdict::DhtEmptyTable,
            DhtState::Up { routing_table: 0 } => Verdict::DhtBlocked,
            DhtState::Up { .. } if self.announce_failed && !self.announced => Verdict::DhtThrottled,
            DhtState::Up { .. } | DhtState::Off => Verdict::Alone,
        }
    }
}

/// How far other members' clocks are from ours.
#[derive(Debug, Default)]
pub struct Clocks(VecDeque<(EndpointId, i64)>);

impl Clocks {
    /// Notes the time that a member told. One voice per member.
    pub fn heard(&mut self, from: EndpointId, theirs: UnixMillis, ours: UnixMillis) {
        self.0.retain(|(member, _)| *member != from);
        if self.0.len() >= MAX_CLOCKS {
            self.0.pop_front();
        }
        let offset = theirs.0 as i128 - ours.0 as i128;
        let offset = offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        self.0.push_back((from, offset));
    }

    fn skewed(&self) -> bool {
        let mut offsets: Vec<i64> = self.0.iter().map(|(_, offset)| *offset).collect();
        offsets.sort_unstable();
        let median = offsets.get(offsets.len() / 2).copied().unwrap_or(0);
        offsets.len() >= MIN_CLOCKS && median.abs() > SKEW_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: DhtState = DhtState::Up { routing_table: 20 };

    fn verdict(evidence: Evidence, dht: DhtState) -> Verdict {
        evidence.verdict(dht, &Clocks::default())
    }

    #[test]
    fn each_situation_has_its_verdict() {
        let none = Evidence::default;
        assert_eq!(verdict(none(), UP), Verdict::Alone);
        assert_eq!(verdict(none(), DhtState::Off), Verdict::Alone);
        assert_eq!(
            verdict(none(), DhtState::NoBootstrap),
            Verdict::DhtEmptyTable
        );
        let asked_in_vain = DhtState::Up { routing_table: 0 };
        assert_eq!(verdict(none(), asked_in_vain), Verdict::DhtBlocked);
        assert_eq!(verdict(none(), DhtState::NoIpv4), Verdict::NoIpv4);
        let failed = Evidence {
            announce_failed: true,
            ..none()
        };
        assert_eq!(verdict(failed, UP), Verdict::DhtThrottled);
        let found = Evidence { found: 1, ..none() };
        assert_eq!(verdict(found, UP), Verdict::FoundButUnreachable);
    }

    #[test]
    fn a_clock_is_blamed_by_three_members_that_agree() {
        let mut clocks = Clocks::default();
        let member = |n| EndpointId::from_bytes([n; 32]);
        let (ours, theirs) = (UnixMillis(1_000_000), UnixMillis(1_400_000));
        for _ in 0..5 {
            clocks.heard(member(1), theirs, ours);
        }
        clocks.heard(member(2), theirs, ours);
        assert!(!clocks.skewed(), "two members are no majority");
        clocks.heard(member(3), UnixMillis(1_390_000), ours);
        assert!(clocks.skewed());
        assert_eq!(
            Evidence::default().verdict(UP, &clocks),
            Verdict::ClockSkewed
        );
        for n in 4..20 {
            clocks.heard(member(n), ours, ours);
        }
        assert!(!clocks.skewed(), "three of nineteen are wrong themselves");
    }
}
