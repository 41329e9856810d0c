//! The labels of series with their values.

use super::series::{Label, MAX_LABELS, Series};

/// Values of a series' labels, in their order; empty where it has none.
pub type Labels = [&'static str; MAX_LABELS];

/// All combinations of the labels' values: of no labels, there is one.
pub fn combinations(labels: &'static [Label]) -> impl Iterator<Item = Labels> {
    let values = |at: usize| labels.get(at).map_or_else(|| vec![""], |l| (l.values)());
    let second = values(1);
    let with_second = move |first| second.clone().into_iter().map(move |s| [first, s]);
    values(0).into_iter().flat_map(with_second)
}

/// The names of a series' labels, each with its value.
pub fn named(
    series: &Series,
    values: Labels,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    series.labels.iter().map(|label| label.name).zip(values)
}
