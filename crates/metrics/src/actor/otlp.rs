//! Series that are sent to a collector of OpenTelemetry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kukuri_contract::{Factory, MetricsDeps, MetricsPort, MetricsRunning};
use tokio::sync::Mutex as Turn;
use tokio::time::timeout;

use super::recording::{Finished, Sink, positive, start};
use crate::config::OtlpConfig;
use crate::core::labels::Labels;
use crate::core::record::Change;
use crate::core::series::{ALL, EXPORT, EXPORTS_FAILED};
use crate::core::tally::Tally;
use crate::error::MetricsError;
use crate::otlp::{Writer, refused};
use crate::process;
use crate::push::{self, Push};

/// Longest last export, with the one before it that may be under way: a node stops within 2 s, and its
/// store needs some of it.
const LAST_EXPORT: Duration = Duration::from_millis(300);
/// Bytes of the random name of an instance.
const INSTANCE_BYTES: usize = 16;
/// What is served in place of series: a comment (exposition format 0.0.4).
const ELSEWHERE: &str = "# metrics.kind is \"otlp\": the series go to a collector\n";

/// The implementation `otlp` of metrics.
#[derive(Debug, Clone, Copy)]
pub struct OtlpMetrics;

/// What the export is made from. Clones share the name of the instance: an actor that is started again is
/// the same one.
#[derive(Debug, Clone)]
pub struct OtlpSetup {
    /// The settings.
    pub config: OtlpConfig,
    instance: Arc<OnceLock<String>>,
}

impl From<OtlpConfig> for OtlpSetup {
    fn from(config: OtlpConfig) -> Self {
        Self {
            config,
            instance: Arc::default(),
        }
    }
}

impl OtlpSetup {
    /// What the collector is told of this node.
    fn resource(&self) -> Result<BTreeMap<String, String>, MetricsError> {
        let mut resource = BTreeMap::from(
            [
                ("service.name", "kukuri".to_owned()),
                ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
                ("service.instance.id", self.instance()?),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        resource.extend(self.config.resource.clone());
        Ok(resource)
    }

    fn instance(&self) -> Result<String, MetricsError> {
        let given = &self.config.instance_id;
        if !given.is_empty() {
            return Ok(given.clone());
        }
        let mut random = [0; INSTANCE_BYTES];
        getrandom::fill(&mut random)?;
        let random = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.instance.get_or_init(|| random).clone())
    }
}

impl Factory for OtlpMetrics {
    const SERVICE: &'static str = MetricsPort::SERVICE;
    const NAME: &'static str = "otlp";
    const CONTRACT: u32 = 1;
    type Config = OtlpSetup;
    type Deps = MetricsDeps;
    type Running = MetricsRunning;
    type Error = MetricsError;

    fn check(OtlpSetup { config, .. }: &OtlpSetup) -> Result<(), MetricsError> {
        positive(&[
            ("every_s", config.every_s),
            ("timeout_ms", config.timeout_ms),
            ("mailbox", config.mailbox as u64),
        ])?;
        push::check(config)
    }

    async fn spawn(
        setup: OtlpSetup,
        MetricsDeps {}: MetricsDeps,
    ) -> Result<MetricsRunning, MetricsError> {
        Self::check(&setup)?;
        let exporter = Exporter {
            writer: Writer::new(&setup.resource()?),
            tally: Tally::new(ALL.iter().chain(EXPORT)),
            way: Arc::new(Way {
                push: Push::new(&setup.config)?,
                turn: Arc::default(),
                failures: Mutex::default(),
            }),
        };
        let every = Duration::from_secs(setup.config.every_s);
        Ok(start(exporter, every, setup.config.mailbox))
    }
}

/// The sink of `otlp`.
struct Exporter {
    writer: Writer,
    tally: Tally,
    way: Arc<Way>,
}

/// The way to the collector, and how it went.
struct Way {
    push: Push,
    /// One export at a time.
    turn: Arc<Turn<()>>,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// Not in the series yet.
    untold: u64,
    in_a_row: u64,
}

impl Exporter {
    /// The request for all of this moment.
    fn request(&mut self) -> Vec<u8> {
        let untold = std::mem::take(&mut self.way.failures().untold);
        let change = Change::Count(EXPORTS_FAILED.name, Labels::default(), untold);
        self.tally.apply(change);
        self.writer.request(&self.tally, &process::now())
    }
}

impl Sink for Exporter {
    fn apply(&mut self, change: Change) {
        self.tally.apply(change);
    }

    fn render(&self) -> String {
        ELSEWHERE.to_owned()
    }

    /// Exports, unless the export before is under way still: the next one brings the same and more.
    fn tick(&mut self) {
        let Ok(turn) = self.way.turn.clone().try_lock_owned() else {
            return;
        };
        let (request, way) = (self.request(), self.way.clone());
        tokio::spawn(async move {
            way.export(request).await;
            drop(turn);
        });
    }

    fn finish(&mut self) -> Finished {
        let (request, way) = (self.request(), self.way.clone());
        Box::pin(async move {
            let last = async {
                let _turn = way.turn.lock().await;
                way.export(request).await;
            };
            if timeout(LAST_EXPORT, last).await.is_err() {
                tracing::warn!(
                    "the last export did not end in time; the collector lacks the last values"
                );
            }
        })
    }
}

impl Way {
    /// Sends one request. A failure is counted, and told at the first and then ever more rarely: the next
    /// export brings all that this one had.
    async fn export(&self, request: Vec<u8>) {
        let error = match self.push.send(request).await {
            Ok(answer) => refused(&answer),
            Err(error) => Some(error),
        };
        let mut failures = self.failures();
        match error {
            None if failures.in_a_row > 0 => {
                let failed = failures.in_a_row;
                failures.in_a_row = 0;
                tracing::info!(failed, "the collector takes the series again");
            }
            None => {}
            Some(error) => {
                failures.untold += 1;
                failures.in_a_row += 1;
                let in_a_row = failures.in_a_row;
                if in_a_row.is_power_of_two() {
                    tracing::warn!(in_a_row, "the collector has not got the series: {error}");
                }
            }
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
