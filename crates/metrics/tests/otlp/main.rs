//! The clauses of the contract on the implementation `otlp`, and what a collector gets of it.

#![cfg(all(feature = "otlp", feature = "prometheus"))]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod collector;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use kukuri_conformance::{Capability, Made, Metrics, conforms};
use kukuri_contract::{
    DiscoveryEvent, Factory, HelloDrop, MetricsDeps, MetricsMaker, MetricsRunning, NodeEvent,
    Outlet, Render, SecretStoreKind, Source, StoreError, StoreEvent,
};
use kukuri_metrics::core::series::EXPORTS_FAILED;
use kukuri_metrics::{Config, Headers, OtlpConfig, OtlpMetrics, PrometheusMetrics};

use collector::{Answer, Collector, DEADLINE, Got, Series, as_prometheus, resource};

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
    let scraped = PrometheusMetrics::spawn(Config::default(), MetricsDeps {}).await;
    let (pushed, scraped) = (spawn(collector.config()).await, scraped.unwrap());
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
    // What was emitted last is in it, so all is.
    let failures = "kukuri_store_failures_total{reason=\"disk_full\"}";
    let all = |got: &Got| as_prometheus(&got.request)[failures] == 2.0;
    let got = collector.wait_for("all events", all).await;
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
    let _running = (spawn(collector.config()).await, spawn(named).await);
    let is_named = |got: &Got| resource(got)["service.instance.id"] == "node-1";
    let random = collector
        .wait_for("a random name", |got| !is_named(got))
        .await;
    let head = random.head.clone();
    let [random, named] =
        [random, collector.wait_for("the name", is_named).await].map(|got| resource(&got));
    let keys = ["service.instance.id", "service.name", "service.version"];
    assert!(random.keys().eq(keys), "{random:?}");
    assert_eq!(random["service.instance.id"].len(), 32, "a random one");
    assert_eq!(named["service.name"], "kukuri");
    assert_eq!(named["service.instance.id"], "node-1");
    assert_eq!(named["deployment.environment.name"], "test");
    assert!(head.starts_with("post /v1/metrics "), "{head}");
    let protobuf = "content-type: application/x-protobuf\r\n";
    assert!(head.contains(protobuf), "{head}");
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
    let _running = spawn(config).await;
    let header = format!("x-api-key: {}\r\n", key.to_lowercase());
    let got = collector.wait_for("the header", |got| got.head.contains(&header));
    got.await;
    // What was shown is no config to be used.
    let shown: OtlpConfig = serde_json::from_str(&shown).unwrap();
    let error = OtlpMetrics::check(&shown.into()).unwrap_err().to_string();
    assert!(error.contains("metrics.headers"), "{error}");
}

/// On a machine that is busy the little time for it may be over; not each time.
#[actix::test]
async fn the_last_values_are_sent_at_the_end() {
    let collector = Collector::start();
    let config = OtlpConfig {
        every_s: 3600,
        ..collector.config()
    };
    for _ in 0..50 {
        let running = spawn(config.clone()).await;
        Outlet::new([running.node]).emit(NodeEvent::PostSent);
        running.port.stop().await.unwrap();
        if let Some(got) = collector.got.lock().unwrap().first() {
            let posts = as_prometheus(&got.request)["kukuri_node_posts_sent_total"];
            assert_eq!(posts, 1.0);
            return;
        }
    }
    panic!("no end was told");
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
