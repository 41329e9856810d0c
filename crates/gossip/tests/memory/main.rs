//! Nodes in a network in memory, with latency and loss.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use kukuri_contract::{
    Answer, AskError, Broadcast, CallError, DialReason, DialResult, Drill, EndpointAddr,
    EndpointId, Factory, GossipEvent, JoinError,
};
use kukuri_gossip::{GossipError, MemoryGossip, MemoryNetwork, NetworkConfig, NetworkSetup};
use nodes::{TOPIC, addresses, connected, join, lossy, meet, nodes, start, until};

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
    let split = |nodes: &mut Vec<nodes::Node>| {
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
            let joined = old.join(join()).await;
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
        GossipError::Config { field, .. } | GossipError::Network { field, .. } => field,
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
