//! What happens in the world.

use std::net::SocketAddrV4;
use std::time::Duration;

use iroh_gossip::proto::{Message, Timer};
use kukuri_contract::InfoHash;
use kukuri_discovery::core::{Input, QueryId};

use super::asks::Answer;
use super::network::NodeId;
use super::pages::PagePut;
use super::swarm::By;

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A node joins.
    Join { node: NodeId, late: bool },
    /// A node's discovery is to look what is due.
    Tick(NodeId),
    /// A node's DHT node counts its routing table.
    Table(NodeId),
    /// Something comes to a node's discovery.
    Fed(NodeId, Box<Input>),
    /// A look-up's request is at a DHT node.
    Asked {
        node: NodeId,
        query: QueryId,
        infohash: InfoHash,
        dht: u16,
        reply_at: Duration,
    },
    /// The puts of an announcement begin.
    Put {
        node: NodeId,
        query: QueryId,
        infohash: InfoHash,
        since: Duration,
    },
    /// An announcement is at a DHT node.
    Stored {
        dht: u16,
        infohash: InfoHash,
        address: SocketAddrV4,
    },
    /// A read of a page is at a DHT node.
    PageAsked {
        node: NodeId,
        query: QueryId,
        target: InfoHash,
        dht: u16,
        reply_at: Duration,
    },
    /// The puts of a page begin.
    PutPage(Box<PagePut>),
    /// A put of a page is at a DHT node.
    PageStored {
        dht: u16,
        answered: bool,
        put: Box<PagePut>,
    },
    /// All have answered a put of a page, or are waited for no longer.
    PageEnded {
        node: NodeId,
        query: QueryId,
        timed_out: bool,
    },
    /// A node is to look whom to dial.
    Pump(NodeId),
    /// A dial has succeeded, if the other side is still there.
    Connected { from: NodeId, to: NodeId, by: By },
    /// A dial has failed.
    DialFailed { from: NodeId, to: NodeId, by: By },
    /// A connection is at the other side's door.
    Door { connection: usize },
    /// A connection was let in.
    Accepted { connection: usize },
    /// A message comes out of a connection at its dialer (0) or acceptor (1).
    Gossip {
        connection: usize,
        side: usize,
        message: Box<Message<NodeId>>,
    },
    /// A timer of iroh-gossip.
    Timer(NodeId, Timer<NodeId>),
    /// A connection has ended, as one side sees it.
    Closed { connection: usize, side: usize },
    /// A connection was silent for too long, if the network is still split.
    Silent { connection: usize },
    /// A node is to look whether to ask a neighbor.
    Ask(NodeId),
    /// A question is at a neighbor, which may have waited for the asker to become one.
    Question {
        from: NodeId,
        to: NodeId,
        waited: bool,
    },
    /// A question is over.
    Answer { to: NodeId, answer: Answer },
    /// A peer that was dialed should be a neighbor by now.
    Expect { node: NodeId, peer: NodeId },
    /// Connections that nobody needs are closed.
    Strays,
    /// Something of the scenario.
    Action(usize),
    /// False entries are announced again.
    Flood(usize),
    /// One node goes, another comes.
    Churn,
    /// The swarm is looked at.
    Sample,
}
