//! What do the actors cost? Raw bytes through the gossip actor beside bare iroh-gossip, posts of a
//! whole node beside the fsync of its disk, a request and an event beside a direct call.
//!
//! All on loopback, in one process, in turns, fresh nodes for each repetition.

mod bare;
mod cost;
mod latency;
mod ours;
mod peer;
mod posts;
mod throughput;

use std::fs;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::OutputArgs;
use crate::report::Report;

/// What to measure.
#[derive(Debug, Args)]
pub struct DeliveryArgs {
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Only see that all of it works: one run, few messages.
    #[arg(long)]
    short: bool,
    /// Only these measurements.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    #[command(flatten)]
    output: OutputArgs,
}

/// One of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How soon the others have a broadcast.
    Latency,
    /// Broadcasts per second.
    Throughput,
    /// Posts per second of a whole node.
    Posts,
    /// One request and one event.
    Cost,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
struct Scale {
    repetitions: usize,
    short: bool,
}

impl Scale {
    /// One of two amounts.
    fn of<T>(self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

/// Measures.
///
/// # Errors
/// A part of the measurement does not work; what is measured may be as slow as it likes.
pub fn run(args: DeliveryArgs) -> anyhow::Result<()> {
    let scale = Scale {
        repetitions: if args.short { 1 } else { args.repetitions },
        short: args.short,
    };
    let reports = actix::System::new().block_on(measure(scale, &args.only))?;
    for report in &reports {
        report.print();
    }
    if let Some(path) = &args.output.json {
        let text = serde_json::to_string_pretty(&reports)?;
        fs::write(path, text + "\n").with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

async fn measure(scale: Scale, only: &[Part]) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for part in only {
        reports.push(match part {
            Part::Latency => latency::measure(scale).await?,
            Part::Throughput => throughput::measure(scale).await?,
            Part::Posts => posts::measure(scale).await?,
            Part::Cost => cost::measure(scale).await?,
        });
    }
    Ok(reports)
}
