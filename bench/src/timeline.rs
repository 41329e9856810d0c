//! Where the time of a join goes: its steps from trace events, and what mainline takes by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use futures_util::StreamExt;
use mainline::{Dht, Id};
use plotters::prelude::*;

use crate::OutputArgs;
use crate::child::dht::LocalDht;
use crate::child::node::Contender;
use crate::join::swarm::{Step, Swarm};
use crate::report::{Report, Show};
use crate::stats::Samples;

/// Most time for a join.
const LIMIT: Duration = Duration::from_secs(60);
const SIZE: (u32, u32) = (760, 360);

/// What to measure.
#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// Nodes that start together.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// Runs of each.
    #[arg(long, default_value_t = 9)]
    repetitions: usize,
    /// DHT nodes (mainline's `Testnet` as shipped).
    #[arg(long, default_value_t = 20)]
    dht_nodes: usize,
    /// Draw the medians as SVG into this folder.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A stretch of the timeline: from the first event of one name to the first of another after it.
struct Stretch {
    title: &'static str,
    from: &'static str,
    to: &'static str,
    /// The stretch begins after this event.
    after: Option<&'static str>,
}

/// The order of a join.
const STRETCHES: [Stretch; 8] = [
    Stretch::new("start of the node's actors", "", "node_started", None),
    Stretch::new("start of the DHT node", "dht_starting", "dht_started", None),
    Stretch::new("first look-up", "lookup_started", "lookup_ended", None),
    Stretch::new("announcement", "announce_started", "announce_ended", None),
    Stretch::new(
        "second look-up",
        "lookup_started",
        "first_entry",
        Some("announce_ended"),
    ),
    Stretch::new("hello", "hello_sent", "member_found", None),
    Stretch::new("dial", "dial_started", "dial_ended", None),
    Stretch::new("to the neighbor", "dial_ended", "neighbor_up", None),
];

impl Stretch {
    const fn new(
        title: &'static str,
        from: &'static str,
        to: &'static str,
        after: Option<&'static str>,
    ) -> Self {
        Self {
            title,
            from,
            to,
            after,
        }
    }

    /// From when to when, in ms since the begin; `None` where a step is missing: the other side may
    /// have found and dialed this one.
    fn find(&self, steps: &[Step]) -> Option<(f64, f64)> {
        let first = |name: &str, since: f64| {
            let named = |step: &&Step| step.0 == name && step.1 >= since;
            steps.iter().find(named).map(|step| step.1)
        };
        let since = self.after.map_or(Some(0.0), |after| first(after, 0.0))?;
        let from = match self.from {
            "" => 0.0,
            from => first(from, since)?,
        };
        Some((from, first(self.to, from)?))
    }
}

/// Measures.
///
/// # Errors
/// A part of the measurement does not work.
pub fn run(args: TimelineArgs) -> anyhow::Result<()> {
    ensure!(args.nodes >= 2, "a join needs at least 2 nodes");
    let conditions = ["together, serving", "together, silent", "late, serving"];
    let mut found: [Vec<Vec<Step>>; 3] = Default::default();
    let mut alone = Mainline::default();
    for repetition in 1..=args.repetitions {
        eprintln!("run {repetition} of {}", args.repetitions);
        for (at, contender) in [Contender::Kukuri, Contender::KukuriSilent]
            .into_iter()
            .enumerate()
        {
            let dht = LocalDht::start(args.dht_nodes, &[])?;
            let mut swarm = Swarm::start(contender, &dht, "timeline".into(), args.nodes, true)?;
            swarm.go()?;
            swarm.wait(LIMIT, |swarm| swarm.firsts().len() == args.nodes);
            found[at].extend(swarm.steps().map(<[Step]>::to_vec));
            if contender == Contender::Kukuri {
                swarm.join_late(LIMIT)?;
                found[2].extend(swarm.steps().last().map(<[Step]>::to_vec));
            }
        }
        alone.measure(args.dht_nodes)?;
    }

    let mut report = Report::new(
        format!(
            "Where the time of a join goes: {} nodes, {} runs",
            args.nodes, args.repetitions
        ),
        &conditions,
    );
    for stretch in &STRETCHES {
        let of = |pick: fn((f64, f64)) -> f64| {
            let each = |runs: &Vec<Vec<Step>>| {
                let found = runs.iter().filter_map(|steps| stretch.find(steps));
                Some(found.map(pick).collect::<Samples>()).filter(|samples| samples.len() > 0)
            };
            found.iter().map(each).collect::<Vec<_>>()
        };
        report.row(
            format!("{}: from", stretch.title),
            "ms",
            None,
            Show::Spread,
            of(|(from, _)| from),
        );
        report.row(
            format!("{}: to", stretch.title),
            "ms",
            None,
            Show::Spread,
            of(|(_, to)| to),
        );
    }
    report.note("Times since the begin of the join, median (smallest - largest). A node that the other side has found first has no second look-up or dial of its own in its row.");
    report.print();
    alone.report().print();
    if let Some(dir) = &args.plots {
        for (condition, runs) in conditions.iter().zip(&found) {
            draw(dir, condition, runs)?;
        }
    }
    args.output
        .json
        .as_deref()
        .map_or(Ok(()), |path| report.write_json(path))
}

