//! One simulated node: the cores of discovery and of gossip's membership, and iroh-gossip's
//! protocol state, as they are in a real node. What the actors do between them is in `world.rs` and
//! `swarm.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use iroh_gossip::proto::{self, Config, Message, PeerData, State};
use kukuri_contract::{EndpointAddr, EndpointId, InfoHash, SignRequest, Signature};
use kukuri_discovery::core::{Core, Entropy, Me};
use kukuri_gossip::core::hosts::Hosts;
use kukuri_gossip::core::membership::Membership;

use super::asks::Asks;
use super::network::{Network, NodeId};
use super::rng::Seeded;

/// How often iroh-gossip looks for old messages in its caches. Its default is a second; ten save
/// most of the events of a large simulation, and change only how long an old message stays.
const EVICT: Duration = Duration::from_secs(10);

/// A simulated node.
#[derive(Debug)]
pub struct Node {
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// Where others reach it.
    pub address: EndpointAddr,
    /// Discovery.
    pub core: Core,
    /// Whom gossip dials.
    pub membership: Membership,
    /// Hosts that it has dialed in vain.
    pub hosts: Hosts,
    /// HyParView and PlumTree.
    pub gossip: State<NodeId, Seeded>,
    /// What gossip thinks of its connections.
    pub links: BTreeMap<NodeId, Link>,
    /// Peers that iroh-gossip dials by itself.
    pub gossip_dials: BTreeSet<NodeId>,
    /// Numbers of its open connections.
    pub connections: Vec<usize>,
    /// Dials of our own under way.
    pub dialing: usize,
    /// Its neighbors.
    pub neighbors: BTreeSet<NodeId>,
    /// What it knows of the DHT nodes that store an infohash.
    pub known: BTreeMap<InfoHash, Known>,
    /// DHT nodes in its routing table.
    pub table: usize,
    /// How long it waits for a reply of a DHT node.
    pub reply_wait: Duration,
    /// Its clock is wrong by so many milliseconds.
    pub clock_off: i64,
    /// Others reach it unasked.
    pub reachable: bool,
    /// It joined after those of the start.
    pub late: bool,
    /// When it joined.
    pub joined_at: Duration,
    /// When it had its first neighbor.
    pub first_neighbor: Option<Duration>,
    /// When it was gone.
    pub gone_at: Option<Duration>,
    /// Whom it takes for the root of its part of the swarm.
    pub root: Option<EndpointId>,
    /// So many members its part of the swarm has, by its estimate.
    pub members: u64,
    /// The next tick of its discovery.
    pub tick_at: Option<Duration>,
    /// The next look at whom to dial.
    pub pump_at: Option<Duration>,
    /// What it asks its neighbors.
    pub(super) asks: Asks,
    key: SigningKey,
}

/// What iroh-gossip's network layer knows of a peer.
#[derive(Debug)]
pub enum Link {
    /// Not connected yet; these messages wait.
    Pending(Vec<Box<Message<NodeId>>>),
    /// Messages go over this connection, be it open or not.
    Active(usize),
}

/// The DHT nodes that a query has found.
#[derive(Debug, Clone)]
pub struct Known {
    /// When the query ends or has ended.
    pub ended: Duration,
    /// Who answered.
    pub answered: Vec<u16>,
}

/// What makes one node different from another.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Its clock is wrong by so many milliseconds.
    pub clock_off: i64,
    /// Others reach it unasked.
    pub reachable: bool,
    /// It joins after those of the start.
    pub late: bool,
}

impl Node {
    /// Node number `id`, that joins now.
    pub fn new(id: NodeId, traits: Traits, now: Duration, rng: &mut Seeded) -> Self {
        let mut secret = [0; 32];
        rng.fill(&mut secret);
        let key = SigningKey::from_bytes(&secret);
        let endpoint = EndpointId::from_bytes(key.verifying_key().to_bytes());
        let me = Me {
            endpoint,
            hello: Network::hello(id),
        };
        let discovery = kukuri_discovery::Config::default();
        let mut config = Config::default();
        config.broadcast.cache_evict_interval = EVICT;
        let seed = Seeded::new(rng.bits());
        Self {
            endpoint,
            address: EndpointAddr {
                id: endpoint,
                direct: vec![Network::endpoint(id).into()],
                relay: None,
            },
            reply_wait: Duration::from_millis(discovery.request_timeout_ms),
            core: Core::new(discovery, me),
            membership: Membership::new(endpoint, kukuri_gossip::Config::default().wants(), now),
            hosts: Hosts::default(),
            gossip: State::new(id, PeerData::default(), config, seed),
            links: BTreeMap::new(),
            gossip_dials: BTreeSet::new(),
            connections: Vec::new(),
            dialing: 0,
            neighbors: BTreeSet::new(),
            known: BTreeMap::new(),
            table: 0,
            clock_off: traits.clock_off,
            reachable: traits.reachable,
            late: traits.late,
            joined_at: now,
            first_neighbor: None,
            gone_at: None,
            root: None,
            members: 1,
            tick_at: None,
            pump_at: None,
            asks: Asks::new(now),
            key,
        }
    }

    /// Whether it is there.
    pub fn alive(&self) -> bool {
        self.gone_at.is_none()
    }

    /// What identity does.
    pub fn sign(&self, request: &SignRequest) -> Signature {
        Signature::from_bytes(self.key.sign(&request.preimage()).to_bytes())
    }

    /// Lets go of all memory of a node that is gone, but for what is measured.
    pub fn bury(&mut self, now: Duration) {
        self.gone_at = Some(now);
        self.links.clear();
        self.known.clear();
        self.neighbors.clear();
        let me = Me {
            endpoint: self.endpoint,
            hello: Network::hello(0),
        };
        self.core = Core::new(kukuri_discovery::Config::default(), me);
    }
}

/// A topic, as iroh-gossip knows it.
pub fn gossip_topic(topic: kukuri_contract::TopicId) -> proto::TopicId {
    proto::TopicId::from_bytes(*topic.as_bytes())
}
