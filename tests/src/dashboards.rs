//! The dashboards in `grafana/`, as far as Grafana's published schema (`dashboard`, version 39) has what
//! they use. A field that is not here is an error, so a typo is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The folder of dashboards and rules.
pub fn folder() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("../grafana")
}

/// All dashboards by the names of their files.
///
/// # Panics
/// When one can't be read: says which, and where.
pub fn all() -> BTreeMap<String, Dashboard> {
    let files = std::fs::read_dir(folder().join("dashboards")).expect("a folder of dashboards");
    let files = files.map(|entry| entry.expect("an entry of the folder").path());
    let dashboards = files.filter(|file| file.extension().is_some_and(|end| end == "json"));
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a file that can be read");
        let dashboard = serde_json::from_str(&text);
        let dashboard = dashboard.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_stem().expect("a name").to_string_lossy();
        (name.into_owned(), dashboard)
    };
    dashboards.map(read).collect()
}

/// A dashboard.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Dashboard {
    pub annotations: Annotations,
    pub description: String,
    pub editable: bool,
    pub fiscal_year_start_month: u8,
    pub graph_tooltip: u8,
    pub links: Vec<Link>,
    pub panels: Vec<Panel>,
    pub refresh: String,
    pub schema_version: u16,
    pub tags: Vec<String>,
    pub templating: Templating,
    pub time: TimeRange,
    pub timepicker: Map<String, Value>,
    pub timezone: String,
    pub title: String,
    pub uid: String,
    pub version: u32,
    pub week_start: String,
}

/// What is drawn over the panels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Annotations {
    pub list: Vec<Value>,
}

/// A link to other dashboards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Link {
    pub as_dropdown: bool,
    pub icon: String,
    pub include_vars: bool,
    pub keep_time: bool,
    pub tags: Vec<String>,
    pub target_blank: bool,
    pub title: String,
    pub tooltip: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub url: String,
}

/// The variables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Templating {
    pub list: Vec<Variable>,
}

/// A variable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Variable {
    pub all_value: Option<String>,
    pub current: Value,
    pub datasource: Option<Datasource>,
    pub include_all: bool,
    pub label: String,
    pub multi: bool,
    pub name: String,
    pub options: Vec<Value>,
    pub query: Value,
    pub refresh: u8,
    pub regex: String,
    pub sort: Option<u8>,
    #[serde(rename = "type")]
    pub kind: String,
}

/// Which source of data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Datasource {
    #[serde(rename = "type")]
    pub kind: String,
    pub uid: String,
}

/// From when to when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct TimeRange {
    pub from: String,
    pub to: String,
}

/// A panel, or a heading over some.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Panel {
    pub collapsed: Option<bool>,
    pub datasource: Option<Datasource>,
    #[serde(default)]
    pub description: String,
    pub field_config: Option<FieldConfig>,
    pub grid_pos: GridPos,
    pub id: u32,
    pub options: Option<Map<String, Value>>,
    pub panels: Option<Vec<Value>>,
    #[serde(default)]
    pub targets: Vec<Target>,
    pub title: String,
    #[serde(default)]
    pub transformations: Vec<Transformation>,
    #[serde(rename = "type")]
    pub kind: String,
}

impl Panel {
    /// Whether it is only a heading.
    pub fn is_row(&self) -> bool {
        self.kind == "row"
    }
}

/// How values are shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct FieldConfig {
    pub defaults: Field,
    pub overrides: Vec<Override>,
}

/// How a value is shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Field {
    pub color: Value,
    pub custom: Option<Map<String, Value>>,
    pub decimals: Option<u8>,
    pub mappings: Vec<Value>,
    pub max: Option<f64>,
    pub min: Option<f64>,
    pub thresholds: Thresholds,
    pub unit: String,
}

/// From which value on which color.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Thresholds {
    pub mode: String,
    pub steps: Vec<Step>,
}

/// One color.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Step {
    pub color: String,
    pub value: Option<f64>,
}

/// What is shown otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Override {
    pub matcher: Value,
    pub properties: Vec<Value>,
}

/// Where a panel is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct GridPos {
    pub h: u32,
    pub w: u32,
    pub x: u32,
    pub y: u32,
}

/// A query.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Target {
    pub datasource: Datasource,
    pub editor_mode: String,
    pub expr: String,
    pub format: Option<String>,
    pub instant: bool,
    pub legend_format: String,
    pub range: bool,
    pub ref_id: String,
}

impl Target {
    /// The query with all jobs and instances, and this interval where Grafana puts one that fits the
    /// scrapes.
    pub fn filled(&self, rate_interval: &str) -> String {
        let all = self.expr.replace("$job", ".+").replace("$instance", ".+");
        all.replace("$__rate_interval", rate_interval)
    }
}

/// What is made of the answers before they are shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names and the meaning are Grafana's")]
pub struct Transformation {
    pub id: String,
    pub options: Value,
}
