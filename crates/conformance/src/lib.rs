//! What an implementation of kukuri's contract is tested with.
//!
//! # The clauses
//!
//! Each service has a list of *clauses*: named promises of the contract, each an async function that
//! tries it through the service's port. A few hold for every service: it answers its probe under
//! load, is `Busy` at its bound, survives callers that go away, ends when asked, starts again. An
//! implementation is tried by its maker, so a test of all clauses is
//!
//! ```ignore
//! #[actix::test]
//! async fn the_clauses_of_the_contract() {
//!     let maker = StoreMaker::of::<MyStore>(Config::default());
//!     conforms::<Store>(&Made::by(maker)).await;
//! }
//! ```
//!
//! which prints each clause with how it went, and fails with the names of those that are broken. What
//! an implementation can not do it says by [`Made::without`]: the clauses for it are printed as left
//! out. Whoever needs more than one config for all instances implements [`Subject`]. `docs/ARCHITECTURE.md` lists all clauses.
//!
//! Clauses wait for conditions with a deadline and assert no time. Each starts instances of its own.
//!
//! # The kit itself
//!
//! In [`mod@reference`] is a small implementation of each service in memory, which can be made wrong in
//! one way at a time. The kit's own tests show that each clause has a wrong implementation that
//! breaks it and no other.
//!
//! # Tools
//!
//! - [`MemoryIdentity`] is also for the tests of crates that need an identity.
//! - [`EventLog`] listens to an actor's events and lets a test wait for one.
//! - [`in_namespace`] gives a test a network of its own.

mod discovery;
mod events;
mod every;
mod gossip;
mod identity;
mod kit;
mod metrics;
mod namespace;
pub mod reference;
mod store;

pub use discovery::Discovery;
pub use events::EventLog;
pub use every::clauses as clauses_of_every_service;
pub use gossip::Gossip;
pub use identity::Identity;
pub use kit::{
    Broken, Capability, Clause, Held, Local, Made, PATIENCE, Reply, Service, ServicePort, Stage,
    Subject, broken_clauses, conforms,
};
pub use metrics::Metrics;
pub use namespace::in_namespace;
pub use reference::MemoryIdentity;
pub use store::Store;
