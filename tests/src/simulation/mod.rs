//! Many nodes on a virtual clock: the real cores of discovery and gossip's membership, the real
//! protocol state of iroh-gossip, a model of the network and of the DHT.
//!
//! A scenario is a file of `tests/scenarios/` ([`scenario`]). The same seed gives the same run, and
//! times are simulated, so the bounds are never flaky. What is real: every packet of discovery with
//! its seals and signatures, the derived keys, HyParView and PlumTree. What is modeled: latencies and
//! loss ([`network`]), the DHT ([`dht`], [`store`]), dials and connections, and what the actors do
//! between the cores. What is left out: posts, the store, mDNS, time that a processor takes.

mod actions;
mod asks;
pub mod dht;
mod event;
mod links;
pub mod measure;
pub mod network;
pub mod node;
mod pages;
mod queries;
pub mod queue;
pub mod report;
pub mod rng;
pub mod scenario;
pub mod store;
mod swarm;
pub mod world;

pub use report::Report;
pub use scenario::Scenario;

use kukuri_discovery::core::signature;
use world::World;

/// Runs a scenario as often as it says, from this seed on. `progress` hears the number of the run,
/// the simulated minute and how many nodes there are.
pub fn run(scenario: &Scenario, seed: u64, mut progress: impl FnMut(u64, u64, usize)) -> Report {
    let runs = 0..scenario.runs;
    // Each beacon comes to all nodes, and all of them are this thread.
    signature::keep_outcomes(true);
    let tallies: Vec<_> = runs
        .map(|run| {
            let world = World::new(scenario, seed + run);
            world.run(|minute, nodes| progress(run, minute, nodes))
        })
        .collect();
    signature::keep_outcomes(false);
    Report::new(scenario, seed, &tallies)
}
