//! How long does a node look for its first neighbor? Prints a table.
//!
//! ```sh
//! cargo build --release --workspace --bins
//! cargo build --workspace --examples
//! KUKURI_BIN=target/release/kukuri target/debug/examples/first_neighbor [REPETITIONS [NODES ...]]
//! ```
//!
//! Each node is a process of its own, the DHT (mainline's `Testnet` as shipped) is another, fresh
//! for each repetition. Time runs from the call of `join`, which starts the DHT node too. Two
//! conditions: *serving* nodes answer DHT queries, as kukuri does on loopback and wherever it is
//! reachable; *silent* ones don't, sit in routing tables all the same, and cost every lookup a
//! time-out. Some seconds after all have joined, late ones come, one after the other.

#![allow(clippy::unwrap_used, reason = "a measurement panics where it fails")]

use kukuri_tests::{Dht, Process};
use tempfile::TempDir;

const DHT_NODES: usize = 20;
const LATE: usize = 4;
const SERVING: &[(&str, &str)] = &[];
const SILENT: &[(&str, &str)] = &[("KUKURI_DISCOVERY__SERVE", "never")];

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let repetitions: usize = numbers.next().unwrap_or(5);
    let sizes: Vec<usize> = numbers.collect();
    let sizes = if sizes.is_empty() {
        vec![2, 5, 10, 20]
    } else {
        sizes
    };
    println!("first neighbor in ms, {repetitions} repetitions, {DHT_NODES} DHT nodes");
    println!("nodes | condition | together: p50    p95    max | late: p50    p95    max");
    for nodes in sizes {
        for (condition, settings) in [("serving", SERVING), ("silent", SILENT)] {
            let (mut together, mut late) = (Vec::new(), Vec::new());
            for _ in 0..repetitions {
                let (firsts, lates) = measure(nodes, settings);
                together.extend(firsts);
                late.extend(lates);
            }
            let (together, late) = (percentiles(together), percentiles(late));
            println!("{nodes:>5} | {condition:<9} | {together:>28} | {late:>24}");
        }
    }
}

fn measure(nodes: usize, settings: &[(&str, &str)]) -> (Vec<u64>, Vec<u64>) {
    let dht = Dht::start(DHT_NODES);
    let dirs: Vec<_> = (0..nodes + LATE).map(|_| TempDir::new().unwrap()).collect();
    let join = |dir: &TempDir| dht.join_with("tea", dir.path(), &[], settings);
    let mut running: Vec<_> = dirs[..nodes].iter().map(join).collect();
    let together = running.iter_mut().map(first_neighbor).collect();
    let mut late = Vec::new();
    for dir in &dirs[nodes..] {
        let mut node = join(dir);
        late.push(first_neighbor(&mut node));
        running.push(node);
    }
    (together, late)
}

fn first_neighbor(node: &mut Process) -> u64 {
    node.next("joined")["after_ms"].as_u64().unwrap()
}

/// The nearest ranks: values that were measured, none in between.
fn percentiles(mut values: Vec<u64>) -> String {
    values.sort_unstable();
    let at = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
    format!("{:>6} {:>6} {:>6}", at(50), at(95), at(100))
}
