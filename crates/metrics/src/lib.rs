//! kukuri's metrics: every event of the contract becomes series, for Prometheus to scrape or for a
//! collector of OpenTelemetry.
//!
//! This is the only crate that knows the name of a series. [`core::series`] lists them all, with
//! meaning, unit and labels; [`core::record`] says which event changes which. Labels are bounded:
//! never an endpoint, never a topic. [`NoMetrics`] is for whoever wants none of it.

pub mod core;

mod actor;
mod config;
mod error;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(any(feature = "otlp", feature = "prometheus"))]
mod process;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "otlp")]
mod push;

#[cfg(feature = "none")]
pub use actor::NoMetrics;
#[cfg(feature = "prometheus")]
pub use actor::PrometheusMetrics;
#[cfg(feature = "otlp")]
pub use actor::{OtlpMetrics, OtlpSetup};
pub use config::{Config, Headers, NoneConfig, OtlpConfig};
pub use error::MetricsError;
