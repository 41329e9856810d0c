//! The actors, one for each implementation: they translate messages and what happens in the network into
//! the core's decisions, and carry them out.

#[cfg(feature = "iroh")]
mod iroh;
#[cfg(feature = "memory")]
mod memory;

#[cfg(feature = "iroh")]
pub use self::iroh::IrohGossip;
#[cfg(feature = "memory")]
pub use self::memory::{MemoryGossip, NetworkSetup};
