//! The clauses of identity, on the reference identity and on all that can be wrong with it.

mod support;

use kukuri_conformance::reference::{FLAWS, IDENTITY_FAULTS, IdentityFault, MemoryIdentity};
use kukuri_conformance::{Identity, conforms};

#[actix::test]
async fn the_reference_keeps_all_clauses() {
    conforms::<Identity>(&MemoryIdentity::default()).await;
}

#[actix::test]
async fn each_fault_breaks_its_clause_alone() {
    let any = FLAWS.map(|(flaw, clause)| (IdentityFault::Any(flaw), clause));
    let faults = any.into_iter().chain(IDENTITY_FAULTS);
    support::each_breaks_its_clause::<Identity, _, _>(faults, MemoryIdentity::with).await;
}
