//! What an implementation of kukuri's contract is tested with.
//!
//! - [`MemoryIdentity`] is a reference actor: a whole identity service in memory, for the tests of
//!   crates that need one.
//! - [`EventLog`] listens to an actor's events and lets a test wait for one.
//! - [`shutdown`] and [`probe`] are the clauses that hold for every service. The clauses per
//!   service come with the second implementation of each.
//! - [`in_namespace`] gives a test a network of its own.

mod clauses;
mod events;
mod identity;
mod namespace;

pub use clauses::{Service, probe, shutdown};
pub use events::EventLog;
pub use identity::MemoryIdentity;
pub use namespace::in_namespace;
