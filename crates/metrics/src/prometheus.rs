//! The series as Prometheus text: the only file that names `metrics` and its exporter.

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::core::record::Change;
use crate::core::series::{ALL, Kind, Series};

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
        let values = series
            .label
            .map_or_else(|| vec![""], |label| (label.values)());
        match series.kind {
            Kind::Counter => {
                self.recorder.describe_counter(name, None, help);
                let zeros = values.iter().map(|v| Change::Count(series.name, v, 0));
                zeros.for_each(|zero| self.apply(zero));
            }
            Kind::Gauge => {
                self.recorder.describe_gauge(name, None, help);
                let zeros = values.iter().map(|v| Change::Set(series.name, v, 0.0));
                zeros.for_each(|zero| self.apply(zero));
            }
            Kind::Histogram(_) => self.recorder.describe_histogram(name, None, help),
        }
    }

    /// Makes a change.
    pub fn apply(&self, change: Change) {
        match change {
            Change::Count(name, value, by) => {
                let counter = self.recorder.register_counter(&key(name, value), &METADATA);
                counter.increment(by);
            }
            Change::Set(name, value, to) => {
                let gauge = self.recorder.register_gauge(&key(name, value), &METADATA);
                gauge.set(to);
            }
            Change::Observe(name, value, seconds) => {
                let histogram = self
                    .recorder
                    .register_histogram(&key(name, value), &METADATA);
                histogram.record(seconds);
            }
        }
    }

    /// Sorts observations into their buckets.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// All series as text (Prometheus exposition format 0.0.4).
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

fn key(name: &'static str, value: &'static str) -> Key {
    let series = ALL.iter().find(|series| series.name == name);
    match series.and_then(|series| series.label) {
        Some(label) => {
            let label = Label::from_static_parts(label.name, value);
            Key::from_parts(name, vec![label])
        }
        None => Key::from_static_name(name),
    }
}
