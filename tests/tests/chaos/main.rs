//! Seeded chaos: each actor of each node panics, hangs and is slow at random, several at once, while all
//! of them write, with every implementation. Then all promises are looked at.
//!
//! `CHAOS_SEED=7` plays another schedule, and again the same; `CHAOS_SECONDS=300` plays it for longer.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod fleet;
mod limits;
mod load;
mod schedule;
mod usage;

use std::process::Command;
use std::time::Duration;

use kukuri_conformance::in_namespace;
use kukuri_tests::network::LAN;
use kukuri_tests::variants::{Variant, Ways, World, variant};

use fleet::Fleet;
use load::Load;
use schedule::Caused;
use usage::Usage;

/// Nodes.
const NODES: usize = 4;
/// How long faults are caused where `CHAOS_SECONDS` does not say: of the base, and of a variant.
const SECONDS: (u64, u64) = (20, 8);
/// The seed where `CHAOS_SEED` does not say.
const SEED: u64 = 1;
/// Tells a test that it has a process of its own.
const INSIDE: &str = "KUKURI_TEST_CHAOS";

macro_rules! cells {
    ($($name:ident)+) => {
        mod cell {
            $(
                #[test]
                fn $name() {
                    super::run(stringify!($name));
                }
            )+
        }
    };
}
kukuri_tests::for_each_variant!(cells);

fn run(name: &str) {
    let (variant, test) = (variant(name), format!("cell::{name}"));
    let here = match variant.ways {
        Ways::Lan => in_namespace(&test, LAN),
        _ => in_its_own_process(&test),
    };
    if here {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(chaos(variant, seed(), length(variant)));
    }
}

/// Whether this test goes on here: what it uses of the process is measured, and threads that hang stay,
/// so it has none of the other tests beside it.
pub fn in_its_own_process(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        // Of panics there are many, and none of them is a surprise.
        .env("RUST_BACKTRACE", "0")
        .status();
    assert!(status.unwrap().success(), "{test} in its own process");
    false
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

/// The seed of this run.
pub fn seed() -> u64 {
    number("CHAOS_SEED").unwrap_or(SEED)
}

fn length(variant: &Variant) -> Duration {
    let default = match variant.name {
        "base" => SECONDS.0,
        _ => SECONDS.1,
    };
    Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(default))
}

async fn chaos(variant: &'static Variant, seed: u64, length: Duration) {
    println!(
        "{}: CHAOS_SEED={seed} CHAOS_SECONDS={}",
        variant.name,
        length.as_secs()
    );
    let world = World::start().await;
    let empty = Usage::now();
    let mut fleet = Fleet::start(&world, variant, NODES).await;
    let load = Load::start(&fleet);
    load.warm_up().await;
    let before = Usage::now();

    let caused = schedule::run(&fleet, seed, length).await;
    println!("caused: {caused}");
    let done = load.stop().await;
    println!("{done}");

    fleet.all_answer().await;
    fleet.all_have(&done).await;
    fleet.counts_are(&caused).await;
    fleet.talk_in_a_fresh_topic().await;
    usage::stays_within(&before, &caused, "after the chaos").await;
    fleet.stop().await;
    usage::stays_within(&empty, &caused, "when all nodes are down").await;
}

impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (panics, hangs) = (self.panics(), self.hangs());
        write!(f, "{panics} panics, {hangs} hangs, {} slow", self.slow)
    }
}
