//! What hellos go over, if there is anything: the one place that knows which.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use crate::directory::Place;
use crate::socket::HelloSocket;

/// The way of hellos.
#[derive(Debug)]
pub enum Hellos {
    /// Over UDP.
    Socket(HelloSocket),
    /// Within the process.
    Directory(Arc<Place>),
    /// None are said, and none heard.
    None,
}

impl Hellos {
    /// Where others send theirs over UDP, if they do.
    pub fn address(&self) -> Option<SocketAddrV4> {
        match self {
            Self::Socket(socket) => Some(socket.address()),
            Self::Directory(_) | Self::None => None,
        }
    }

    /// Where others send theirs, for the core, which says no hello where the port is 0.
    pub fn own(&self) -> SocketAddrV4 {
        match self {
            Self::Socket(socket) => socket.address(),
            Self::Directory(place) => place.address(),
            Self::None => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        }
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// The socket did not take it.
    pub fn send(&self, to: SocketAddrV4, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.send(to, packet),
            Self::Directory(place) => {
                place.send(to, packet);
                Ok(())
            }
            Self::None => Err(nothing()),
        }
    }

    /// Sends a datagram from where nothing else comes from.
    ///
    /// # Errors
    /// The socket did not take it.
    pub fn dial_back(&self, to: SocketAddrV4, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.dial_back(to, packet),
            Self::Directory(place) => {
                place.dial_back(to, packet);
                Ok(())
            }
            Self::None => Err(nothing()),
        }
    }
}

fn nothing() -> io::Error {
    io::Error::other("this discovery says no hellos")
}
