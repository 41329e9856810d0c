//! Connections, as iroh-gossip's network layer and the door of kukuri's gossip keep them.

use std::time::Duration;

use iroh_gossip::proto::{Command, InEvent, Message};

use super::event::Event;
use super::network::NodeId;
use super::node::{Link, gossip_topic};
use super::swarm::{By, DIAL_TIMEOUT};
use super::world::World;

/// A silent connection is dead after so long (`gossip.idle_timeout_ms`).
const IDLE_TIMEOUT: Duration = Duration::from_secs(6);
/// It was silent for at most so long before (`gossip.keep_alive_ms`).
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Who was dialed is a neighbor within so long, or is hung up.
const JOIN_LIMIT: Duration = Duration::from_secs(2);
/// Older connections of a peer that connects anew end.
const SETTLED: Duration = Duration::from_secs(2);
/// Time for gossip to notice that.
const NOTICE: Duration = Duration::from_millis(50);
/// Connections that no neighbor needs are closed at this age (`gossip.stray_ms`).
const STRAY: Duration = Duration::from_secs(30);

/// A connection between two nodes.
#[derive(Debug)]
pub(super) struct Connection {
    /// Who dialed, and who was dialed.
    ends: [NodeId; 2],
    since: Duration,
    /// The dialer knows of it; of one that iroh-gossip has dialed it does not. The other side
    /// always does.
    ours: bool,
    /// When it was let in; messages wait for it.
    ready: Duration,
    /// Whether it has ended, as each side sees it.
    closed: [bool; 2],
    /// When the last message to each side arrives: none overtakes another.
    last: [Duration; 2],
}

impl Connection {
    pub(super) fn side_of(&self, node: NodeId) -> usize {
        usize::from(self.ends[1] == node)
    }

    /// Whether a side knows of it, so that it can close it.
    fn known_to(&self, side: usize) -> bool {
        side == 1 || self.ours
    }
}

impl World {
    pub(super) fn connected(&mut self, from: NodeId, to: NodeId, by: By) {
        if self.node(from).is_none() {
            return;
        }
        if !self.answers(from, to) {
            self.plan(DIAL_TIMEOUT, Event::DialFailed { from, to, by });
            return;
        }
        let now = self.queue.now();
        let way = self.network.message(from, to, &mut self.rng);
        let connection = self.connections.len();
        self.connections.push(Connection {
            ends: [from, to],
            since: now,
            ours: by != By::Gossip,
            ready: now + way,
            closed: [false; 2],
            last: [now; 2],
        });
        self.plan(way, Event::Door { connection });
        self.take_over(connection, from);
        self.dial_ended(from, to, by, true);
        if by != By::Gossip {
            let topic = gossip_topic(self.topic);
            self.gossip_in(from, InEvent::Command(topic, Command::Join(vec![to])));
            let expect = Event::Expect {
                node: from,
                peer: to,
            };
            self.plan(JOIN_LIMIT, expect);
            self.pump(from);
        }
    }

    /// Whoever connects anew ends its older connections first.
    pub(super) fn door(&mut self, connection: usize) {
        let now = self.queue.now();
        let [from, to] = self.connections[connection].ends;
        let old = |c: &Connection| now >= c.since + SETTLED;
        let ended = self.end_connections(to, from, old);
        if ended {
            self.connections[connection].ready = now + NOTICE;
            self.plan(NOTICE, Event::Accepted { connection });
        } else {
            self.accepted(connection);
        }
    }

    pub(super) fn accepted(&mut self, connection: usize) {
        let Connection { ends, closed, .. } = self.connections[connection];
        if closed == [false; 2] && self.node(ends[1]).is_some() {
            self.take_over(connection, ends[1]);
        }
    }

    /// From now on a node's messages go over this connection, those that wait first.
    fn take_over(&mut self, connection: usize, id: NodeId) {
        let side = self.connections[connection].side_of(id);
        let peer = self.connections[connection].ends[1 - side];
        let Some(node) = self.node(id) else {
            return;
        };
        node.connections.push(connection);
        let waiting = match node.links.insert(peer, Link::Active(connection)) {
            Some(Link::Pending(waiting)) => waiting,
            Some(Link::Active(_)) | None => Vec::new(),
        };
        for message in waiting {
            self.transmit(connection, side, message);
        }
    }

    /// Ends the connections of a node with a peer that it knows of and that fit.
    pub(super) fn end_connections(
        &mut self,
        id: NodeId,
        peer: NodeId,
        fits: impl Fn(&Connection) -> bool,
    ) -> bool {
        let all = &self.connections;
        let Some(node) = self.nodes[id as usize].as_ref().filter(|n| n.alive()) else {
            return false;
        };
        let ending = node.connections.iter().copied().filter(|at| {
            let connection = &all[*at];
            let side = connection.side_of(id);
            connection.ends[1 - side] == peer && connection.known_to(side) && fits(connection)
        });
        let ending: Vec<_> = ending.collect();
        for at in &ending {
            let side = self.connections[*at].side_of(id);
            self.close(*at, side);
        }
        !ending.is_empty()
    }

