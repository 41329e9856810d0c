//! The actors: one that records, over the sink of an implementation, and one that hears nothing.

#[cfg(feature = "none")]
mod none;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(any(feature = "otlp", feature = "prometheus"))]
mod recording;

#[cfg(feature = "none")]
pub use self::none::NoMetrics;
#[cfg(feature = "otlp")]
pub use self::otlp::{OtlpMetrics, OtlpSetup};
#[cfg(feature = "prometheus")]
pub use self::prometheus::PrometheusMetrics;
