//! What is on the dashboards when nodes run, and what the alerts see.

use std::time::{Duration, Instant};

use kukuri_conformance::in_namespace;
use kukuri_tests::dashboards::{Target, all};
use kukuri_tests::network::{self, SPLITTABLE, Side};
use kukuri_tests::prometheus::{Prometheus, has};
use kukuri_tests::swarm::Swarm;
use kukuri_tests::{DEADLINE, Dht, Process};
use serde_json::Value;
use tempfile::TempDir;

use crate::alerts::FACTOR;
use crate::promql::selectors;

/// What Grafana puts for `$__rate_interval` where a panel shows some hours: longer than this test.
const RATE_INTERVAL: &str = "5m";
/// A node announces its topics, and looks there, every 20 s instead of every 5 min.
const OFTEN: [(&str, &str); 2] = [
    ("KUKURI_DISCOVERY__REANNOUNCE_S", "20"),
    ("KUKURI_DISCOVERY__REANNOUNCE_PER_MEMBER_S", "1"),
];
/// Nodes besides the first.
const OTHERS: usize = 5;
/// The panel that a healthy swarm has nothing for; `a_split_is_seen` looks at it.
const EMPTY: (&str, &str) = ("gossip", "Time to heal");

/// A query of a panel.
struct Query {
    dashboard: String,
    panel: String,
    target: Target,
}

impl Query {
    fn has_data(&self, prometheus: &Prometheus) -> bool {
        !prometheus
            .query(&self.target.filled(RATE_INTERVAL))
            .is_empty()
    }

    fn is_rightly_empty(&self) -> bool {
        EMPTY == (&self.dashboard[..], &self.panel[..])
    }
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (dashboard, content) in all() {
        for panel in content.panels {
            queries.extend(panel.targets.into_iter().map(|target| Query {
                dashboard: dashboard.clone(),
                panel: panel.title.clone(),
                target,
            }));
        }
    }
    queries
}

/// Starts nodes that Prometheus scrapes.
struct Starter<'a> {
    dht: &'a Dht,
    dir: TempDir,
    count: usize,
}

impl Starter<'_> {
    fn start(
        &mut self,
        prometheus: &Prometheus,
        flags: &[&str],
        settings: &[(&str, &str)],
    ) -> (Process, Value) {
        let data = self.dir.path().join(self.count.to_string());
        self.count += 1;
        let flags = [&["--metrics", "127.0.0.1:0"], flags].concat();
        let settings = [&OFTEN, settings].concat();
        let mut node = self.dht.join_with("tea", &data, &flags, &settings);
        let started = node.next("started");
        prometheus.add(started["metrics"].as_str().unwrap());
        (node, started)
    }
}

