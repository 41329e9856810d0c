//! kukuri's store: known peers and posts in one SQLite file.
//!
//! Writes that come at the same time share a transaction (*group commit*): each waits for one
//! `fsync`, and all wait for the same. A reply means that the write survives a crash of the
//! process and of the machine.

pub mod core;

mod actor;
mod config;
mod error;
mod sqlite;
mod writer;

pub use actor::{Deps, Running, SqliteStore};
pub use config::Config;
pub use error::OpenError;
