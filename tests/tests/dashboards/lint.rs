//! The rules of Grafana's dashboard linter, in strict mode, under its names; and some of our own. Each
//! is a function from a dashboard to violations.

use std::collections::BTreeSet;

use kukuri_tests::dashboards::{Dashboard, Panel, Target, Variable};
use serde_json::Value;

use crate::promql::{Selector, selectors};

/// Names a rule, and looks for violations.
pub type Rule = (&'static str, fn(&Dashboard) -> Vec<Violation>);

/// Where a rule is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The title of the panel; empty for the whole dashboard.
    pub panel: String,
    /// What is wrong.
    pub problem: String,
}

/// All rules.
pub const RULES: [Rule; 18] = [
    ("template-datasource-rule", datasource),
    ("template-job-rule", |d| matcher_variable(d, "job", "Job")),
    ("template-instance-rule", |d| {
        matcher_variable(d, "instance", "Instance")
    }),
    ("template-label-promql-rule", label_values),
    ("template-on-time-change-reload-rule", reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", texts),
    ("panel-units-rule", units),
    ("panel-no-targets-rule", no_targets),
    ("target-rate-interval-rule", rate_interval),
    ("target-job-rule", |d| matched(d, "job=~\"$job\"")),
    ("target-instance-rule", |d| {
        matched(d, "instance=~\"$instance\"")
    }),
    ("target-counter-agg-rule", counters),
    ("uneditable-dashboard", uneditable),
    ("unique-ids", unique_ids),
    ("places", places),
    ("sentences", sentences),
    ("columns-of-tables", tables),
];

/// Units of Grafana's that we use.
const UNITS: [&str; 8] = [
    "none",
    "short",
    "percentunit",
    "s",
    "cps",
    "Bps",
    "bytes",
    "dateTimeAsIso",
];
/// Panels that show values.
const KINDS: [&str; 3] = ["stat", "timeseries", "table"];
/// Functions under which a counter may stand.
const RATES: [&str; 3] = ["rate", "increase", "irate"];
/// How a series ends that only grows.
const COUNTERS: [&str; 4] = ["_total", "_bucket", "_count", "_sum"];

fn violation(panel: &str, problem: impl Into<String>) -> Violation {
    Violation {
        panel: panel.to_owned(),
        problem: problem.into(),
    }
}

fn panels(dashboard: &Dashboard) -> impl Iterator<Item = &Panel> {
    dashboard.panels.iter().filter(|panel| !panel.is_row())
}

fn targets(dashboard: &Dashboard) -> impl Iterator<Item = (&Panel, &Target)> {
    panels(dashboard).flat_map(|panel| panel.targets.iter().map(move |target| (panel, target)))
}

/// Each series of each query.
fn series(dashboard: &Dashboard) -> impl Iterator<Item = (&Panel, Selector)> {
    targets(dashboard)
        .flat_map(|(panel, t)| selectors(&t.expr).into_iter().map(move |s| (panel, s)))
}

fn variables<'a>(dashboard: &'a Dashboard, name: &'a str) -> impl Iterator<Item = &'a Variable> {
    let all = dashboard.templating.list.iter();
    all.filter(move |variable| variable.name == name)
}

fn datasource(dashboard: &Dashboard) -> Vec<Violation> {
    let all = dashboard.templating.list.iter();
    let of_data: Vec<_> = all.filter(|v| v.kind == "datasource").collect();
    let fits = |v: &Variable| {
        v.name == "datasource" && v.label == "Data Source" && v.query == "prometheus"
    };
    match &of_data[..] {
        [one] if fits(one) => Vec::new(),
        _ => vec![violation(
            "",
            format!("not one fitting variable: {of_data:?}"),
        )],
    }
}

fn matcher_variable(dashboard: &Dashboard, name: &str, label: &str) -> Vec<Violation> {
    let fits = |v: &Variable| {
        let source = v.datasource.as_ref().map(|source| &source.uid[..]);
        v.kind == "query"
            && v.label == label
            && source == Some("${datasource}")
            && v.multi
            && v.include_all
            && v.all_value.as_deref() == Some(".+")
    };
    let all: Vec<_> = variables(dashboard, name).collect();
    match &all[..] {
        [one] if fits(one) => Vec::new(),
        _ => vec![violation("", format!("not one fitting variable: {all:?}"))],
    }
}

fn label_values(dashboard: &Dashboard) -> Vec<Violation> {
    let all = dashboard.templating.list.iter();
    let wrong = all.filter(|v| v.kind == "query").filter(|v| {
        let query = v.query["query"].as_str().unwrap_or("");
        let inside = query
            .strip_prefix("label_values(")
            .and_then(|q| q.strip_suffix(')'));
        let parts = inside.and_then(|inside| inside.rsplit_once(','));
        !parts.is_some_and(|(of, label)| selectors(of).len() == 1 && label.trim() == v.name)
    });
    wrong.map(|v| violation("", format!("{v:?}"))).collect()
}

fn reload(dashboard: &Dashboard) -> Vec<Violation> {
    let all = dashboard.templating.list.iter();
    let wrong = all.filter(|v| v.kind == "query" && v.refresh != 2);
    wrong
        .map(|v| violation("", format!("{} does not reload", v.name)))
        .collect()
}

fn panel_datasource(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = panels(dashboard).filter(|panel| {
        let own = panel.datasource.iter();
        let mut all = own.chain(panel.targets.iter().map(|target| &target.datasource));
        panel.datasource.is_none()
            || all.any(|d| d.uid != "${datasource}" || d.kind != "prometheus")
    });
    wrong
        .map(|p| violation(&p.title, "another source of data"))
        .collect()
}

fn texts(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = panels(dashboard).filter(|p| p.title.is_empty() || p.description.is_empty());
    wrong
        .map(|p| violation(&p.title, "no title or no description"))
        .collect()
}

fn units(dashboard: &Dashboard) -> Vec<Violation> {
    let unit = |p: &Panel| {
        p.field_config
            .as_ref()
            .map(|config| config.defaults.unit.clone())
    };
    let wrong = panels(dashboard).filter(|p| !unit(p).is_some_and(|u| UNITS.contains(&&u[..])));
    wrong
        .map(|p| violation(&p.title, format!("the unit {:?}", unit(p))))
        .collect()
}

fn no_targets(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = panels(dashboard).filter(|p| p.targets.is_empty() || !KINDS.contains(&&p.kind[..]));
    wrong
        .map(|p| violation(&p.title, "nothing that is asked"))
        .collect()
}

fn rate_interval(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = series(dashboard).filter(|(_, s)| {
        let is_rate = s.within.iter().any(|f| RATES.contains(&&f[..]));
        s.range != if is_rate { "$__rate_interval" } else { "" }
    });
    wrong
        .map(|(p, s)| violation(&p.title, format!("{} over {:?}", s.name, s.range)))
        .collect()
}

fn matched(dashboard: &Dashboard, matcher: &str) -> Vec<Violation> {
    let wrong = series(dashboard).filter(|(_, s)| !s.matchers.split(',').any(|m| m == matcher));
    wrong
        .map(|(p, s)| violation(&p.title, format!("{} without {matcher}", s.name)))
        .collect()
}

fn counters(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = series(dashboard).filter(|(_, s)| {
        let grows = COUNTERS.iter().any(|end| s.name.ends_with(end));
        grows && !s.within.last().is_some_and(|f| RATES.contains(&&f[..]))
    });
    wrong
        .map(|(p, s)| violation(&p.title, format!("{} is a counter", s.name)))
        .collect()
}

fn uneditable(dashboard: &Dashboard) -> Vec<Violation> {
    let editable = dashboard.editable.then(|| violation("", "can be edited"));
    editable.into_iter().collect()
}

fn unique_ids(dashboard: &Dashboard) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    let all = dashboard.panels.iter();
    let twice = all.filter(|panel| !seen.insert(panel.id));
    twice
        .map(|p| violation(&p.title, format!("the id {} twice", p.id)))
        .collect()
}

