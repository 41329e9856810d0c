//! Nodes in a network in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kukuri_conformance::EventLog;
use kukuri_contract::{
    Ask, AskError, Broadcast, CallError, Dial, DialReason, DialResult, EndpointAddr, EndpointId,
    EndpointKey, Epoch, Factory, GossipDeps, GossipEvent, GossipPort, Join, KeyBytes, Lease,
    LeaseHolder, MemberKeys, Outlet, TopicId,
};
use kukuri_gossip::{MemoryConfig, MemoryGossip, MemoryNetwork, NetworkConfig, NetworkSetup};

pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
const EPOCH: Epoch = Epoch(100);
const DEADLINE: Duration = Duration::from_secs(60);

pub fn lossy(loss_percent: u32) -> MemoryNetwork {
    let config = NetworkConfig {
        loss_percent,
        // A split is short here.
        idle_timeout_ms: 300,
        ..NetworkConfig::default()
    };
    println!("{config:?}");
    MemoryNetwork::new(config).unwrap()
}

/// Joins the topic as a member of it.
pub fn join() -> Join {
    let key = |epoch: Epoch| KeyBytes::new([epoch.0 as u8; 32]);
    let others = MemberKeys::others_around(EPOCH).map(|other| (other, key(other)));
    let keys = MemberKeys {
        epoch: EPOCH,
        own: key(EPOCH),
        others: others.collect(),
    };
    Join { topic: TOPIC, keys }
}

pub struct Node {
    pub port: GossipPort,
    pub address: EndpointAddr,
    pub log: EventLog<GossipEvent>,
    /// Neighbors, as they were told.
    pub neighbors: BTreeSet<EndpointId>,
    /// How often each broadcast was heard.
    pub heard: BTreeMap<Vec<u8>, u32>,
    pub lease: LeaseHolder,
}

pub async fn start(n: u8, network: &MemoryNetwork) -> Node {
    let setup = NetworkSetup {
        config: MemoryConfig {
            dial_timeout_ms: 2_000,
            ..MemoryConfig::default()
        },
        network: network.clone(),
    };
    let (log, listener) = EventLog::new();
    let (holder, lease) = Lease::new();
    let deps = GossipDeps {
        endpoint: EndpointId::from_bytes([n; 32]),
        key: EndpointKey::new([n; 32]),
        events: Outlet::new([listener]),
        lease,
    };
    let running = MemoryGossip::spawn(setup, deps).await.unwrap();
    Node {
        port: running.port,
        address: running.addresses.advertised,
        log,
        neighbors: BTreeSet::new(),
        heard: BTreeMap::new(),
        lease: holder,
    }
}

/// So many nodes in the topic.
pub async fn nodes(n: u8, network: &MemoryNetwork) -> Vec<Node> {
    let mut nodes = Vec::new();
    for n in 1..=n {
        let node = start(n, network).await;
        assert_eq!(node.join().await, []);
        nodes.push(node);
    }
    nodes
}

impl Node {
    pub fn id(&self) -> EndpointId {
        self.address.id
    }

    pub async fn join(&self) -> Vec<EndpointId> {
        self.port.join(join()).await.unwrap().neighbors
    }

    pub async fn dial(&self, peers: Vec<EndpointAddr>, reason: DialReason) {
        let dial = Dial {
            topic: TOPIC,
            peers,
            reason,
        };
        self.port.dial(dial).await.unwrap();
    }

    pub async fn say(&self, what: &str) {
        let payload = what.to_owned().into();
        let topic = TOPIC;
        self.port
            .broadcast(Broadcast { topic, payload })
            .await
            .unwrap();
    }

    /// Takes in what it was told until now; says who was dialed, and how that ended.
    pub fn listen(&mut self) -> Vec<(EndpointId, DialResult)> {
        let mut ended = Vec::new();
        for event in self.log.drain() {
            match event {
                GossipEvent::NeighborUp {
                    peer, neighbors, ..
                } => {
                    assert!(self.neighbors.insert(peer), "up twice");
                    assert_eq!(neighbors, self.neighbors.len());
                }
                GossipEvent::NeighborDown {
                    peer, neighbors, ..
                } => {
                    assert!(self.neighbors.remove(&peer), "down and not up");
                    assert_eq!(neighbors, self.neighbors.len());
                }
                GossipEvent::Received { payload, from, .. } => {
                    assert!(self.neighbors.contains(&from), "from nobody");
                    *self.heard.entry(payload.to_vec()).or_default() += 1;
                }
                GossipEvent::DialEnded { peer, result, .. } => ended.push((peer, result)),
                GossipEvent::TopicLagged { .. } | GossipEvent::Lagged(_) => {
                    panic!("it has missed something")
                }
                _ => {}
            }
        }
        ended
    }

    pub fn has_heard(&mut self, what: &str) -> bool {
        self.listen();
        self.heard.contains_key(what.as_bytes())
    }

    pub async fn ask(&self, peer: EndpointId) -> Result<Vec<u8>, CallError<AskError>> {
        let payload = b"?".to_vec().into();
        let topic = TOPIC;
        let answer = self
            .port
            .ask(Ask {
                topic,
                peer,
                payload,
            })
            .await;
        answer.map(|answer| answer.to_vec())
    }
}

/// Waits for something.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    assert!(waited.is_ok(), "waited in vain for {what}");
}

/// Whether each can reach each, by the neighbors that both sides were told of.
pub fn connected(nodes: &mut [Node]) -> bool {
    nodes.iter_mut().for_each(|node| _ = node.listen());
    let known: BTreeMap<_, _> = nodes
        .iter()
        .map(|node| (node.id(), &node.neighbors))
        .collect();
    let both = |one: &EndpointId, other: &EndpointId| known[other].contains(one);
    let (mut reached, mut next) = (BTreeSet::from([nodes[0].id()]), vec![nodes[0].id()]);
    while let Some(id) = next.pop() {
        let peers = known[&id].iter().filter(|peer| both(&id, peer));
        next.extend(peers.copied().filter(|peer| reached.insert(*peer)));
    }
    reached.len() == nodes.len()
}

pub fn addresses(nodes: &[Node]) -> Vec<EndpointAddr> {
    nodes.iter().map(|node| node.address.clone()).collect()
}

pub async fn meet(a: &mut Node, b: &mut Node) {
    a.dial(vec![b.address.clone()], DialReason::Found).await;
    let (a_id, b_id) = (a.id(), b.id());
    until("neighbors", || {
        a.listen();
        b.listen();
        a.neighbors.contains(&b_id) && b.neighbors.contains(&a_id)
    })
    .await;
}
