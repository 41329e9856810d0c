//! The values of series, as they add up from the start.

use std::collections::BTreeMap;

use super::labels::{Labels, combinations};
use super::record::Change;
use super::series::{Kind, Series};

/// The value of a series for one combination of its labels.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Now(f64),
    /// Of a histogram.
    Spread(Spread),
}

/// Observations, sorted into buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// How many there are up to each bound and above the one before it, the bound itself included;
    /// the last is of those above all bounds.
    pub buckets: Vec<u64>,
    /// All of them added up, in seconds.
    pub sum: f64,
}

/// A series with its values.
#[derive(Debug)]
pub struct Tallied {
    /// The series.
    pub series: Series,
    /// Its values by those of its labels.
    pub values: BTreeMap<Labels, Value>,
}

/// All series with their values.
#[derive(Debug)]
pub struct Tally(BTreeMap<&'static str, Tallied>);

impl Tally {
    /// These series, at 0 where their labels are known.
    pub fn new(all: impl IntoIterator<Item = &'static Series>) -> Self {
        let tallied = |series: &'static Series| {
            let zeros = combinations(series.labels).map(|labels| (labels, zero(series.kind)));
            let tallied = Tallied {
                series: *series,
                values: zeros.collect(),
            };
            (series.name, tallied)
        };
        Self(all.into_iter().map(tallied).collect())
    }

    /// Makes a change. One of a series that is not here changes nothing.
    pub fn apply(&mut self, change: Change) {
        let (Change::Count(name, labels, _)
        | Change::Set(name, labels, _)
        | Change::Observe(name, labels, _)) = change;
        let Some(Tallied { series, values }) = self.0.get_mut(name) else {
            return;
        };
        let value = values.entry(labels).or_insert_with(|| zero(series.kind));
        match (change, value, series.kind) {
            (Change::Count(.., by), Value::Count(count), _) => *count = count.saturating_add(by),
            (Change::Set(.., to), Value::Now(now), _) => *now = to,
            (Change::Observe(.., seconds), Value::Spread(spread), Kind::Histogram(bounds)) => {
                spread.buckets[bounds.partition_point(|bound| *bound < seconds)] += 1;
                spread.sum += seconds;
            }
            // What is counted is a counter, and so on, by the list of series.
            _ => {}
        }
    }

    /// All series by name.
    pub fn all(&self) -> impl Iterator<Item = &Tallied> {
        self.0.values()
    }
}

fn zero(kind: Kind) -> Value {
    match kind {
        Kind::Counter => Value::Count(0),
        Kind::Gauge => Value::Now(0.0),
        Kind::Histogram(bounds) => Value::Spread(Spread {
            buckets: vec![0; bounds.len() + 1],
            sum: 0.0,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::{COMMIT, NEIGHBORS, STORE_FAILURES, WRITES};
    use super::*;

    const NONE: Labels = ["", ""];

    fn value(tally: &Tally, series: &Series, labels: Labels) -> Option<Value> {
        let mut all = tally.all();
        let tallied = all.find(|tallied| tallied.series.name == series.name);
        tallied.and_then(|tallied| tallied.values.get(&labels).cloned())
    }

    #[test]
    fn values_start_at_zero_where_the_labels_are_known() {
        let tally = Tally::new([&STORE_FAILURES, &NEIGHBORS]);
        let full = value(&tally, &STORE_FAILURES, ["disk_full", ""]);
        assert_eq!(full, Some(Value::Count(0)));
        assert_eq!(value(&tally, &STORE_FAILURES, NONE), None);
        assert_eq!(value(&tally, &NEIGHBORS, NONE), Some(Value::Now(0.0)));
    }

    #[test]
    fn counters_grow_and_gauges_are_what_they_are_set_to() {
        let mut tally = Tally::new([&WRITES, &NEIGHBORS]);
        tally.apply(Change::Count(WRITES.name, NONE, 2));
        tally.apply(Change::Count(WRITES.name, NONE, u64::MAX));
        for neighbors in [5.0, 3.0] {
            tally.apply(Change::Set(NEIGHBORS.name, NONE, neighbors));
        }
        tally.apply(Change::Count("another", NONE, 1));
        assert_eq!(value(&tally, &WRITES, NONE), Some(Value::Count(u64::MAX)));
        assert_eq!(value(&tally, &NEIGHBORS, NONE), Some(Value::Now(3.0)));
    }

    #[test]
    fn a_bound_is_in_the_bucket_that_it_ends() {
        let mut tally = Tally::new([&COMMIT]);
        let Kind::Histogram(bounds) = COMMIT.kind else {
            panic!("a histogram")
        };
        let last = bounds[bounds.len() - 1];
        for seconds in [bounds[0], bounds[0] * 1.5, last, last * 2.0] {
            tally.apply(Change::Observe(COMMIT.name, NONE, seconds));
        }
        let Some(Value::Spread(spread)) = value(&tally, &COMMIT, NONE) else {
            panic!("a histogram")
        };
        let mut expected = vec![0; bounds.len() + 1];
        (expected[0], expected[1]) = (1, 1);
        (expected[bounds.len() - 1], expected[bounds.len()]) = (1, 1);
        assert_eq!(spread.buckets, expected);
        assert!((spread.sum - (bounds[0] * 2.5 + last * 3.0)).abs() < 1e-9);
    }
}
