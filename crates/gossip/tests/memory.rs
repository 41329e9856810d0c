//! Nodes in a network in memory, with latency and loss.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kukuri_conformance::EventLog;
use kukuri_contract::{
    Answer, Ask, AskError, Broadcast, CallError, Dial, DialReason, DialResult, Drill, EndpointAddr,
    EndpointId, EndpointKey, Epoch, Factory, GossipDeps, GossipEvent, GossipPort, Join, JoinError,
    KeyBytes, Lease, LeaseHolder, MemberKeys, Outlet, TopicId,
};
use kukuri_gossip::{
    GossipError, MemoryConfig, MemoryGossip, MemoryNetwork, NetworkConfig, NetworkSetup,
};

const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
const EPOCH: Epoch = Epoch(100);
const DEADLINE: Duration = Duration::from_secs(60);

fn lossy(loss_percent: u32) -> MemoryNetwork {
    let config = NetworkConfig {
        loss_percent,
        // A split is short here.
        idle_timeout_ms: 300,
        ..NetworkConfig::default()
    };
    println!("{config:?}");
    MemoryNetwork::new(config).unwrap()
}

struct Node {
    port: GossipPort,
    address: EndpointAddr,
    log: EventLog<GossipEvent>,
    /// Neighbors, as they were told.
    neighbors: BTreeSet<EndpointId>,
    /// How often each broadcast was heard.
    heard: BTreeMap<Vec<u8>, u32>,
    lease: LeaseHolder,
}

