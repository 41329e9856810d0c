//! Each rule of the linter is able to fail: a mistake is planted, and found.

use kukuri_tests::dashboards::{Dashboard, all};

use crate::lint::RULES;

/// The rules that a dashboard breaks after a change.
fn broken(change: impl Fn(&mut Dashboard)) -> Vec<&'static str> {
    let mut dashboard = all().remove("gossip").unwrap();
    change(&mut dashboard);
    let rules = RULES
        .iter()
        .filter(|(_, check)| !check(&dashboard).is_empty());
    rules.map(|(name, _)| *name).collect()
}

fn variable(dashboard: &mut Dashboard, at: usize) -> &mut kukuri_tests::dashboards::Variable {
    &mut dashboard.templating.list[at]
}

/// The first panel under the first heading: neighbors, a gauge.
fn panel(dashboard: &mut Dashboard) -> &mut kukuri_tests::dashboards::Panel {
    &mut dashboard.panels[1]
}

fn query(to: &'static str) -> impl Fn(&mut Dashboard) {
    move |dashboard| to.clone_into(&mut panel(dashboard).targets[0].expr)
}

#[test]
fn each_rule_is_able_to_fail() {
    assert_eq!(broken(|_| ()), Vec::<&str>::new());
    type Change = Box<dyn Fn(&mut Dashboard)>;
    let all = "job=~\"$job\",instance=~\"$instance\"";
    assert!(
        super::all()["gossip"].panels[1].targets[0]
            .expr
            .contains(all)
    );
    let cases: Vec<(&str, Change)> = vec![
        (
            "template-datasource-rule",
            Box::new(|d| variable(d, 0).label = "data".into()),
        ),
        (
            "template-job-rule",
            Box::new(|d| variable(d, 1).multi = false),
        ),
        (
            "template-instance-rule",
            Box::new(|d| variable(d, 2).all_value = Some(".*".into())),
        ),
        (
            "template-label-promql-rule",
            Box::new(|d| variable(d, 1).query["query"] = "label_values(job)".into()),
        ),
        (
            "template-on-time-change-reload-rule",
            Box::new(|d| variable(d, 1).refresh = 1),
        ),
        (
            "panel-datasource-rule",
            Box::new(|d| panel(d).targets[0].datasource.uid = "mine".into()),
        ),
        (
            "panel-title-description-rule",
            Box::new(|d| panel(d).title.clear()),
        ),
        (
            "panel-units-rule",
            Box::new(|d| panel(d).field_config.as_mut().unwrap().defaults.unit = "cubits".into()),
        ),
        (
            "panel-no-targets-rule",
            Box::new(|d| panel(d).targets.clear()),
        ),
        (
            "target-rate-interval-rule",
            Box::new(query("rate(a{job=~\"$job\",instance=~\"$instance\"}[5m])")),
        ),
        (
            "target-job-rule",
            Box::new(query("a{instance=~\"$instance\"}")),
        ),
        ("target-instance-rule", Box::new(query("a{job=~\"$job\"}"))),
        (
            "target-counter-agg-rule",
            Box::new(query("sum(a_total{job=~\"$job\",instance=~\"$instance\"})")),
        ),
        ("uneditable-dashboard", Box::new(|d| d.editable = true)),
        ("unique-ids", Box::new(|d| panel(d).id = 1)),
        ("places", Box::new(|d| panel(d).grid_pos.w = 9)),
        (
            "sentences",
            Box::new(|d| panel(d).description = "what".into()),
        ),
        (
            "columns-of-tables",
            Box::new(|d| panel(d).kind = "table".into()),
        ),
    ];
    assert_eq!(cases.len(), RULES.len());
    for (rule, change) in cases {
        assert_eq!(broken(change), [rule]);
    }
}
