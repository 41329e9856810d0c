//! kukuri's metrics: every event of the contract becomes series for Prometheus.
//!
//! This is the only crate that knows the name of a series. [`core::series`] lists them all, with
//! meaning, unit and labels; [`core::record`] says which event changes which. Labels are bounded:
//! never an endpoint, never a topic. [`NoMetrics`] is for whoever wants none of it.

pub mod core;

mod actor;
mod config;
mod error;
mod process;
mod prometheus;

pub use actor::{NoMetrics, PrometheusMetrics};
pub use config::{Config, NoneConfig};
pub use error::MetricsError;
