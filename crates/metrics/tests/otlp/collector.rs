//! A collector of OpenTelemetry, and what Prometheus would make of what it gets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kukuri_metrics::OtlpConfig;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use prost::Message;

/// Longest wait for anything.
pub const DEADLINE: Duration = Duration::from_secs(60);
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Values by name and labels, as a line of Prometheus text has them.
pub type Series = BTreeMap<String, f64>;

/// What came in one request.
#[derive(Debug, Clone)]
pub struct Got {
    /// Its first line and headers, in small letters.
    pub head: String,
    pub request: ExportMetricsServiceRequest,
}

/// How a collector answers.
#[derive(Debug, Clone, Default)]
pub enum Answer {
    #[default]
    Taken,
    Partly,
    Unavailable,
    Never,
}

/// A collector of OpenTelemetry, which keeps what it got. It lives as long as the process.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    pub got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            answer: Arc::default(),
        };
        let serving = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        collector
    }

    /// Requests of one connection, until it ends.
    fn serve(&self, mut stream: TcpStream) {
        while let Some((head, body)) = read_request(&mut stream) {
            let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
            self.got.lock().unwrap().push(Got { head, request });
            let answer = self.answer.lock().unwrap().clone();
            let (status, partial_success) = match answer {
                Answer::Taken => ("200 OK", None),
                Answer::Partly => {
                    let refused = ExportMetricsPartialSuccess {
                        rejected_data_points: 3,
                        error_message: "too old".into(),
                    };
                    ("200 OK", Some(refused))
                }
                Answer::Unavailable => ("503 Service Unavailable", None),
                Answer::Never => continue,
            };
            let body = ExportMetricsServiceResponse { partial_success }.encode_to_vec();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if stream
                .write_all(&[head.as_bytes(), &body].concat())
                .is_err()
            {
                return;
            }
        }
    }

    pub fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn config(&self) -> OtlpConfig {
        OtlpConfig {
            endpoint: format!("http://{}/v1/metrics", self.address),
            every_s: 1,
            ..OtlpConfig::default()
        }
    }

    /// The first request that fits.
    pub async fn wait_for(&self, what: &str, fits: impl Fn(&Got) -> bool) -> Got {
        let wait = async {
            loop {
                if let Some(got) = self.got.lock().unwrap().iter().find(|got| fits(got)) {
                    return got.clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, wait).await;
        waited.unwrap_or_else(|_| panic!("no request has {what}"))
    }
}

/// The head and the body of the next request; `None` at the end of the connection.
fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// What Prometheus makes of a request, by the rules of OpenTelemetry ("Prometheus and OpenMetrics
/// Compatibility"), which its receiver and the collector's exporters share.
pub fn as_prometheus(request: &ExportMetricsServiceRequest) -> Series {
    let mut out = Series::new();
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics);
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let name = translated(metric);
        let mut put = |name: String, value| assert!(out.insert(name, value).is_none());
        let number = |point: &NumberDataPoint| match point.value.unwrap() {
            Number::AsDouble(value) => value,
            Number::AsInt(value) => value as f64,
        };
        match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => {
                for point in &gauge.data_points {
                    put(labeled(&name, &point.attributes, None), number(point));
                }
            }
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE);
                for point in &sum.data_points {
                    assert!(point.start_time_unix_nano <= point.time_unix_nano);
                    put(labeled(&name, &point.attributes, None), number(point));
                }
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, CUMULATIVE);
                for point in &histogram.data_points {
                    let bounds = point.explicit_bounds.iter().map(f64::to_string);
                    let bounds = bounds.chain(["+Inf".to_owned()]);
                    let mut below = 0;
                    for (bound, count) in bounds.zip(&point.bucket_counts) {
                        below += count;
                        let name = format!("{name}_bucket");
                        put(
                            labeled(&name, &point.attributes, Some(&bound)),
                            below as f64,
                        );
                    }
                    let name = |end| labeled(&format!("{name}_{end}"), &point.attributes, None);
                    put(name("count"), point.count as f64);
                    put(name("sum"), point.sum.unwrap());
                }
            }
            other => panic!("{other:?}"),
        }
    }
    out
}

/// Words of a name are joined by `_`; a unit is appended, then `total` to what only grows, each where it
/// does not stand already.
fn translated(metric: &Metric) -> String {
    assert_eq!(metric.unit, "", "{}: it would be appended", metric.name);
    let words = metric.name.split(|c: char| !c.is_ascii_alphanumeric());
    let mut words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    if matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic) {
        words.retain(|word| *word != "total");
        words.push("total");
    }
    words.join("_")
}

fn labeled(name: &str, attributes: &[KeyValue], le: Option<&str>) -> String {
    let label = |attribute: &KeyValue| format!("{}=\"{}\"", attribute.key, text(attribute));
    let labels = attributes.iter().map(label);
    let labels: Vec<_> = labels.chain(le.map(|le| format!("le=\"{le}\""))).collect();
    match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(",")),
    }
}

fn text(attribute: &KeyValue) -> String {
    match &attribute.value.as_ref().unwrap().value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn resource(got: &Got) -> BTreeMap<String, String> {
    let resource = got.request.resource_metrics[0].resource.as_ref().unwrap();
    let pair = |attribute: &KeyValue| (attribute.key.clone(), text(attribute));
    resource.attributes.iter().map(pair).collect()
}
