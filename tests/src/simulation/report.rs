//! The figures of a scenario, beside its bounds.

use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::measure::{Minute, Tally, Wait, percentile};
use super::scenario::{Bounds, Scenario};

/// All figures of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The scenario.
    pub scenario: String,
    /// Seed of the first run.
    pub seed: u64,
    /// So many runs.
    pub runs: u64,
    /// One after the other.
    pub figures: Vec<Figure>,
    /// Counts of each minute of the first run; not in the table.
    pub minutes: Vec<Minute>,
}

/// A figure, and which bound it must keep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// `None` where there was nothing to measure.
    pub value: Option<f64>,
    /// What it must keep, if anything.
    pub bound: Option<Bound>,
    /// Whether it does.
    pub kept: bool,
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It is not more than this.
    Most(f64),
    /// It is not less than this.
    Least(f64),
}

impl Figure {
    fn new(name: &'static str, value: Option<f64>, bound: Option<Bound>) -> Self {
        // What could not be measured keeps no bound: nothing healed, nobody came.
        let kept = bound.is_none_or(|bound| {
            value.is_some_and(|value| match bound {
                Bound::Most(most) => value <= most,
                Bound::Least(least) => value >= least,
            })
        });
        Self {
            name,
            value,
            bound,
            kept,
        }
    }
}

impl Report {
    /// The figures of all runs together.
    pub fn new(scenario: &Scenario, seed: u64, runs: &[Tally]) -> Self {
        let mut list = List {
            figures: Vec::new(),
            bounds: &scenario.bounds,
        };
        list.waits(runs);
        list.swarm(runs);
        list.steady(scenario, runs);
        Self {
            scenario: scenario.name.clone(),
            seed,
            runs: runs.len() as u64,
            figures: list.figures,
            minutes: runs.first().map_or(Vec::new(), |run| run.minutes.clone()),
        }
    }

    /// Whether all bounds are kept.
    pub fn kept(&self) -> bool {
        self.figures.iter().all(|figure| figure.kept)
    }

    /// The figures as a table.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header([self.scenario.as_str(), "figure", "bound", ""]);
        for figure in &self.figures {
            // Not every scenario has every figure.
            if figure.value.is_none() && figure.bound.is_none() {
                continue;
            }
            let value = figure.value.map_or("never".to_owned(), number);
            let bound = match figure.bound {
                Some(Bound::Most(most)) => format!("<= {}", number(most)),
                Some(Bound::Least(least)) => format!(">= {}", number(least)),
                None => String::new(),
            };
            let verdict = match (figure.bound, figure.kept) {
                (None, _) => "",
                (_, true) => "ok",
                (_, false) => "BROKEN",
            };
            table.add_row([figure.name, &value, &bound, verdict]);
        }
        for column in 1..3 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let (seed, runs) = (self.seed, self.runs);
        let seeds = match runs {
            1 => format!("seed {seed}"),
            _ => format!("seeds {seed} to {}", seed + runs - 1),
        };
        format!("{table}\n{seeds}\n")
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn most(bound: Option<f64>) -> Option<Bound> {
    bound.map(Bound::Most)
}

fn least(bound: Option<f64>) -> Option<Bound> {
    bound.map(Bound::Least)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Figures as they come.
struct List<'a> {
    figures: Vec<Figure>,
    bounds: &'a Bounds,
}

impl List<'_> {
    fn add(&mut self, name: &'static str, value: Option<f64>, bound: Option<Bound>) {
        self.figures.push(Figure::new(name, value, bound));
    }

    /// How long nodes waited for their first neighbor.
    fn waits(&mut self, runs: &[Tally]) {
        let bounds = self.bounds;
        let first: Vec<_> = runs.iter().flat_map(|run| run.first.clone()).collect();
        let late: Vec<_> = runs.iter().flat_map(|run| run.late.clone()).collect();
        let mut times = all_ms(&first);
        let [p50, p95, p100] = [0.5, 0.95, 1.0].map(|share| percentile(&mut times, share));
        self.add("first neighbor p50, ms", p50, most(bounds.first_p50_ms));
        self.add("first neighbor p95, ms", p95, most(bounds.first_p95_ms));
        self.add("first neighbor max, ms", p100, None);
        let mut times = all_ms(&late);
        let [p50, p95, p100] = [0.5, 0.95, 1.0].map(|share| percentile(&mut times, share));
        self.add("late joiner p50, ms", p50, most(bounds.late_p50_ms));
        self.add("late joiner p95, ms", p95, most(bounds.late_p95_ms));
        self.add("late joiner max, ms", p100, None);
        let all = [first, late].concat();
        let within = |s| share_within(&all, Duration::from_secs(s));
        self.add("share within 5 s", within(5), least(bounds.within_5s));
        self.add("share within 10 s", within(10), least(bounds.within_10s));
        let vain = all.iter().filter(|wait| matches!(wait, Wait::Vain(_)));
        self.add("nodes without any", Some(vain.count() as f64), None);
    }

