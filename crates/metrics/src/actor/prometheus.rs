//! Series to be scraped.

use std::time::Duration;

use kukuri_contract::{Factory, MetricsDeps, MetricsPort, MetricsRunning};

use super::recording::{Finished, Sink, positive, start};
use crate::config::Config;
use crate::core::record::Change;
use crate::error::MetricsError;
use crate::prometheus::Registry;

/// The implementation `prometheus` of metrics.
#[derive(Debug, Clone, Copy)]
pub struct PrometheusMetrics;

impl Factory for PrometheusMetrics {
    const SERVICE: &'static str = MetricsPort::SERVICE;
    const NAME: &'static str = "prometheus";
    const CONTRACT: u32 = 1;
    type Config = Config;
    type Deps = MetricsDeps;
    type Running = MetricsRunning;
    type Error = MetricsError;

    fn check(config: &Config) -> Result<(), MetricsError> {
        positive(&[
            ("upkeep_s", config.upkeep_s),
            ("mailbox", config.mailbox as u64),
        ])
    }

    async fn spawn(
        config: Config,
        MetricsDeps {}: MetricsDeps,
    ) -> Result<MetricsRunning, MetricsError> {
        Self::check(&config)?;
        let upkeep = Duration::from_secs(config.upkeep_s);
        Ok(start(Registry::new(), upkeep, config.mailbox))
    }
}

impl Sink for Registry {
    fn apply(&mut self, change: Change) {
        self.change(change);
    }

    fn render(&self) -> String {
        self.text()
    }

    /// Sorts observations into their buckets.
    fn tick(&mut self) {
        self.upkeep();
    }

    fn finish(&mut self) -> Finished {
        Box::pin(std::future::ready(()))
    }
}
