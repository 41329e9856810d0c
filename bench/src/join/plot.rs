//! How the times to the first neighbor are distributed, as SVG.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::prelude::*;

use super::{Contender, Runs};

const SIZE: (u32, u32) = (760, 420);
/// Times that are shown, in ms.
const TIMES: std::ops::Range<f64> = 1.0..60_000.0;
const COLORS: [RGBColor; 3] = [
    RGBColor(31, 119, 180),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
];

/// Draws the share of nodes that have a neighbor over the time: solid for those that start together,
/// thin for late ones.
///
/// # Errors
/// The file can't be written.
pub fn draw(dir: &Path, nodes: usize, who: &[Contender], all: &[Runs]) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    let file = dir.join(format!("first-neighbor-{nodes}.svg"));
    let root = SVGBackend::new(&file, SIZE).into_drawing_area();
    let drawn = (|| {
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(format!("First neighbor, N = {nodes}"), ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(TIMES.log_scale(), 0.0..100.0)?;
        chart
            .configure_mesh()
            .x_desc("ms since the join (logarithmic); thin: late joiners")
            .y_desc("% of nodes")
            .draw()?;
        for ((who, runs), color) in who.iter().zip(all).zip(COLORS) {
            let steps = steps(&runs.together.0, runs.together_expected);
            chart
                .draw_series(LineSeries::new(steps, color.stroke_width(3)))?
                .label(who.title())
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3))
                });
            let steps = self::steps(&runs.late.0, runs.late_expected);
            chart.draw_series(LineSeries::new(steps, color.stroke_width(1)))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
        root.present()
    })();
    drawn.map_err(|error| anyhow!("can't draw {}: {error}", file.display()))
}

/// The empirical distribution as a staircase.
fn steps(values: &[f64], expected: usize) -> Vec<(f64, f64)> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let share = |count: usize| 100.0 * count as f64 / expected.max(1) as f64;
    let mut steps = vec![(TIMES.start, 0.0)];
    for (before, value) in values.iter().enumerate() {
        let value = value.max(TIMES.start);
        steps.extend([(value, share(before)), (value, share(before + 1))]);
    }
    steps.push((TIMES.end, share(values.len())));
    steps
}
