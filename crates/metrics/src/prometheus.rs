//! The series as Prometheus text: the only file that names `metrics` and its exporter.

use std::fmt::Write;

use metrics::{Key, KeyName, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::core::labels::{Labels, combinations, named};
use crate::core::record::Change;
use crate::core::series::{ALL, Kind, Series};
use crate::process;

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The series of one node. Several nodes may run in one process, so nothing here is global.
pub struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    /// All series, described, and at 0 where their labels are known.
    pub fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for series in ALL {
            if let Kind::Histogram(buckets) = series.kind {
                let name = Matcher::Full(series.name.to_owned());
                builder = builder
                    .set_buckets_for_metric(name, buckets)
                    .expect("the list has buckets for each histogram");
            }
        }
        let recorder = builder.build_recorder();
        let registry = Self {
            handle: recorder.handle(),
            recorder,
        };
        ALL.iter().for_each(|series| registry.describe(series));
        registry
    }

    fn describe(&self, series: &Series) {
        let (name, help) = (KeyName::from_const_str(series.name), series.help.into());
        match series.kind {
            Kind::Counter => {
                self.recorder.describe_counter(name, None, help);
                let zeros = combinations(series.labels);
                let zeros = zeros.map(|labels| Change::Count(series.name, labels, 0));
                zeros.for_each(|zero| self.change(zero));
            }
            Kind::Gauge => {
                self.recorder.describe_gauge(name, None, help);
                let zeros = combinations(series.labels);
                let zeros = zeros.map(|labels| Change::Set(series.name, labels, 0.0));
                zeros.for_each(|zero| self.change(zero));
            }
            Kind::Histogram(_) => {
                self.recorder.describe_histogram(name, None, help);
                for labels in combinations(series.labels) {
                    let key = key(series.name, labels);
                    let _empty = self.recorder.register_histogram(&key, &METADATA);
                }
            }
        }
    }

    /// Makes a change.
    pub fn change(&self, change: Change) {
        match change {
            Change::Count(name, labels, by) => {
                let counter = self
                    .recorder
                    .register_counter(&key(name, labels), &METADATA);
                counter.increment(by);
            }
            Change::Set(name, labels, to) => {
                let gauge = self.recorder.register_gauge(&key(name, labels), &METADATA);
                gauge.set(to);
            }
            Change::Observe(name, labels, seconds) => {
                let key = key(name, labels);
                let histogram = self.recorder.register_histogram(&key, &METADATA);
                histogram.record(seconds);
            }
        }
    }

    /// Sorts observations into their buckets.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// All series as text (Prometheus exposition format 0.0.4).
    pub fn text(&self) -> String {
        let mut text = self.handle.render();
        for (
            Series {
                name, kind, help, ..
            },
            value,
        ) in process::now()
        {
            let kind = match kind {
                Kind::Counter => "counter",
                _ => "gauge",
            };
            // Writing to a `String` can't fail.
            _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
            );
        }
        text
    }
}

fn key(name: &'static str, values: Labels) -> Key {
    let series = ALL.iter().find(|series| series.name == name);
    let labels = series.into_iter().flat_map(|series| named(series, values));
    let labels = labels.map(|(name, value)| metrics::Label::from_static_parts(name, value));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}
