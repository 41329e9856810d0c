//! The clauses of gossip, on the reference gossip and on all that can be wrong with it.

mod support;

use kukuri_conformance::reference::{FLAWS, GOSSIP_FAULTS, GossipFault, MemoryGossip};
use kukuri_conformance::{Gossip, conforms};

#[actix::test]
async fn the_reference_keeps_all_clauses() {
    conforms::<Gossip>(&MemoryGossip::default()).await;
}

#[actix::test]
async fn each_fault_breaks_its_clause_alone() {
    let any = FLAWS.map(|(flaw, clause)| (GossipFault::Any(flaw), clause));
    let faults = any.into_iter().chain(GOSSIP_FAULTS);
    support::each_breaks_its_clause::<Gossip, _, _>(faults, MemoryGossip::with).await;
}
