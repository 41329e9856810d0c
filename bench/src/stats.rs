//! Samples and what is said of them.

use serde::Serialize;

/// Measured values of one thing, in the order they came.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// The value at a percentile: the nearest rank, so one that was measured, none in between.
    /// `None` without samples.
    pub fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    /// The middle one.
    pub fn median(&self) -> Option<f64> {
        self.percentile(50)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Share of so many expected values that are at most `limit`, in percent. Values that never
    /// came count as too late.
    pub fn share_within(&self, limit: f64, expected: usize) -> f64 {
        let within = self.0.iter().filter(|value| **value <= limit).count();
        100.0 * within as f64 / expected.max(1) as f64
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let samples: Samples = (1..=20).map(f64::from).collect();
        assert_eq!(samples.median(), Some(10.0));
        assert_eq!(samples.percentile(95), Some(19.0));
        assert_eq!(samples.percentile(100), Some(20.0));
        assert_eq!(samples.percentile(0), Some(1.0));
        assert_eq!(Samples::default().median(), None);
    }

    #[test]
    fn what_never_came_is_not_within() {
        let samples = Samples(vec![1.0, 5.0]);
        assert_eq!(samples.share_within(1.0, 4), 25.0);
        assert_eq!(samples.share_within(9.0, 4), 50.0);
    }
}
