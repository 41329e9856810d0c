//! Lines over time.

use std::fmt::Write;

use super::{Area, label, text, unit};
use crate::dashboards::{Panel, Target};
use crate::prometheus::Line;

/// Grafana's classic colors.
const COLORS: [&str; 10] = [
    "#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0",
    "#508642", "#cca300",
];
/// Pixels of a letter of a legend, more or less.
const LETTER: f64 = 6.2;
/// Lines on the grid.
const TICKS: u32 = 4;

/// A line with its name and its color.
struct Named {
    name: String,
    color: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws a panel of lines into this area.
pub fn draw(svg: &mut String, area: Area, panel: &Panel, ask: &impl Fn(&Target) -> Vec<Line>) {
    let of_target = |target: &Target| {
        let named = |line: Line| {
            (
                text::legend(&target.legend_format, &line.labels),
                line.points,
            )
        };
        ask(target).into_iter().map(named).collect::<Vec<_>>()
    };
    let lines = panel
        .targets
        .iter()
        .flat_map(of_target)
        .zip(COLORS.iter().cycle());
    let mut lines: Vec<_> = lines
        .map(|((name, points), color)| Named {
            name,
            color,
            points,
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    let plot = Area {
        x: area.x + 62.0,
        y: area.y + 30.0,
        w: area.w - 74.0,
        h: area.h - 86.0,
    };
    if lines.is_empty() {
        let center = (area.x + area.w / 2.0, area.y + area.h / 2.0);
        return label(svg, center, 14, "#8e8e99", "middle", "No data");
    }
    legend(svg, area, panel, &lines);
    let custom = panel
        .field_config
        .as_ref()
        .and_then(|config| config.defaults.custom.as_ref());
    let option =
        |group: &str, name: &str| custom.and_then(|custom| custom.get(group)?[name].as_str());
    let stacked = option("stacking", "mode") == Some("normal");
    if stacked {
        stack(&mut lines);
    }
    let defaults = panel.field_config.as_ref().map(|config| &config.defaults);
    let steps = defaults.map_or(&[][..], |defaults| &defaults.thresholds.steps);
    let shows_limit = option("thresholdsStyle", "mode").is_some();
    let limit = steps
        .iter()
        .find_map(|step| step.value)
        .filter(|_| shows_limit);

    let all = lines.iter().flat_map(|line| &line.points);
    let highest = all
        .clone()
        .fold(0.0, |most: f64, (_, value)| most.max(*value));
    let top = match defaults.and_then(|defaults| defaults.max) {
        Some(max) => max,
        None => nice(highest),
    };
    let first = all
        .clone()
        .fold(f64::MAX, |least: f64, (time, _)| least.min(*time));
    let end = all.fold(first + 1.0, |most: f64, (time, _)| most.max(*time));
    let x = |time: f64| plot.x + plot.w * (time - first) / (end - first);
    let y = |value: f64| plot.y + plot.h * (1.0 - (value / top).clamp(0.0, 1.0));

    for tick in 0..=TICKS {
        let part = f64::from(tick) / f64::from(TICKS);
        let (across, time) = (y(top * part), first + (end - first) * part);
        _ = writeln!(
            svg,
            "<path d=\"M{:.1} {across:.1}H{:.1}\" stroke=\"#2c3235\"/>",
            plot.x,
            plot.x + plot.w
        );
        let value = text::value(top * part, unit(panel));
        label(
            svg,
            (plot.x - 6.0, across + 4.0),
            11,
            "#8e8e99",
            "end",
            &value,
        );
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let under = (x(time), plot.y + plot.h + 16.0);
        label(svg, under, 11, "#8e8e99", anchor, &text::day_time(time));
    }
    // The last one stacked is the highest: drawn first, so that those below stay visible.
    let order: Box<dyn Iterator<Item = &Named>> = match stacked {
        true => Box::new(lines.iter().rev()),
        false => Box::new(lines.iter()),
    };
    for Named { color, points, .. } in order {
        let path = points
            .iter()
            .map(|(time, value)| format!("{:.1} {:.1}", x(*time), y(*value)));
        let path = path.collect::<Vec<_>>().join("L");
        if stacked {
            let (from, to) = (x(points[0].0), x(points[points.len() - 1].0));
            let floor = y(0.0);
            _ = writeln!(
                svg,
                "<path d=\"M{from:.1} {floor:.1}L{path}L{to:.1} {floor:.1}Z\" fill=\"{color}\" fill-opacity=\"0.3\"/>"
            );
        }
        _ = writeln!(
            svg,
            "<path d=\"M{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.4\"/>"
        );
    }
    if let Some(limit) = limit.filter(|limit| *limit <= top) {
        let (from, to, across) = (plot.x, plot.x + plot.w, y(limit));
        _ = writeln!(
            svg,
            "<path d=\"M{from:.1} {across:.1}H{to:.1}\" stroke=\"#f2495c\" stroke-dasharray=\"6 4\"/>"
        );
    }
}

/// Each line stands on those before it. A line without a value somewhere is 0 there.
fn stack(lines: &mut [Named]) {
    let mut below: Vec<(f64, f64)> = Vec::new();
    for line in lines {
        for point in &mut line.points {
            match below.iter_mut().find(|(time, _)| *time == point.0) {
                Some((_, sum)) => {
                    point.1 += *sum;
                    *sum = point.1;
                }
                None => below.push(*point),
            }
        }
    }
}

/// The end of the scale: 1, 2, 4 or 8 times a power of ten, or of two above.
fn nice(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(highest.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|step| step * power);
    let fits = steps.into_iter().find(|step| *step >= highest * 1.05);
    fits.unwrap_or(12.0 * power)
}

/// Names and newest values, as many as fit into two rows: those with most first.
fn legend(svg: &mut String, area: Area, panel: &Panel, lines: &[Named]) {
    let last = |line: &Named| line.points.last().map_or(0.0, |(_, value)| *value);
    let highest = |line: &&Named| line.points.iter().fold(0.0, |most: f64, p| most.max(p.1));
    let mut order: Vec<_> = lines.iter().collect();
    order.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    let (mut x, mut y) = (area.x + 10.0, area.y + area.h - 26.0);
    for (at, line) in order.iter().enumerate() {
        let text = format!("{}: {}", line.name, text::value(last(line), unit(panel)));
        let width = 24.0 + LETTER * text.chars().count() as f64;
        if x + width > area.x + area.w - 60.0 && y < area.y + area.h - 20.0 {
            (x, y) = (area.x + 10.0, y + 16.0);
        } else if x + width > area.x + area.w - 60.0 {
            let more = format!("and {} more", order.len() - at);
            return label(svg, (x, y), 11, "#8e8e99", "start", &more);
        }
        let (dash, color) = (y - 5.0, line.color);
        _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{dash:.1}\" width=\"12\" height=\"3\" fill=\"{color}\"/>"
        );
        label(svg, (x + 16.0, y), 11, "#ccccdc", "start", &text);
        x += width;
    }
}
