//! What the negative tests of all services share.

use std::collections::BTreeSet;
use std::fmt::Debug;

use kukuri_conformance::{Service, Subject, broken_clauses, clauses_of_every_service};

/// Each fault breaks the clause that it is listed with and no other, and no clause is without one.
pub async fn each_breaks_its_clause<
    S: Service,
    F: Debug + Copy + 'static,
    T: Subject<S> + 'static,
>(
    faults: impl IntoIterator<Item = (F, &'static str)>,
    with: fn(F) -> T,
) {
    let mut clauses: BTreeSet<_> = clauses_of_every_service::<S>().map(|c| c.name).into();
    clauses.extend(S::CLAUSES.iter().map(|clause| clause.name));
    // All at once: some faults are seen only by what does not come.
    let run = |(fault, clause)| {
        let broken = actix::spawn(async move { broken_clauses(&with(fault)).await });
        (fault, clause, broken)
    };
    let runs: Vec<_> = faults.into_iter().map(run).collect();
    let mut wrong = Vec::new();
    for (fault, clause, broken) in runs {
        clauses.remove(clause);
        let broken = broken.await.expect("the kit does not panic");
        if broken != [clause] {
            wrong.push(format!("{fault:?} breaks {broken:?}, not {clause}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(clauses.is_empty(), "nothing breaks {clauses:?}");
}
