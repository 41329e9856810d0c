//! How soon does a node have its first neighbor, and a topic one swarm? kukuri beside the rival,
//! each node a process of its own, in turns, a fresh DHT for each run.

mod plot;
pub mod swarm;
mod table;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::Args;

use crate::OutputArgs;
use crate::child::dht::LocalDht;
use crate::child::node::Contender;
use crate::netns;
use crate::sniff::{Counts, Sniffer};
use crate::stats::Samples;
use swarm::Swarm;

/// Most time to wait for first neighbors, and for one swarm.
const LIMIT: Duration = Duration::from_secs(60);
/// Most time for a broadcast to reach everybody.
const CAST_LIMIT: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Nodes that start together.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 5, 10, 20])]
    nodes: Vec<usize>,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Nodes that join later, one after the other.
    #[arg(long, default_value_t = 3)]
    late: usize,
    /// DHT nodes (mainline's `Testnet` as shipped).
    #[arg(long, default_value_t = 20)]
    dht_nodes: usize,
    /// Who is measured. The rival needs root, for a network namespace in which its DHT bootstrap
    /// names lead to the local DHT.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Contender::KukuriSilent, Contender::Kukuri, Contender::Rival])]
    contenders: Vec<Contender>,
    /// Seconds of the steady state, whose DHT load is measured in the last run of each (0: none).
    #[arg(long, default_value_t = 60)]
    steady: u64,
    /// Seconds from the last join to the begin of the steady state.
    #[arg(long, default_value_t = 30)]
    settle: u64,
    /// The number of nodes for which it is measured.
    #[arg(long, default_value_t = 10)]
    steady_nodes: usize,
    /// Write a plot (SVG) for each number of nodes into this folder.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// All runs of one contender with one number of nodes.
#[derive(Debug, Default)]
struct Runs {
    /// First neighbors of nodes that start together, in ms.
    together: Samples,
    together_expected: usize,
    /// The same with the start of the node itself.
    with_start: Samples,
    /// The same of nodes that come later.
    late: Samples,
    late_expected: usize,
    /// One piece, in s since the joins, of the runs in which it came.
    whole: Samples,
    whole_expected: usize,
    /// Share of nodes that a broadcast reached, in percent.
    reached: Samples,
    /// Processor time per node until then, in ms.
    cpu: Samples,
    /// Memory per node, in MiB.
    memory: Samples,
    steady: Option<Steady>,
}

/// Load of the steady state.
#[derive(Debug)]
struct Steady {
    /// Nodes times minutes.
    node_minutes: f64,
    /// `None` without root.
    dht: Option<Counts>,
    /// Share of a core per node, in percent.
    cpu: f64,
}

/// Measures.
///
/// # Errors
/// A part of the measurement does not work; what is measured may be as slow as it likes.
pub fn run(mut args: JoinArgs) -> anyhow::Result<()> {
    if netns::has_run_inside()? {
        return Ok(());
    }
    if !netns::is_inside() {
        eprintln!(
            "Not root: no network namespace, so {} is left out, and DHT messages are not counted.",
            Contender::Rival.title()
        );
        args.contenders.retain(|who| *who != Contender::Rival);
    }
    if args.contenders.is_empty() || args.nodes.iter().any(|nodes| *nodes < 2) {
        bail!("nothing to measure: name a contender, and at least 2 nodes");
    }
    let mut table = table::Table::new(&args);
    for &nodes in &args.nodes {
        let mut all: Vec<Runs> = args.contenders.iter().map(|_| Runs::default()).collect();
        for repetition in 1..=args.repetitions {
            for (&contender, runs) in args.contenders.iter().zip(&mut all) {
                let title = contender.title();
                eprintln!(
                    "{nodes} nodes, run {repetition} of {}: {title}",
                    args.repetitions
                );
                let last = repetition == args.repetitions;
                let steady = last && nodes == args.steady_nodes && args.steady > 0;
                measure(contender, nodes, &args, steady, runs)?;
            }
        }
        if let Some(dir) = &args.plots {
            plot::draw(dir, nodes, &args.contenders, &all)?;
        }
        check(&args.contenders, &all, nodes)?;
        table.add(nodes, all);
    }
    table.finish(&args)
}

/// However slow: all of kukuri's nodes must have come together.
fn check(contenders: &[Contender], all: &[Runs], nodes: usize) -> anyhow::Result<()> {
    for (contender, runs) in contenders.iter().zip(all) {
        let title = contender.title();
        let joined = runs.together.len() == runs.together_expected
            && runs.late.len() == runs.late_expected
            && runs.whole.len() == runs.whole_expected;
        ensure!(
            joined || *contender == Contender::Rival,
            "{title}, {nodes} nodes: some have no neighbor after {LIMIT:?}, or there is no one swarm"
        );
    }
    Ok(())
}

fn measure(
    contender: Contender,
    nodes: usize,
    args: &JoinArgs,
    steady: bool,
    runs: &mut Runs,
) -> anyhow::Result<()> {
    let ports: &[u16] = if netns::is_inside() {
        &netns::PORTS
    } else {
        &[]
    };
    let dht = LocalDht::start(args.dht_nodes, ports)?;
    let mut swarm = Swarm::start(contender, &dht, "measured".into(), nodes, false)?;
    swarm.go()?;
    swarm.wait(LIMIT, |swarm| swarm.firsts().len() == nodes);
    runs.together.0.extend(swarm.firsts());
    runs.together_expected += nodes;
    runs.with_start.0.extend(swarm.firsts_with_start());

    swarm.wait(LIMIT, |swarm| swarm.whole().is_some());
    runs.whole
        .0
        .extend(swarm.whole().map(|after| after.as_secs_f64()));
    runs.whole_expected += 1;
    runs.reached.0.push(swarm.cast("all", CAST_LIMIT)?);
    let cpu_ms = swarm.cpu()?.as_secs_f64() * 1e3;
    runs.cpu.0.push(cpu_ms / nodes as f64);
    runs.memory.0.extend(swarm.memory()?);

    for _ in 0..args.late {
        runs.late.0.extend(swarm.join_late(LIMIT)?);
        runs.late_expected += 1;
    }
    if steady {
        thread::sleep(Duration::from_secs(args.settle));
        runs.steady = Some(measure_steady(
            &swarm,
            &dht,
            Duration::from_secs(args.steady),
        )?);
    }
    Ok(())
}

fn measure_steady(swarm: &Swarm<'_>, dht: &LocalDht, window: Duration) -> anyhow::Result<Steady> {
    let sniffer = netns::is_inside()
        .then(|| Sniffer::start(dht.ports()))
        .transpose()?;
    let before = swarm.cpu()?;
    thread::sleep(window);
    let spent = swarm.cpu()? - before;
    let nodes = swarm.len() as f64;
    Ok(Steady {
        node_minutes: nodes * window.as_secs_f64() / 60.0,
        dht: sniffer.map(|sniffer| sniffer.counts()),
        cpu: 100.0 * spent.as_secs_f64() / window.as_secs_f64() / nodes,
    })
}
