//! What is done with all parts of a node alike: asked, told, stopped.

use std::time::Duration;

use kukuri_contract::{CallError, LocalAddress, Never, NodeEvent};

use crate::compose::{Parts, Ports, Wires};
use crate::node::service::{Resync, Wire};
use crate::supervise::Service;

/// A network service that does not stop is left behind after so long: the whole node has 2 s, and
/// the store needs some of it to write what was accepted.
const STOP_LIMIT: Duration = Duration::from_millis(1300);
/// The same for the services after that.
const STOP_LIMIT_LOCAL: Duration = Duration::from_millis(400);

/// Longest wait for the addresses of the endpoint: without them a fresh node's actor works, too.
const ADDRESS_LIMIT: Duration = Duration::from_millis(500);

impl Parts {
    /// Tells a service that was just started what it must know.
    pub async fn resync(&self, service: Service) {
        let told = match service {
            Service::Node => self.wire().await,
            _ => self.node.resync(Resync(service)).await,
        };
        if let Err(error) = told {
            // The node's actor reconciles every few seconds in any case.
            tracing::debug!(service = service.as_str(), %error, "not resynced yet");
        }
    }

    pub(crate) async fn wire(&self) -> Result<(), CallError<Never>> {
        let asked = self.ports.gossip.local_address(LocalAddress);
        // Where gossip was bound when it started, is good enough until it answers.
        let known = match tokio::time::timeout(ADDRESS_LIMIT, asked).await {
            Ok(Ok(now)) => now,
            _ => self.addresses.borrow().clone(),
        };
        let wires = Wires {
            ports: self.ports.clone(),
            identity: self.identity.clone(),
            address: known,
            events: self.outlets.node.clone(),
        };
        self.node.wire(Wire(wires)).await
    }

    /// Tells the metrics.
    pub fn emit(&self, event: NodeEvent) {
        self.outlets.node.emit(event);
    }

    /// Returns when the actor of a service is gone.
    pub async fn gone(&self, service: Service) {
        match service {
            Service::Identity => self.ports.identity.gone().await,
            Service::Discovery => self.ports.discovery.gone().await,
            Service::Gossip => self.ports.gossip.gone().await,
            Service::Store => self.ports.store.gone().await,
            Service::Metrics => self.ports.metrics.gone().await,
            Service::Node => self.node.gone().await,
        }
    }

    /// Asks a service whether it still works.
    pub async fn probe(&self, service: Service) -> Result<(), CallError<Never>> {
        match service {
            Service::Identity => self.ports.identity.probe().await,
            Service::Discovery => self.ports.discovery.probe().await,
            Service::Gossip => self.ports.gossip.probe().await,
            Service::Store => self.ports.store.probe().await,
            Service::Metrics => self.ports.metrics.probe().await,
            Service::Node => self.node.probe().await,
        }
    }

    /// Requests that are under way to a service.
    pub fn in_flight(&self, service: Service) -> usize {
        match service {
            Service::Identity => self.ports.identity.in_flight(),
            Service::Discovery => self.ports.discovery.in_flight(),
            Service::Gossip => self.ports.gossip.in_flight(),
            Service::Store => self.ports.store.in_flight(),
            Service::Metrics => self.ports.metrics.in_flight(),
            Service::Node => self.node.in_flight(),
        }
    }

    /// Stops every service in good order: first those that bring new work, then the store, which
    /// writes what it has accepted.
    pub async fn stop(&self) {
        self.wanted.clear();
        let Ports {
            identity,
            discovery,
            gossip,
            store,
            metrics,
        } = &self.ports;
        let network = async {
            _ = tokio::join!(self.node.stop(), discovery.stop(), gossip.stop());
        };
        limited("network", STOP_LIMIT, network).await;
        let local = async {
            _ = tokio::join!(store.stop(), identity.stop(), metrics.stop());
        };
        limited("store", STOP_LIMIT_LOCAL, local).await;
        self.arbiters.stop();
    }
}

async fn limited(what: &str, limit: Duration, stop: impl Future<Output = ()>) {
    if tokio::time::timeout(limit, stop).await.is_err() {
        tracing::warn!(what, "did not stop in time; left behind");
    }
}
