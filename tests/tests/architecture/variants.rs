//! Every implementation that a config can choose is in the list that the swap tests and the chaos go
//! through.

use std::collections::BTreeSet;

use kukuri_tests::variants::ALL;

/// Kinds without a variant, and variants of kinds that there are not.
pub fn missing() -> Vec<String> {
    let kinds = kukuri::kinds::all().into_iter();
    let kinds = kinds.flat_map(|(section, kinds, _)| {
        kinds
            .iter()
            .map(move |kind| format!("{section}.{}", kind.name))
    });
    let kinds: Vec<_> = kinds.collect();
    let tried = ALL.iter().flat_map(|variant| variant.kinds);
    let tried: Vec<_> = tried.map(ToString::to_string).collect();
    compare(&kinds, &tried)
}

fn compare(kinds: &[String], tried: &[String]) -> Vec<String> {
    let (kinds, tried): (BTreeSet<_>, BTreeSet<_>) =
        (kinds.iter().collect(), tried.iter().collect());
    let untried = kinds.difference(&tried);
    let untried = untried.map(|kind| format!("{kind} has no line in tests/src/variants.rs"));
    let gone = tried.difference(&kinds);
    let gone = gone.map(|kind| format!("tests/src/variants.rs tries {kind}, which there is not"));
    untried.chain(gone).collect()
}

#[test]
fn a_kind_that_is_not_tried_is_found() {
    let kinds = ["store.sqlite", "store.memory"].map(str::to_owned);
    assert_eq!(compare(&kinds, &kinds).len(), 0);
    assert_eq!(compare(&kinds, &kinds[..1]).len(), 1);
    assert_eq!(compare(&kinds[..1], &kinds).len(), 1);
}