    /// Whether the swarm is in one piece.
    fn swarm(&mut self, runs: &[Tally]) {
        let bounds = self.bounds;
        let wholes: Option<Vec<_>> = runs.iter().map(|run| run.whole).collect();
        let whole = wholes.and_then(|all| all.into_iter().max());
        let whole = whole.map(|time| time.as_secs_f64());
        let name = "one swarm after the last join, s";
        self.add(name, whole, most(bounds.whole_within_s));
        let parts = runs.iter().map(|run| run.parts_at_end).max();
        let parts = parts.map(|parts| parts as f64);
        self.add("parts at the end", parts, most(bounds.parts_at_end));
        let healed: Vec<_> = runs.iter().flat_map(|run| run.healed.clone()).collect();
        // What has not healed takes longer than all that has.
        let time = |healed: Option<Duration>| healed.map_or(f64::INFINITY, |t| t.as_secs_f64());
        let mut times: Vec<_> = healed.into_iter().map(time).collect();
        let [p50, p95, p100] = [0.5, 0.95, 1.0].map(|share| {
            let time = percentile(&mut times, share);
            time.filter(|time| time.is_finite())
        });
        self.add("healed p50, s", p50, most(bounds.heal_p50_s));
        self.add("healed p95, s", p95, most(bounds.heal_p95_s));
        self.add("healed max, s", p100, None);
        let not = times.iter().filter(|time| time.is_infinite()).count();
        let not = (!times.is_empty()).then_some(not as f64);
        self.add("not healed", not, None);
        let mut estimates = runs.iter().map(|run| run.estimates[1] as f64);
        self.add("members by estimate, median", estimates.next(), None);
    }

    /// What happens per minute.
    fn steady(&mut self, scenario: &Scenario, runs: &[Tally]) {
        let bounds = self.bounds;
        let from = scenario.steady_from.ceil() as usize;
        let to = scenario.minutes.floor() as usize;
        let steady: Vec<Minute> = each_minute(runs, from, to);
        let start: Vec<Minute> = each_minute(runs, 0, from);
        let count = steady.len().max(1) as f64;
        let sum = |of: fn(&Minute) -> u64| Some(steady.iter().map(of).sum::<u64>() as f64 / count);
        let node_minutes: u64 = steady.iter().map(|minute| minute.nodes).sum();
        let per_node = |of: fn(&Minute) -> u64| {
            let sum = steady.iter().map(of).sum::<u64>() as f64;
            (node_minutes > 0).then(|| sum / node_minutes as f64)
        };
        let peak = |of: &[Minute]| of.iter().map(|minute| minute.writes).max();
        let burst = peak(&start).map(|writes| writes as f64);
        self.add(
            "writes in a minute of the start",
            burst,
            most(bounds.burst_writes),
        );
        let writes = sum(|m| m.writes);
        self.add(
            "DHT writes a minute",
            writes,
            most(bounds.writes_per_minute),
        );
        let highest = peak(&steady).map(|writes| writes as f64);
        let name = "DHT writes in a minute, most";
        self.add(name, highest, most(bounds.writes_in_a_minute));
        self.add("tries of writes a minute", sum(|m| m.tries), None);
        self.add(
            "skipped for the budget a minute",
            sum(|m| m.skipped_budget),
            None,
        );
        self.add(
            "skipped in a crowd a minute",
            sum(|m| m.skipped_crowd),
            None,
        );
        let (begin, end) = (scenario.steady(), scenario.end());
        let epochs = runs
            .iter()
            .flat_map(|run| run.announcers_between(begin, end));
        let epochs: Vec<_> = epochs.collect();
        let mean = epochs.iter().sum::<usize>() as f64 / epochs.len() as f64;
        let mean = (!epochs.is_empty()).then_some(mean);
        let name = "announced in an epoch, mean";
        self.add(name, mean, least(bounds.announcers_per_epoch));
        let fewest = epochs.iter().min().map(|count| *count as f64);
        self.add("announced in an epoch, least", fewest, None);
        let lookups = per_node(|m| m.lookups);
        let name = "look-ups per node and minute";
        self.add(name, lookups, most(bounds.lookups_per_node_minute));
        let reads = per_node(|m| m.page_reads);
        let name = "pages read per node and minute";
        self.add(name, reads, most(bounds.page_reads_per_node_minute));
        let hellos = per_node(|m| m.hellos);
        let name = "hello packets per node and minute";
        self.add(name, hellos, most(bounds.hellos_per_node_minute));
        self.add(
            "not used per node and minute",
            per_node(|m| m.dropped),
            None,
        );
        self.add(
            "gossip messages per node and minute",
            per_node(|m| m.gossip),
            None,
        );
        let beacons = sum(|m| m.beacons);
        self.add("beacons a minute", beacons, most(bounds.beacons_per_minute));
        let heal = steady.iter().map(|minute| minute.heal_dials).sum::<u64>();
        self.add("dials to heal", Some(heal as f64), most(bounds.heal_dials));
        let ups = per_node(|m| m.ups);
        let name = "new neighbors per node and minute";
        self.add(name, ups, most(bounds.churn_per_node_minute));
    }
}

fn each_minute(runs: &[Tally], from: usize, to: usize) -> Vec<Minute> {
    let minutes = |run: &Tally| {
        let minutes = from..to;
        minutes
            .map(|at| run.minutes.get(at).copied().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    runs.iter().flat_map(minutes).collect()
}

fn all_ms(waits: &[Wait]) -> Vec<f64> {
    let over = waits.iter().filter_map(|wait| match wait {
        Wait::Over(time) => Some(ms(*time)),
        Wait::Vain(_) => None,
    });
    over.collect()
}

/// The share of nodes that had a neighbor within this time, of those that were there for so long or
/// had one before.
fn share_within(waits: &[Wait], limit: Duration) -> Option<f64> {
    let (mut yes, mut no) = (0u64, 0u64);
    for wait in waits {
        match wait {
            Wait::Over(time) if *time <= limit => yes += 1,
            Wait::Vain(time) if *time < limit => {}
            Wait::Over(_) | Wait::Vain(_) => no += 1,
        }
    }
    (yes + no > 0).then(|| yes as f64 / (yes + no) as f64)
}
