//! kukuri's gossip: one iroh endpoint, the swarms of its topics, broadcast.
//!
//! Membership and broadcast are iroh-gossip's (HyParView and PlumTree). What is ours is whom to
//! dial and when ([`core`]), dials that tell how they ended, proofs that both sides of a connection are
//! members, the size check of a broadcast, and questions to neighbors.

pub mod core;

mod actor;
mod ask;
mod config;
mod dialer;
mod door;
mod endpoint;
mod error;
mod member;
mod rooms;
mod swarm;
mod swarms;

pub use actor::IrohGossip;
pub use ask::ASK_ALPN;
pub use config::Config;
pub use error::GossipError;
pub use member::GOSSIP_ALPN;
pub use swarm::MAX_PAYLOAD_BYTES;
