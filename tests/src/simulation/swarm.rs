//! Dials, connections and gossip: what the actor of gossip and iroh-gossip's network layer do.
//!
//! Modeled on `net.rs` of iroh-gossip 0.101 and on `door.rs` and `dials.rs` of kukuri's gossip, with
//! their oddities: a connection that gossip wants no more stays open until somebody closes it as a
//! stray; messages to a peer whose connection has died are lost until there is a new one.

use std::time::Duration;

use bytes::Bytes;
use iroh_gossip::proto::{Command, Event as Heard, InEvent, Message, OutEvent, Scope, Timer};
use kukuri_contract::{BEACON, EndpointAddr, EndpointId};
use kukuri_discovery::core::Input;

use super::event::Event;
use super::network::NodeId;
use super::node::{Link, gossip_topic};
use super::world::World;

/// Longest dial (`gossip.dial_timeout_ms`).
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Dials under way at once (`gossip.max_parallel_dials`).
const MAX_DIALS: usize = 16;

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Our membership.
    Membership,
    /// iroh-gossip.
    Gossip,
}

impl World {
    // --- dials ---

    /// Enters the swarm with nobody in it.
    pub(super) fn enter_swarm(&mut self, id: NodeId) {
        let topic = gossip_topic(self.topic);
        self.gossip_in(id, InEvent::Command(topic, Command::Join(Vec::new())));
    }

    /// Starts the dials that are wanted now, and plans when to look again.
    pub(super) fn pump(&mut self, id: NodeId) {
        let now = self.queue.now();
        let rng = &mut self.rng;
        let Some(node) = self.nodes[id as usize].as_mut().filter(|n| n.alive()) else {
            return;
        };
        if node.pump_at.is_some_and(|at| at <= now) {
            node.pump_at = None;
        }
        let room = MAX_DIALS.saturating_sub(node.dialing);
        let dials = node
            .membership
            .dials(now, room, &node.hosts, &mut |len| rng.index(len));
        node.dialing += dials.len();
        let wake = node.membership.next_wake(&node.hosts, now);
        // With all dials in use, the end of one of them comes back here.
        let wake = wake.filter(|_| node.dialing < MAX_DIALS);
        let wake = wake.map(|at| at.max(now + Duration::from_millis(1)));
        if let Some(at) = wake.filter(|at| node.pump_at.is_none_or(|planned| planned > *at)) {
            node.pump_at = Some(at);
            self.queue.plan(at, Event::Pump(id));
        }
        for peer in dials {
            match self.ids.get(&peer.id) {
                Some(to) => self.dial(id, *to, By::Membership),
                // No such endpoint: a record can't be forged, so nobody made it up.
                None => unreachable!("a verified record names a node"),
            }
        }
    }

    /// A member of another part of the swarm is dialed whatever the neighbors.
    pub(super) fn heal_with(&mut self, id: NodeId, peer: EndpointAddr) {
        let now = self.queue.now();
        self.tally.at(now).heal_dials += 1;
        if let Some(node) = self.node(id) {
            node.membership.heal_with(peer);
        }
        self.pump(id);
    }

    fn dial(&mut self, from: NodeId, to: NodeId, by: By) {
        let took = self.network.handshake(from, to, &mut self.rng);
        match self.answers(from, to) && took <= DIAL_TIMEOUT {
            true => self.plan(took, Event::Connected { from, to, by }),
            false => self.plan(DIAL_TIMEOUT, Event::DialFailed { from, to, by }),
        }
    }

    /// Whether a node answers another's dial now.
    pub(super) fn answers(&mut self, from: NodeId, to: NodeId) -> bool {
        let blocked = self.network.blocked(from, to);
        !blocked && self.node(to).is_some_and(|node| node.reachable)
    }

    pub(super) fn dial_failed(&mut self, from: NodeId, to: NodeId, by: By) {
        self.dial_ended(from, to, by, false);
        if by == By::Gossip {
            let links = self.node(from).and_then(|node| node.links.get(&to));
            if !matches!(links, Some(Link::Active(_))) {
                self.gossip_in(from, InEvent::PeerDisconnected(to));
            }
        }
        self.pump(from);
    }

    pub(super) fn dial_ended(&mut self, from: NodeId, to: NodeId, by: By, connected: bool) {
        let now = self.queue.now();
        let peer = self.address(to);
        let Some(node) = self.node(from) else {
            return;
        };
        match by {
            By::Membership => {
                node.dialing -= 1;
                node.hosts.dial_ended(&peer, connected, now);
                node.membership.dial_ended(peer.id, connected, now);
            }
            By::Gossip => _ = node.gossip_dials.remove(&to),
        }
    }

