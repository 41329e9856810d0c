//! Many nodes in one swarm on one machine, several to a process: does everybody find everybody, is
//! everybody reached, and what grows with the number of nodes that should not?

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;

use crate::OutputArgs;
use crate::child::dht::LocalDht;
use crate::hives::Hives;
use crate::report::{Report, Show};
use crate::stats::Samples;

/// Most time to wait for first neighbors, and for one piece.
const LIMIT: Duration = Duration::from_secs(180);
/// After that, before anything else is measured: the views of the swarm fill, searches end.
const SETTLE: Duration = Duration::from_secs(20);
/// Posts, each of another node.
const POSTS: usize = 5;
/// Most time for a post to reach everybody.
const POST_LIMIT: Duration = Duration::from_secs(30);
/// Between two posts.
const POST_PAUSE: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// Numbers of nodes.
    #[arg(long, value_delimiter = ',', default_values_t = [25, 50, 100, 200])]
    nodes: Vec<usize>,
    /// Nodes in one process.
    #[arg(long, default_value_t = 25)]
    per_process: usize,
    /// DHT nodes (mainline's `Testnet` as shipped), besides those of the measured nodes.
    #[arg(long, default_value_t = 20)]
    dht_nodes: usize,
    /// Seconds of the steady state.
    #[arg(long, default_value_t = 60)]
    steady: u64,
    /// Threads for each node's network (`node.worker_threads`), other than the default.
    #[arg(long)]
    workers: Option<usize>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was measured with one number of nodes.
#[derive(Debug, Default)]
struct Run {
    first: Samples,
    all_joined: Samples,
    whole: Samples,
    neighbors: Samples,
    reached: Samples,
    repaired: Samples,
    latency: Samples,
    memory: Samples,
    threads: Samples,
    start_cpu: Samples,
    steady: Vec<f64>,
}

/// What is counted in the steady state, per node and minute.
const STEADY: [(&str, &str); 9] = [
    ("DHT look-ups", "kukuri_discovery_lookups_total"),
    ("announcements", "kukuri_discovery_announces_total"),
    ("hellos sent", "kukuri_discovery_hellos_sent_total"),
    ("peers found", "kukuri_discovery_peers_found_total"),
    ("dials", "kukuri_gossip_dials_total"),
    ("gap repairs", "kukuri_node_repairs_total"),
    ("transactions", "kukuri_store_commits_total"),
    ("QUIC packets received", "socket_recv_datagrams_total"),
    ("QUIC bytes received", "socket_recv_data_ipv4_total"),
];

/// Measures.
///
/// # Errors
/// A part of the measurement does not work; what is measured may be as slow as it likes.
pub fn run(args: ScaleArgs) -> anyhow::Result<()> {
    let valid = args.nodes.iter().all(|nodes| *nodes >= 2) && args.per_process > 0;
    ensure!(valid, "at least 2 nodes, and 1 in a process");
    let mut runs = Vec::new();
    for &nodes in &args.nodes {
        eprintln!("{nodes} nodes, {} in a process", args.per_process);
        runs.push(measure(nodes, &args)?);
        // After each number: who ends a long run early keeps what was measured.
        let report = report(&args, &runs);
        report.print();
        if let Some(path) = &args.output.json {
            report.write_json(path)?;
        }
    }
    Ok(())
}

