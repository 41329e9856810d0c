//! What came of looking: from the evidence to one typed outcome.

use std::collections::VecDeque;
use std::time::Duration;

use kukuri_contract::{EndpointId, UnixMillis, Verdict};

use super::DhtState;
use super::record::FRESH_MS;

/// Members whose clocks are remembered.
const MAX_CLOCKS: usize = 32;
/// So many members must agree before the own clock is blamed.
const MIN_CLOCKS: usize = 3;
/// The own clock is blamed when half of the members differ by more than this.
const SKEW_MS: i64 = 60_000;

/// Pause between two counts of the DHT nodes that answer; a count costs one look-up.
const PROBE_PAUSE: Duration = Duration::from_secs(30);
/// So many DHT nodes must have been asked before their silence says something: one bucket (BEP5: 8).
const MIN_ASKED: u32 = 8;
/// The DHT is throttled where at most one in so many nodes answers. 4: behind some clouds and home
/// routers three of four replies are lost; on the live DHT about half of the nodes answer.
const THROTTLED: u32 = 4;

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
    /// Members found since the search began, by their own or other members' word. Peers that the
    /// user or an earlier run gave don't count: they may be long gone.
    pub found: u64,
    /// When the last of them was found.
    pub found_at: Duration,
}

impl Evidence {
    /// A member was found.
    pub fn found(&mut self, now: Duration) {
        self.found += 1;
        self.found_at = now;
    }

    /// Members whose records have gone stale by now are gone too.
    pub fn forget(&mut self, now: Duration) {
        if now >= self.found_at + Duration::from_millis(FRESH_MS) {
            self.found = 0;
        }
    }

    /// The outcome for a node without neighbors, after the time for a first contact.
    pub fn verdict(&self, dht: DhtState, clocks: &Clocks, replies: &Replies) -> Verdict {
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
            DhtState::Up { .. } if replies.lost() => Verdict::DhtThrottled,
            DhtState::Up { .. } if self.announce_failed && !self.announced => Verdict::DhtThrottled,
            DhtState::Up { .. } | DhtState::Off => Verdict::Alone,
        }
    }
}

/// Whether DHT nodes are heard: counted by asking some for a thing that nobody has. A look-up of
/// the rendezvous can't tell: nobody there and no reply look the same.
#[derive(Debug, Default)]
pub struct Replies {
    last: Option<(u32, u32)>,
    next_probe: Duration,
}

impl Replies {
    /// When to count again.
    pub fn next_probe(&self) -> Duration {
        self.next_probe
    }

    /// A count begins.
    pub fn probed(&mut self, now: Duration) {
        self.next_probe = now + PROBE_PAUSE;
    }

    /// Count again then, whenever the last count was.
    pub fn probe_at(&mut self, at: Duration) {
        self.next_probe = at;
    }

    /// A count has ended.
    pub fn heard(&mut self, asked: u32, answered: u32) {
        self.last = Some((asked, answered));
    }

    /// The DHT node is another one now.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether hardly anybody has answered.
    pub fn lost(&self) -> bool {
        self.last.is_some_and(|(asked, answered)| {
            asked >= MIN_ASKED && answered.saturating_mul(THROTTLED) <= asked
        })
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
        evidence.verdict(dht, &Clocks::default(), &Replies::default())
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
        let mut gone = none();
        gone.found(Duration::from_secs(7));
        gone.forget(Duration::from_secs(6 + FRESH_MS / 1000));
        assert_eq!(gone.found, 1);
        gone.forget(Duration::from_secs(7 + FRESH_MS / 1000));
        assert_eq!(verdict(gone, UP), Verdict::Alone);
    }

    #[test]
    fn silence_of_most_dht_nodes_is_throttling() {
        let said = |asked, answered| {
            let mut replies = Replies::default();
            replies.heard(asked, answered);
            Evidence::default().verdict(UP, &Clocks::default(), &replies)
        };
        assert_eq!(said(20, 5), Verdict::DhtThrottled);
        assert_eq!(said(20, 6), Verdict::Alone);
        assert_eq!(said(7, 0), Verdict::Alone, "too few to tell");
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
            Evidence::default().verdict(UP, &clocks, &Replies::default()),
            Verdict::ClockSkewed
        );
        for n in 4..20 {
            clocks.heard(member(n), ours, ours);
        }
        assert!(!clocks.skewed(), "three of nineteen are wrong themselves");
    }
}
