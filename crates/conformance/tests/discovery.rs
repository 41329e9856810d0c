//! The clauses of discovery, on the reference discovery and on all that can be wrong with it.

mod support;

use kukuri_conformance::reference::{DISCOVERY_FAULTS, DiscoveryFault, FLAWS, MemoryDiscovery};
use kukuri_conformance::{Discovery, conforms};

#[actix::test]
async fn the_reference_keeps_all_clauses() {
    conforms::<Discovery>(&MemoryDiscovery::default()).await;
}

#[actix::test]
async fn each_fault_breaks_its_clause_alone() {
    let any = FLAWS.map(|(flaw, clause)| (DiscoveryFault::Any(flaw), clause));
    let faults = any.into_iter().chain(DISCOVERY_FAULTS);
    support::each_breaks_its_clause::<Discovery, _, _>(faults, MemoryDiscovery::with).await;
}
