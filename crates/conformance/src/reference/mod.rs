//! A small implementation of each service, in memory, and what can be wrong with it.
//!
//! They are made to be read beside the clauses, not to be used: each keeps every promise, unless one
//! fault is switched on. A [`Flaw`] breaks a clause of every service, a `Fault` one of its own.

mod discovery;
mod flaw;
mod gossip;
mod identity;
mod metrics;
mod store;

pub use discovery::{FAULTS as DISCOVERY_FAULTS, Fault as DiscoveryFault, MemoryDiscovery};
pub use flaw::{FLAWS, Flaw};
pub use gossip::{FAULTS as GOSSIP_FAULTS, Fault as GossipFault, MemoryGossip};
pub use identity::{FAULTS as IDENTITY_FAULTS, Fault as IdentityFault, MemoryIdentity};
pub use metrics::{FAULTS as METRICS_FAULTS, Fault as MetricsFault, MemoryMetrics};
pub use store::{FAULTS as STORE_FAULTS, Fault as StoreFault, MemoryStore};

/// How long clauses wait here: nothing but memory is between, and each fault that keeps something
/// from coming costs this.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