    fn address(&self, id: NodeId) -> EndpointAddr {
        let node = self.nodes[id as usize].as_ref();
        node.expect("it has joined").address.clone()
    }

    pub(super) fn endpoint(&self, id: NodeId) -> EndpointId {
        let node = self.nodes[id as usize].as_ref();
        node.expect("it has joined").endpoint
    }

    // --- gossip ---

    pub(super) fn broadcast(&mut self, id: NodeId, payload: Bytes) {
        let topic = gossip_topic(self.topic);
        let command = Command::Broadcast(payload, Scope::Swarm);
        self.gossip_in(id, InEvent::Command(topic, command));
    }

    pub(super) fn leave_swarm(&mut self, id: NodeId) {
        let topic = gossip_topic(self.topic);
        self.gossip_in(id, InEvent::Command(topic, Command::Quit));
    }

    pub(super) fn timer(&mut self, id: NodeId, timer: Timer<NodeId>) {
        self.gossip_in(id, InEvent::TimerExpired(timer));
    }

    pub(super) fn gossip_in(&mut self, id: NodeId, event: InEvent<NodeId>) {
        let now = self.base + self.queue.now();
        let Some(node) = self.node(id) else {
            return;
        };
        let out: Vec<_> = node.gossip.handle(event, now, None).collect();
        for event in out {
            match event {
                OutEvent::SendMessage(to, message) => self.send(id, to, Box::new(message)),
                OutEvent::EmitEvent(_, Heard::NeighborUp(peer)) => self.neighbor_up(id, peer),
                OutEvent::EmitEvent(_, Heard::NeighborDown(peer)) => self.neighbor_down(id, peer),
                OutEvent::EmitEvent(_, Heard::Received(message)) => {
                    if message.content.first() == Some(&BEACON) {
                        let payload = message.content.to_vec();
                        self.drive(id, Input::Beacon(self.topic, payload));
                    }
                }
                OutEvent::ScheduleTimer(after, timer) => {
                    self.plan(after, Event::Timer(id, timer));
                }
                OutEvent::DisconnectPeer(peer) => {
                    if let Some(node) = self.node(id) {
                        node.links.remove(&peer);
                    }
                }
                OutEvent::PeerData(..) => {}
            }
        }
    }

    fn send(&mut self, id: NodeId, to: NodeId, message: Box<Message<NodeId>>) {
        let now = self.queue.now();
        self.tally.at(now).gossip += 1;
        let Some(node) = self.node(id) else {
            return;
        };
        let link = node.links.entry(to);
        match link.or_insert_with(|| Link::Pending(Vec::new())) {
            Link::Active(connection) => {
                let connection = *connection;
                let side = self.connections[connection].side_of(id);
                self.transmit(connection, side, message);
            }
            Link::Pending(waiting) => {
                waiting.push(message);
                // As it is there: after a dial that failed, what waits keeps it from dialing again.
                if waiting.len() == 1 && node.gossip_dials.insert(to) {
                    self.dial(id, to, By::Gossip);
                }
            }
        }
    }

    // --- neighbors ---

    fn neighbor_up(&mut self, id: NodeId, peer: NodeId) {
        let now = self.queue.now();
        self.tally.at(now).ups += 1;
        let endpoint = self.endpoint(peer);
        let Some(node) = self.node(id) else {
            return;
        };
        node.first_neighbor.get_or_insert(now);
        node.neighbors.insert(peer);
        node.membership.neighbor_up(endpoint);
        node.asks.neighbor_up(peer);
        self.tell_neighbors(id);
        self.ask(id);
    }

    fn neighbor_down(&mut self, id: NodeId, peer: NodeId) {
        let now = self.queue.now();
        self.tally.at(now).downs += 1;
        let endpoint = self.endpoint(peer);
        let Some(node) = self.node(id) else {
            return;
        };
        node.neighbors.remove(&peer);
        node.membership.neighbor_down(endpoint, now);
        self.tell_neighbors(id);
        self.pump(id);
    }

    fn tell_neighbors(&mut self, id: NodeId) {
        let Some(node) = self.node(id) else {
            return;
        };
        let neighbors = node.membership.neighbors().iter().copied().collect();
        self.drive(id, Input::Neighbors(self.topic, neighbors));
    }
}
