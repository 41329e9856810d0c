//! The clauses of metrics, on the reference metrics and on all that can be wrong with them.

mod support;

use kukuri_conformance::reference::{FLAWS, METRICS_FAULTS, MemoryMetrics, MetricsFault};
use kukuri_conformance::{Metrics, conforms};

#[actix::test]
async fn the_reference_keeps_all_clauses() {
    conforms::<Metrics>(&MemoryMetrics::default()).await;
}

#[actix::test]
async fn each_fault_breaks_its_clause_alone() {
    let any = FLAWS.map(|(flaw, clause)| (MetricsFault::Any(flaw), clause));
    let faults = any.into_iter().chain(METRICS_FAULTS);
    support::each_breaks_its_clause::<Metrics, _, _>(faults, MemoryMetrics::with).await;
}
