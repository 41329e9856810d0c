//! Why metrics can't start.

use std::error::Error;

/// A cause of any kind.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why metrics can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A field of the config is wrong.
    #[error("metrics.{field} is wrong: {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The operating system gives no randomness.
    #[error(
        "the operating system gives no randomness to name this instance; set metrics.instance_id"
    )]
    #[cfg(feature = "otlp")]
    NoRandomness(#[from] getrandom::Error),
    /// No connection could be made to any collector.
    #[error(
        "no TLS to the collector: {}; install the certificates of this system (ca-certificates), or take \
         an endpoint with http:",
        root_cause(&**.0)
    )]
    Tls(#[source] Cause),
}

/// The last of the causes, which says most.
pub fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
