//! What a measurement says: a table for people, JSON with every sample for programs.

use std::fs;
use std::path::Path;

use anyhow::Context;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::stats::Samples;

/// The rows of one measurement.
#[derive(Debug, Serialize)]
pub struct Report {
    title: String,
    /// Who is measured; the first is what the ratios of the others stand on.
    contenders: Vec<String>,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// One thing that is measured.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    goal: Option<&'static str>,
    show: Show,
    /// One per contender; `None` where it was not measured.
    samples: Vec<Option<Samples>>,
}

/// How samples become a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// Median, 95th percentile, and the largest.
    Percentiles,
    /// Median, with the smallest and the largest.
    Spread,
}

impl Report {
    /// An empty one.
    pub fn new(title: impl Into<String>, contenders: &[&str]) -> Self {
        Self {
            title: title.into(),
            contenders: contenders.iter().map(|who| (*who).to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row: one set of samples per contender, in their order. The ratios compare medians.
    pub fn row(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        goal: Option<&'static str>,
        show: Show,
        samples: Vec<Option<Samples>>,
    ) {
        let what = what.into();
        self.rows.push(Row {
            what,
            unit,
            goal,
            show,
            samples,
        });
    }

    /// Adds a sentence under the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("\n{}\n\n{}", self.title, self.table());
        for note in &self.notes {
            println!("{note}");
        }
    }

    /// Writes all of it, with every sample, as JSON.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("can't write {}", path.display()))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let mut header = vec!["what".to_owned(), "unit".to_owned(), "goal".to_owned()];
        for (at, who) in self.contenders.iter().enumerate() {
            header.push(who.clone());
            if at > 0 {
                header.push("ratio".to_owned());
            }
        }
        table.set_header(header);
        for row in &self.rows {
            let goal = row.goal.unwrap_or_default().to_owned();
            let mut cells = vec![row.what.clone(), row.unit.to_owned(), goal];
            let base = row.samples.first().and_then(median);
            for (at, samples) in row.samples.iter().enumerate() {
                cells.push(cell(samples.as_ref(), row.show));
                if at > 0 {
                    cells.push(ratio(median(samples), base));
                }
            }
            table.add_row(cells);
        }
        table
    }
}

fn median(samples: &Option<Samples>) -> Option<f64> {
    samples.as_ref().and_then(Samples::median)
}

fn cell(samples: Option<&Samples>, show: Show) -> String {
    let Some(samples) = samples else {
        return String::new();
    };
    let at = |percent| samples.percentile(percent).map_or("-".to_owned(), number);
    match show {
        _ if samples.len() == 1 => at(50),
        Show::Percentiles => format!("{} / {} / {}", at(50), at(95), at(100)),
        Show::Spread => format!("{} ({} - {})", at(50), at(0), at(100)),
    }
}

fn ratio(value: Option<f64>, base: Option<f64>) -> String {
    match (value, base) {
        (Some(value), Some(base)) if base > 0.0 => format!("x {}", number(value / base)),
        _ => String::new(),
    }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.1 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
