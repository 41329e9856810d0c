//! The clauses of the store, on the reference store and on all that can be wrong with it.

mod support;

use kukuri_conformance::reference::{FLAWS, MemoryStore, STORE_FAULTS, StoreFault};
use kukuri_conformance::{Store, conforms};

#[actix::test]
async fn the_reference_keeps_all_clauses() {
    conforms::<Store>(&MemoryStore::default()).await;
}

#[actix::test]
async fn each_fault_breaks_its_clause_alone() {
    let any = FLAWS.map(|(flaw, clause)| (StoreFault::Any(flaw), clause));
    let faults = any.into_iter().chain(STORE_FAULTS);
    support::each_breaks_its_clause::<Store, _, _>(faults, MemoryStore::with).await;
}
