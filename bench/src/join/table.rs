//! The table of the joins.

use super::{Contender, JoinArgs, Runs};
use crate::report::{Report, Show};
use crate::stats::Samples;

/// Times that a share is told for, in seconds.
const WITHIN: [f64; 4] = [1.0, 5.0, 10.0, 30.0];

/// Collects the rows.
pub struct Table {
    report: Report,
    serving: Vec<bool>,
}

impl Table {
    /// An empty one.
    pub fn new(args: &JoinArgs) -> Self {
        let titles: Vec<_> = args.contenders.iter().map(|who| who.title()).collect();
        let title = format!(
            "Joining a topic: {} runs of each, {} DHT nodes, one process per node",
            args.repetitions, args.dht_nodes
        );
        let serving = args.contenders.iter().map(|who| *who == Contender::Kukuri);
        Self {
            report: Report::new(title, &titles),
            serving: serving.collect(),
        }
    }

    /// The rows of one number of nodes.
    pub fn add(&mut self, nodes: usize, all: Vec<Runs>) {
        let each = |of: fn(&Runs) -> Samples| all.iter().map(|runs| Some(of(runs))).collect();
        let report = &mut self.report;
        let mut row = |what: &str, unit, goal, show, samples: Vec<Option<Samples>>| {
            report.row(format!("N = {nodes}: {what}"), unit, goal, show, samples);
        };
        let goal = match self.serving[..] {
            [true] => "200 / 500",
            _ => "700 / 1200 (serving: 200 / 500)",
        };
        let percentiles = Show::Percentiles;
        row(
            "first neighbor, together",
            "ms",
            Some(goal),
            percentiles,
            each(|r| r.together.clone()),
        );
        row(
            "the same with the node's start",
            "ms",
            None,
            percentiles,
            each(|r| r.with_start.clone()),
        );
        row(
            "first neighbor, late",
            "ms",
            Some("100 / 300"),
            percentiles,
            each(|r| r.late.clone()),
        );
        for limit in WITHIN {
            let share = |runs: &Runs| {
                let share = runs
                    .together
                    .share_within(limit * 1e3, runs.together_expected);
                Some(Samples(vec![share]))
            };
            let goal = (limit == 5.0).then_some("100");
            let what = format!("joined within {limit} s");
            row(
                &what,
                "%",
                goal,
                percentiles,
                all.iter().map(share).collect(),
            );
        }
        row(
            "one swarm after",
            "s",
            Some("2"),
            percentiles,
            each(|r| r.whole.clone()),
        );
        let whole = |r: &Runs| Samples(vec![r.whole.share_within(f64::MAX, r.whole_expected)]);
        row(
            "runs with one swarm within 60 s",
            "%",
            Some("100"),
            percentiles,
            each(whole),
        );
        row(
            "nodes reached by a broadcast then",
            "%",
            Some("100"),
            Show::Spread,
            each(|r| r.reached.clone()),
        );
        row(
            "CPU per node until then",
            "ms",
            None,
            Show::Spread,
            each(|r| r.cpu.clone()),
        );
        row(
            "memory per node",
            "MiB",
            Some("40"),
            Show::Spread,
            each(|r| r.memory.clone()),
        );
        if all.iter().all(|runs| runs.steady.is_none()) {
            return;
        }
        row(
            "steady: CPU per node",
            "% of a core",
            Some("0.5"),
            percentiles,
            all.iter().map(cpu).collect(),
        );
        for (what, unit, goal, of) in STEADY {
            row(what, unit, *goal, percentiles, all.iter().map(of).collect());
        }
    }

    /// Prints it, and writes what is asked for.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn finish(mut self, args: &JoinArgs) -> anyhow::Result<()> {
        self.report.note(
            "Cells: p50 / p95 / max, or median (smallest - largest). The clock runs from where the \
             endpoint is bound and the DHT node begins to start; the row with the node's start (keys, \
             database, endpoint) has nothing to compare with: the rival's application starts its own.",
        );
        self.report.print();
        args.output
            .json
            .as_deref()
            .map_or(Ok(()), |path| self.report.write_json(path))
    }
}

type SteadyRow = (
    &'static str,
    &'static str,
    Option<&'static str>,
    fn(&Runs) -> Option<Samples>,
);

/// Loads of the steady state, per node and minute.
const STEADY: &[SteadyRow] = &[
    (
        "steady: DHT look-ups per node and minute",
        "1",
        Some("0.8"),
        |r| operations(r, &["get", "get_peers"]),
    ),
    (
        "steady: DHT writes per node and minute",
        "1",
        Some("0.3"),
        |r| operations(r, &["put", "announce_peer"]),
    ),
    (
        "steady: other DHT queries per node and minute",
        "1",
        None,
        |r| operations(r, &["find_node", "ping"]),
    ),
    (
        "steady: DHT packets per node and minute",
        "1",
        Some("50"),
        |r| dht(r).map(|(minutes, counts)| Samples(vec![counts.packets as f64 / minutes])),
    ),
    (
        "steady: DHT bytes per node and minute",
        "kB",
        Some("10"),
        |r| dht(r).map(|(minutes, counts)| Samples(vec![counts.bytes as f64 / minutes / 1e3])),
    ),
];

fn cpu(runs: &Runs) -> Option<Samples> {
    runs.steady.as_ref().map(|steady| Samples(vec![steady.cpu]))
}

fn dht(runs: &Runs) -> Option<(f64, &crate::sniff::Counts)> {
    let steady = runs.steady.as_ref()?;
    Some((steady.node_minutes, steady.dht.as_ref()?))
}

fn operations(runs: &Runs, kinds: &[&str]) -> Option<Samples> {
    let (minutes, counts) = dht(runs)?;
    let all = kinds.iter().filter_map(|kind| counts.operations.get(kind));
    Some(Samples(vec![all.sum::<u64>() as f64 / minutes]))
}
