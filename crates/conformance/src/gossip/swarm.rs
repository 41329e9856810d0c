//! Clauses of neighbors and what they send to all.

use std::collections::BTreeSet;

use kukuri_contract::{
    Broadcast, BroadcastError, CallError, Dial, DialError, DialReason, DialResult, EndpointAddr,
    GossipEvent, Join, JoinError, Leave, SetBanned, TopicId,
};

use super::{Gossip, MANY, Node, OTHER, TOPIC, end_both, key, keys, neighbors, node};
use crate::every::end;
use crate::kit::{Held, Stage, ensure, ensure_eq, until};

pub async fn a_dial_makes_neighbors_of_both(on: &Stage<'_, Gossip>) -> Held {
    let (one, two) = (node(on, 1).await, node(on, 2).await);
    for node in [&one, &two] {
        ensure_eq!(node.join(TOPIC).await?, [], "neighbors at first");
    }
    one.dial(TOPIC, &two).await?;
    for (node, other) in [(&one, &two), (&two, &one)] {
        let told = async || Ok((node.join(TOPIC).await? == [other.id]).then_some(()));
        until(on.patience(), "a neighbor", told).await?;
    }
    end_both(on, &one, &two).await
}

pub async fn a_broadcast_reaches_the_neighbor(on: &Stage<'_, Gossip>) -> Held {
    let (one, mut two) = neighbors(on).await?;
    one.broadcast(TOPIC, b"hello").await?;
    let heard = two.hears(on, b"hello").await?;
    ensure!(
        matches!(
            heard,
            GossipEvent::Received { topic: TOPIC, from, first_hand: true, .. } if from == one.id
        ),
        "what was broadcast came as {heard:?}"
    );
    end_both(on, &one, &two).await
}

pub async fn a_dial_of_nobody_ends(on: &Stage<'_, Gossip>) -> Held {
    let (mut one, two) = (node(on, 1).await, node(on, 2).await);
    one.join(TOPIC).await?;
    // Somebody else is at that address.
    let nobody = EndpointAddr {
        id: key(on.number(3)).0,
        ..two.address.clone()
    };
    let dial = Dial {
        topic: TOPIC,
        peers: vec![nobody.clone()],
        reason: DialReason::Found,
    };
    one.port.dial(dial).await?;
    let ended = |event| match event {
        GossipEvent::DialEnded { peer, result, .. } => Some((peer, result)),
        _ => None,
    };
    let what = "the end of a dial";
    let (peer, result) = one.log.find(on.patience(), what, ended).await?;
    ensure_eq!(peer, nobody.id, "who was dialed");
    ensure!(
        matches!(result, DialResult::Failed | DialResult::TimedOut),
        "the dial of nobody brought {result:?}"
    );
    end_both(on, &one, &two).await
}

pub async fn its_own_word_does_not_come_back(on: &Stage<'_, Gossip>) -> Held {
    let (mut one, mut two) = neighbors(on).await?;
    one.broadcast(TOPIC, b"hello").await?;
    two.hears(on, b"hello").await?;
    two.broadcast(TOPIC, b"and you").await?;
    let mut echo = false;
    let answer = |event| match event {
        GossipEvent::Received { payload, .. } => {
            echo |= payload[..] == *b"hello";
            (payload[..] == *b"and you").then_some(())
        }
        _ => None,
    };
    one.log.find(on.patience(), "a broadcast", answer).await?;
    ensure!(!echo, "a node hears itself");
    end_both(on, &one, &two).await
}

pub async fn a_broadcast_reaches_all_members(on: &Stage<'_, Gossip>) -> Held {
    let (one, mut two) = neighbors(on).await?;
    let mut three = node(on, 3).await;
    three.join(TOPIC).await?;
    three.dial(TOPIC, &two).await?;
    two.is_up(on, TOPIC, three.id).await?;
    // A swarm may make neighbors of one and three as well.
    let (mut up, mut heard) = (BTreeSet::new(), None);
    let all_over = async || {
        one.broadcast(TOPIC, b"all over").await?;
        for event in three.log.drain() {
            match event {
                GossipEvent::NeighborUp { peer, .. } => _ = up.insert(peer),
                GossipEvent::Received {
                    from, first_hand, ..
                } => heard = Some((from, first_hand)),
                _ => {}
            }
        }
        Ok(heard)
    };
    let what = "a broadcast of a member that is no neighbor";
    let (from, first_hand) = until(on.patience(), what, all_over).await?;
    ensure!(up.contains(&from), "{from:?} is no neighbor");
    ensure_eq!(first_hand, from == one.id, "whether it is its own word");
    end(on, &three.port).await?;
    end_both(on, &one, &two).await
}

