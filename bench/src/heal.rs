//! How soon is a swarm whole again that the network has split? All that are measured are split at
//! the same moment, and whole at the same moment, in one network namespace: each node has a loopback
//! address of its own, and rules of nftables drop what goes from one side to the other.

use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::OutputArgs;
use crate::child::dht::LocalDht;
use crate::child::node::Contender;
use crate::child::poll;
use crate::join::swarm::Swarm;
use crate::netns;
use crate::report::{Report, Show};
use crate::stats::Samples;

/// DHT nodes (mainline's `Testnet` as shipped), besides those of the measured nodes.
const DHT_NODES: usize = 20;
/// Most time for all to be one swarm at first; the rival has islands until its 30 s merge tick.
const FORM_LIMIT: Duration = Duration::from_secs(120);
/// Then, before the split: views fill, searches end.
const SETTLE: Duration = Duration::from_secs(15);
/// Most time for the sides to notice the split, beyond its own length.
const NOTICE_LIMIT: Duration = Duration::from_secs(120);
/// A swarm has healed when it has been whole for so long.
const LASTING: Duration = Duration::from_secs(10);
/// How often what the nodes say is read.
const READ_EVERY: Duration = Duration::from_millis(5);
/// Most time for a broadcast to reach everybody.
const CAST_LIMIT: Duration = Duration::from_secs(10);

/// Who is measured, and whether it loses the DHT too.
const COLUMNS: [(&str, Contender, bool); 3] = [
    ("kukuri", Contender::Kukuri, false),
    ("kukuri, the DHT away", Contender::KukuriSilent, true),
    ("distributed-topic-tracker", Contender::Rival, false),
];

/// What to measure.
#[derive(Debug, Args)]
pub struct HealArgs {
    /// Numbers of nodes; half of them are on each side.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 5, 20])]
    nodes: Vec<usize>,
    /// Runs of each.
    #[arg(long, default_value_t = 10)]
    repetitions: usize,
    /// Seconds that the split lasts at least; it lasts until all have noticed it.
    #[arg(long, default_value_t = 60)]
    split: u64,
    /// Most seconds to wait until a swarm is whole again.
    #[arg(long, default_value_t = 180)]
    limit: u64,
    #[command(flatten)]
    output: OutputArgs,
}

/// All runs of one column with one number of nodes.
#[derive(Debug, Default)]
struct Runs {
    noticed: Samples,
    healed: Samples,
    expected: usize,
    reached: Samples,
}

/// Measures.
///
/// # Errors
/// A part of the measurement does not work, or a swarm of kukuri is not whole again in time.
pub fn run(args: HealArgs) -> anyhow::Result<()> {
    if netns::has_run_inside()? {
        return Ok(());
    }
    if !netns::is_inside() {
        println!("SKIPPED: a network that can be split needs root");
        return Ok(());
    }
    if args.nodes.iter().any(|nodes| *nodes < 2) {
        bail!("nothing to split: name at least 2 nodes");
    }
    let titles = COLUMNS.map(|(title, ..)| title);
    let title = format!(
        "Whole again after a split of {} s: {} runs of each",
        args.split, args.repetitions
    );
    let mut report = Report::new(title, &titles);
    for &nodes in &args.nodes {
        let mut all = COLUMNS.map(|_| Runs::default());
        for repetition in 1..=args.repetitions {
            eprintln!("{nodes} nodes, run {repetition} of {}", args.repetitions);
            measure(nodes, &args, &mut all)?;
        }
        add(&mut report, nodes, &args, &all);
        for ((title, who, _), runs) in COLUMNS.iter().zip(&all) {
            ensure!(
                *who == Contender::Rival || runs.healed.len() == runs.expected,
                "{title}, {nodes} nodes: not whole again after {} s",
                args.limit
            );
        }
    }
    report.note(
        "Cells: p50 / p95 / max, or median (smallest - largest). A swarm is whole when all its nodes \
         are connected, over others too, and for 10 s; nobody posts before.",
    );
    report.print();
    args.output
        .json
        .as_deref()
        .map_or(Ok(()), |path| report.write_json(path))
}

/// One split of all columns.
fn measure(nodes: usize, args: &HealArgs, all: &mut [Runs]) -> anyhow::Result<()> {
    let network = Network::new()?;
    let dht = LocalDht::start(DHT_NODES, &netns::PORTS)?;
    let first = nodes / 2;
    let mut swarms = form(nodes, first, &dht)?;
    thread::sleep(SETTLE);
    for (column, (.., away)) in COLUMNS.iter().enumerate() {
        if *away {
            network.take_dht_away(column)?;
        }
    }
    network.split()?;
    let noticed = until_noticed(&mut swarms, first, Duration::from_secs(args.split));

    swarms.iter_mut().for_each(Swarm::restart_clock);
    network.join()?;
    let limit = Duration::from_secs(args.limit);
    // All are read in turn; their lines are stamped as they come.
    poll(limit, READ_EVERY, || {
        swarms.iter_mut().for_each(Swarm::read);
        swarms.iter().all(|swarm| swarm.is_whole_since(LASTING))
    });
    for ((column, noticed), (swarm, runs)) in
        COLUMNS.iter().zip(noticed).zip(swarms.iter_mut().zip(all))
    {
        let (title, who, _) = column;
        let Some(noticed) = noticed else {
            ensure!(
                *who == Contender::Rival,
                "{title}: nobody notices the split"
            );
            eprintln!("  {title} has not noticed the split: left out");
            continue;
        };
        runs.expected += 1;
        runs.noticed.0.push(noticed.as_secs_f64());
        if let Some(after) = swarm.whole().filter(|_| swarm.is_whole_since(LASTING)) {
            runs.healed.0.push(after.as_secs_f64());
            runs.reached.0.push(swarm.cast("all", CAST_LIMIT)?);
        }
    }
    Ok(())
}

