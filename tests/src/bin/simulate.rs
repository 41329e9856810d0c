//! Runs scenarios of the simulation, and checks their bounds.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use kukuri_tests::simulation::{self, Report, Scenario};

/// Runs scenarios of the simulation, prints a table for each, and ends with 1 if one breaks a bound.
#[derive(Debug, Parser)]
struct Args {
    /// Files with scenarios.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Seed of the first run, instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// So many runs, instead of the scenario's.
    #[arg(long)]
    runs: Option<u64>,
    /// One JSON object per scenario instead of tables.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut broken = Vec::new();
    for file in &args.files {
        match simulate(file, &args) {
            Ok(report) if report.kept() => {}
            Ok(report) => broken.push(report.scenario),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("bounds are broken in: {}", broken.join(", "));
    ExitCode::FAILURE
}

fn simulate(file: &Path, args: &Args) -> Result<Report, Box<dyn Error>> {
    let mut scenario = Scenario::parse(&std::fs::read_to_string(file)?)?;
    scenario.runs = args.runs.unwrap_or(scenario.runs);
    let seed = args.seed.unwrap_or(scenario.seed);
    let started = Instant::now();
    let name = scenario.name.clone();
    let live = std::io::stderr().is_terminal();
    let report = simulation::run(&scenario, seed, |run, minute, nodes| {
        let took = started.elapsed().as_secs();
        if live {
            eprint!("\r{name}: run {run}, minute {minute}, {nodes} nodes, {took} s ");
        } else if nodes >= 1000 {
            eprintln!("{name}: run {run}, minute {minute}, {nodes} nodes, {took} s");
        }
    });
    if live {
        eprintln!();
    }
    let took = started.elapsed().as_secs_f64();
    eprintln!("{name}: {} runs in {took:.1} s", report.runs);
    let text = match args.json {
        true => serde_json::to_string(&report)?,
        false => report.table(),
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(report)
}
