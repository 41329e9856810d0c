//! Settings of gossip in memory.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::core::network::{Conditions, Limits};
use crate::error::GossipError;

/// Settings of the implementation `memory`. They mean what those of `iroh` mean, and have the same
/// defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Most topics at once.
    pub max_topics: usize,
    /// Dials under way at once, over all topics.
    pub max_parallel_dials: usize,
    /// Time between two dials of a topic, beyond the first two, in milliseconds.
    pub dial_pace_ms: u64,
    /// Longest dial in milliseconds.
    pub dial_timeout_ms: u64,
    /// How long a topic's swarm forms, in milliseconds.
    pub settle_ms: u64,
    /// Distinct peers that a newcomer dials.
    pub min_distinct_dials: usize,
    /// Below so many neighbors a settled node dials again. 3: nobody is evicted here, and nobody
    /// shuffles, so what dials connect is all that is connected.
    pub min_neighbors: usize,
    /// Questions to neighbors under way at once, over all topics.
    pub max_questions: usize,
    /// Longest question in milliseconds.
    pub question_timeout_ms: u64,
    /// Neighbors' questions that are answered at once, over all topics.
    pub max_answers: usize,
    /// Questions of one peer that are answered at once.
    pub max_answers_per_peer: usize,
    /// Longest time for the answer to a neighbor, in milliseconds.
    pub answer_timeout_ms: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        let like = Config::default();
        Self {
            max_topics: like.max_topics,
            max_parallel_dials: like.max_parallel_dials,
            dial_pace_ms: like.dial_pace_ms,
            dial_timeout_ms: like.dial_timeout_ms,
            settle_ms: like.settle_ms,
            min_distinct_dials: like.min_distinct_dials,
            min_neighbors: 3,
            max_questions: like.max_questions,
            question_timeout_ms: like.question_timeout_ms,
            max_answers: like.max_answers,
            max_answers_per_peer: like.max_answers_per_peer,
            answer_timeout_ms: like.answer_timeout_ms,
        }
    }
}

impl MemoryConfig {
    pub(crate) fn as_iroh(&self) -> Config {
        Config {
            max_topics: self.max_topics,
            max_parallel_dials: self.max_parallel_dials,
            dial_pace_ms: self.dial_pace_ms,
            dial_timeout_ms: self.dial_timeout_ms,
            settle_ms: self.settle_ms,
            min_distinct_dials: self.min_distinct_dials,
            min_neighbors: self.min_neighbors,
            max_questions: self.max_questions,
            question_timeout_ms: self.question_timeout_ms,
            max_answers: self.max_answers,
            max_answers_per_peer: self.max_answers_per_peer,
            answer_timeout_ms: self.answer_timeout_ms,
            ..Config::default()
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            answers: (self.max_answers, self.max_answers_per_peer),
            dial: Duration::from_millis(self.dial_timeout_ms),
            question: Duration::from_millis(self.question_timeout_ms),
            answer: Duration::from_millis(self.answer_timeout_ms),
        }
    }
}

/// Settings of a network in memory, which all endpoints in it have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Least time that a packet takes, in milliseconds. 1: as between two machines in a room.
    pub latency_min_ms: u64,
    /// Most time that a packet takes, in milliseconds.
    pub latency_max_ms: u64,
    /// How many packets of a hundred are lost, and sent again: delay, not a gap. At most 90. 0: who
    /// wants loss says so.
    pub loss_percent: u32,
    /// Where chance begins: the same seed draws the same latencies and losses.
    pub seed: u64,
    /// A link whose sides can't reach each other, because the network is split, ends after so many
    /// milliseconds. As over iroh.
    pub idle_timeout_ms: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            latency_min_ms: 1,
            latency_max_ms: 5,
            loss_percent: 0,
            seed: 0,
            idle_timeout_ms: Config::default().idle_timeout_ms,
        }
    }
}

impl NetworkConfig {
    pub(crate) fn conditions(&self) -> Result<Conditions, GossipError> {
        let unfit = |field, problem: &str| GossipError::Network {
            field,
            problem: problem.to_owned(),
        };
        if self.latency_min_ms > self.latency_max_ms || self.latency_max_ms > 60_000 {
            let problem = "it must be at least latency_min_ms, and at most 60000";
            return Err(unfit("latency_max_ms", problem));
        }
        if self.loss_percent > 90 {
            return Err(unfit(
                "loss_percent",
                "at most 90: else hardly anything arrives",
            ));
        }
        if self.idle_timeout_ms == 0 {
            return Err(unfit("idle_timeout_ms", "it must be at least 1"));
        }
        let [least, most, silence] = [
            self.latency_min_ms,
            self.latency_max_ms,
            self.idle_timeout_ms,
        ]
        .map(Duration::from_millis);
        Ok(Conditions {
            latency: (least, most),
            loss_percent: self.loss_percent,
            silence,
            seed: self.seed,
        })
    }
}
