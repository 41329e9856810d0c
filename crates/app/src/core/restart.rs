//! When a service that has ended is started again, and when to give up.

use std::collections::VecDeque;
use std::time::Duration;

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Most restarts of one service within `window`; one more, and the node gives up.
    pub limit: usize,
    /// The window of the limit.
    pub window: Duration,
    /// Pause before the second restart within the window; it doubles with each one after.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start the service again after this pause.
    Restart(Duration),
    /// It ends again and again: whoever runs the node must look after it.
    GiveUp,
}

/// The ends of one service.
#[derive(Debug)]
pub struct Restarts {
    policy: RestartPolicy,
    ends: VecDeque<Duration>,
}

impl Restarts {
    /// A service that has not ended yet.
    pub fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            ends: VecDeque::new(),
        }
    }

    /// The service has ended, or could not be started again.
    pub fn ended(&mut self, now: Duration) -> Decision {
        let RestartPolicy {
            limit,
            window,
            first_pause,
            longest_pause,
        } = self.policy;
        self.ends.retain(|at| now < *at + window);
        self.ends.push_back(now);
        let earlier = self.ends.len() - 1;
        if earlier >= limit {
            return Decision::GiveUp;
        }
        // A single fault is mended at once; only what comes back waits.
        let doublings = match earlier {
            0 => return Decision::Restart(Duration::ZERO),
            earlier => (earlier - 1).min(16) as u32,
        };
        Decision::Restart((first_pause * 2u32.pow(doublings)).min(longest_pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn restarts() -> Restarts {
        Restarts::new(RestartPolicy {
            limit: 5,
            window: 60 * S,
            first_pause: 100 * MS,
            longest_pause: 500 * MS,
        })
    }

    #[test]
    fn at_once_then_with_growing_pauses_then_never() {
        let mut restarts = restarts();
        let pauses = [0, 100, 200, 400, 500];
        for (at, pause) in (1..).zip(pauses) {
            assert_eq!(restarts.ended(at * S), Decision::Restart(pause * MS));
        }
        assert_eq!(restarts.ended(6 * S), Decision::GiveUp);
    }

    #[test]
    fn what_is_long_ago_is_forgiven() {
        let mut restarts = restarts();
        for n in 0..100 {
            let decision = restarts.ended(n * 61 * S);
            assert_eq!(decision, Decision::Restart(Duration::ZERO));
        }
    }
}
