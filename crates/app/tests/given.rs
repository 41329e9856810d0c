//! Implementations that the program gives.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri::{Config, Node, StartError, StoreChoice};
use kukuri_contract::{CONTRACT_VERSION, Factory, Maker, MetricsDeps, MetricsPort, MetricsRunning};
use kukuri_metrics::{MetricsError, PrometheusMetrics};

/// Prometheus, as somebody wrote it for another version of the contract.
struct Old;

impl Factory for Old {
    const SERVICE: &'static str = MetricsPort::SERVICE;
    const NAME: &'static str = "old";
    const CONTRACT: u32 = CONTRACT_VERSION - 1;
    type Config = kukuri_metrics::Config;
    type Deps = MetricsDeps;
    type Running = MetricsRunning;
    type Error = MetricsError;

    fn check(config: &Self::Config) -> Result<(), MetricsError> {
        PrometheusMetrics::check(config)
    }

    async fn spawn(
        config: Self::Config,
        deps: MetricsDeps,
    ) -> Result<MetricsRunning, MetricsError> {
        PrometheusMetrics::spawn(config, deps).await
    }
}

#[tokio::test]
async fn one_for_another_contract_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::Memory;
    // What is given counts, whatever the config says.
    config.metrics.kind = "nothing that there is".to_owned();
    let node = Node::builder().config(config).data_dir(dir.path());
    let unknown = node.clone().spawn().await.unwrap_err();
    assert!(unknown.to_string().contains("metrics.kind"), "{unknown}");
    let refused = node.metrics(Maker::of::<Old>(Default::default()));
    let refused = refused.spawn().await.unwrap_err();
    assert!(matches!(refused, StartError::Contract(_)), "{refused}");
}
