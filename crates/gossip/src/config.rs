//! Settings of gossip.

#[cfg(feature = "memory")]
mod memory;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kukuri_contract::Limits as PortLimits;
use serde::{Deserialize, Serialize};

#[cfg(feature = "memory")]
pub use self::memory::{MemoryConfig, NetworkConfig};
use crate::core::membership::Wants;
use crate::error::GossipError;

/// Settings of the implementation `iroh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the endpoint listens (UDP). Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Relay server for peers that can't be reached directly. Empty: none; no third party then
    /// sees who talks to whom.
    pub relay: Option<String>,
    /// Ask the router by UPnP to forward a port to this endpoint, so that peers behind other routers
    /// can dial it. Never where `bind` is a loopback address. On: most homes have such a router.
    pub port_mapping: bool,
    /// Advertise private and link-local addresses. Off: they mean nothing outside of their network.
    pub advertise_private: bool,
    /// Most topics at once; the same bound as discovery's.
    pub max_topics: usize,
    /// Dials under way at once, over all topics. 16: a whole small topic in one round trip.
    pub max_parallel_dials: usize,
    /// Time between two dials of a topic, beyond the first two, in milliseconds. 50: a first neighbor
    /// comes before the handshakes of the others, and a peer that does not answer delays nobody.
    pub dial_pace_ms: u64,
    /// Longest dial in milliseconds (from the plan: 5 s).
    pub dial_timeout_ms: u64,
    /// Silence after which a connection counts as dead, in milliseconds. 6 s, so that a killed
    /// neighbor is noticed within 10 s (iroh's default: 30 s).
    pub idle_timeout_ms: u64,
    /// How often a silent connection is kept alive, in milliseconds. A third of the idle time-out:
    /// two lost packets are no death.
    pub keep_alive_ms: u64,
    /// A gossip connection with a peer that is no neighbor in its topic is closed when it is so old, in
    /// milliseconds. iroh-gossip makes some to say one thing (HyParView's shuffle) and leaves them; kept
    /// alive, each costs as much as a neighbor's, and their number grows with the swarm. 30 s: longer
    /// than any join takes.
    pub stray_ms: u64,
    /// How long a topic's swarm forms, in milliseconds. In this time `min_distinct_dials` peers
    /// are dialed, whatever the number of neighbors.
    pub settle_ms: u64,
    /// Distinct peers that a newcomer dials. 5, the size of the active view: where all start at
    /// once, closed cliques would form if each stopped at its first neighbor, while a random graph
    /// of degree five is connected almost surely.
    pub min_distinct_dials: usize,
    /// Below so many neighbors a settled node dials again. Few, and not the active view's five:
    /// HyParView evicts at five, and whoever is evicted and dials again evicts the next, forever.
    pub min_neighbors: usize,
    /// Questions to neighbors under way at once, over all topics. 16: answers have up to 1 MiB, so
    /// they take 16 MiB at most.
    pub max_questions: usize,
    /// Longest question in milliseconds, the connection and the answer's way included. 9 s: longer
    /// than a neighbor takes to answer, shorter than the port's 10 s, so that the error tells why.
    pub question_timeout_ms: u64,
    /// Neighbors' questions that are answered at once, over all topics. 16, as of the own ones.
    pub max_answers: usize,
    /// Questions of one peer that are answered at once. 2, so that eight peers are needed to use up
    /// all. More than 4 change nothing: a connection has no more streams.
    pub max_answers_per_peer: usize,
    /// Longest time for the answer to a neighbor, in milliseconds, from its first byte to the
    /// arrival of the answer (from the plan: 8 s).
    pub answer_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            relay: None,
            port_mapping: true,
            advertise_private: false,
            max_topics: 64,
            max_parallel_dials: 16,
            dial_pace_ms: 50,
            dial_timeout_ms: 5_000,
            idle_timeout_ms: 6_000,
            keep_alive_ms: 2_000,
            stray_ms: 30_000,
            settle_ms: 10_000,
            min_distinct_dials: 5,
            min_neighbors: 2,
            max_questions: 16,
            question_timeout_ms: 9_000,
            max_answers: 16,
            max_answers_per_peer: 2,
            answer_timeout_ms: 8_000,
        }
    }
}

impl Config {
    /// How many peers are dialed for a topic, and how fast.
    pub fn wants(&self) -> Wants {
        Wants {
            min_distinct: self.min_distinct_dials,
            min_neighbors: self.min_neighbors,
            settle: Duration::from_millis(self.settle_ms),
            pace: Duration::from_millis(self.dial_pace_ms),
        }
    }

    /// Checks what does not depend on the transport.
    pub(crate) fn check(&self) -> Result<(), GossipError> {
        if self.max_topics == 0 || self.max_parallel_dials == 0 || self.dial_timeout_ms == 0 {
            let field = "max_topics, gossip.max_parallel_dials or gossip.dial_timeout_ms";
            return Err(wrong(field, "each must be at least 1"));
        }
        let asks = [
            self.max_questions,
            self.max_answers,
            self.max_answers_per_peer,
        ];
        if asks.contains(&0) || self.answer_timeout_ms == 0 {
            let field = "max_questions, gossip.max_answers, gossip.max_answers_per_peer or \
                         gossip.answer_timeout_ms";
            return Err(wrong(field, "each must be at least 1"));
        }
        let limit = PortLimits::default().timeout.as_millis();
        let question = u128::from(self.question_timeout_ms);
        if question == 0 || question >= limit {
            let problem = format!("it must be at least 1 and below {limit}, the port's own limit");
            return Err(wrong("question_timeout_ms", &problem));
        }
        Ok(())
    }
}

pub(crate) fn wrong(field: &'static str, problem: &str) -> GossipError {
    GossipError::Config {
        field,
        problem: problem.to_owned(),
    }
}
