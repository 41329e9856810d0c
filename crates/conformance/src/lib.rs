//! What an implementation of kukuri's contract is tested with.
//!
//! - [`MemoryIdentity`] is a reference actor: a whole identity service in memory, for the tests of
//!   crates that need one.
//! - [`EventLog`] listens to an actor's events and lets a test wait for one.
//! - [`shutdown`] and [`probe`] are the clauses that hold for every service. The clauses per
//!   service come with the second implementation of each.

mod clauses;
mod events;
mod identity;

pub use clauses::{Service, probe, shutdown};
pub use events::EventLog;
pub use identity::MemoryIdentity;
