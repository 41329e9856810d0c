//! A dashboard as a picture (SVG): its panels at their places, with the data that they have. Not as
//! beautiful as Grafana's, and enough to see what is on them.

mod chart;
mod text;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::dashboards::{Dashboard, GridPos, Panel, Step, Target};
use crate::prometheus::Line;

/// Pixels of a column and of a row of Grafana's grid.
const CELL: (u32, u32) = (62, 32);
/// Pixels between panels.
const GAP: u32 = 8;
/// Pixels of the title over all panels.
const HEAD: u32 = 46;
const FONT: &str = "font-family=\"Inter, Helvetica, Arial, sans-serif\"";

/// Where something is, in pixels.
#[derive(Debug, Clone, Copy)]
struct Area {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

/// Draws a dashboard; `ask` gives what a query has.
pub fn dashboard(dashboard: &Dashboard, ask: impl Fn(&Target) -> Vec<Line>) -> String {
    let rows = dashboard.panels.iter().map(|p| p.grid_pos.y + p.grid_pos.h);
    let (width, height) = (
        24 * CELL.0 + GAP,
        rows.max().unwrap_or(0) * CELL.1 + HEAD + GAP,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" {FONT}>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#111217\"/>\n"
    );
    let left = f64::from(GAP);
    label(
        &mut svg,
        (left, 24.0),
        17,
        "#ffffff",
        "start",
        &dashboard.title,
    );
    label(
        &mut svg,
        (left, 40.0),
        12,
        "#8e8e99",
        "start",
        &dashboard.description,
    );
    for panel in &dashboard.panels {
        let area = place(panel.grid_pos);
        match &panel.kind[..] {
            "row" => label(
                &mut svg,
                (area.x, area.y + 18.0),
                14,
                "#ccccdc",
                "start",
                &panel.title,
            ),
            kind => {
                frame(&mut svg, area, &panel.title);
                match kind {
                    "stat" => stat(&mut svg, area, panel, &ask),
                    "table" => table(&mut svg, area, panel, &ask),
                    _ => chart::draw(&mut svg, area, panel, &ask),
                }
            }
        }
    }
    svg + "</svg>\n"
}

fn place(at: GridPos) -> Area {
    let pixels = |cells: u32, cell: u32| f64::from(cells * cell);
    Area {
        x: pixels(at.x, CELL.0) + f64::from(GAP),
        y: pixels(at.y, CELL.1) + f64::from(HEAD + GAP),
        w: pixels(at.w, CELL.0) - f64::from(GAP),
        h: pixels(at.h, CELL.1) - f64::from(GAP),
    }
}

fn frame(svg: &mut String, Area { x, y, w, h }: Area, title: &str) {
    // Writing to a `String` can't fail, here and below.
    _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"2\" fill=\"#181b1f\" stroke=\"#2c3235\"/>"
    );
    label(svg, (x + 8.0, y + 18.0), 13, "#ccccdc", "start", title);
}

fn label(svg: &mut String, (x, y): (f64, f64), size: u32, color: &str, anchor: &str, text: &str) {
    let text = text::escaped(text);
    _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{color}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

/// The colors that Grafana means by their names.
fn color(name: &str) -> &str {
    match name {
        "green" => "#73bf69",
        "orange" => "#ff9830",
        "red" => "#f2495c",
        other => other,
    }
}

fn reached(steps: &[Step], value: f64) -> &str {
    let mut from_top = steps.iter().rev();
    let reached = from_top.find(|step| step.value.is_none_or(|from| value >= from));
    reached.map_or("#ccccdc", |step| color(&step.color))
}

fn unit(panel: &Panel) -> &str {
    let config = panel.field_config.as_ref();
    config.map_or("none", |config| &config.defaults.unit)
}

fn last(line: &Line) -> Option<f64> {
    line.points.last().map(|(_, value)| *value)
}

fn stat(svg: &mut String, area: Area, panel: &Panel, ask: &impl Fn(&Target) -> Vec<Line>) {
    let lines = panel.targets.iter().flat_map(ask).collect::<Vec<_>>();
    let value = lines.iter().find_map(last);
    let (text, color) = match (value, &panel.field_config) {
        (Some(value), Some(config)) => (
            text::value(value, unit(panel)),
            reached(&config.defaults.thresholds.steps, value),
        ),
        _ => ("No data".to_owned(), "#8e8e99"),
    };
    let center = (area.x + area.w / 2.0, area.y + area.h / 2.0 + 24.0);
    label(svg, center, 36, color, "middle", &text);
}

/// One row for each instance: its labels, and the values of the queries that are not left out.
fn table(svg: &mut String, area: Area, panel: &Panel, ask: &impl Fn(&Target) -> Vec<Line>) {
    let organize = panel.transformations.iter().find(|t| t.id == "organize");
    let options = organize.map_or(&Value::Null, |t| &t.options);
    let mut columns = vec!["instance".to_owned()];
    let mut rows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for target in &panel.targets {
        let column = format!("Value #{}", target.ref_id);
        let shown = options["excludeByName"][&column] != true;
        let name = options["renameByName"][&column].as_str().unwrap_or(&column);
        for line in ask(target) {
            let labels = line.labels.as_object().into_iter().flatten();
            let mut cells: Vec<_> = labels
                .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect();
            if let Some(value) = last(&line).filter(|_| shown) {
                let unit = if name == "started" {
                    "dateTimeAsIso"
                } else {
                    unit(panel)
                };
                cells.push((name.to_owned(), text::value(value, unit)));
            }
            let instance = line.labels["instance"].as_str().unwrap_or("").to_owned();
            let row = rows.entry(instance).or_default();
            for (name, text) in cells {
                if !columns.contains(&name) {
                    columns.push(name.clone());
                }
                row.insert(name, text);
            }
        }
    }
    let width = (area.w - 16.0) / columns.len() as f64;
    for (at, column) in columns.iter().enumerate() {
        let x = area.x + 8.0 + width * at as f64;
        label(svg, (x, area.y + 42.0), 12, "#6e9fff", "start", column);
        for (n, row) in rows.values().enumerate() {
            let text = row.get(column).map_or("", String::as_str);
            label(
                svg,
                (x, area.y + 64.0 + 20.0 * n as f64),
                12,
                "#ccccdc",
                "start",
                text,
            );
        }
    }
}