    /// How long until a connection that carries nothing any more is dead.
    fn dying(&mut self) -> Duration {
        self.rng.between(IDLE_TIMEOUT - KEEP_ALIVE, IDLE_TIMEOUT)
    }

    /// One side closes a connection.
    fn close(&mut self, connection: usize, side: usize) {
        let [a, b] = self.connections[connection].ends;
        let way = self.network.latency(a, b);
        let other = 1 - side;
        let wait = match self.network.blocked(a, b) {
            true => self.dying(),
            false => way,
        };
        self.closed(connection, side);
        let side = other;
        self.plan(wait, Event::Closed { connection, side });
    }

    pub(super) fn closed(&mut self, connection: usize, side: usize) {
        let link = &mut self.connections[connection];
        if std::mem::replace(&mut link.closed[side], true) {
            return;
        }
        let (id, peer) = (link.ends[side], link.ends[1 - side]);
        let Some(node) = self.node(id) else {
            return;
        };
        node.connections.retain(|at| *at != connection);
        if matches!(node.links.get(&peer), Some(Link::Active(at)) if *at == connection) {
            self.gossip_in(id, InEvent::PeerDisconnected(peer));
        }
    }

    /// A node is gone: at once if it says so, else its connections die of silence.
    pub(super) fn abandon_connections(&mut self, id: NodeId, silence: bool) {
        let Some(node) = self.nodes[id as usize].as_mut() else {
            return;
        };
        for connection in std::mem::take(&mut node.connections) {
            let side = self.connections[connection].side_of(id);
            let [a, b] = self.connections[connection].ends;
            self.connections[connection].closed[side] = true;
            let wait = match silence {
                true => self.dying(),
                false => self.network.latency(a, b),
            };
            let side = 1 - side;
            self.plan(wait, Event::Closed { connection, side });
        }
    }

    /// The network has split: connections between its parts die of silence.
    pub(super) fn break_connections(&mut self) {
        for connection in 0..self.connections.len() {
            let Connection { ends, closed, .. } = &self.connections[connection];
            if *closed == [false; 2] && self.network.blocked(ends[0], ends[1]) {
                let dying = self.dying();
                self.plan(dying, Event::Silent { connection });
            }
        }
    }

    pub(super) fn silent(&mut self, connection: usize) {
        let [a, b] = self.connections[connection].ends;
        if self.network.blocked(a, b) {
            self.closed(connection, 0);
            self.closed(connection, 1);
        }
    }

    /// A peer that was dialed and is no neighbor is in no part of the swarm, or takes this node for
    /// another: hanging up helps.
    pub(super) fn expect(&mut self, id: NodeId, peer: NodeId) {
        if !self.needs(id, peer) {
            self.end_connections(id, peer, |_| true);
        }
    }

    fn needs(&mut self, id: NodeId, peer: NodeId) -> bool {
        let endpoint = self.endpoint(peer);
        self.node(id).is_some_and(|node| {
            node.neighbors.contains(&peer) || node.membership.is_dialing(endpoint)
        })
    }

    /// Ends connections that nobody needs.
    pub(super) fn hang_up_strays(&mut self) {
        let now = self.queue.now();
        for id in 0..self.nodes.len() as NodeId {
            let Some(node) = self.node(id) else {
                continue;
            };
            for at in node.connections.clone() {
                let connection = &self.connections[at];
                let side = connection.side_of(id);
                let peer = connection.ends[1 - side];
                let old = now >= connection.since + STRAY && connection.known_to(side);
                if old && !self.needs(id, peer) {
                    self.close(at, side);
                }
            }
        }
        self.plan(STRAY / 2, Event::Strays);
    }

    // --- messages ---

    pub(super) fn gossip(&mut self, connection: usize, side: usize, message: Message<NodeId>) {
        let link = &self.connections[connection];
        if side == 1 && link.ready > self.queue.now() {
            // It came while the door was shut.
            let (at, message) = (link.ready, Box::new(message));
            let event = Event::Gossip {
                connection,
                side,
                message,
            };
            self.queue.plan(at, event);
        } else if !link.closed[side] {
            let (id, from) = (link.ends[side], link.ends[1 - side]);
            self.gossip_in(id, InEvent::RecvMessage(from, message));
        }
    }

    pub(super) fn transmit(
        &mut self,
        connection: usize,
        side: usize,
        message: Box<Message<NodeId>>,
    ) {
        let now = self.queue.now();
        let link = &mut self.connections[connection];
        let ([a, b], other) = (link.ends, 1 - side);
        if link.closed[side] || self.network.blocked(a, b) {
            return;
        }
        let way = self.network.message(a, b, &mut self.rng);
        let mut arrives = (now + way).max(link.last[other]);
        if other == 1 {
            arrives = arrives.max(link.ready);
        }
        link.last[other] = arrives;
        let side = other;
        let event = Event::Gossip {
            connection,
            side,
            message,
        };
        self.queue.plan(arrives, event);
    }
}
