//! A peer as others can reach it, and how it was found.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{EndpointId, IdError};

/// Most direct addresses that a record carries; more would not fit its 256 bytes beside a relay.
pub const MAX_DIRECT_ADDRESSES: usize = 4;

/// An endpoint with the addresses it can be dialed at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndpointAddr {
    /// Who.
    pub id: EndpointId,
    /// Addresses that it can be dialed at directly, best first. Who reads them takes as many as it has
    /// room for.
    pub direct: Vec<SocketAddr>,
    /// URL of a relay server that it can be reached through.
    pub relay: Option<String>,
}

/// Why a text is no endpoint address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointAddrError {
    /// The `@` is missing.
    #[error("expected ENDPOINT_ID@HOST:PORT, found no `@`")]
    NoAt,
    /// What stands before the `@` is no endpoint id.
    #[error("the endpoint id before the `@` is wrong")]
    Id(#[source] IdError),
    /// What stands after the `@` is no socket address.
    #[error("{0:?} is not an IP address with a port, such as 192.0.2.7:4433 or [2001:db8::7]:4433")]
    Address(String),
}

impl FromStr for EndpointAddr {
    type Err = EndpointAddrError;

    /// Parses `ENDPOINT_ID@IP:PORT`.
    fn from_str(text: &str) -> Result<Self, EndpointAddrError> {
        let (id, address) = text.split_once('@').ok_or(EndpointAddrError::NoAt)?;
        let id = id.parse().map_err(EndpointAddrError::Id)?;
        let address = address
            .parse()
            .map_err(|_| EndpointAddrError::Address(address.to_owned()))?;
        Ok(Self {
            id,
            direct: vec![address],
            relay: None,
        })
    }
}

/// How a peer was found. One list everywhere: events, metric labels, config. An implementation takes
/// what comes closest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Remembered from an earlier run ([`Discover::cached`](crate::Discover::cached)).
    Cache,
    /// Given by the user ([`Discover::peers`](crate::Discover::peers)).
    Static,
    /// Found on the local network.
    Lan,
    /// In a place where the members of a topic announce themselves: the DHT, a folder, a list.
    Rendezvous,
    /// On a board that the members of a topic write on, for those whom nobody can reach.
    Board,
    /// The other side found us.
    Inbound,
}

impl Source {
    /// All sources, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Cache,
        Self::Static,
        Self::Lan,
        Self::Rendezvous,
        Self::Board,
        Self::Inbound,
    ];

    /// The name in events, labels and config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Static => "static",
            Self::Lan => "lan",
            Self::Rendezvous => "rendezvous",
            Self::Board => "board",
            Self::Inbound => "inbound",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_address_text() {
        let id = "ab".repeat(32);
        let addr: EndpointAddr = format!("{id}@127.0.0.1:4433").parse().unwrap();
        assert_eq!(addr.id.to_string(), id);
        assert_eq!(addr.direct, ["127.0.0.1:4433".parse().unwrap()]);
        assert_eq!("x".parse::<EndpointAddr>(), Err(EndpointAddrError::NoAt));
        assert!(matches!(
            "x@127.0.0.1:1".parse::<EndpointAddr>(),
            Err(EndpointAddrError::Id(_))
        ));
        assert_eq!(
            format!("{id}@localhost").parse::<EndpointAddr>(),
            Err(EndpointAddrError::Address("localhost".into()))
        );
    }
}