/// The same operations by mainline alone: the floor.
#[derive(Default)]
struct Mainline {
    command: Samples,
    start: Samples,
    empty: Samples,
    announce: Samples,
    first: Samples,
}

impl Mainline {
    fn measure(&mut self, dht_nodes: usize) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = LocalDht::start(dht_nodes, &[])?;
        let ms = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
        let node = || {
            let mut builder = Dht::builder();
            builder
                .server_mode()
                .bootstrap(&local.nodes)
                .bind_address([127, 0, 0, 1].into());
            builder.port(0).build().map(Dht::as_async)
        };
        runtime.block_on(async {
            let target = Id::random();
            let at = Instant::now();
            let dht = node()?;
            self.start.0.push(ms(at));
            let at = Instant::now();
            let mut found = dht.get_peers(target);
            while found.next().await.is_some() {}
            self.empty.0.push(ms(at));
            let at = Instant::now();
            dht.announce_peer(target, Some(9)).await?;
            self.announce.0.push(ms(at));
            let other = node()?;
            let at = Instant::now();
            other.get_peers(target).next().await.context("no entry")?;
            self.first.0.push(ms(at));
            for _ in 0..10 {
                // Whatever time of the loop's turn it is.
                tokio::time::sleep(Duration::from_millis(67)).await;
                let at = Instant::now();
                dht.info().await;
                self.command.0.push(ms(at));
            }
            Ok(())
        })
    }

    fn report(self) -> Report {
        let mut report = Report::new(
            "What mainline takes alone, all nodes serving",
            &["mainline"],
        );
        let mut row = |what: &str, samples| {
            report.row(what, "ms", None, Show::Percentiles, vec![Some(samples)]);
        };
        row("start of a DHT node", self.start);
        row("look-up that finds nothing, fresh node", self.empty);
        row("announcement right after it", self.announce);
        row("first entry of a look-up, fresh node", self.first);
        row("a command without any network", self.command);
        report.note("The last row is how long its loop leaves a command waiting: up to 50 ms, the time-out of its socket.");
        report
    }
}

fn draw(dir: &Path, condition: &str, runs: &[Vec<Step>]) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    let file = dir.join(format!("timeline-{}.svg", condition.replace(", ", "-")));
    let bars: Vec<_> = STRETCHES
        .iter()
        .filter_map(|stretch| {
            let found: Vec<_> = runs
                .iter()
                .filter_map(|steps| stretch.find(steps))
                .collect();
            let from: Samples = found.iter().map(|(from, _)| *from).collect();
            let to: Samples = found.iter().map(|(_, to)| *to).collect();
            Some((stretch.title, from.median()?, to.median()?))
        })
        .collect();
    let end = bars.iter().map(|(.., to)| *to).fold(1.0, f64::max) * 1.1;
    let root = SVGBackend::new(&file, SIZE).into_drawing_area();
    let drawn = (|| {
        root.fill(&WHITE)?;
        let rows = 0.0..bars.len() as f64;
        let mut chart = ChartBuilder::on(&root)
            .caption(format!("A join, {condition}: medians"), ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .build_cartesian_2d(0.0..end, rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc("ms since the join")
            .draw()?;
        for (row, (title, from, to)) in bars.iter().rev().enumerate() {
            let row = row as f64;
            let color = RGBColor(31, 119, 180);
            chart.draw_series([Rectangle::new(
                [(*from, row + 0.1), (*to, row + 0.45)],
                color.filled(),
            )])?;
            let label = format!("{title}: {from:.0} - {to:.0}");
            let at = from.min(end * 0.6);
            chart.draw_series([Text::new(label, (at, row + 0.9), ("sans-serif", 13))])?;
        }
        root.present()
    })();
    drawn.map_err(|error| anyhow!("can't draw {}: {error}", file.display()))
}
