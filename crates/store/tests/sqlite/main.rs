//! What the store promises of its file: nothing acknowledged is lost, gaps are told and filled,
//! what is too old goes, and what can't be read is a typed error. On real SQLite files.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod bans;
mod contacts;
mod corrupt;
mod kill;
mod migration;
mod mounts;
mod repair;
mod retention;
mod revocations;
mod support;
