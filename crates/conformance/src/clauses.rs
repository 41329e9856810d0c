//! Clauses that hold for every service.

use std::time::Duration;

use kukuri_contract::{
    CallError, DiscoveryPort, GossipPort, IdentityPort, MetricsPort, Never, StorePort,
};

/// A service's whole shutdown must fit the node's: 2 s on Ctrl-C.
const SHUTDOWN: Duration = Duration::from_secs(2);
/// How long a test waits for it: a slow machine is not a broken promise.
const DEADLINE: Duration = Duration::from_secs(30);

/// What every port can do.
#[allow(async_fn_in_trait, reason = "only used by tests, on one thread")]
pub trait Service {
    /// Asks whether the service still works.
    async fn probe(&self) -> Result<(), CallError<Never>>;
    /// Asks the service to end.
    async fn stop(&self) -> Result<(), CallError<Never>>;
}

macro_rules! services {
    ($($port:ty),+) => {$(
        impl Service for $port {
            async fn probe(&self) -> Result<(), CallError<Never>> {
                <$port>::probe(self).await
            }
            async fn stop(&self) -> Result<(), CallError<Never>> {
                <$port>::stop(self).await
            }
        }
    )+};
}
services!(
    IdentityPort,
    DiscoveryPort,
    GossipPort,
    StorePort,
    MetricsPort
);

/// Clause: a running service answers its probe.
///
/// # Panics
/// When it does not.
pub async fn probe(service: &impl Service) {
    assert_eq!(
        service.probe().await,
        Ok(()),
        "a running service answers its probe"
    );
}

/// Clause: a service stops when asked, a second `Stop` does no harm, and after it the service is
/// unavailable. Prints how long it took.
///
/// # Panics
/// When it does not.
pub async fn shutdown(service: &impl Service) {
    let started = std::time::Instant::now();
    assert_eq!(service.stop().await, Ok(()), "a service stops when asked");
    let took = started.elapsed();
    println!("stopped within {took:?}; the node's limit is {SHUTDOWN:?}");
    let second = service.stop().await;
    assert!(
        matches!(second, Ok(()) | Err(CallError::Unavailable { .. })),
        "stopping twice does no harm: {second:?}"
    );
    let gone = async {
        while service.probe().await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    let gone = tokio::time::timeout(DEADLINE, gone).await;
    assert!(gone.is_ok(), "a stopped service is unavailable");
}
