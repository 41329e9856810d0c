//! A scenario as data: who joins when, what the network and the DHT are like, what happens, and
//! which bounds must hold.

use std::time::Duration;

use serde::Deserialize;

use super::store::Rules;

/// A scenario, as it stands in a TOML file of `tests/scenarios/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name, as that of its file.
    pub name: String,
    /// Seed of the first run.
    #[serde(default = "one")]
    pub seed: u64,
    /// So many runs, each with the next seed; their figures are taken together.
    #[serde(default = "one")]
    pub runs: u64,
    /// So many runs are part of the test suite; of a scenario that is too large for that, none.
    #[serde(default)]
    pub ci: u64,
    /// Simulated time of one run.
    pub minutes: f64,
    /// From this minute on the swarm is in its steady state: counts per minute are of the time
    /// after it.
    #[serde(default)]
    pub steady_from: f64,
    /// The nodes.
    pub nodes: Nodes,
    /// The network between them.
    #[serde(default)]
    pub network: NetworkModel,
    /// The DHT.
    #[serde(default)]
    pub dht: DhtModel,
    /// Nodes that come and go.
    pub churn: Option<Churn>,
    /// What else happens.
    #[serde(default)]
    pub events: Vec<Planned>,
    /// What must hold.
    #[serde(default)]
    pub bounds: Bounds,
}

/// The nodes of a scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// So many from the start.
    pub count: u32,
    /// They join at random moments of so many seconds. 0: all at once.
    #[serde(default)]
    pub over_s: f64,
    /// Each clock is wrong by at most so many seconds, either way.
    #[serde(default)]
    pub clock_off_s: f64,
    /// Share of nodes that nobody reaches unasked (a router in front).
    #[serde(default)]
    pub unreachable: f64,
}

/// The network between the nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkModel {
    /// Shortest and longest way between two nodes, in milliseconds.
    pub latency_ms: [f64; 2],
    /// Share of datagrams that are lost, each way.
    pub loss: f64,
    /// The network is split into so many parts from the start.
    pub split: Option<u32>,
    /// Whether a split of the network splits the DHT as well.
    pub split_dht: bool,
}

impl Default for NetworkModel {
    fn default() -> Self {
        Self {
            latency_ms: [5.0, 75.0],
            loss: 0.0,
            split: None,
            split_dht: true,
        }
    }
}

/// The DHT.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DhtModel {
    /// DHT nodes.
    pub nodes: usize,
    /// By which rules they store; several take turns.
    pub rules: Vec<Rules>,
    /// Share of DHT nodes that answer nothing.
    pub silent: f64,
    /// Share that says "ok", stores nothing and gives nothing.
    pub liars: f64,
    /// Share that gives false entries, a hundred each time, and stores nothing.
    pub poisoners: f64,
    /// Share of packets that are lost between nodes and the DHT, each way.
    pub loss: f64,
    /// Shortest and longest way to a DHT node, in milliseconds.
    pub latency_ms: [f64; 2],
    /// Round trips until the DHT nodes that store an infohash are known, where they are not known
    /// already.
    pub hops: u32,
}

impl Default for DhtModel {
    fn default() -> Self {
        Self {
            nodes: 200,
            rules: vec![Rules::Lenient, Rules::Strict],
            silent: 0.1,
            liars: 0.0,
            poisoners: 0.0,
            loss: 0.0,
            latency_ms: [10.0, 70.0],
            hops: 1,
        }
    }
}

/// Nodes that come and go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// Every so many seconds one node goes and a new one comes.
    pub every_s: f64,
    /// From this minute on.
    #[serde(default)]
    pub from: f64,
    /// Until this minute.
    pub until: f64,
    /// Share of those that say goodbye; the others are gone without a word.
    #[serde(default)]
    pub graceful: f64,
}

