//! What came of looking for peers, and what the user can do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Source;

/// The typed outcome of discovery for one topic; each but `Joined` comes with a [hint](Self::hint).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// There is a neighbor.
    Joined {
        /// How the first neighbor was found.
        source: Source,
        /// Milliseconds from the join to the first neighbor.
        after_ms: u64,
    },
    /// All places that could be asked answer (there may be none), and nobody was found; peers that the user or
    /// an earlier run gave may be down.
    Alone,
    /// No DHT node is known: there was nobody to ask.
    DhtEmptyTable,
    /// DHT nodes are known, but at most one in four answers, or no announcement is acknowledged.
    DhtThrottled,
    /// DHT nodes were asked and none has ever answered.
    DhtBlocked,
    /// Members were found, by their own or other members' word, and none could be dialed.
    FoundButUnreachable,
    /// Mainline is IPv4 only, and this machine has no route to any IPv4 address.
    NoIpv4,
    /// Other members' clocks agree with each other and not with ours.
    ClockSkewed,
}

impl Verdict {
    /// The names of all outcomes.
    pub const OUTCOMES: [&'static str; 8] = [
        "joined",
        "alone",
        "dht_empty_table",
        "dht_throttled",
        "dht_blocked",
        "found_but_unreachable",
        "no_ipv4",
        "clock_skewed",
    ];

    /// The name in events, labels and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "joined",
            Self::Alone => "alone",
            Self::DhtEmptyTable => "dht_empty_table",
            Self::DhtThrottled => "dht_throttled",
            Self::DhtBlocked => "dht_blocked",
            Self::FoundButUnreachable => "found_but_unreachable",
            Self::NoIpv4 => "no_ipv4",
            Self::ClockSkewed => "clock_skewed",
        }
    }

    /// One sentence that says what happened and what to do next.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "Connected to the topic.",
            Self::Alone => {
                "Nobody else was found on this topic, and no peer given or remembered answers; check \
                 its name and secret, and that a member runs: the node keeps looking."
            }
            Self::DhtEmptyTable => {
                "No DHT node is known; check that the --dht-bootstrap names resolve, or give \
                 another one."
            }
            Self::DhtThrottled => {
                "Most DHT replies are lost on the way; a home router or cloud may limit UDP: try \
                 another network, or give a member with --peer."
            }
            Self::DhtBlocked => {
                "No DHT node answers; allow outgoing UDP, check --dht-bootstrap, or give a member \
                 with --peer."
            }
            Self::FoundButUnreachable => {
                "Members were found but none could be reached; turn on port mapping (UPnP, NAT-PMP \
                 or PCP) at the router, or forward a UDP port and set --bind to it, or use --relay."
            }
            Self::NoIpv4 => {
                "This machine has no IPv4 network, which the Mainline DHT needs; connect it, or give \
                 a member with --peer."
            }
            Self::ClockSkewed => {
                "This machine's clock differs from the other members' clocks; set it, for example \
                 with NTP."
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_name_and_its_hint() {
        let all = [
            Verdict::Joined {
                source: Source::Cache,
                after_ms: 1,
            },
            Verdict::Alone,
            Verdict::DhtEmptyTable,
            Verdict::DhtThrottled,
            Verdict::DhtBlocked,
            Verdict::FoundButUnreachable,
            Verdict::NoIpv4,
            Verdict::ClockSkewed,
        ];
        assert_eq!(all.map(|verdict| verdict.as_str()), Verdict::OUTCOMES);
        assert!(all.iter().all(|verdict| verdict.hint().ends_with('.')));
    }
}
