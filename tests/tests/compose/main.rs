//! The shipped image and compose file, and what operators do to them. They need Docker, take minutes, and
//! are run one after the other (tests/compose/README.md):
//! `cargo test --workspace --test compose -- --ignored --nocapture --test-threads 1 [NAME]`

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nat;
mod outage;
mod pod;
mod soak;
mod split;

use std::collections::BTreeSet;

use kukuri_tests::containers::{Swarm, are_possible, docker};
use kukuri_tests::http_get;
use serde_json::Value;

const FIVE: [&str; 5] = ["node-1", "node-2", "node-3", "node-4", "node-5"];
const TEN: [&str; 10] = [
    "node-1", "node-2", "node-3", "node-4", "node-5", "node-6", "node-7", "node-8", "node-9",
    "node-10",
];

/// What the nodes have acknowledged: none of it may be lost.
#[derive(Default)]
struct Acknowledged(BTreeSet<String>);

impl Acknowledged {
    /// A node posts a line that is like no other; whether it has acknowledged it.
    fn say(&mut self, swarm: &mut Swarm, name: &str) -> bool {
        let line = format!("{} of {name}", self.0.len());
        let said = swarm.say(name, &line);
        if said {
            self.0.insert(line);
        }
        said
    }

    /// Waits until these nodes have all of it in their stores.
    fn wait(&self, swarm: &mut Swarm, names: &[&str]) {
        let what = format!("{} posts are in {} stores", self.0.len(), names.len());
        let mut left: BTreeSet<&str> = names.iter().copied().collect();
        swarm.wait(&what, |swarm| {
            left.retain(|name| !self.0.is_subset(&swarm.node(name).stored()));
            left.is_empty()
        });
    }
}

/// What `compose up` gives, but for Grafana: all healthy, scraped, and nothing to be alarmed about.
#[test]
#[ignore = "needs Docker"]
fn the_shipped_file_runs_a_swarm_that_prometheus_watches() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("shipped", &[]);
    swarm.up(&[&["prometheus"], &FIVE[..]].concat());
    swarm.wait("one swarm", Swarm::is_one);
    swarm.wait("Docker finds all healthy", |swarm| {
        FIVE.iter()
            .all(|name| swarm.node(name).health() == "healthy")
    });
    let user = docker(&[
        "inspect",
        "--format",
        "{{.Config.User}}",
        swarm.node("node-1").container(),
    ]);
    assert_eq!(user, "65532:65532");
    let prometheus = swarm.compose(&["port", "prometheus", "9090"]);
    let value = |query: &str| {
        let answer = http_get(&prometheus, &format!("/api/v1/query?query={query}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.and_then(|text| text.parse::<f64>().ok())
    };
    swarm.wait("Prometheus sees five nodes", |_| {
        value("sum(up)") == Some(5.0)
    });
    swarm.wait("and their neighbors", |_| {
        value("count(kukuri_gossip_neighbors%3E0)") == Some(5.0)
    });
    swarm.wait("and one swarm", |_| {
        value("job:kukuri_swarm_parts:count") == Some(1.0)
    });
    let rules: Value = serde_json::from_str(&http_get(&prometheus, "/api/v1/rules")).unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    let alerts = rules
        .iter()
        .filter(|rule| rule["type"] == "alerting")
        .count();
    println!("{} rules, {alerts} of them alerts", rules.len());
    assert!(alerts >= 12);
    assert_eq!(value("count(ALERTS{alertstate=\"firing\"})"), None);
}

#[test]
#[ignore = "needs Docker"]
fn one_joins_another_finds_it_and_both_are_heard() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("two", &[]);
    swarm.up(&["node-1"]);
    swarm.wait("node-1 knows that it is alone", |swarm| {
        swarm.node("node-1").verdict.as_deref() == Some("alone")
    });
    swarm.up(&["node-2"]);
    swarm.wait("they are neighbors", Swarm::is_one);
    let found = swarm.node("node-2").joined_ms;
    println!("node-2 found its first neighbor after {found:?} ms");
    for (from, to) in [("node-1", "node-2"), ("node-2", "node-1")] {
        let line = format!("hello from {from}");
        assert!(swarm.say(from, &line));
        swarm.wait(&format!("{to} has {line:?}"), |swarm| {
            swarm.node(to).got.contains(&line)
        });
    }
    let checks = swarm.node("node-1").kukuri(&["doctor", "--json"]);
    let checks: Vec<Value> = checks
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for check in checks.iter().filter(|check| check["event"] == "check") {
        println!(
            "doctor: {} {}: {}",
            check["result"], check["name"], check["message"]
        );
        assert_ne!(check["result"], "fail", "{check}");
    }
}

#[test]
#[ignore = "needs Docker"]
fn ten_nodes_get_every_post() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("ten", &["ten.yaml"]);
    swarm.up(&TEN);
    swarm.wait("one swarm", Swarm::is_one);
    let mut said = Acknowledged::default();
    for _ in 0..5 {
        for name in TEN {
            assert!(said.say(&mut swarm, name));
        }
    }
    swarm.wait("everyone has heard the 45 posts of the others", |swarm| {
        TEN.iter().all(|name| swarm.node(name).got.len() == 45)
    });
    said.wait(&mut swarm, &TEN);
}

#[test]
#[ignore = "needs Docker"]
fn one_is_killed_one_stopped_one_replaced_and_nothing_acknowledged_is_lost() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("losses", &[]);
    swarm.up(&FIVE);
    swarm.wait("one swarm", Swarm::is_one);
    let mut said = Acknowledged::default();
    let id = swarm.node("node-3").id.clone();

    // Killed right after the acknowledgement.
    assert!(said.say(&mut swarm, "node-1"));
    swarm.kill("node-1");
    assert!(said.say(&mut swarm, "node-2"));
    swarm.stop("node-2");
    // A new container on the same volume, as an upgrade makes it.
    assert!(said.say(&mut swarm, "node-3"));
    swarm.renew("node-3");
    assert_eq!(swarm.node("node-3").id, id, "the same node on its volume");

    let left = ["node-3", "node-4", "node-5"];
    let names = left.map(str::to_owned);
    swarm.wait("those that are left are one swarm", |swarm| {
        swarm.is_whole(&names)
    });
    for name in left {
        assert!(said.say(&mut swarm, name));
    }
    swarm.start("node-1");
    swarm.start("node-2");
    swarm.wait("all five are one swarm", Swarm::is_one);
    said.wait(&mut swarm, &FIVE);
}

#[test]
#[ignore = "needs Docker"]
fn all_are_restarted_one_after_the_other_while_people_talk() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("rolling", &[]);
    swarm.up(&FIVE);
    swarm.wait("one swarm", Swarm::is_one);
    let mut said = Acknowledged::default();
    for restarted in FIVE {
        swarm.stop(restarted);
        for name in FIVE.into_iter().filter(|name| *name != restarted) {
            assert!(said.say(&mut swarm, name));
        }
        swarm.start(restarted);
        swarm.wait("one swarm again", Swarm::is_one);
        assert!(said.say(&mut swarm, restarted));
    }
    said.wait(&mut swarm, &FIVE);
}