#[test]
fn each_panel_shows_data_and_no_alert_fires() {
    if !has("prometheus") {
        return;
    }
    let dht = Dht::start(10);
    let prometheus = Prometheus::start();
    let mut starter = Starter {
        dht: &dht,
        dir: TempDir::with_prefix("kukuri-test-").unwrap(),
        count: 0,
    };
    // A rate sees what comes after the first scrape: the first node reads the board as long as it is alone.
    let (first, started) = starter.start(&prometheus, &[], &[]);
    let mut nodes = vec![first];
    prometheus.wait_for("increase(kukuri_discovery_board_read_seconds_count[5m]) > 0");
    for n in 1..=OTHERS {
        nodes.push(starter.start(&prometheus, &[], &[]).0);
        nodes[0].say(&format!("welcome, {n}"));
    }
    // Where every hello port is open, only a node that has nothing else writes the board.
    let (id, bound) = (&started["endpoint_id"], &started["bound"][0]);
    let peer = format!("{}@{}", id.as_str().unwrap(), bound.as_str().unwrap());
    let flags = ["--peer", &peer];
    let board = [("KUKURI_DISCOVERY__SOURCES__RENDEZVOUS", "false")];
    nodes.push(starter.start(&prometheus, &flags, &board).0);
    nodes.iter_mut().for_each(|node| _ = node.next("joined"));
    prometheus.wait_for(&format!(
        "count(kukuri_gossip_neighbors > 0) == {}",
        nodes.len()
    ));

    let mut missing = queries();
    let count = missing.len();
    let rightly: Vec<_> = missing
        .extract_if(.., |query| query.is_rightly_empty())
        .collect();
    // Some panels wait for a second or third announcement of a node.
    let deadline = Instant::now() + 2 * DEADLINE;
    while !missing.is_empty() && Instant::now() < deadline {
        // People talk, and read.
        for node in &mut nodes {
            node.say("more");
            node.seen();
        }
        std::thread::sleep(Duration::from_millis(500));
        missing.retain(|query| !query.has_data(&prometheus));
    }
    let empty = missing.iter();
    let empty = empty.map(|q| format!("{}: {}: {}", q.dashboard, q.panel, q.target.expr));
    assert!(
        missing.is_empty(),
        "empty:\n{}",
        empty.collect::<Vec<_>>().join("\n")
    );
    println!("{count} queries, {} of them rightly empty", rightly.len());
    assert!(!rightly.is_empty());

    // What the rules and those queries ask for is there, whatever they make of it.
    let rules = prometheus.rules();
    let of_rules = rules
        .iter()
        .map(|rule| rule["query"].as_str().unwrap().to_owned());
    let of_panels = rightly
        .iter()
        .map(|query| query.target.filled(RATE_INTERVAL));
    for query in of_rules.chain(of_panels) {
        for selector in selectors(&query) {
            let found = prometheus.query(&selector.alone());
            assert!(
                !found.is_empty(),
                "{}: nothing, in {query}",
                selector.alone()
            );
        }
    }
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}");
    assert!(firing.is_empty(), "{firing:?}");
}

/// A split, deaths and the loss of the DHT bring their alerts, and healing shows on its panel.
#[test]
fn a_split_is_seen() {
    let test = "live::a_split_is_seen";
    if !has("prometheus") || !in_namespace(test, SPLITTABLE) {
        return;
    }
    let dht = Dht::start(10);
    let mut swarm = Swarm::start(&dht, [(Side::A, 3), (Side::B, 3)], &[]);
    let prometheus = Prometheus::start_faster(FACTOR);
    swarm
        .members()
        .iter()
        .for_each(|m| prometheus.add(m.metrics()));
    swarm.wait("one swarm", Swarm::is_whole);
    swarm.wait("all name one root", |swarm| swarm.root().is_some());
    prometheus.wait_for("job:kukuri_swarm_parts:count == 1");
    let healed = queries()
        .into_iter()
        .filter(|query| query.panel == "Time to heal");
    let healed: Vec<_> = healed
        .map(|query| query.target.filled(RATE_INTERVAL))
        .collect();
    assert!(
        healed
            .iter()
            .all(|query| prometheus.query(query).is_empty())
    );

    network::split();
    swarm.wait("both sides have noticed the split", Swarm::is_in_two);
    prometheus.wait_for("job:kukuri_swarm_parts:count == 2");
    let alerts =
        |wanted: &[&str], may: &[&str]| prometheus.wait_for_alerts("kukuri", wanted, may, || ());
    alerts(&["KukuriSplitNotHealed"], &[]);
    network::join();
    swarm.wait("healed", Swarm::is_whole);
    healed
        .iter()
        .for_each(|query| _ = prometheus.wait_for(query));
    prometheus.wait_for("job:kukuri_swarm_parts:count == 1");

    alerts(&[], &["KukuriSplitNotHealed"]);

    // All but one are killed, and that one is alone, without a DHT to look in.
    network::take_dht_away();
    let ids: Vec<_> = swarm.members().iter().map(|m| m.id.clone()).collect();
    ids[1..].iter().for_each(|id| swarm.kill(id));
    let all = [
        "KukuriTargetDown",
        "KukuriNoNeighbors",
        "KukuriDhtUnreachable",
    ];
    alerts(&all, &all);
}
