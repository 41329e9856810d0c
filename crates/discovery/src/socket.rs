//! The hello socket: one UDP socket per process, whatever the number of topics; and a second one,
//! for dial-backs, that is never read.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::core::hello::PACKET_BYTES;

/// Datagrams that wait for the actor. Full: the newest is dropped, as a full socket buffer would.
const QUEUE: usize = 1024;

/// Longest wait for a port that is taken: the service before this one may have it until its tasks and its
/// DHT node have ended. And how often it is tried.
const PORT_LIMIT: Duration = Duration::from_millis(2500);
const PORT_PAUSE: Duration = Duration::from_millis(50);

/// Binds something to a port of the user's choice (0: any), which may be about to be free.
///
/// # Errors
/// It can't be bound.
pub async fn bind_soon<T>(
    port: u16,
    mut bind: impl AsyncFnMut() -> io::Result<T>,
) -> io::Result<T> {
    let begin = Instant::now();
    loop {
        match bind().await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && port != 0
                    && begin.elapsed() < PORT_LIMIT =>
            {
                tokio::time::sleep(PORT_PAUSE).await;
            }
            bound => return bound,
        }
    }
}

/// What the reader of the socket tells the actor.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A datagram.
    Datagram(SocketAddrV4, Vec<u8>),
    /// So many datagrams had to be dropped before this moment.
    Dropped(u64),
}

/// The sending half; the reading half runs as a task and ends with the queue's receiver.
#[derive(Debug, Clone)]
pub struct HelloSocket {
    socket: Arc<UdpSocket>,
    address: SocketAddrV4,
    /// Another port of the same IP address, that nobody is ever told.
    back: Arc<UdpSocket>,
}

impl HelloSocket {
    /// Binds the socket and starts to read it.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn bind(to: SocketAddrV4) -> io::Result<(Self, mpsc::Receiver<Incoming>)> {
        let socket = Arc::new(UdpSocket::bind(to).await?);
        let address = match socket.local_addr()? {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => {
                return Err(io::Error::other("an IPv4 socket has an IPv6 address"));
            }
        };
        let back = Arc::new(UdpSocket::bind((*address.ip(), 0)).await?);
        let (tx, rx) = mpsc::channel(QUEUE);
        tokio::spawn(read(socket.clone(), tx));
        let bound = Self {
            socket,
            address,
            back,
        };
        Ok((bound, rx))
    }

    /// Where the socket is bound.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Sends a datagram, or drops it where the kernel's buffer is full, as UDP may.
    pub fn send(&self, to: SocketAddrV4, packet: &[u8]) -> io::Result<()> {
        self.socket.try_send_to(packet, to.into()).map(|_sent| ())
    }

    /// Sends a datagram from the second socket, or drops it likewise.
    pub fn dial_back(&self, to: SocketAddrV4, packet: &[u8]) -> io::Result<()> {
        self.back.try_send_to(packet, to.into()).map(|_sent| ())
    }
}

async fn read(socket: Arc<UdpSocket>, to: mpsc::Sender<Incoming>) {
    // One byte more than a hello has, so that a longer datagram is seen to be longer.
    let mut buffer = [0; PACKET_BYTES + 1];
    let mut dropped = 0;
    loop {
        let (len, from) = tokio::select! {
            () = to.closed() => return,
            received = socket.recv_from(&mut buffer) => match received {
                Ok((len, SocketAddr::V4(from))) => (len, from),
                // ICMP errors of earlier sends come up here; the socket stays usable.
                Ok((_, SocketAddr::V6(_))) | Err(_) => continue,
            },
        };
        if dropped > 0 && to.try_send(Incoming::Dropped(dropped)).is_ok() {
            dropped = 0;
        }
        if to
            .try_send(Incoming::Datagram(from, buffer[..len].to_vec()))
            .is_err()
        {
            dropped += 1;
        }
    }
}
