//! The actors, one for each implementation: they translate messages and what happens in the network into
//! the core's decisions, and carry them out.

mod iroh;

pub use self::iroh::IrohGossip;
