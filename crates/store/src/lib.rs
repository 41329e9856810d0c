//! kukuri's store: known peers, DHT contacts, bans and posts.
//!
//! There are two: [`SqliteStore`] keeps them in one SQLite file, [`InMemoryStore`] in memory alone, for
//! whoever must leave nothing on a disk. What is said of retention, floors and writers holds for both.
//!
//! # On disk
//!
//! Writes that come at the same time share a transaction (*group commit*): each waits for one
//! `fsync`, and all wait for the same. A reply means that the write survives a crash of the
//! process and of the machine.
//!
//! # Retention
//!
//! The store is a cache with stated bounds ([`Config`]): a post is dropped when it came too long
//! ago, or when its topic has too many, and then first those of the authors that have the most, so that
//! nobody drives out what others have written; a peer when it was not seen for too long. The retention
//! works at the start, then every hour and after every 1000 new posts, in steps between the
//! requests. The pages that it frees are used again; the file does not shrink. It trusts the clock:
//! one that is a month ahead makes every post old.
//!
//! # Floors
//!
//! Others may keep a post for longer, so a dropped post would come back with the next gap repair.
//! Therefore each author has a *floor* in each topic: every number up to it is settled, be its post
//! here, dropped, or never seen. Dropping a post raises the floor to its number. Up to the floor,
//! nothing is asked for ([`Holdings`](kukuri_contract::Holdings)), nothing is saved, and no number
//! is used again ([`LastSeq`](kukuri_contract::LastSeq)); posts that are still here are still read
//! and handed on. Floors are never forgotten: some 80 bytes per author and topic.
//!
//! # Writers and authors
//!
//! A log, with its numbers and its floor, is that of a *writer*: of one key, that no two nodes share.
//! The *author* of a post is in whose name it is. What an author says of a writer that it has revoked
//! ([`Revocation`](kukuri_contract::Revocation)) is kept beside the posts, and never forgotten: some
//! 130 bytes each, at most [`MAX_REVOKED`](kukuri_contract::MAX_REVOKED) per author and topic. Of a
//! post that comes in spite of it only the number stays, for as long as any post, so that it is not
//! asked for again.

pub mod core;

mod actor;
mod config;
mod error;
#[cfg(feature = "sqlite")]
mod pruning;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod writer;

#[cfg(feature = "sqlite")]
pub use actor::SqliteStore;
#[cfg(feature = "memory")]
pub use actor::{InMemoryStore, MemorySetup};
pub use config::{Config, MemoryConfig};
pub use error::OpenError;
