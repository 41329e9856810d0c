//! The door of gossip: lets a peer in that was killed and is back before anybody noticed.
//!
//! iroh-gossip does not answer the join of a peer that it counts as a neighbor already. Whoever was
//! killed and comes back under the same id before its old connections have timed out, would wait
//! outside: its neighbors think that it is in. So whoever connects anew ends its older connections
//! first, and whoever is not let in hangs up and comes again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iroh::endpoint::{Connection, WeakConnectionHandle};
use iroh::protocol::{AcceptError, ProtocolHandler};
use iroh::{EndpointId, endpoint::VarInt};

/// Connections younger than this are none of an earlier life: two peers that dial each other at the
/// same time have two for good.
const SETTLED: Duration = Duration::from_secs(2);
/// Time for gossip to notice that connections have ended, before it hears of the next one.
const NOTICE: Duration = Duration::from_millis(50);
/// Peers whose connections are remembered; beyond, those that have ended are forgotten.
const MAX_PEERS: usize = 1024;

/// Gossip connections by peer, as far as they were made here or came in here.
#[derive(Debug, Clone, Default)]
pub struct Links(Arc<Mutex<HashMap<EndpointId, Vec<Link>>>>);

#[derive(Debug)]
struct Link {
    since: Instant,
    connection: WeakConnectionHandle,
}

impl Link {
    fn open(&self) -> Option<Connection> {
        let connection = self.connection.upgrade()?;
        connection.close_reason().is_none().then_some(connection)
    }
}

impl Links {
    /// Remembers a connection.
    pub fn add(&self, connection: &Connection) {
        let mut links = self.lock();
        if links.len() >= MAX_PEERS {
            links.retain(|_, of_peer| of_peer.iter().any(|link| link.open().is_some()));
        }
        let of_peer = links.entry(connection.remote_id()).or_default();
        of_peer.retain(|link| link.open().is_some());
        of_peer.push(Link {
            since: Instant::now(),
            connection: connection.weak_handle(),
        });
    }

    /// Ends the connections with a peer that are at least so old; says whether there were any.
    pub fn end(&self, peer: EndpointId, at_least: Duration) -> bool {
        let Some(of_peer) = self.lock().remove(&peer) else {
            return false;
        };
        let (old, young): (Vec<_>, Vec<_>) = of_peer
            .into_iter()
            .partition(|link| link.since.elapsed() >= at_least);
        if !young.is_empty() {
            self.lock().entry(peer).or_default().extend(young);
        }
        let open: Vec<_> = old.iter().filter_map(Link::open).collect();
        for connection in &open {
            connection.close(VarInt::from_u32(0), b"replaced");
        }
        !open.is_empty()
    }

    /// Peers with an open connection, none of whose connections is younger than this.
    pub fn settled(&self, at_least: Duration) -> Vec<EndpointId> {
        let mut links = self.lock();
        links.retain(|_, of_peer| {
            of_peer.retain(|link| link.open().is_some());
            !of_peer.is_empty()
        });
        let old = |of_peer: &[Link]| of_peer.iter().all(|link| link.since.elapsed() >= at_least);
        let settled = links.iter().filter(|(_, of_peer)| old(of_peer));
        settled.map(|(peer, _)| *peer).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EndpointId, Vec<Link>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands incoming connections on to gossip.
#[derive(Debug)]
pub struct Door<P> {
    /// The connections that there are.
    pub links: Links,
    /// Gossip.
    pub inner: P,
}

impl<P: ProtocolHandler> ProtocolHandler for Door<P> {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let peer = connection.remote_id();
        if self.links.end(peer, SETTLED) {
            tracing::debug!(peer = %peer.fmt_short(), "connected anew; its old connections end");
            tokio::time::sleep(NOTICE).await;
        }
        self.links.add(&connection);
        self.inner.accept(connection).await
    }

    async fn shutdown(&self) {
        self.inner.shutdown().await;
    }
}