async fn start(n: u8, network: &MemoryNetwork) -> Node {
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
async fn nodes(n: u8, network: &MemoryNetwork) -> Vec<Node> {
    let mut nodes = Vec::new();
    for n in 1..=n {
        let node = start(n, network).await;
        assert_eq!(node.join().await, []);
        nodes.push(node);
    }
    nodes
}

impl Node {
    fn id(&self) -> EndpointId {
        self.address.id
    }

    async fn join(&self) -> Vec<EndpointId> {
        let key = |epoch: Epoch| KeyBytes::new([epoch.0 as u8; 32]);
        let others = MemberKeys::others_around(EPOCH).map(|other| (other, key(other)));
        let keys = MemberKeys {
            epoch: EPOCH,
            own: key(EPOCH),
            others: others.collect(),
        };
        let join = Join { topic: TOPIC, keys };
        self.port.join(join).await.unwrap().neighbors
    }

    async fn dial(&self, peers: Vec<EndpointAddr>, reason: DialReason) {
        let dial = Dial {
            topic: TOPIC,
            peers,
            reason,
        };
        self.port.dial(dial).await.unwrap();
    }

    async fn say(&self, what: &str) {
        let payload = what.to_owned().into();
        let topic = TOPIC;
        self.port
            .broadcast(Broadcast { topic, payload })
            .await
            .unwrap();
    }

    /// Takes in what it was told until now; says who was dialed, and how that ended.
    fn listen(&mut self) -> Vec<(EndpointId, DialResult)> {
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

    fn has_heard(&mut self, what: &str) -> bool {
        self.listen();
        self.heard.contains_key(what.as_bytes())
    }

    async fn ask(&self, peer: EndpointId) -> Result<Vec<u8>, CallError<AskError>> {
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
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    assert!(waited.is_ok(), "waited in vain for {what}");
}

/// Whether each can reach each, by the neighbors that both sides were told of.
fn connected(nodes: &mut [Node]) -> bool {
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

fn addresses(nodes: &[Node]) -> Vec<EndpointAddr> {
    nodes.iter().map(|node| node.address.clone()).collect()
}

async fn meet(a: &mut Node, b: &mut Node) {
    a.dial(vec![b.address.clone()], DialReason::Found).await;
    let (a_id, b_id) = (a.id(), b.id());
    until("neighbors", || {
        a.listen();
        b.listen();
        a.neighbors.contains(&b_id) && b.neighbors.contains(&a_id)
    })
    .await;
}

#[actix::test]
async fn twenty_nodes_get_every_post_once_whatever_is_lost() {
    const NODES: u8 = 20;
    const POSTS: usize = 10;
    let network = lossy(20);
    let mut nodes = nodes(NODES, &network).await;
    let all = addresses(&nodes);
    for node in &nodes {
        node.dial(all.clone(), DialReason::Found).await;
    }
    until("a connected swarm", || connected(&mut nodes)).await;
    for post in 0..POSTS {
        for (n, node) in nodes.iter().enumerate() {
            node.say(&format!("{post} of {n}")).await;
        }
    }
    let expected = (usize::from(NODES) - 1) * POSTS;
    until("all posts", || {
        nodes.iter_mut().all(|node| {
            node.listen();
            node.heard.len() == expected
        })
    })
    .await;
    for node in &mut nodes {
        assert!(node.heard.values().all(|times| *times == 1));
        node.port.stop().await.unwrap();
    }
}

#[actix::test]
async fn a_split_swarm_heals_by_one_dial() {
    let network = lossy(5);
    let mut nodes = nodes(6, &network).await;
    let all = addresses(&nodes);
    for node in &nodes {
        node.dial(all.clone(), DialReason::Found).await;
    }
    until("a connected swarm", || connected(&mut nodes)).await;
    let parts = [&all[..3], &all[3..]].map(|part| part.iter().map(|peer| peer.id).collect());
    network.split(&parts);
    let split = |nodes: &mut Vec<Node>| {
        nodes
            .iter_mut()
            .zip([0, 0, 0, 1, 1, 1])
            .all(|(node, part)| {
                node.listen();
                node.neighbors.is_subset(&parts[part])
            })
    };
    until("the end of all links between the parts", || {
        split(&mut nodes)
    })
    .await;
    until("connected parts", || {
        let (one, other) = nodes.split_at_mut(3);
        connected(one) && connected(other)
    })
    .await;
    nodes[0].say("apart").await;
    until("what was said in one part", || {
        nodes[1].has_heard("apart") && nodes[2].has_heard("apart")
    })
    .await;
    assert!(nodes[3..].iter_mut().all(|node| !node.has_heard("apart")));
    network.heal();
    nodes[0].dial(vec![all[5].clone()], DialReason::Heal).await;
    until("a connected swarm", || connected(&mut nodes)).await;
    nodes[4].say("together").await;
    let others = [0, 1, 2, 3, 5];
    until("what was said in both", || {
        others.iter().all(|n| nodes[*n].has_heard("together"))
    })
    .await;
}

#[actix::test]
async fn a_fresh_actor_takes_the_place_of_a_dead_one_and_meets_its_neighbors() {
    let network = lossy(10);
    let (mut a, mut b) = (start(1, &network).await, start(2, &network).await);
    a.join().await;
    b.join().await;
    meet(&mut a, &mut b).await;
    for end in 0..3 {
        match end {
            0 => assert!(a.port.drill(Drill::Panic).await.is_err()),
            1 => a.port.stop().await.unwrap(),
            // The actor lives on, and is nobody.
            _ => drop(a.lease),
        }
        let old = a.port;
        let mut fresh = start(1, &network).await;
        assert_eq!(fresh.join().await, []);
        let gone = a.address.id;
        until("the loss of a neighbor", || {
            b.listen();
            !b.neighbors.contains(&gone)
        })
        .await;
        meet(&mut fresh, &mut b).await;
        fresh.say(&format!("{end}")).await;
        until("what the fresh one says", || b.has_heard(&format!("{end}"))).await;
        if end == 2 {
            let keys = MemberKeys {
                epoch: EPOCH,
                own: KeyBytes::new([0; 32]),
                others: vec![],
            };
            let joined = old.join(Join { topic: TOPIC, keys }).await;
            assert_eq!(joined, Err(CallError::Refused(JoinError::Closed)));
            let payload = b"late".to_vec().into();
            let sent = old.broadcast(Broadcast {
                topic: TOPIC,
                payload,
            });
            assert!(sent.await.is_err());
        }
        a = fresh;
    }
}

#[actix::test]
async fn one_question_per_neighbor_and_none_waits_for_who_has_gone() {
    let network = lossy(10);
    let (mut a, mut b) = (start(1, &network).await, start(2, &network).await);
    a.join().await;
    b.join().await;
    meet(&mut a, &mut b).await;
    let (first, second, ()) = tokio::join!(a.ask(b.id()), a.ask(b.id()), async {
        let asked = |event| match event {
            GossipEvent::Asked { id, .. } => Some(id),
            _ => None,
        };
        let id = b.log.wait_for("a question", asked).await;
        let payload = Some(b"!".to_vec().into());
        b.port.answer(Answer { id, payload }).await.unwrap();
    });
    assert_eq!(first.unwrap(), b"!");
    let busy = AskError::Busy { limit: 1 };
    assert_eq!(second.unwrap_err(), CallError::Refused(busy));
    let (unanswered, ()) = tokio::join!(a.ask(b.id()), async {
        let asked = |event| matches!(event, GossipEvent::Asked { .. }).then_some(());
        b.log.wait_for("a question", asked).await;
        b.port.stop().await.unwrap();
    });
    let failed = unanswered.unwrap_err();
    assert!(
        matches!(failed, CallError::Refused(AskError::Failed(_))),
        "{failed}"
    );
}

#[actix::test]
async fn candidates_are_bounded_and_what_is_dropped_is_told() {
    let network = lossy(0);
    let mut a = start(1, &network).await;
    a.join().await;
    let nobody = |n: u8| EndpointAddr {
        id: EndpointId::from_bytes([n; 32]),
        ..a.address.clone()
    };
    a.dial((2..=72).map(nobody).collect(), DialReason::Found)
        .await;
    let dropped = |event| matches!(event, GossipEvent::DialDropped { .. }).then_some(());
    for _ in 0..7 {
        a.log.wait_for("a dropped peer", dropped).await;
    }
    let timed_out = |event| match event {
        GossipEvent::DialEnded { result, .. } => Some(result),
        _ => None,
    };
    let result = a.log.wait_for("the end of a dial", timed_out).await;
    assert_eq!(result, DialResult::TimedOut);
}

#[test]
fn a_wrong_setting_is_a_typed_error() {
    let network = |config: NetworkConfig| MemoryNetwork::new(config).map(drop).unwrap_err();
    let slow = network(NetworkConfig {
        latency_min_ms: 6,
        ..NetworkConfig::default()
    });
    let field = |error| match error {
        GossipError::Config { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!(field(slow), "latency_max_ms");
    let lost = network(NetworkConfig {
        loss_percent: 91,
        ..NetworkConfig::default()
    });
    assert_eq!(field(lost), "loss_percent");
    let mut setup = NetworkSetup::default();
    setup.config.question_timeout_ms = 10_000;
    let late = MemoryGossip::check(&setup).unwrap_err();
    assert_eq!(field(late), "question_timeout_ms");
}
