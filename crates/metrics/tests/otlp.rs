//! The clauses of the contract on the implementation `otlp`, and what a collector gets of it.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kukuri_conformance::{Capability, Made, Metrics, conforms};
use kukuri_contract::{
    DiscoveryEvent, Factory, HelloDrop, MetricsDeps, MetricsMaker, MetricsRunning, NodeEvent,
    Outlet, Render, SecretStoreKind, Source, StoreError, StoreEvent,
};
use kukuri_metrics::core::series::EXPORTS_FAILED;
use kukuri_metrics::{Config, Headers, OtlpConfig, OtlpMetrics, PrometheusMetrics};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use prost::Message;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(60);
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Values by name and labels, as a line of Prometheus text has them.
type Series = BTreeMap<String, f64>;

/// What came in one request.
#[derive(Debug, Clone)]
struct Got {
    /// Its first line and headers, in small letters.
    head: String,
    request: ExportMetricsServiceRequest,
}

/// How a collector answers.
#[derive(Debug, Clone, Default)]
enum Answer {
    #[default]
    Taken,
    Partly,
    Unavailable,
    Never,
}

/// A collector of OpenTelemetry, which keeps what it got. It lives as long as the process.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Collector {
    fn start() -> Self {
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

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn config(&self) -> OtlpConfig {
        OtlpConfig {
            endpoint: format!("http://{}/v1/metrics", self.address),
            every_s: 1,
            ..OtlpConfig::default()
        }
    }

    /// The first request that fits.
    async fn wait_for(&self, what: &str, fits: impl Fn(&Got) -> bool) -> Got {
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

    fn requests(&self) -> usize {
        self.got.lock().unwrap().len()
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
fn as_prometheus(request: &ExportMetricsServiceRequest) -> Series {
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

fn resource(got: &Got) -> BTreeMap<String, String> {
    let resource = got.request.resource_metrics[0].resource.as_ref().unwrap();
    let pair = |attribute: &KeyValue| (attribute.key.clone(), text(attribute));
    resource.attributes.iter().map(pair).collect()
}

async fn spawn(config: OtlpConfig) -> MetricsRunning {
    let spawned = OtlpMetrics::spawn(config.into(), MetricsDeps {}).await;
    spawned.unwrap()
}

#[actix::test]
async fn the_clauses_of_the_contract() {
    let otlp = MetricsMaker::of::<OtlpMetrics>(Collector::start().config().into());
    conforms::<Metrics>(&Made::by(otlp).without(Capability::Renders)).await;
}

/// So dashboards and rules see no difference.
#[actix::test]
async fn a_collector_gets_the_series_that_prometheus_would_scrape_with_the_same_values() {
    let collector = Collector::start();
    let config = OtlpConfig {
        every_s: 3600,
        ..collector.config()
    };
    let scraped = PrometheusMetrics::spawn(Config::default(), MetricsDeps {}).await;
    let (pushed, scraped) = (spawn(config).await, scraped.unwrap());
    let node = Outlet::new([pushed.node, scraped.node]);
    node.emit(NodeEvent::Started {
        version: "1.2.3",
        secret_store: SecretStoreKind::File,
    });
    for after_ms in [1, 150, 200, 700_000] {
        node.emit(NodeEvent::FirstNeighbor {
            source: Source::Rendezvous,
            after: Duration::from_millis(after_ms),
        });
        node.emit(NodeEvent::PostSent);
    }
    node.emit(NodeEvent::BansChanged { peers: 3 });
    let reason = HelloDrop::UnknownTag;
    let discovery = Outlet::new([pushed.discovery, scraped.discovery]);
    discovery.emit(DiscoveryEvent::Dropped { reason });
    let store = Outlet::new([pushed.store, scraped.store]);
    store.emit(StoreEvent::Failed {
        requests: 2,
        error: StoreError::DiskFull(String::new()),
    });

    let text = scraped.port.render(Render).await.unwrap();
    pushed.port.stop().await.unwrap();
    assert_eq!(collector.requests(), 1, "the last one, at the end");
    let got = collector.got.lock().unwrap()[0].clone();
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let scraped = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    let (mut scraped, mut pushed) = (scraped.collect::<Series>(), as_prometheus(&got.request));
    assert_eq!(pushed.remove(EXPORTS_FAILED.name), Some(0.0));
    assert!(scraped.len() > 300, "{}", scraped.len());
    assert_eq!(pushed["kukuri_node_posts_sent_total"], 4.0);
    let bucket = "kukuri_discovery_first_neighbor_seconds_bucket{source=\"rendezvous\",le=\"0.2\"}";
    assert_eq!(pushed[bucket], 3.0);
    // Of the process, the values are of another moment.
    for series in [&mut scraped, &mut pushed] {
        let process = series
            .iter_mut()
            .filter(|(name, _)| name.starts_with("process_"));
        process.for_each(|(_, value)| *value = value.signum());
    }
    assert_eq!(pushed, scraped);
}

#[actix::test]
async fn the_resource_says_which_program_and_which_instance_and_no_more() {
    let collector = Collector::start();
    let named = OtlpConfig {
        instance_id: "node-1".into(),
        resource: BTreeMap::from([("deployment.environment.name".into(), "test".into())]),
        ..collector.config()
    };
    for config in [collector.config(), named] {
        spawn(config).await.port.stop().await.unwrap();
    }
    let got = collector.got.lock().unwrap().clone();
    let [random, named] = [resource(&got[0]), resource(&got[1])];
    let keys = ["service.instance.id", "service.name", "service.version"];
    assert!(random.keys().eq(keys), "{random:?}");
    assert_eq!(random["service.instance.id"].len(), 32, "a random one");
    assert_eq!(named["service.name"], "kukuri");
    assert_eq!(named["service.instance.id"], "node-1");
    assert_eq!(named["deployment.environment.name"], "test");
    assert!(
        got[0].head.starts_with("post /v1/metrics "),
        "{}",
        got[0].head
    );
    let protobuf = "content-type: application/x-protobuf\r\n";
    assert!(got[0].head.contains(protobuf), "{}", got[0].head);
}

#[actix::test]
async fn a_header_reaches_the_collector_and_nobody_else() {
    let collector = Collector::start();
    let key = "Tell-Nobody-7";
    let config = OtlpConfig {
        headers: Headers::from([("X-Api-Key", key)]),
        ..collector.config()
    };
    let shown = serde_json::to_string(&config).unwrap();
    assert!(!shown.contains(key), "{shown}");
    assert!(!format!("{config:?}").contains(key), "{config:?}");
    spawn(config).await.port.stop().await.unwrap();
    let header = format!("x-api-key: {}\r\n", key.to_lowercase());
    let got = collector.wait_for("the header", |got| got.head.contains(&header));
    got.await;
    // What was shown is no config to be used.
    let shown: OtlpConfig = serde_json::from_str(&shown).unwrap();
    let error = OtlpMetrics::check(&shown.into()).unwrap_err().to_string();
    assert!(error.contains("metrics.headers"), "{error}");
}

#[actix::test]
async fn failures_end_nothing_and_are_a_series_once_the_collector_is_back() {
    for failing in [Answer::Unavailable, Answer::Partly] {
        let collector = Collector::start();
        collector.answers(failing.clone());
        let running = spawn(collector.config()).await;
        let node = Outlet::new([running.node]);
        node.emit(NodeEvent::PostSent);
        let posts =
            |got: &Got, posts| as_prometheus(&got.request)["kukuri_node_posts_sent_total"] == posts;
        collector.wait_for("a post", |got| posts(got, 1.0)).await;
        running.port.probe().await.unwrap();
        node.emit(NodeEvent::PostSent);
        collector.answers(Answer::Taken);
        let failed = |got: &Got| as_prometheus(&got.request)[EXPORTS_FAILED.name];
        let back = |got: &Got| posts(got, 2.0) && failed(got) >= 1.0;
        let what = format!("both posts and the failures ({failing:?})");
        collector.wait_for(&what, back).await;
        running.port.stop().await.unwrap();
    }
}

#[actix::test]
async fn a_collector_that_is_not_there_or_never_answers_holds_up_no_end() {
    let silent = Collector::start();
    silent.answers(Answer::Never);
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = OtlpConfig {
        endpoint: format!("http://{nobody}/v1/metrics"),
        ..silent.config()
    };
    let patient = OtlpConfig {
        timeout_ms: 600_000,
        ..silent.config()
    };
    for config in [gone, patient] {
        let running = spawn(config).await;
        let stopped = tokio::time::timeout(DEADLINE, running.port.stop()).await;
        stopped.unwrap().unwrap();
    }
}

#[actix::test]
async fn what_is_rendered_says_where_the_series_are() {
    let running = spawn(Collector::start().config()).await;
    let text = running.port.render(Render).await.unwrap();
    assert!(text.starts_with("# ") && text.contains("otlp"), "{text}");
}

#[test]
fn bad_settings_are_typed_errors_that_tell_no_secret() {
    let good = OtlpConfig::default;
    let endpoint = |endpoint: &str| OtlpConfig {
        endpoint: endpoint.into(),
        ..good()
    };
    let header = |name, value| OtlpConfig {
        headers: Headers::from([(name, value)]),
        ..good()
    };
    for (config, field) in [
        (
            OtlpConfig {
                every_s: 0,
                ..good()
            },
            "metrics.every_s",
        ),
        (
            OtlpConfig {
                timeout_ms: 0,
                ..good()
            },
            "metrics.timeout_ms",
        ),
        (
            OtlpConfig {
                mailbox: 0,
                ..good()
            },
            "metrics.mailbox",
        ),
        (endpoint("collector:4317"), "metrics.endpoint"),
        (endpoint("grpc://collector"), "metrics.endpoint"),
        (endpoint("http://"), "metrics.endpoint"),
        (
            endpoint("http://user:tellnobody@collector"),
            "metrics.headers",
        ),
        (header("no name", "tellnobody"), "metrics.headers"),
        (header("x-key", "tellnobody\n"), "metrics.headers"),
    ] {
        let error = OtlpMetrics::check(&config.into()).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        assert!(!error.contains("tellnobody"), "{error}");
    }
    OtlpMetrics::check(&good().into()).unwrap();
    OtlpMetrics::check(&endpoint("https://collector.example/otlp/v1/metrics").into()).unwrap();
}
