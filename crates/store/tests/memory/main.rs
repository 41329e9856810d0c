//! What every store promises, of the one in memory: the same tests as of the files.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "../promises/bans.rs"]
mod bans;
#[path = "../promises/contacts.rs"]
mod contacts;
mod open;
#[path = "../promises/repair.rs"]
mod repair;
#[path = "../promises/retention.rs"]
mod retention;
#[path = "../promises/revocations.rs"]
mod revocations;
#[path = "../promises/support.rs"]
mod support;
