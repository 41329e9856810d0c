//! Watches over a node's services, and starts again those that end.
//!
//! A service has ended when its actor is gone (a handler panicked; actix's own supervisor would
//! leave the address dead), or when it does not answer its probes (a handler blocks). Then a fresh
//! actor is started in a fresh arbiter, its port and outlets are pointed there, and it is told again
//! what it must know. Where that happens again and again, the node gives up: whoever runs it starts
//! it anew. [`restart`](crate::core::restart) has the policy.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kukuri_contract::{
    DiscoveryPort, GossipPort, IdentityPort, MetricsPort, NodeEvent, RestartReason, StorePort,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::compose::Parts;
use crate::core::restart::{Decision, RestartPolicy, Restarts};
use crate::error::GaveUp;
use crate::node::service::NodePort;

/// Probes in a row that must fail before a service counts as hanging: one may be bad luck.
const FAILED_PROBES: usize = 2;
/// Longest start of a fresh actor: a keyring may ask its user for a password.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The actors of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Keys and secrets.
    Identity,
    /// How peers are found.
    Discovery,
    /// Transport and swarm.
    Gossip,
    /// What survives a restart.
    Store,
    /// Series about the node.
    Metrics,
    /// The actor that ties the others together.
    Node,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Identity,
        Self::Discovery,
        Self::Gossip,
        Self::Store,
        Self::Metrics,
        Self::Node,
    ];

    /// The name in errors, logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => IdentityPort::SERVICE,
            Self::Discovery => DiscoveryPort::SERVICE,
            Self::Gossip => GossipPort::SERVICE,
            Self::Store => StorePort::SERVICE,
            Self::Metrics => MetricsPort::SERVICE,
            Self::Node => NodePort::SERVICE,
        }
    }
}

/// How often each service was started again, and why; outside of every actor, so the metrics' own
/// restart loses none. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<[[AtomicU64; RestartReason::ALL.len()]; Service::ALL.len()]>);

impl Tally {
    /// How often, for this reason.
    pub fn of(&self, service: Service, reason: RestartReason) -> u64 {
        self.0[service as usize][reason as usize].load(Ordering::Relaxed)
    }

    fn count(&self, service: Service, reason: RestartReason) {
        self.0[service as usize][reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Watches until the node is asked to stop (or nobody holds it any more), or gives up.
pub async fn until_stopped(parts: &Parts, stop: oneshot::Receiver<()>) -> Option<GaveUp> {
    let (gave_up, mut given_up) = mpsc::channel(1);
    let watches = Service::ALL.map(|service| watch(parts, service, gave_up.clone()));
    tokio::select! {
        _ = stop => None,
        reason = given_up.recv() => reason,
        _ = futures_util::future::join_all(watches) => None,
    }
}

async fn watch(parts: &Parts, service: Service, gave_up: mpsc::Sender<GaveUp>) {
    let node = &parts.config;
    let policy = RestartPolicy {
        limit: node.restart_limit,
        window: Duration::from_secs(node.restart_window_s),
        first_pause: Duration::from_millis(node.restart_pause_ms),
        longest_pause: Duration::from_millis(node.restart_pause_max_ms),
    };
    let started = Instant::now();
    let mut restarts = Restarts::new(policy);
    let mut fresh = false;
    loop {
        // Whoever is to tell it may be busy, or hang: it is watched meanwhile.
        let told = async {
            if fresh {
                parts.resync(service).await;
            }
            std::future::pending::<Infallible>().await
        };
        let reason = tokio::select! {
            () = parts.gone(service) => RestartReason::Panic,
            () = hangs(parts, service) => RestartReason::Hang,
            never = told => match never {},
        };
        let mut last = reason.as_str().to_owned();
        tracing::error!(service = service.as_str(), reason = last, "service ended");
        loop {
            match restarts.ended(started.elapsed()) {
                Decision::Restart(pause) => sleep(pause).await,
                Decision::GiveUp => {
                    let reason = GaveUp {
                        service: service.as_str(),
                        reason: last,
                        times: policy.limit + 1,
                        window: policy.window,
                    };
                    tracing::error!(%reason, "the node gives up");
                    // Full: another service was faster.
                    let _first = gave_up.try_send(reason);
                    return std::future::pending().await;
                }
            }
            match timeout(START_LIMIT, parts.restart(service)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "its start takes too long".to_owned(),
            }
            tracing::error!(
                service = service.as_str(),
                error = last,
                "not started again"
            );
        }
        fresh = true;
        tracing::warn!(service = service.as_str(), "service started again");
        parts.restarts.count(service, reason);
        parts.emit(NodeEvent::Restarted {
            service: service.as_str(),
            reason,
        });
    }
}

/// Returns when a service does not answer its probes.
async fn hangs(parts: &Parts, service: Service) {
    let node = &parts.config;
    let every = Duration::from_millis(node.probe_every_ms);
    let limit = Duration::from_millis(node.probe_timeout_ms);
    let mut failed = 0;
    while failed < FAILED_PROBES {
        sleep(every).await;
        let answered = matches!(timeout(limit, parts.probe(service)).await, Ok(Ok(())));
        failed = if answered { 0 } else { failed + 1 };
        parts.emit(NodeEvent::RequestsInFlight {
            service: service.as_str(),
            requests: parts.in_flight(service),
        });
    }
}
