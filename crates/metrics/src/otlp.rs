//! The series in the protocol of OpenTelemetry (OTLP 1, protobuf): the only file that names
//! `opentelemetry_proto` and `prost`.
//!
//! The messages are OpenTelemetry's own. Its SDK makes none of them: it has no histogram before the first
//! observation, and sends on a thread of its own, with a clock of its own.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValueKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::core::labels::{Labels, named};
use crate::core::series::{Kind, Series};
use crate::core::tally::{Spread, Tallied, Tally, Value};
use crate::push::PushError;

/// Each value is the sum from the start on, as Prometheus has it.
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Writes the series of one source, which counts from its start on.
#[derive(Debug)]
pub struct Writer {
    resource: Resource,
    started: u64,
}

impl Writer {
    /// For a source with these attributes, which starts now.
    pub fn new(resource: &BTreeMap<String, String>) -> Self {
        let attributes = resource.iter().map(|(key, value)| attribute(key, value));
        Self {
            resource: Resource {
                attributes: attributes.collect(),
                ..Resource::default()
            },
            started: nanoseconds(),
        }
    }

    /// The request that brings all values of this moment.
    pub fn request(&self, tally: &Tally, process: &[(Series, f64)]) -> Vec<u8> {
        let times = Times {
            start: self.started,
            now: nanoseconds(),
        };
        let ours = tally.all().map(|tallied| times.metric(tallied));
        let process = process.iter();
        let process = process.map(|(series, value)| times.of_process(series, *value));
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(InstrumentationScope {
                        name: env!("CARGO_PKG_NAME").to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    metrics: ours.chain(process).collect(),
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        request.encode_to_vec()
    }
}

/// What the answer says of data points that were not taken. An answer that can't be read says nothing:
/// the status has said that the rest was.
pub fn refused(answer: &[u8]) -> Option<PushError> {
    let answer = ExportMetricsServiceResponse::decode(answer).ok()?;
    let partial = answer.partial_success?;
    (partial.rejected_data_points != 0).then_some(PushError::Refused {
        points: partial.rejected_data_points,
        why: partial.error_message,
    })
}

/// From when to when the values are.
#[derive(Debug, Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

impl Times {
    fn metric(self, Tallied { series, values }: &Tallied) -> Metric {
        let points = values.iter();
        let data = match series.kind {
            Kind::Counter => sum(points.filter_map(|(labels, value)| match value {
                Value::Count(count) => {
                    let count = i64::try_from(*count).unwrap_or(i64::MAX);
                    Some(self.number(series, *labels, Number::AsInt(count)))
                }
                _ => None,
            })),
            Kind::Gauge => gauge(points.filter_map(|(labels, value)| match value {
                Value::Now(now) => Some(self.number(series, *labels, Number::AsDouble(*now))),
                _ => None,
            })),
            Kind::Histogram(bounds) => Data::Histogram(Histogram {
                data_points: points
                    .filter_map(|(labels, value)| match value {
                        Value::Spread(spread) => Some(self.spread(series, *labels, bounds, spread)),
                        _ => None,
                    })
                    .collect(),
                aggregation_temporality: CUMULATIVE,
            }),
        };
        metric(series, data)
    }

    fn of_process(self, series: &Series, value: f64) -> Metric {
        let point = self.number(series, Labels::default(), Number::AsDouble(value));
        let data = match series.kind {
            Kind::Counter => sum([point]),
            _ => gauge([point]),
        };
        metric(series, data)
    }

    fn number(self, series: &Series, labels: Labels, value: Number) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(series, labels),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn spread(
        self,
        series: &Series,
        labels: Labels,
        bounds: &[f64],
        Spread { buckets, sum }: &Spread,
    ) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(series, labels),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            count: buckets.iter().sum(),
            sum: Some(*sum),
            bucket_counts: buckets.clone(),
            explicit_bounds: bounds.to_vec(),
            ..HistogramDataPoint::default()
        }
    }
}

/// Without a unit: the name has it, and who turns this into Prometheus' series would append another.
fn metric(series: &Series, data: Data) -> Metric {
    Metric {
        name: series.name.to_owned(),
        description: series.help.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn sum(points: impl IntoIterator<Item = NumberDataPoint>) -> Data {
    Data::Sum(Sum {
        data_points: points.into_iter().collect(),
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    })
}

fn gauge(points: impl IntoIterator<Item = NumberDataPoint>) -> Data {
    Data::Gauge(Gauge {
        data_points: points.into_iter().collect(),
    })
}

fn attributes(series: &Series, labels: Labels) -> Vec<KeyValue> {
    let named = named(series, labels);
    named.map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(AnyValueKind::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// Since 1970. A clock that is before that is not right anyway.
fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
