//! What both stores do beyond the contract, by their settings: here the one in memory.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod open;
#[path = "../promises/repair.rs"]
mod repair;
#[path = "../promises/retention.rs"]
mod retention;
#[path = "../promises/revocations.rs"]
mod revocations;
#[path = "../promises/support.rs"]
mod support;
