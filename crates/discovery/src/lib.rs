//! kukuri's discovery: from a topic to the endpoints in it, with no server.
//!
//! The implementation `mainline` meets at a *rendezvous* on the BitTorrent Mainline DHT: each
//! member announces the UDP port of its hello service under an infohash that only members can
//! derive and that changes every ten minutes (BEP5). Whoever looks there finds addresses; one
//! sealed exchange with an address, the *hello*, turns it into a verified endpoint record, for
//! both sides. On request, members on one local network find each other by mDNS as well, with the
//! same exchange.
//!
//! Without a DHT, the same protocol runs as `lan` on a local network alone, as `static` with peers that
//! were named, and as `memory` among nodes of one process. `docs/PROTOCOL.md` specifies it; [`core`] is the protocol as a state machine.

pub mod core;

mod actor;
mod config;
#[cfg_attr(not(feature = "mainline"), path = "dht/absent.rs")]
mod dht;
mod directory;
mod error;
mod hellos;
#[cfg_attr(not(feature = "lan"), path = "lan/absent.rs")]
mod lan;
mod portmap;
mod socket;
mod source;

pub use actor::{DirectorySetup, LocalNetwork, Mainline, SharedDirectory, StaticPeers};
pub use config::{Config, LanConfig, MemoryConfig, Serve, Sources, StaticConfig};
#[cfg(feature = "mainline")]
pub use dht::LocalDht;
pub use directory::Directory;
pub use error::DiscoveryError;
