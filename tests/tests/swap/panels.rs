//! What is on the dashboards, whichever the implementations.

use std::time::{Duration, Instant};

use kukuri::{EndpointAddr, JoinOptions, Node, Topic, TopicName};
use kukuri_conformance::in_namespace;
use kukuri_tests::DEADLINE;
use kukuri_tests::dashboards::all;
use kukuri_tests::network::LAN;
use kukuri_tests::prometheus::{Prometheus, has};
use kukuri_tests::variants::{ALL, Variant, Ways, World};

/// What Grafana puts for `$__rate_interval` where a panel shows some hours: longer than this test.
const RATE_INTERVAL: &str = "5m";
/// Nodes of a swarm.
const NODES: usize = 3;
/// The panel that a healthy swarm has nothing for; `a_split_is_seen` looks at it.
const EMPTY: &str = "Time to heal";
/// A node announces its topics so often, in seconds, instead of every 5 min.
const REANNOUNCE_S: u64 = 20;
/// The base's first node has read the board.
const ALONE: &str = "increase(kukuri_discovery_board_read_seconds_count{job=\"base\"}[5m]) > 0";

/// A query of a panel, for the nodes of one variant.
struct Query {
    variant: &'static Variant,
    panel: String,
    text: String,
}

impl Query {
    fn has_data(&self, prometheus: &Prometheus) -> bool {
        !prometheus.query(&self.text).is_empty()
    }

    fn is_excused(&self) -> bool {
        let mut excuses = self.variant.without.iter();
        excuses.any(|(series, _)| self.text.contains(series))
    }
}

fn queries(variant: &'static Variant) -> Vec<Query> {
    let panels = all().into_iter().flat_map(|(dashboard, content)| {
        let panels = content.panels.into_iter();
        panels.map(move |panel| (dashboard.clone(), panel))
    });
    let of_panel = panels.filter(|(_, panel)| panel.title != EMPTY);
    of_panel
        .flat_map(|(dashboard, panel)| {
            let panel_name = format!("{dashboard}: {}", panel.title);
            panel.targets.into_iter().map(move |target| Query {
                variant,
                panel: panel_name.clone(),
                text: target
                    .filled(RATE_INTERVAL)
                    .replace("job=~\".+\"", &format!("job=\"{}\"", variant.name)),
            })
        })
        .collect()
}

/// The nodes of a variant, and the topics of those that have joined theirs.
struct Swarm {
    variant: &'static Variant,
    name: TopicName,
    nodes: Vec<Node>,
    topics: Vec<Topic>,
}

impl Swarm {
    /// Starts the nodes. One more where there is a board: where every hello port is open, only a node that
    /// has nothing else writes it.
    async fn start(world: &World, variant: &'static Variant, prometheus: &Prometheus) -> Self {
        let mut nodes = Vec::<Node>::new();
        let on_the_board = usize::from(variant.ways == Ways::Dht);
        for number in 0..NODES + on_the_board {
            let mut place = world.place(variant, &format!("{}-{number}", variant.name));
            place.peers = addresses(&nodes);
            let mut setup = world.setup(variant, &place);
            let mainline = &mut setup.config.discovery.mainline;
            (mainline.reannounce_s, mainline.reannounce_per_member_s) = (REANNOUNCE_S, 1);
            mainline.sources.rendezvous = number < NODES;
            let node = world.node(&place, setup).await;
            let served = world.scraped_at(variant, &place, node.info().http.unwrap());
            prometheus.add_to(variant.name, &served.to_string());
            nodes.push(node);
        }
        Self {
            variant,
            name: world.topic(variant.name),
            nodes,
            topics: Vec::new(),
        }
    }

    /// The next node joins the topic.
    async fn join(&mut self) {
        let number = self.topics.len();
        let named = self.variant.ways == Ways::Dht && number == NODES;
        let options = JoinOptions {
            peers: match named {
                true => addresses(&self.nodes[..NODES]),
                false => Vec::new(),
            },
            ..JoinOptions::default()
        };
        let topic = self.nodes[number].join(self.name.clone(), options).await;
        self.topics.push(topic.unwrap());
        self.say("welcome").await;
    }

    async fn say(&self, what: &str) {
        for topic in &self.topics {
            topic.post(what.to_owned()).await.unwrap();
        }
    }
}

fn addresses(nodes: &[Node]) -> Vec<EndpointAddr> {
    let nodes = nodes.iter();
    nodes.map(|node| node.info().advertised.clone()).collect()
}

/// Every variant has data for every query, but for what it says that it is without.
async fn shows(variants: Vec<&'static Variant>) {
    let prometheus = Prometheus::start();
    let world = World::start().await;
    let mut swarms = Vec::new();
    for variant in variants {
        swarms.push(Swarm::start(&world, variant, &prometheus).await);
    }
    // A rate sees what comes after the first scrape.
    let nodes: usize = swarms.iter().map(|swarm| swarm.nodes.len()).sum();
    prometheus.wait_for(&format!("count(up == 1) == {nodes}"));
    for swarm in &mut swarms {
        swarm.join().await;
    }
    // Who is alone reads the board.
    if swarms.iter().any(|swarm| swarm.variant.name == "base") {
        prometheus.wait_for(ALONE);
    }
    for swarm in &mut swarms {
        while swarm.topics.len() < swarm.nodes.len() {
            swarm.join().await;
        }
    }
    let (mut missing, mut excused) = (Vec::new(), Vec::new());
    for query in swarms.iter().flat_map(|swarm| queries(swarm.variant)) {
        match query.is_excused() {
            false => missing.push(query),
            true => excused.push(query),
        }
    }
    let count = missing.len();
    // Some panels wait for a second or third announcement of a node.
    let begin = Instant::now();
    while !missing.is_empty() && begin.elapsed() < 2 * DEADLINE {
        for swarm in &swarms {
            swarm.say("more").await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        missing.retain(|query| !query.has_data(&prometheus));
    }
    let empty = missing.iter();
    let empty =
        empty.map(|query| format!("{}: {}: {}", query.variant.name, query.panel, query.text));
    let empty: Vec<_> = empty.collect();
    assert!(empty.is_empty(), "empty:\n{}", empty.join("\n"));
    let took = begin.elapsed().as_secs_f64();
    println!(
        "{count} queries after {took:.1} s, and {} excused",
        excused.len()
    );
    // Of what is excused there is nothing, or the excuse is too wide.
    excused.retain(|query| query.has_data(&prometheus));
    let there = excused.iter();
    let there = there.map(|query| format!("{}: {}", query.variant.name, query.text));
    let there: Vec<_> = there.collect();
    assert!(
        there.is_empty(),
        "excused, but there:\n{}",
        there.join("\n")
    );
    for node in swarms.iter().flat_map(|swarm| &swarm.nodes) {
        node.shutdown().await;
    }
}

fn run(variants: Vec<&'static Variant>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(shows(variants));
}

#[test]
fn the_dashboards_show_each_implementation() {
    if !has("prometheus") {
        return;
    }
    let is_lan = |variant: &&Variant| variant.ways == Ways::Lan;
    run(ALL.iter().filter(|variant| !is_lan(variant)).collect());
}

#[test]
fn the_dashboards_show_those_that_need_a_local_network() {
    let test = "panels::the_dashboards_show_those_that_need_a_local_network";
    if !has("prometheus") || !in_namespace(test, LAN) {
        return;
    }
    let is_lan = |variant: &&Variant| variant.ways == Ways::Lan;
    run(ALL.iter().filter(is_lan).collect());
}