/// No panel covers another or sticks out.
fn places(dashboard: &Dashboard) -> Vec<Violation> {
    let mut taken = BTreeSet::new();
    let mut out = Vec::new();
    for panel in &dashboard.panels {
        let at = panel.grid_pos;
        let mut cells = (at.x..at.x + at.w).flat_map(|x| (at.y..at.y + at.h).map(move |y| (x, y)));
        let free = cells.all(|cell| taken.insert(cell));
        if !free || at.x + at.w > 24 || at.w == 0 || at.h == 0 {
            out.push(violation(
                &panel.title,
                "is over another panel, or sticks out",
            ));
        }
    }
    out
}

/// A description is made of sentences, and a dashboard has one too.
fn sentences(dashboard: &Dashboard) -> Vec<Violation> {
    let of_panels = panels(dashboard).map(|p| (&p.title[..], &p.description[..]));
    let all = of_panels.chain([("", &dashboard.description[..])]);
    let wrong = all.filter(|(_, text)| !text.ends_with(['.', '?']));
    wrong
        .map(|(title, _)| violation(title, "no sentence"))
        .collect()
}

/// A table asks for one moment, everything else for a time.
fn tables(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = targets(dashboard).filter(|(p, t)| {
        let moment = p.kind != "timeseries";
        let format = if moment { p.kind == "table" } else { false };
        t.instant != moment || t.range == moment || (t.format.as_deref() == Some("table")) != format
    });
    wrong
        .map(|(p, t)| violation(&p.title, format!("query {}", t.ref_id)))
        .collect()
}

/// What `.lint` excepts from a rule, with a reason each.
pub fn is_excepted(exceptions: &Value, rule: &str, dashboard: &str, panel: &str) -> bool {
    let exception = &exceptions["exclusions"][rule];
    let reason = exception["reason"].as_str().unwrap_or("");
    let entries = exception["entries"].as_array();
    let fits = |entry: &Value| entry["dashboard"] == dashboard && entry["panel"] == panel;
    !reason.is_empty() && entries.is_some_and(|entries| entries.iter().any(fits))
}
