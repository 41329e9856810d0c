//! What the store promises of its file: nothing acknowledged is lost, gaps are told and filled,
//! what is too old goes, and what can't be read is a typed error. On real SQLite files.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod corrupt;
mod kill;
mod migration;
mod mounts;
mod open;
#[path = "../promises/repair.rs"]
mod repair;
#[path = "../promises/retention.rs"]
mod retention;
#[path = "../promises/revocations.rs"]
mod revocations;
mod steps;
#[path = "../promises/support.rs"]
mod support;
