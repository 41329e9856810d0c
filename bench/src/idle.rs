//! What does a node cost that has a neighbor and nothing to say? Two nodes, each in a process of
//! its own, on a local DHT.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;

use crate::OutputArgs;
use crate::child::dht::LocalDht;
use crate::hives::Hives;
use crate::netns;
use crate::report::{Report, Show};
use crate::sniff::{Counts, Sniffer};
use crate::stats::Samples;
use crate::usage::Threads;

/// Both ends of the neighborhood.
const NODES: usize = 2;
/// DHT nodes.
const DHT_NODES: usize = 20;
/// Most time to be neighbors.
const LIMIT: Duration = Duration::from_secs(120);
/// After that, before the measurement begins: routing tables fill, searches end.
const SETTLE: Duration = Duration::from_secs(30);
/// How often memory is read.
const READ_EVERY: Duration = Duration::from_secs(5);

/// How long to measure.
#[derive(Debug, Args)]
pub struct IdleArgs {
    /// Minutes of idling. DHT messages are counted for root only.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Threads for each node's network (`node.worker_threads`), other than the default.
    #[arg(long)]
    workers: Option<usize>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Measures.
///
/// # Errors
/// A part of the measurement does not work.
pub fn run(args: IdleArgs) -> anyhow::Result<()> {
    if netns::has_run_inside()? {
        return Ok(());
    }
    let dht = LocalDht::start(DHT_NODES, &[])?;
    let mut hives = Hives::start(&dht, NODES, 1, args.workers)?;
    let met = hives.wait(LIMIT, Hives::is_whole);
    ensure!(met, "the two nodes do not find each other");
    thread::sleep(SETTLE);

    let sniffer = netns::is_inside().then(|| Sniffer::start(dht.ports()));
    let sniffer = sniffer.transpose()?;
    let minutes = Duration::from_secs_f64(args.minutes * 60.0);
    eprintln!("idle for {minutes:?}");
    let (begin, counted, threads) = (Instant::now(), hives.counters()?, hives.threads()?);
    let mut memory = Samples::default();
    while begin.elapsed() < minutes {
        thread::sleep(READ_EVERY.min(minutes.saturating_sub(begin.elapsed())));
        memory.0.extend(hives.memory()?);
    }
    let window = begin.elapsed();
    let dht = sniffer.map(|sniffer| sniffer.counts());
    let threads_now = hives.threads()?;
    let now = hives.counters()?;

    let title = format!(
        "An idle node with one neighbor, for {:.1} min",
        args.minutes
    );
    let mut report = Report::new(title, &["kukuri"]);
    let row = |report: &mut Report, what: &str, unit, goal, samples: Samples| {
        report.row(what, unit, goal, Show::Percentiles, vec![Some(samples)]);
    };
    row(&mut report, "memory", "MiB", Some("40"), memory);
    add_threads(&mut report, &threads, &threads_now, window);
    let node_minutes = NODES as f64 * window.as_secs_f64() / 60.0;
    let per_minute = |value: f64| Samples(vec![value / node_minutes]);
    if let Some(Counts {
        packets,
        bytes,
        operations,
    }) = dht
    {
        row(
            &mut report,
            "DHT messages, both ways",
            "/min",
            None,
            per_minute(packets as f64),
        );
        row(
            &mut report,
            "DHT bytes, both ways",
            "/min",
            None,
            per_minute(bytes as f64),
        );
        let mut operations: Vec<_> = operations.into_iter().collect();
        operations.sort_unstable();
        for (kind, count) in operations {
            let what = format!("DHT operations: {kind}");
            row(&mut report, &what, "/min", None, per_minute(count as f64));
        }
    }
    for (what, series) in [
        (
            "DHT look-ups by the node's own count",
            "kukuri_discovery_lookups_total",
        ),
        (
            "announcements by the node's own count",
            "kukuri_discovery_announces_total",
        ),
        ("QUIC bytes sent", "socket_send_ipv4_total"),
        ("QUIC packets received", "socket_recv_datagrams_total"),
        ("QUIC bytes received", "socket_recv_data_ipv4_total"),
        ("transactions of the store", "kukuri_store_commits_total"),
        ("gap repairs", "kukuri_node_repairs_total"),
    ] {
        row(
            &mut report,
            what,
            "/min",
            None,
            per_minute(now.of(series) - counted.of(series)),
        );
    }
    report.note("Several values in a cell: median / 95th percentile / largest.");
    report.print();
    match &args.output.json {
        Some(path) => report.write_json(path),
        None => Ok(()),
    }
}

/// Processor time and waits, of all threads and by their names, one sample per node.
fn add_threads(report: &mut Report, before: &[Threads], after: &[Threads], window: Duration) {
    let names: BTreeSet<&String> = after.iter().flat_map(|threads| threads.keys()).collect();
    let of = |only: Option<&String>| {
        let mut samples = [Samples::default(), Samples::default(), Samples::default()];
        for (before, after) in before.iter().zip(after) {
            let (mut count, mut cpu, mut waits) = (0, Duration::ZERO, 0);
            let after = after
                .iter()
                .filter(|(name, _)| only.is_none_or(|o| o == *name));
            for (name, now) in after {
                let then = before.get(name).copied().unwrap_or_default();
                count += now.threads;
                cpu += now.cpu.saturating_sub(then.cpu);
                waits += now.waits.saturating_sub(then.waits);
            }
            let seconds = window.as_secs_f64();
            samples[0].0.push(count as f64);
            samples[1].0.push(100.0 * cpu.as_secs_f64() / seconds);
            samples[2].0.push(waits as f64 / seconds);
        }
        samples
    };
    let mut rows = |what: String, only: Option<&String>| {
        let goal = only.is_none().then_some("0.5");
        let [count, cpu, waits] = of(only).map(|samples| vec![Some(samples)]);
        report.row(format!("threads{what}"), "", None, Show::Percentiles, count);
        report.row(
            format!("processor{what}"),
            "% of a core",
            goal,
            Show::Percentiles,
            cpu,
        );
        report.row(format!("waits{what}"), "/s", None, Show::Percentiles, waits);
    };
    rows(String::new(), None);
    for name in names {
        rows(format!(" of {name}"), Some(name));
    }
}
