//! In the place of `dht.rs` in a build without `mainline`: there is no DHT node, and none can be started.

#![allow(
    dead_code,
    reason = "the items of dht.rs that others use; nothing makes any"
)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use futures_util::stream::Empty;
use kukuri_contract::{AnnounceResult, InfoHash};

use crate::config::Config;
use crate::core::PageAt;
use crate::core::board::write::PutResult;

/// Whether this build has a DHT.
pub const BUILT: bool = false;

/// There is none.
#[derive(Debug, Clone)]
pub enum DhtNode {}

/// How many DHT nodes answer.
#[derive(Debug, Clone, Copy)]
pub struct Replies {
    /// Nodes that were asked.
    pub asked: u32,
    /// Those that answered in time.
    pub answered: u32,
}

/// Why there is no DHT node.
#[derive(Debug, thiserror::Error)]
pub enum DhtError {
    /// Of dht.rs.
    #[error("none of the bootstrap nodes {names:?} resolves to an IPv4 address")]
    NoBootstrap {
        /// The names.
        names: Vec<String>,
    },
    /// Of dht.rs.
    #[error("this machine has no IPv4 route to the DHT")]
    NoIpv4(#[source] io::Error),
    /// What is true of this build.
    #[error("this build has no DHT")]
    Absent,
}

impl DhtNode {
    pub async fn start(_: &Config, _: &[SocketAddr]) -> Result<Self, DhtError> {
        Err(DhtError::Absent)
    }

    pub fn address(&self) -> SocketAddrV4 {
        match *self {}
    }

    pub fn lookup(&self, _: InfoHash) -> Empty<Vec<SocketAddrV4>> {
        match *self {}
    }

    pub async fn announce(&self, _: InfoHash, _: u16) -> AnnounceResult {
        match *self {}
    }

    pub fn read_page(&self, _: &PageAt) -> Empty<(Vec<u8>, i64)> {
        match *self {}
    }

    pub async fn write_page(&self, _: &PageAt, _: &[u8], _: i64, _: i64) -> PutResult {
        match *self {}
    }

    pub async fn routing_table(&self) -> (usize, Vec<SocketAddr>) {
        match *self {}
    }

    pub async fn count_replies(&self, _: [u8; 32]) -> Option<Replies> {
        match *self {}
    }

    pub async fn public_ip(&self) -> Option<Ipv4Addr> {
        match *self {}
    }

    pub async fn serves(&self) -> bool {
        match *self {}
    }
}