pub async fn no_larger_broadcast_than_the_bound(on: &Stage<'_, Gossip>) -> Held {
    /// Larger than any transport takes at once.
    const HUGE: usize = 1 << 24;
    let node = node(on, 1).await;
    node.join(TOPIC).await?;
    let send = |length: usize| {
        let payload = vec![7; length].into();
        node.port.broadcast(Broadcast {
            topic: TOPIC,
            payload,
        })
    };
    let limit = match send(HUGE).await {
        Err(CallError::Refused(BroadcastError::TooLarge { got: HUGE, limit })) => limit,
        other => return Err(crate::kit::Broken(format!("16 MiB brought {other:?}"))),
    };
    send(limit).await?;
    let got = limit + 1;
    let refused = CallError::Refused(BroadcastError::TooLarge { got, limit });
    ensure_eq!(send(got).await, Err(refused), "a byte more than the limit");
    end(on, &node.port).await
}

pub async fn an_unknown_topic_is_refused(on: &Stage<'_, Gossip>) -> Held {
    let node = node(on, 1).await;
    let payload = b"x".to_vec().into();
    let sent = node.port.broadcast(Broadcast {
        topic: OTHER,
        payload,
    });
    let unknown = CallError::Refused(BroadcastError::UnknownTopic(OTHER));
    ensure_eq!(sent.await, Err(unknown), "a broadcast");
    let dialed = node.port.dial(Dial {
        topic: OTHER,
        peers: vec![],
        reason: DialReason::Heal,
    });
    let unknown = CallError::Refused(DialError::UnknownTopic(OTHER));
    ensure_eq!(dialed.await, Err(unknown), "a dial");
    node.port.leave(Leave { topic: OTHER }).await?;
    end(on, &node.port).await
}

pub async fn topics_are_kept_apart(on: &Stage<'_, Gossip>) -> Held {
    let (one, mut two) = neighbors(on).await?;
    one.join(OTHER).await?;
    two.join(OTHER).await?;
    one.broadcast(OTHER, b"elsewhere").await?;
    one.broadcast(TOPIC, b"here").await?;
    let mut elsewhere = false;
    let here = |event| match event {
        GossipEvent::Received { payload, .. } => {
            elsewhere |= payload[..] == *b"elsewhere";
            (payload[..] == *b"here").then_some(())
        }
        _ => None,
    };
    two.log.find(on.patience(), "a broadcast", here).await?;
    ensure!(!elsewhere, "what was sent in another topic is heard");
    ensure_eq!(two.join(OTHER).await?, [], "neighbors in the other topic");
    end_both(on, &one, &two).await
}

pub async fn only_members_are_let_in(on: &Stage<'_, Gossip>) -> Held {
    let (mut one, mut stranger) = (node(on, 1).await, node(on, 2).await);
    one.join(TOPIC).await?;
    let wrong = Join {
        topic: TOPIC,
        keys: keys(0x55),
    };
    stranger.port.join(wrong).await?;
    stranger.dial(TOPIC, &one).await?;
    let ended = |event| match event {
        GossipEvent::DialEnded { result, .. } => Some(result),
        _ => None,
    };
    let result = stranger
        .log
        .find(on.patience(), "the end of a dial", ended)
        .await?;
    ensure_eq!(result, DialResult::NotMember, "a stranger's dial");
    let turned_away = |event| match event {
        GossipEvent::ProofDropped { peer, .. } => Some(peer),
        _ => None,
    };
    let what = "a stranger at the door being told";
    let peer = one.log.find(on.patience(), what, turned_away).await?;
    ensure_eq!(peer, stranger.id, "who is not let in");
    ensure_eq!(one.join(TOPIC).await?, [], "neighbors");
    end_both(on, &one, &stranger).await
}

async fn ban(node: &Node, peers: &[&Node]) -> Held {
    let peers: BTreeSet<_> = peers.iter().map(|peer| peer.id).collect();
    Ok(node.port.set_banned(SetBanned { peers }).await?)
}

pub async fn a_banned_peer_is_kept_out_until_it_is_free(on: &Stage<'_, Gossip>) -> Held {
    let (mut one, mut two) = neighbors(on).await?;
    ban(&one, &[&two]).await?;
    one.is_down(on, TOPIC, two.id).await?;
    two.is_down(on, TOPIC, one.id).await?;
    one.log.drain();
    one.dial(TOPIC, &two).await?;
    let mut back = false;
    let ended = |event| match event {
        GossipEvent::NeighborUp { .. } => {
            back = true;
            None
        }
        GossipEvent::DialEnded { result, .. } => Some(result),
        _ => None,
    };
    let result = one
        .log
        .find(on.patience(), "the end of a dial", ended)
        .await?;
    ensure!(!back, "a banned peer is a neighbor");
    ensure_eq!(result, DialResult::Banned, "the dial of a banned peer");
    // Told again, nothing changes.
    ban(&one, &[&two]).await?;
    ban(&one, &[]).await?;
    // The one that was let go may rest before it dials, or is dialed, again.
    let again = async || {
        one.dial(TOPIC, &two).await?;
        two.dial(TOPIC, &one).await?;
        let mut told = one.log.drain().into_iter();
        let up = told.any(|event| matches!(event, GossipEvent::NeighborUp { .. }));
        Ok(up.then_some(()))
    };
    until(on.patience(), "a neighbor that is free again", again).await?;
    end_both(on, &one, &two).await
}

