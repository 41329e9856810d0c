//! The clauses of the contract, and what is served, on the implementation `prometheus`.

#![cfg(all(feature = "prometheus", feature = "none"))]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::time::Duration;

use kukuri_conformance::{Capability, Made, Metrics, conforms};
use kukuri_contract::{
    DiscoveryEvent, Factory, HelloDrop, MetricsDeps, MetricsMaker, MetricsRunning, NodeEvent,
    Outlet, Render, SecretStoreKind, Source, StoreError, StoreEvent,
};
use kukuri_metrics::core::series::{ALL, PROCESS};
use kukuri_metrics::{Config, NoMetrics, NoneConfig, PrometheusMetrics};

async fn spawn() -> MetricsRunning {
    PrometheusMetrics::spawn(Config::default(), MetricsDeps {})
        .await
        .unwrap()
}

#[actix::test]
async fn the_clauses_of_the_contract() {
    let maker = MetricsMaker::of::<PrometheusMetrics>(Config::default());
    conforms::<Metrics>(&Made::by(maker)).await;
}

#[actix::test]
async fn without_metrics_there_is_no_series_and_the_text_says_so() {
    let running = NoMetrics::spawn(NoneConfig::default(), MetricsDeps {}).await;
    let running = running.unwrap();
    let node = Outlet::new([running.node]);
    for _ in 0..1000 {
        node.emit(NodeEvent::PostSent);
    }
    let text = running.port.render(Render).await.unwrap();
    assert!(text.contains("counts nothing"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
}

#[actix::test]
async fn the_clauses_of_the_contract_without_metrics() {
    let none = Made::by(MetricsMaker::of::<NoMetrics>(NoneConfig::default()));
    conforms::<Metrics>(&none.without(Capability::Renders)).await;
}

#[actix::test]
async fn known_series_start_at_zero_and_every_series_is_described() {
    let running = spawn().await;
    let node = Outlet::new([running.node]);
    node.emit(NodeEvent::Started {
        version: "1.2.3",
        secret_store: SecretStoreKind::File,
    });
    let text = running.port.render(Render).await.unwrap();
    assert!(
        text.contains("kukuri_node_info{version=\"1.2.3\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("kukuri_identity_secret_store{store=\"file\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("kukuri_identity_secret_store{store=\"os\"} 0\n"),
        "{text}"
    );
    assert!(
        text.contains("kukuri_discovery_drops_total{reason=\"replay\"} 0\n"),
        "{text}"
    );
    let restarts = "kukuri_node_restarts_total{service=\"store\",reason=\"panic\"} 0\n";
    assert!(text.contains(restarts), "{text}");
    for series in ALL.iter().chain(PROCESS) {
        let help = format!("# HELP {} {}\n", series.name, series.help);
        assert!(text.contains(&help), "{help}{text}");
    }
}

/// A rate over a histogram is right from its first observation on.
#[actix::test]
async fn histograms_start_at_zero() {
    let text = spawn().await.port.render(Render).await.unwrap();
    for line in [
        "kukuri_gossip_heal_seconds_count 0",
        "kukuri_discovery_first_neighbor_seconds_bucket{source=\"lan\",le=\"+Inf\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[cfg(target_os = "linux")]
#[actix::test]
async fn the_process_is_measured() {
    let text = spawn().await.port.render(Render).await.unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_threads") >= 1.0);
    // After this was written, and not in the far future.
    assert!((1.7e9..1e11).contains(&value("process_start_time_seconds")));
    assert!(value("process_cpu_seconds_total") >= 0.0);
}

#[actix::test]
async fn events_become_series() {
    let running = spawn().await;
    let discovery = Outlet::new([running.discovery]);
    for _ in 0..3 {
        let reason = HelloDrop::UnknownTag;
        discovery.emit(DiscoveryEvent::Dropped { reason });
    }
    let node = Outlet::new([running.node]);
    node.emit(NodeEvent::FirstNeighbor {
        source: Source::Rendezvous,
        after: Duration::from_millis(150),
    });
    let store = Outlet::new([running.store]);
    store.emit(StoreEvent::Failed {
        requests: 2,
        error: StoreError::DiskFull(String::new()),
    });
    let text = running.port.render(Render).await.unwrap();
    for line in [
        "kukuri_discovery_drops_total{reason=\"unknown_tag\"} 3",
        "kukuri_store_failures_total{reason=\"disk_full\"} 2",
        "kukuri_discovery_first_neighbor_seconds_bucket{source=\"rendezvous\",le=\"0.1\"} 0",
        "kukuri_discovery_first_neighbor_seconds_bucket{source=\"rendezvous\",le=\"0.2\"} 1",
        "kukuri_discovery_first_neighbor_seconds_count{source=\"rendezvous\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[test]
fn bad_settings_are_typed_errors() {
    let config = Config {
        upkeep_s: 0,
        ..Config::default()
    };
    let error = PrometheusMetrics::check(&config).unwrap_err().to_string();
    assert!(error.contains("metrics.upkeep_s"), "{error}");
}
