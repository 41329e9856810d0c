//! Measures kukuri, and what people use today beside it.
//!
//! Each command prints a table and, with `--json`, writes every sample. What was measured is in
//! `docs/BENCHMARKS.md`.

#![forbid(unsafe_code)]

mod child;
mod delivery;
mod graph;
mod heal;
mod hives;
mod idle;
mod join;
mod netns;
mod report;
mod scale;
mod sniff;
mod stats;
mod timeline;
mod usage;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// First neighbors and whole swarms, kukuri beside distributed-topic-tracker.
    Join(join::JoinArgs),
    /// Where the time of a join goes, step by step.
    Timeline(timeline::TimelineArgs),
    /// Bytes and posts through the actors, beside bare iroh-gossip, a raw fsync, a direct call.
    Delivery(delivery::DeliveryArgs),
    /// Many nodes in one swarm on this machine: how long all of it takes, and what each node costs.
    Scale(scale::ScaleArgs),
    /// A swarm that the network splits, and that is whole again, kukuri beside
    /// distributed-topic-tracker.
    Heal(heal::HealArgs),
    /// What a node costs that has a neighbor and nothing to say.
    Idle(idle::IdleArgs),
    /// Many nodes of kukuri in one process; ends with its input.
    #[command(hide = true)]
    Hive(child::hive::HiveArgs),
    /// One measured node; ends with its input.
    #[command(hide = true)]
    Node(child::node::NodeArgs),
    /// A DHT of real mainline nodes on loopback; ends with its input.
    #[command(hide = true)]
    Dht(child::dht::DhtArgs),
}

/// Where results go besides the table.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Write all samples to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    let child = matches!(
        command,
        Command::Node(_) | Command::Dht(_) | Command::Hive(_)
    );
    if cfg!(debug_assertions) && !child {
        eprintln!("A debug build: it shows that the bench works; its figures mean nothing.");
    }
    match command {
        Command::Join(args) => join::run(args),
        Command::Timeline(args) => timeline::run(args),
        Command::Delivery(args) => delivery::run(args),
        Command::Scale(args) => scale::run(args),
        Command::Heal(args) => heal::run(args),
        Command::Idle(args) => idle::run(args),
        Command::Hive(args) => child::hive::run(args),
        Command::Node(args) => child::node::run(args),
        Command::Dht(args) => child::dht::run(args),
    }
}
