//! The scenarios of `tests/scenarios/` that are small enough for every change, on a virtual clock.
//!
//! `cargo run --release -p kukuri-tests --bin simulate -- tests/scenarios/*.toml` runs all of them.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fs;
use std::path::Path;

use kukuri_tests::simulation::world::World;
use kukuri_tests::simulation::{self, Report, Scenario};

/// All scenarios with the stems of their files.
fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scenarios");
    let read = |path: &Path| {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let scenario = Scenario::parse(&text);
        (
            stem,
            scenario.unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        )
    };
    files.iter().map(|path| read(path)).collect()
}

fn simulate(name: &str) -> Report {
    let found = scenarios().into_iter().find(|(stem, _)| stem == name);
    let (_, mut scenario) = found.unwrap_or_else(|| panic!("no scenario {name:?}"));
    scenario.runs = scenario.ci;
    simulation::run(&scenario, scenario.seed, |_, _, _| {})
}

fn holds(name: &str) {
    let report = simulate(name);
    // The table names the seeds: `simulate --seed` gives the same again.
    println!("{}", report.table());
    assert!(report.kept(), "a bound of {name} is broken");
}

/// A test for each small scenario.
macro_rules! small {
    ($($test:ident: $name:literal,)*) => {
        const SMALL: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                holds($name);
            }
        )*
    };
}

small! {
    alone: "alone",
    healthy: "healthy",
    late: "late",
    never_met: "never-met",
    root_dies: "root-dies",
    split_20: "split-20",
    together_2: "together-2",
    together_5: "together-5",
    together_20: "together-20",
    together_50: "together-50",
}

#[test]
fn each_scenario_can_be_read_and_the_small_ones_are_tests() {
    let mut small = Vec::new();
    for (stem, scenario) in scenarios() {
        assert_eq!(stem, scenario.name, "the name of the file");
        if scenario.ci > 0 {
            small.push(stem);
        }
    }
    small.sort();
    let mut tests = SMALL.to_vec();
    tests.sort_unstable();
    assert_eq!(small, tests, "scenarios with `ci` and tests here");
}

/// A bit of everything.
fn all_sorts() -> Scenario {
    let text = "
        name = 'same'
        minutes = 1.5
        nodes = { count = 8, over_s = 20, clock_off_s = 60, unreachable = 0.2 }
        network = { loss = 0.2 }
        dht = { loss = 0.1, liars = 0.1, poisoners = 0.02 }
        churn = { every_s = 20, until = 1.5, graceful = 0.5 }
        events = [
            { at = 0.5, do = 'split', parts = 2 },
            { at = 0.8, within_s = 9, do = 'heal' },
            { at = 1, do = 'flood', entries = 100, addresses = 3, every_s = 30 },
        ]";
    Scenario::parse(text).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_table_and_another_seed_another() {
    let small = |seed| {
        let mut report = simulation::run(&all_sorts(), seed, |_, _, _| {});
        // The figures alone: the seed is in the report too.
        report.seed = 0;
        report
    };
    let first = small(5);
    assert_eq!(first, small(5));
    assert_ne!(first, small(6));
}

#[test]
fn outcomes_of_signatures_that_are_kept_change_nothing() {
    let scenario = all_sorts();
    let each_verified = World::new(&scenario, 5).run(|_, _| {});
    let each_verified = Report::new(&scenario, 5, &[each_verified]);
    assert_eq!(simulation::run(&scenario, 5, |_, _, _| {}), each_verified);
}

#[test]
fn a_bound_that_is_broken_shows() {
    let text = "name = 'strict'\nminutes = 0.2\n[nodes]\ncount = 2\n[bounds]\nfirst_p50_ms = 1\n";
    let scenario = Scenario::parse(text).unwrap();
    let report = simulation::run(&scenario, 1, |_, _, _| {});
    assert!(!report.kept());
    assert!(report.table().contains("BROKEN"), "{}", report.table());
}

#[test]
fn what_can_not_be_measured_keeps_no_bound() {
    let text = "name = 'alone'\nminutes = 0.2\n[nodes]\ncount = 1\n[bounds]\nfirst_p95_ms = 5000\n";
    let scenario = Scenario::parse(text).unwrap();
    assert!(!simulation::run(&scenario, 1, |_, _, _| {}).kept());
}
