//! Dials: those of the actor, and those that iroh-gossip wants.
//!
//! iroh-gossip dials by itself, when a member tells it of another. Each topic's does so under a
//! protocol name of its own, which never leaves this file: the hook sees it, has [`Dialer`] dial in its
//! stead, with the proof that belongs to the topic, and lets the connection in. The dial of iroh-gossip
//! itself is then turned down before anything is sent; it goes on with the connection that it was
//! given.

use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{BeforeConnectOutcome, EndpointHooks};
use iroh::{EndpointAddr, EndpointId};
use kukuri_contract::{DialResult, GossipEvent, Outlet, ProofDrop, ProofSide};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::core::banned::Banned;
use crate::endpoint::{Lent, from_iroh};
use crate::member::{GOSSIP_ALPN, prove, refuse};
use crate::rooms::Rooms;
use crate::swarm::{Room, RoomId};

/// Dials that iroh-gossip wants, under way at once over all topics; beyond, they fail. 64: one for each
/// topic that a node may have. A member can tell of peers that are none.
const MAX_WISHES: usize = 64;

/// Prefix of the names that iroh-gossip asks for.
const ROOM: &[u8] = b"room ";

/// The protocol that the iroh-gossip of a room asks for. No endpoint speaks it.
pub fn room_alpn(id: RoomId) -> Vec<u8> {
    [ROOM, &id.0.to_be_bytes()].concat()
}

fn room_of(alpn: &[u8]) -> Option<RoomId> {
    let number = alpn.strip_prefix(ROOM)?.try_into().ok()?;
    Some(RoomId(u64::from_be_bytes(number)))
}

/// What the iroh-gossip of a room wants.
#[derive(Debug)]
pub struct Wish {
    room: RoomId,
    peer: EndpointId,
    /// Dropped when it was granted, or was in vain.
    done: oneshot::Sender<()>,
}

/// Sees what iroh-gossip wants. An endpoint must have it from the start.
#[derive(Debug, Clone)]
pub struct Wishes(mpsc::Sender<Wish>);

impl Wishes {
    /// The hook, and what it sees.
    pub fn new() -> (Self, mpsc::Receiver<Wish>) {
        // None waits: the other side takes each at once.
        let (seen, wishes) = mpsc::channel(1);
        (Self(seen), wishes)
    }
}

impl EndpointHooks for Wishes {
    async fn before_connect<'a>(
        &'a self,
        to: &'a EndpointAddr,
        alpn: &'a [u8],
    ) -> BeforeConnectOutcome {
        let Some(room) = room_of(alpn) else {
            return BeforeConnectOutcome::Accept;
        };
        let (done, is_done) = oneshot::channel();
        let peer = to.id;
        if self.0.send(Wish { room, peer, done }).await.is_ok() {
            // Always an error: it is only dropped.
            let _done = is_done.await;
        }
        BeforeConnectOutcome::Reject
    }
}

/// Dials for a room.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// The endpoint.
    pub endpoint: Lent,
    /// Its id.
    pub me: kukuri_contract::EndpointId,
    /// The rooms.
    pub rooms: Rooms,
    /// Who hears of proofs that failed.
    pub events: Outlet<GossipEvent>,
    /// Whom not to dial.
    pub banned: watch::Receiver<Banned>,
    /// Longest dial, the proof included.
    pub limit: Duration,
}

impl Dialer {
    /// Dials a peer for a room: once both have proven to be members, the room's swarm gets the
    /// connection.
    pub async fn dial(&self, room: &Room, to: EndpointAddr) -> DialResult {
        let deadline = Instant::now() + self.limit;
        let peer = to.id;
        if self.banned.borrow().has(from_iroh(peer)) {
            return DialResult::Banned;
        }
        let Some(endpoint) = self.endpoint.get() else {
            return DialResult::Failed;
        };
        let connection = match timeout_at(deadline, endpoint.connect(to, GOSSIP_ALPN)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.fmt_short(), %error, "dial failed");
                return DialResult::Failed;
            }
            Err(_) => return DialResult::TimedOut,
        };
        let keys = room.keys();
        let proven = timeout_at(deadline, prove(&connection, self.me, &keys));
        let reason = match proven.await {
            // Banned meanwhile.
            Ok(Ok(())) if self.banned.borrow().has(from_iroh(peer)) => {
                refuse(&connection, ProofDrop::Banned);
                return DialResult::Banned;
            }
            Ok(Ok(())) => {
                return match room.let_in(connection).await {
                    true => DialResult::Connected,
                    false => DialResult::Failed,
                };
            }
            Ok(Err(reason)) => reason,
            Err(_) => ProofDrop::TimedOut,
        };
        tracing::debug!(peer = %peer.fmt_short(), reason = reason.as_str(), "no member");
        refuse(&connection, reason);
        self.events.emit(GossipEvent::ProofDropped {
            peer: from_iroh(peer),
            side: ProofSide::Dialed,
            reason,
        });
        match reason {
            ProofDrop::NotMember | ProofDrop::Refused | ProofDrop::Epoch => DialResult::NotMember,
            ProofDrop::TimedOut => DialResult::TimedOut,
            _ => DialResult::Failed,
        }
    }

    /// Dials what iroh-gossip wants, until the endpoint is closed.
    pub async fn grant(self, mut wishes: mpsc::Receiver<Wish>) {
        let Some(closed) = self.endpoint.get().map(|endpoint| endpoint.closed()) else {
            return;
        };
        tokio::pin!(closed);
        let mut dials = JoinSet::new();
        loop {
            let wish = tokio::select! {
                wish = wishes.recv() => wish,
                Some(_) = dials.join_next() => continue,
                _ = &mut closed => return,
            };
            let Some(Wish { room, peer, done }) = wish else {
                return;
            };
            if let Some(room) = self.rooms.named(room)
                && dials.len() < MAX_WISHES
            {
                let dialer = self.clone();
                dials.spawn(async move { dialer.for_gossip(room, peer, done).await });
            }
        }
    }

    async fn for_gossip(&self, room: Arc<Room>, peer: EndpointId, done: oneshot::Sender<()>) {
        let result = self.dial(&room, EndpointAddr::new(peer)).await;
        tracing::debug!(
            peer = %peer.fmt_short(),
            result = result.as_str(),
            "dialed for iroh-gossip"
        );
        // Only now: iroh-gossip has the connection before it hears that its dial came to nothing.
        drop(done);
    }
}