fn measure(nodes: usize, args: &ScaleArgs) -> anyhow::Result<Run> {
    let dht = LocalDht::start(args.dht_nodes, &[])?;
    let mut run = Run::default();
    let begin = Instant::now();
    let since = |at: Instant| Samples(vec![at.elapsed().as_secs_f64()]);
    let mut hives = Hives::start(&dht, nodes, args.per_process, args.workers)?;
    let last = Instant::now();
    if hives.wait(LIMIT, |hives| hives.firsts().len() == nodes) {
        run.all_joined = since(begin);
    }
    if hives.wait(LIMIT, Hives::is_whole) {
        run.whole = since(last);
    }
    let per_node = |cpu: Duration| cpu.as_secs_f64() / nodes as f64;
    run.start_cpu = Samples(vec![per_node(hives.cpu()?) * 1e3]);
    run.first = Samples(hives.firsts());
    eprintln!("  {} have a neighbor", run.first.len());

    thread::sleep(SETTLE);
    for post in 0..POSTS {
        thread::sleep(POST_PAUSE);
        let text = format!("post-{post}");
        let latency = hives.post(post * nodes / POSTS, &text, POST_LIMIT)?;
        let reached = 100.0 * latency.len() as f64 / (nodes - 1) as f64;
        run.reached.0.push(reached);
        run.latency.0.extend(latency);
    }
    eprintln!("  {POSTS} posts are sent");

    let window = Duration::from_secs(args.steady);
    let (counted, spent) = (hives.counters()?, hives.cpu()?);
    thread::sleep(window);
    let spent = per_node(hives.cpu()? - spent);
    let now = hives.counters()?;
    let node_minutes = nodes as f64 * window.as_secs_f64() / 60.0;
    let share = 100.0 * spent / window.as_secs_f64().max(1.0);
    run.steady.push(share);
    for (_, series) in STEADY {
        let grown = now.of(series) - counted.of(series);
        run.steady.push(grown / node_minutes.max(1e-9));
    }
    hives.wait(Duration::ZERO, |_| true);
    for post in 0..POSTS {
        let heard = hives.heard(&format!("post-{post}"));
        run.repaired
            .0
            .push(100.0 * heard as f64 / (nodes - 1) as f64);
    }
    run.neighbors = Samples(hives.neighbors());
    run.memory = Samples(hives.memory()?);
    let threads = hives.threads()?;
    let threads = threads.iter().flat_map(|hive| hive.values());
    let threads: usize = threads.map(|usage| usage.threads).sum();
    run.threads = Samples(vec![threads as f64 / nodes as f64]);
    Ok(run)
}

fn report(args: &ScaleArgs, runs: &[Run]) -> Report {
    let sizes: Vec<_> = args
        .nodes
        .iter()
        .take(runs.len())
        .map(|n| format!("{n} nodes"))
        .collect();
    let sizes: Vec<_> = sizes.iter().map(String::as_str).collect();
    let title = format!(
        "One swarm on one machine: {} nodes in a process, {} DHT nodes besides theirs",
        args.per_process, args.dht_nodes
    );
    let mut report = Report::new(title, &sizes);
    let mut row = |what: &str, unit, goal, of: &dyn Fn(&Run) -> Samples| {
        let each = runs.iter().map(|run| Some(of(run))).collect();
        report.row(what, unit, goal, Show::Percentiles, each);
    };
    row("first neighbor, since the node's start", "ms", None, &|r| {
        r.first.clone()
    });
    row(
        "all have a neighbor, since the first start",
        "s",
        None,
        &|r| r.all_joined.clone(),
    );
    row("one piece, since the last start", "s", None, &|r| {
        r.whole.clone()
    });
    row("neighbors", "", None, &|r| r.neighbors.clone());
    row("nodes that a post reaches", "%", Some("100"), &|r| {
        r.reached.clone()
    });
    row("nodes that have it at the end", "%", Some("100"), &|r| {
        r.repaired.clone()
    });
    row("a post's way to each node", "ms", None, &|r| {
        r.latency.clone()
    });
    row("memory per node", "MiB", Some("40"), &|r| r.memory.clone());
    row("threads per node", "", None, &|r| r.threads.clone());
    row("processor per node until one piece", "ms", None, &|r| {
        r.start_cpu.clone()
    });
    let steady =
        |at: usize| move |run: &Run| Samples(run.steady.get(at).copied().into_iter().collect());
    row(
        "steady: processor per node",
        "% of a core",
        Some("0.5"),
        &steady(0),
    );
    for (at, (what, _)) in STEADY.iter().enumerate() {
        row(
            &format!("steady: {what}"),
            "/node/min",
            None,
            &steady(at + 1),
        );
    }
    report.note("Several values in a cell: median / 95th percentile / largest.");
    report
}