/// As where its actor hangs: nobody asks it to stop.
pub async fn it_falls_silent_when_its_lease_ends(on: &Stage<'_, Gossip>) -> Held {
    let (mut one, two) = neighbors(on).await?;
    let Node {
        lease, port, id, ..
    } = two;
    drop(lease);
    one.is_down(on, TOPIC, id).await?;
    let again = node(on, 2).await;
    ensure_eq!(again.id, id, "the same endpoint");
    again.join(TOPIC).await?;
    again.dial(TOPIC, &one).await?;
    one.is_up(on, TOPIC, id).await?;
    end(on, &port).await?;
    end_both(on, &one, &again).await
}

pub async fn who_leaves_is_no_neighbor(on: &Stage<'_, Gossip>) -> Held {
    let (mut one, two) = neighbors(on).await?;
    two.port.leave(Leave { topic: TOPIC }).await?;
    one.is_down(on, TOPIC, two.id).await?;
    let payload = b"x".to_vec().into();
    let sent = two.port.broadcast(Broadcast {
        topic: TOPIC,
        payload,
    });
    let unknown = CallError::Refused(BroadcastError::UnknownTopic(TOPIC));
    ensure_eq!(
        sent.await,
        Err(unknown),
        "a broadcast in a topic that was left"
    );
    end_both(on, &one, &two).await
}

pub async fn no_more_topics_than_the_bound(on: &Stage<'_, Gossip>) -> Held {
    let node = node(on, 1).await;
    let join = |n: u64| {
        let mut id = [0x72; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let topic = TopicId::from_bytes(id);
        let keys = keys(1);
        (topic, node.port.join(Join { topic, keys }))
    };
    let mut topics = Vec::new();
    let refused = loop {
        let n = topics.len() as u64;
        ensure!(n < MANY, "{MANY} topics, and no bound");
        let (topic, joined) = join(n);
        match joined.await {
            Ok(_) => topics.push(topic),
            Err(refused) => break refused,
        }
    };
    let limit = topics.len();
    let full = CallError::Refused(JoinError::TooManyTopics { limit });
    ensure_eq!(refused, full, "a topic too many");
    join(0).1.await?;
    node.port.leave(Leave { topic: topics[0] }).await?;
    join(MANY).1.await?;
    end(on, &node.port).await
}

pub async fn the_events_of_a_topic_keep_their_order(on: &Stage<'_, Gossip>) -> Held {
    let (one, mut two) = (node(on, 1).await, node(on, 2).await);
    one.join(TOPIC).await?;
    two.join(TOPIC).await?;
    one.dial(TOPIC, &two).await?;
    let (mut sent, mut told) = (0_u32, Vec::new());
    let heard = async || {
        sent += 1;
        one.broadcast(TOPIC, &sent.to_be_bytes()).await?;
        told.extend(two.log.drain());
        let heard = told
            .iter()
            .any(|event| matches!(event, GossipEvent::Received { .. }));
        Ok(heard.then_some(()))
    };
    until(on.patience(), "a broadcast", heard).await?;
    ban(&two, &[&one]).await?;
    let down = |event: GossipEvent| {
        told.push(event);
        let last = told.last();
        let down = matches!(last, Some(GossipEvent::NeighborDown { neighbors: 0, .. }));
        down.then_some(())
    };
    two.log
        .find(on.patience(), "the loss of a neighbor", down)
        .await?;
    let mut up = BTreeSet::new();
    for event in told {
        match event {
            GossipEvent::NeighborUp {
                peer, neighbors, ..
            } => {
                up.insert(peer);
                ensure_eq!(neighbors, up.len(), "neighbors after one came");
            }
            GossipEvent::NeighborDown {
                peer, neighbors, ..
            } => {
                up.remove(&peer);
                ensure_eq!(neighbors, up.len(), "neighbors after one went");
            }
            GossipEvent::Received { from, .. } => {
                ensure!(
                    up.contains(&from),
                    "a broadcast of a neighbor that was not told"
                );
            }
            _ => {}
        }
    }
    end_both(on, &one, &two).await
}
