//! The door of gossip: lets in who proves to be a member, also a peer that was killed and is back
//! before anybody noticed.
//!
//! iroh-gossip does not answer the join of a peer that it counts as a neighbor already. Whoever was
//! killed and comes back under the same id before its old connections have timed out, would wait
//! outside: its neighbors think that it is in. So whoever connects anew ends its older connections
//! first, and whoever is not let in hangs up and comes again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use iroh::endpoint::{Connection, WeakConnectionHandle};
use iroh::protocol::{AcceptError, ProtocolHandler};
use iroh::{EndpointId, endpoint::VarInt};
use kukuri_contract::{GossipEvent, Outlet, ProofDrop, ProofSide};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::core::banned::Banned;
use crate::core::waiting::{Ticket, Waiting};
use crate::endpoint::from_iroh;
use crate::member::{hear, refuse};
use crate::rooms::Rooms;

/// Connections younger than this are none of an earlier life: two peers that dial each other at the
/// same time have two for good.
const SETTLED: Duration = Duration::from_secs(2);
/// Time for gossip to notice that connections have ended, before it hears of the next one.
const NOTICE: Duration = Duration::from_millis(50);
/// Time for a proof to come in, from the end of the TLS handshake: the side that dials sends it at
/// once; three seconds for packets that get lost.
const PROOF_LIMIT: Duration = Duration::from_secs(3);
/// Connections at once whose proof is waited for, in all and of one peer; beyond, the oldest of all gives
/// way. 64: a swarm that is back all together; 16: what a peer dials at once by default, each for another
/// topic.
const UNPROVEN: (usize, usize) = (64, 16);
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

    /// Ends all connections.
    pub fn end_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        for connection in all.values().flatten().filter_map(Link::open) {
            connection.close(VarInt::from_u32(0), b"closed");
        }
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

/// Hands incoming connections on to the swarms that they belong to.
#[derive(Debug, Clone)]
pub struct Door {
    me: kukuri_contract::EndpointId,
    rooms: Rooms,
    events: Outlet<GossipEvent>,
    banned: watch::Receiver<Banned>,
    unproven: Arc<Mutex<Unproven>>,
}

#[derive(Debug)]
struct Unproven {
    waiting: Waiting,
    /// Dropped when somebody has to give way.
    places: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A place among those that wait; left when it is dropped.
struct Place {
    of: Arc<Mutex<Unproven>>,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut unproven = lock(&self.of);
        unproven.waiting.leave(self.ticket);
        unproven.places.remove(&self.ticket);
    }
}

fn lock(unproven: &Mutex<Unproven>) -> MutexGuard<'_, Unproven> {
    unproven.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    /// The door to all rooms of this endpoint, for all but those who are `banned`; tells `events` whom
    /// it does not let in.
    pub fn new(
        me: kukuri_contract::EndpointId,
        rooms: Rooms,
        events: Outlet<GossipEvent>,
        banned: watch::Receiver<Banned>,
    ) -> Self {
        let (all, per_peer) = UNPROVEN;
        let unproven = Unproven {
            waiting: Waiting::new(all, per_peer),
            places: HashMap::new(),
        };
        Self {
            me,
            rooms,
            events,
            banned,
            unproven: Arc::new(Mutex::new(unproven)),
        }
    }

    /// A place, and what breaks off when that has to go.
    fn knock(&self, peer: EndpointId) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut unproven = lock(&self.unproven);
        let (ticket, gone) = unproven.waiting.knock(from_iroh(peer))?;
        if let Some(gone) = gone {
            unproven.places.remove(&gone);
        }
        let (place, goes) = oneshot::channel();
        unproven.places.insert(ticket, place);
        let of = self.unproven.clone();
        Some((Place { of, ticket }, goes))
    }

    async fn let_in(&self, connection: &Connection) -> Result<(), ProofDrop> {
        let peer = connection.remote_id();
        let banned = || self.banned.borrow().has(from_iroh(peer));
        if banned() {
            return Err(ProofDrop::Banned);
        }
        let (place, goes) = self.knock(peer).ok_or(ProofDrop::Busy)?;
        let heard = timeout(PROOF_LIMIT, hear(connection, self.me, &self.rooms));
        let guest = tokio::select! {
            heard = heard => heard.map_err(|_| ProofDrop::TimedOut)??,
            _ = goes => return Err(ProofDrop::Busy),
        };
        drop(place);
        if guest.room.links.end(peer, SETTLED) {
            tracing::debug!(peer = %peer.fmt_short(), "connected anew; its old connections end");
            tokio::time::sleep(NOTICE).await;
        }
        let room = guest.answer().await?;
        if banned() {
            return Err(ProofDrop::Banned);
        }
        match room.let_in(connection.clone()).await {
            true => Ok(()),
            // It was left in the meantime.
            false => Err(ProofDrop::NotMember),
        }
    }
}

impl ProtocolHandler for Door {
    /// Never an error: the router would log it.
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        if let Err(reason) = self.let_in(&connection).await {
            let peer = connection.remote_id();
            tracing::debug!(peer = %peer.fmt_short(), reason = reason.as_str(), "not let in");
            refuse(&connection, reason);
            self.events.emit(GossipEvent::ProofDropped {
                peer: from_iroh(peer),
                side: ProofSide::Accepted,
                reason,
            });
        }
        Ok(())
    }

    async fn shutdown(&self) {
        let rooms = self.rooms.all();
        join_all(rooms.iter().map(|room| room.close())).await;
    }
}
