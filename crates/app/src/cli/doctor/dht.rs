//! What it takes a DHT to try: one on this machine, and the one that this node would use.

mod network;
mod own;

pub use network::examine;
pub use own::self_test;