/// A swarm of each column. One after the other, so that none is slowed down by another's start.
fn form(nodes: usize, first: usize, dht: &LocalDht) -> anyhow::Result<Vec<Swarm<'_>>> {
    let mut swarms = Vec::new();
    for (column, (title, contender, _)) in COLUMNS.iter().enumerate() {
        let ips: Vec<_> = (0..nodes).map(|at| address(column, at, first)).collect();
        let topic = format!("measured-{column}");
        let mut swarm = Swarm::start_at(*contender, dht, topic, &ips, false)?;
        swarm.go()?;
        let formed = swarm.wait(FORM_LIMIT, |swarm| swarm.whole().is_some());
        ensure!(
            formed || *contender == Contender::Rival,
            "{title}: no one swarm"
        );
        swarms.push(swarm);
    }
    Ok(swarms)
}

/// Lets the split last until all have noticed it, and so long at least. Says after what time each
/// had noticed it for good; `None` for those that have not.
fn until_noticed(
    swarms: &mut [Swarm<'_>],
    first: usize,
    length: Duration,
) -> Vec<Option<Duration>> {
    let begin = Instant::now();
    let mut noticed = vec![None; swarms.len()];
    poll(length + NOTICE_LIMIT, READ_EVERY, || {
        for (swarm, noticed) in swarms.iter_mut().zip(&mut noticed) {
            swarm.read();
            *noticed = match swarm.is_split(first) {
                true => noticed.or_else(|| Some(begin.elapsed())),
                false => None,
            };
        }
        begin.elapsed() >= length && !noticed.contains(&None)
    });
    noticed
}

fn add(report: &mut Report, nodes: usize, args: &HealArgs, all: &[Runs]) {
    let mut row = |what: String, unit, goal, show, of: &dyn Fn(&Runs) -> Samples| {
        let samples = all.iter().map(|runs| Some(of(runs))).collect();
        report.row(format!("N = {nodes}: {what}"), unit, goal, show, samples);
    };
    row(
        "split noticed after".into(),
        "s",
        None,
        Show::Percentiles,
        &|r| r.noticed.clone(),
    );
    row(
        "whole again after".into(),
        "s",
        Some("5 / 15"),
        Show::Percentiles,
        &|r| r.healed.clone(),
    );
    row("the same, spread".into(), "s", None, Show::Spread, &|r| {
        r.healed.clone()
    });
    row(
        format!("runs whole again within {} s", args.limit),
        "%",
        Some("100"),
        Show::Spread,
        &|r| Samples(vec![r.healed.share_within(f64::MAX, r.expected)]),
    );
    row(
        "nodes reached by a broadcast then".into(),
        "%",
        Some("100"),
        Show::Spread,
        &|r| r.reached.clone(),
    );
}

/// The IP address of a node of a column: the second byte is the column's, the third is the side.
fn address(column: usize, at: usize, first: usize) -> Ipv4Addr {
    let side = if at < first { 1 } else { 2 };
    Ipv4Addr::new(127, 10 + column as u8, side, 1 + at as u8)
}

/// The rules of the namespace; gone when dropped.
struct Network;

impl Network {
    fn new() -> anyhow::Result<Self> {
        nft("add table ip split")?;
        // Where packets come in: a sender learns nothing, as on the internet.
        nft("add chain ip split sides { type filter hook input priority 0; }")?;
        nft("add chain ip split dht { type filter hook input priority 1; }")?;
        Ok(Self)
    }

    fn split(&self) -> anyhow::Result<()> {
        for (from, to) in [(1, 2), (2, 1)] {
            let side = |which: &str, side| format!("ip {which} & 0.0.255.0 == 0.0.{side}.0");
            let (from, to) = (side("saddr", from), side("daddr", to));
            nft(&format!("add rule ip split sides {from} {to} drop"))?;
        }
        Ok(())
    }

    fn join(&self) -> anyhow::Result<()> {
        nft("flush chain ip split sides")
    }

    /// A column loses the DHT: its nodes are none to each other, being silent.
    fn take_dht_away(&self, column: usize) -> anyhow::Result<()> {
        let nodes = format!("127.{}.0.0/16", 10 + column);
        for rule in [
            format!("ip saddr {nodes} ip daddr 127.0.0.1"),
            format!("ip saddr 127.0.0.1 ip daddr {nodes}"),
        ] {
            nft(&format!(
                "add rule ip split dht {rule} meta l4proto udp drop"
            ))?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // With the namespace it is gone anyway.
        let _left = nft("delete table ip split");
    }
}

fn nft(command: &str) -> anyhow::Result<()> {
    let status = Command::new("nft").arg(command).status();
    let status = status.context("can't run nft (Debian: nftables)")?;
    ensure!(status.success(), "nft {command:?} failed: {status}");
    Ok(())
}
