//! Pauses that grow: a lonely node looks on and tells again, ever more rarely, and never gives up.

use std::time::Duration;

use super::Entropy;
use crate::config::Config;

/// Pauses of 0.5, 1, 2, 4 ... 30 s (`lookup_pause_min_ms`, `lookup_pause_max_ms`), or for the board of
/// 0.5, 2, 8 ... 300 s (`board_pause_max_ms`), with jitter of a quarter either way.
#[derive(Debug, Default)]
pub struct Backoff {
    rounds: u32,
}

impl Backoff {
    /// The next pause.
    pub fn next(&mut self, rng: &mut impl Entropy, config: &Config) -> Duration {
        self.pause(1, config.lookup_pause_max_ms, rng, config)
    }

    /// The next pause between readings of the board: each is as many queries as eight look-ups.
    pub fn next_reading(&mut self, rng: &mut impl Entropy, config: &Config) -> Duration {
        self.pause(2, config.board_pause_max_ms, rng, config)
    }

    fn pause(
        &mut self,
        doublings: u32,
        longest_ms: u64,
        rng: &mut impl Entropy,
        config: &Config,
    ) -> Duration {
        let times = 1u64.checked_shl(self.rounds * doublings);
        let pause = config
            .lookup_pause_min_ms
            .saturating_mul(times.unwrap_or(u64::MAX))
            .min(longest_ms);
        self.rounds = (self.rounds + 1).min(32);
        Duration::from_millis(pause - pause / 4 + rng.below(pause / 2 + 1))
    }

    /// The next pause is the first one again.
    pub fn reset(&mut self) {
        self.rounds = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::Seeded;

    #[test]
    fn pauses_grow_to_the_cap_and_start_over() {
        let config = Config::default();
        let (mut backoff, mut rng) = (Backoff::default(), Seeded(3));
        let mut next = || backoff.next(&mut rng, &config).as_millis();
        for base in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let pause = next();
            assert!(pause >= base * 3 / 4 && pause <= base * 5 / 4 + 1);
        }
        assert!((0..40).all(|_| next() <= 37_501));
        backoff.reset();
        assert!(backoff.next(&mut rng, &config).as_millis() <= 626);
    }
}