/// Something that happens at its time.
#[derive(Debug, Clone, Deserialize)]
pub struct Planned {
    /// When, in minutes.
    pub at: f64,
    /// At a random moment of so many seconds after that: whatever repeats itself by a clock is met
    /// at another moment in each run.
    #[serde(default)]
    pub within_s: f64,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What may happen.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum Action {
    /// More nodes join.
    Join {
        /// So many.
        count: u32,
        /// At random moments of so many seconds.
        #[serde(default)]
        over_s: f64,
    },
    /// The network falls into parts.
    Split {
        /// So many, of equal size.
        parts: u32,
    },
    /// The network is whole again.
    Heal,
    /// Nodes are gone without a word.
    Kill {
        /// So many, at random.
        count: u32,
    },
    /// The root of the largest part of the swarm is gone without a word.
    KillRoot,
    /// Somebody announces false entries under the rendezvous of the current epoch, at all DHT
    /// nodes that store it.
    Flood {
        /// So many each time.
        entries: u32,
        /// From so many addresses, each in a /24 of its own.
        addresses: u32,
        /// Every so many seconds again, until the end.
        every_s: f64,
    },
}

/// What must hold; what is not named is not checked. Times of neighbors are from the join of a
/// node, over all runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Median time to the first neighbor, in milliseconds, of the nodes of the start.
    pub first_p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub first_p95_ms: Option<f64>,
    /// Least share of all nodes that have a neighbor within 5 s.
    pub within_5s: Option<f64>,
    /// Least share of all nodes that have a neighbor within 10 s.
    pub within_10s: Option<f64>,
    /// Median time to the first neighbor of nodes that join later, in milliseconds.
    pub late_p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub late_p95_ms: Option<f64>,
    /// Longest time from the last join of the start to one connected swarm, in seconds.
    pub whole_within_s: Option<f64>,
    /// Most parts of the swarm at the end.
    pub parts_at_end: Option<f64>,
    /// Median time from a whole network to one connected swarm, in seconds.
    pub heal_p50_s: Option<f64>,
    /// 95th percentile of the same.
    pub heal_p95_s: Option<f64>,
    /// Most DHT writes of all nodes per minute, on average over the steady state.
    pub writes_per_minute: Option<f64>,
    /// Most DHT writes in any minute of the steady state.
    pub writes_in_a_minute: Option<f64>,
    /// Most DHT writes in any minute before it.
    pub burst_writes: Option<f64>,
    /// Most look-ups per node and minute in the steady state.
    pub lookups_per_node_minute: Option<f64>,
    /// Most pages of the board that are read per node and minute in the steady state.
    pub page_reads_per_node_minute: Option<f64>,
    /// Most hello packets per node and minute in the steady state.
    pub hellos_per_node_minute: Option<f64>,
    /// Least distinct nodes that were announced in an epoch of the steady state.
    pub announcers_per_epoch: Option<f64>,
    /// Most dials to heal in the steady state.
    pub heal_dials: Option<f64>,
    /// Most neighbors that came, per node and minute of the steady state.
    pub churn_per_node_minute: Option<f64>,
    /// Most beacons that were broadcast per minute of the steady state.
    pub beacons_per_minute: Option<f64>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// The text is no TOML, or no scenario.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Simulated time of one run.
    pub fn end(&self) -> Duration {
        minutes(self.minutes)
    }

    /// When the steady state begins.
    pub fn steady(&self) -> Duration {
        minutes(self.steady_from)
    }
}

/// So many minutes.
pub fn minutes(minutes: f64) -> Duration {
    Duration::from_secs_f64(minutes * 60.0)
}

/// A range of milliseconds.
pub fn range(ms: [f64; 2]) -> (Duration, Duration) {
    let [from, to] = ms.map(|ms| Duration::from_secs_f64(ms / 1000.0));
    (from, to)
}

fn one() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read_and_a_typing_error_is_told() {
        let text = "name = 'x'\nminutes = 2\n[nodes]\ncount = 5\n[[events]]\nat = 1\ndo = 'split'\nparts = 2\n";
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(scenario.end(), Duration::from_secs(120));
        assert!(matches!(
            scenario.events[0].action,
            Action::Split { parts: 2 }
        ));
        for wrong in ["count = 5\ncuont = 6", "count = -1"] {
            let text = text.replace("count = 5", wrong);
            assert!(Scenario::parse(&text).is_err(), "{wrong}");
        }
        for wrong in ["prats = 2", "parts = 2\nprats = 3"] {
            let text = text.replace("parts = 2", wrong);
            assert!(Scenario::parse(&text).is_err(), "{wrong}");
        }
    }
}
