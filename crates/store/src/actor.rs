//! The actors: one hands requests to the thread that has the database, one looks into maps.

#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "memory")]
pub use self::memory::{InMemoryStore, MemorySetup};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
