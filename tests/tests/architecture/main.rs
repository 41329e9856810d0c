//! The architecture, held by tests: each rule reads the sources or `cargo metadata`, and a failure
//! names file, line and rule. `docs/ARCHITECTURE.md` says what the rules are for.
//!
//! The rules are functions from sources to violations, so that `planted.rs` can show that each of
//! them is able to fail.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod contract;
mod dependencies;
mod docs;
mod files;
mod graph;
mod planted;
mod scan;
mod swapping;
mod variants;
mod words;

use scan::tree;

/// The services, each with an actor crate of the same name.
const SERVICES: [&str; 5] = ["identity", "discovery", "gossip", "store", "metrics"];

#[track_caller]
fn holds(rule: &str, violations: &[String]) {
    assert!(
        violations.is_empty(),
        "{rule}, but:\n  {}\n",
        violations.join("\n  ")
    );
}

#[test]
fn crates_depend_downwards_only() {
    holds(
        "contract <- {conformance, actor crates} <- app <- tests",
        &dependencies::downwards(&dependencies::packages()),
    );
}

#[test]
fn the_contract_depends_on_no_network() {
    holds(
        "the contract depends on these crates only, and opens no socket",
        &[
            dependencies::contract_allowed(&dependencies::packages()),
            words::no_sockets_in_the_contract(&tree()),
        ]
        .concat(),
    );
}

#[test]
fn a_core_has_no_clock_no_rng_and_no_io() {
    holds(
        "time and randomness are passed into a core, and what it decides is passed out",
        &words::pure_cores(&tree()),
    );
}

#[test]
fn each_library_is_named_in_its_files_only() {
    holds(
        "a library is named by the files that wrap it, and by no other",
        &words::libraries(&tree(), &dependencies::packages()),
    );
}

#[test]
fn each_actor_crate_has_the_same_rooms() {
    holds(
        "whoever knows one actor crate knows all",
        &files::rooms(&tree()),
    );
}

#[test]
fn a_lib_file_is_a_list() {
    holds(
        "lib.rs holds docs, `mod` and `pub use`, nothing else",
        &files::lib_files(&tree()),
    );
}

#[test]
fn files_stay_small() {
    holds("a file has one subject", &files::sizes(&tree()));
}

#[test]
fn nothing_is_left_unfinished() {
    holds(
        "no todo!, unimplemented!, dbg! or ignored test",
        &files::unfinished(&tree()),
    );
}

#[test]
fn only_metrics_knows_a_series() {
    holds(
        "the name of a series stands in crates/metrics only",
        &words::series(&tree()),
    );
}

#[test]
fn requests_between_actors_have_no_cycle() {
    let (graph, problems) = graph::derive(&tree());
    println!("{}", graph::text(&graph));
    holds("requests go through ports", &problems);
    let cycle = graph::cycle(&graph);
    assert!(
        cycle.is_none(),
        "actors that ask each other in a circle can wait for each other forever: {}",
        cycle.unwrap_or_default().join(" -> ")
    );
}

#[test]
fn the_documented_request_graph_is_the_real_one() {
    let (graph, _) = graph::derive(&tree());
    let documented = docs::graph(&docs::text());
    assert_eq!(
        graph::text(&documented),
        graph::text(&graph),
        "the block of `a -> b` lines in {} (left) is not what the sources say (right)",
        docs::FILE
    );
}

#[test]
fn each_documented_invariant_names_its_test() {
    holds(
        "an invariant that no test holds is a wish",
        &docs::invariants(&docs::text(), &tree()),
    );
}

#[test]
fn the_contract_is_as_listed() {
    let listing = contract::listing(&tree());
    if std::env::var_os(contract::WRITE).is_some() {
        std::fs::write(scan::root().join(contract::FILE), &listing).unwrap();
    }
    let listed = contract::listed();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (is, was) = (lines(&listing), lines(&listed));
    let new = is.iter().filter(|line| !was.contains(line));
    let gone = was.iter().filter(|line| !is.contains(line));
    let changes = new.map(|line| format!("+ {line}"));
    let changes: Vec<_> = changes
        .chain(gone.map(|line| format!("- {line}")))
        .collect();
    assert!(
        listing == listed,
        "the contract has changed. If that is meant, write {} anew, with {}=1, and think of \
         CONTRACT_VERSION:\n  {}\n",
        contract::FILE,
        contract::WRITE,
        changes.join("\n  ")
    );
}

#[test]
fn the_code_in_the_docs_is_the_examples() {
    holds(
        "what docs/SWAPPING.md shows is built and tested",
        &swapping::stale(),
    );
}

#[test]
fn each_implementation_is_tried_in_whole_nodes() {
    holds(
        "the swap tests and the chaos go through every kind that a config can choose",
        &variants::missing(),
    );
}
