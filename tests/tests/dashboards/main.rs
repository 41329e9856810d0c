//! What operators look at, `grafana/`: held to the rules of Grafana's strict linter and to the series that
//! there are, read by Prometheus's own tool, and filled with data from real nodes by a real Prometheus.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod alerts;
mod lint;
mod live;
mod planted;
mod promql;
mod rules;

use std::collections::BTreeSet;
use std::fs;

use kukuri_metrics::core::series::{ALL, Kind, PROCESS};
use kukuri_tests::dashboards::{all, folder};
use serde_json::Value;

use promql::selectors;

fn exceptions() -> Value {
    let text = fs::read_to_string(folder().join("dashboards/.lint")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_dashboard_passes_the_strict_linter() {
    let exceptions = exceptions();
    let mut needed = BTreeSet::new();
    let mut wrong = Vec::new();
    for (file, dashboard) in all() {
        for (rule, check) in lint::RULES {
            for lint::Violation { panel, problem } in check(&dashboard) {
                match lint::is_excepted(&exceptions, rule, &dashboard.title, &panel) {
                    true => _ = needed.insert((rule, dashboard.title.clone(), panel)),
                    false => wrong.push(format!("{file}: {panel}: {rule}: {problem}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
    let excepted = exceptions["exclusions"].as_object().unwrap().values();
    let entries = excepted.map(|e| e["entries"].as_array().unwrap().len());
    assert_eq!(
        entries.sum::<usize>(),
        needed.len(),
        "only {needed:?} need one"
    );
}

#[test]
fn the_dashboards_are_those_that_the_docs_name() {
    let dashboards = all();
    let names: Vec<_> = dashboards.keys().map(String::as_str).collect();
    assert_eq!(names, ["discovery", "gossip", "node", "overview"]);
    let uids: BTreeSet<_> = dashboards.values().map(|d| &d.uid).collect();
    assert_eq!(uids.len(), names.len(), "{uids:?}");
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for (name, dashboard) in &dashboards {
        assert!(readme.contains(&format!("{name}.json")), "{name}");
        assert!(readme.contains(&dashboard.description), "{name}");
    }
}

/// The series behind a name in a query.
fn family(name: &str) -> &str {
    let histogram = |base: &&str| {
        let mut all = ALL.iter();
        all.any(|s| s.name == *base && matches!(s.kind, Kind::Histogram(_)))
    };
    let ends = ["_bucket", "_count", "_sum"].iter();
    let mut bases = ends.filter_map(|end| name.strip_suffix(end));
    bases.find(histogram).unwrap_or(name)
}

#[test]
fn each_series_is_looked_at_and_each_that_is_looked_at_is_there() {
    let dashboards = all();
    let panels = dashboards.values().flat_map(|d| &d.panels);
    let of_panels = panels.flat_map(|panel| &panel.targets);
    let queries = of_panels.map(|target| target.expr.clone());
    let queries = queries.chain(rules::all().into_iter().map(|rule| rule.expr));
    let named = queries.flat_map(|query| selectors(&query));
    let named: BTreeSet<_> = named.map(|selector| selector.name).collect();
    let recorded: BTreeSet<_> = rules::all().into_iter().map(|rule| rule.name).collect();
    let ours = |name: &str| name.starts_with("kukuri_") || name.starts_with("process_");
    let described: BTreeSet<_> = ALL
        .iter()
        .chain(PROCESS)
        .map(|series| series.name)
        .collect();
    let unknown = named.iter().filter(|name| match name.contains(':') {
        true => !recorded.contains(*name),
        false => ours(name) && !described.contains(family(name)),
    });
    assert_eq!(
        unknown.collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not there"
    );
    let looked_at: BTreeSet<_> = named.iter().map(|name| family(name)).collect();
    let unused: Vec<_> = described.difference(&looked_at).collect();
    assert!(unused.is_empty(), "nobody looks at {unused:?}");
}

fn settings(section: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let dot = if section.is_empty() { "" } else { "." };
            let each = fields.iter();
            each.for_each(|(name, value)| settings(&format!("{section}{dot}{name}"), value, out));
        }
        Value::Null => out.push(format!("| `{section}` | - |")),
        Value::Array(list) if list.is_empty() => out.push(format!("| `{section}` | - |")),
        Value::String(text) => out.push(format!("| `{section}` | `{text}` |")),
        other => out.push(format!("| `{section}` | `{other}` |")),
    }
}

#[test]
fn the_table_of_settings_has_each_with_its_default() {
    let docs = fs::read_to_string(folder().join("../docs/OPERATIONS.md")).unwrap();
    let (_, table) = docs.split_once("\n## Settings\n").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut rows = Vec::new();
    let config = serde_json::to_value(kukuri::Config::default()).unwrap();
    settings("", &config, &mut rows);
    let missing = rows
        .iter()
        .filter(|row| !table.lines().any(|line| line.starts_with(*row)));
    assert_eq!(
        missing.collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not in the table"
    );
    let there = table.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(there.count(), rows.len(), "a setting that is gone");
}
