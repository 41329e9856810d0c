//! `docs/ARCHITECTURE.md` lists all clauses.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_conformance::{
    Discovery, Gossip, Identity, Metrics, Service, Store, clauses_of_every_service,
};

fn row(service: &str, names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    format!("| {service} | {} |", names.join(", "))
}

fn own<S: Service>(service: &str) -> String {
    row(service, S::CLAUSES.iter().map(|clause| clause.name))
}

#[test]
fn the_docs_list_all_clauses() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ARCHITECTURE.md");
    let docs = std::fs::read_to_string(file).unwrap();
    let every = clauses_of_every_service::<Store>();
    let rows = [
        row("every one", every.iter().map(|clause| clause.name)),
        own::<Identity>("identity"),
        own::<Discovery>("discovery"),
        own::<Gossip>("gossip"),
        own::<Store>("store"),
        own::<Metrics>("metrics"),
    ];
    let missing: Vec<_> = rows.into_iter().filter(|row| !docs.contains(row)).collect();
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}
