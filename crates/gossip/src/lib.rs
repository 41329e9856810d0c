//! kukuri's gossip: one endpoint, the swarms of its topics, broadcast.
//!
//! In the implementation `iroh`, membership and broadcast are iroh-gossip's (HyParView and PlumTree). What
//! is ours is whom to dial and when ([`core`]), dials that tell how they ended, proofs that both sides of
//! a connection are members, the size check of a broadcast, and questions to neighbors.
//!
//! The implementation `memory` is for programs that run many nodes in one process: they meet in a
//! `MemoryNetwork`, with latency, loss and splits as they are wanted ([`core::network`]).

pub mod core;

mod actor;
#[cfg(feature = "iroh")]
mod ask;
mod config;
#[cfg(feature = "iroh")]
mod dialer;
#[cfg(feature = "iroh")]
mod door;
#[cfg(feature = "iroh")]
mod endpoint;
mod error;
#[cfg(feature = "iroh")]
mod member;
#[cfg(feature = "memory")]
mod network;
#[cfg(feature = "iroh")]
mod rooms;
#[cfg(feature = "iroh")]
mod swarm;
#[cfg(feature = "iroh")]
mod swarms;

#[cfg(feature = "iroh")]
pub use actor::IrohGossip;
#[cfg(feature = "memory")]
pub use actor::{MemoryGossip, NetworkSetup};
#[cfg(feature = "iroh")]
pub use ask::ASK_ALPN;
pub use config::Config;
#[cfg(feature = "memory")]
pub use config::{MemoryConfig, NetworkConfig};
pub use error::GossipError;
#[cfg(feature = "iroh")]
pub use member::GOSSIP_ALPN;
#[cfg(feature = "memory")]
pub use network::MemoryNetwork;
#[cfg(feature = "iroh")]
pub use swarm::MAX_PAYLOAD_BYTES;
