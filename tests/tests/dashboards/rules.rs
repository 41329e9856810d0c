//! The rules, as far as a look at their lines tells; and Prometheus's tool, which reads all of them.

use std::fs;
use std::process::Command;

use kukuri_tests::dashboards::folder;
use kukuri_tests::prometheus::has;

/// A rule: its name, its query and its other lines.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it records, or the name of the alert.
    pub name: String,
    /// Whether it is an alert.
    pub is_alert: bool,
    /// Its query.
    pub expr: String,
    /// All of it.
    pub text: String,
}

impl Rule {
    /// The value of a field that is in one line, without quotes.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().map(str::trim);
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
        Some(value.trim_matches('"'))
    }
}

/// All rules of `grafana/rules`.
pub fn all() -> Vec<Rule> {
    let files = ["recording.yaml", "alerts.yaml"].map(|file| folder().join("rules").join(file));
    let texts = files.map(|file| fs::read_to_string(file).unwrap());
    let of = |text: &String| {
        let comments = |line: &&str| !line.trim_start().starts_with('#');
        let lines: Vec<_> = text.lines().filter(comments).collect();
        let text = lines.join("\n");
        let each = text.split("\n      - ").skip(1).map(rule);
        each.collect::<Vec<_>>()
    };
    texts.iter().flat_map(of).collect()
}

fn rule(text: &str) -> Rule {
    let (kind, rest) = text.split_once(": ").unwrap();
    let (name, rest) = rest.split_once('\n').unwrap();
    let (_, expr) = rest.split_once("expr: ").unwrap();
    let end = ["\n        for:", "\n        labels:"];
    let end = end.iter().filter_map(|mark| expr.find(mark)).min();
    let expr = &expr[..end.unwrap_or(expr.len())];
    Rule {
        name: name.to_owned(),
        is_alert: kind == "alert",
        expr: expr.trim_start_matches('|').trim().to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn each_alert_says_what_it_means_and_has_a_section_on_what_to_do() {
    let docs = folder().join("../docs/OPERATIONS.md");
    let docs = fs::read_to_string(docs).unwrap();
    let alerts: Vec<_> = all().into_iter().filter(|rule| rule.is_alert).collect();
    assert!(alerts.len() >= 9, "{alerts:?}");
    for alert in &alerts {
        let name = &alert.name[..];
        let camel = name.strip_prefix("Kukuri").unwrap();
        assert!(camel.starts_with(char::is_uppercase), "{name}");
        assert!(camel.chars().all(char::is_alphanumeric), "{name}");
        let severity = alert.field("severity").unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        for field in ["summary", "description"] {
            assert!(
                alert.field(field).is_some_and(|text| text.len() > 20),
                "{name}: {field}"
            );
        }
        let url = alert.field("runbook_url").unwrap();
        let anchor = format!("/docs/OPERATIONS.md#{}", name.to_lowercase());
        assert!(url.ends_with(&anchor), "{name}: {url}");
        let (_, section) = docs
            .split_once(&format!("\n### {name}\n"))
            .unwrap_or_else(|| panic!("docs/OPERATIONS.md has no section {name}"));
        let section = section.split("\n#").next().unwrap();
        for part in ["**Means.**", "**Causes.**", "**Look at.**", "**Do.**"] {
            assert!(section.contains(part), "{name}: {part}");
        }
        assert!(
            section.contains(&format!("`{severity}`")),
            "{name}: {severity}"
        );
        if let Some(time) = alert.field("for") {
            assert!(section.contains(time), "{name}: after {time}");
        }
    }
    let sections = docs.lines().filter(|line| line.starts_with("### Kukuri"));
    assert_eq!(
        sections.count(),
        alerts.len(),
        "a section of an alert that is gone"
    );
}

/// Both its checks and the unit tests of the rules.
#[test]
fn promtool_accepts_all_of_it() {
    if !has("promtool") {
        return;
    }
    for args in [
        &["check", "config", "prometheus.yaml"][..],
        &[
            "check",
            "rules",
            "rules/recording.yaml",
            "rules/alerts.yaml",
        ],
        &["test", "rules", "rules/tests.yaml"],
    ] {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "promtool {args:?}: {output:?}");
    }
    // Each alert is made to fire by one of these tests.
    let tests = fs::read_to_string(folder().join("rules/tests.yaml")).unwrap();
    for alert in all().into_iter().filter(|rule| rule.is_alert) {
        let fires = format!("{{alertname=\"{}\"}}", alert.name);
        assert!(tests.contains(&fires), "{} never fires", alert.name);
    }
}
