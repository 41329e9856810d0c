//! Who is let into a topic, and what those get who are not.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::StreamExt;
use iroh::protocol::Router;
use iroh_gossip::api::{Event, GossipReceiver};
use iroh_gossip::net::Gossip;
use kukuri_contract::{
    Broadcast, Dial, DialReason, DialResult, EndpointAddr, EndpointId, Epoch, GossipEvent,
    ProofDrop, ProofSide, TopicId,
};
use kukuri_gossip::GOSSIP_ALPN;
use kukuri_gossip::core::member::{CLAIM_BYTES, claim};
use nodes::outsider::{Answer, Outsider, assert_untold, capture};
use nodes::{EPOCH, Member, Node, OTHER, TOPIC, address_of, channel, claim_with, enter, id_of};
use nodes::{join, keys_at, local, meet, node, node_with, reach, stranger};

impl Node {
    async fn drops(&mut self, side: ProofSide) -> ProofDrop {
        let dropped = |event| match event {
            GossipEvent::ProofDropped {
                side: seen, reason, ..
            } if seen == side => Some(reason),
            _ => None,
        };
        self.log.wait_for("a proof that fails", dropped).await
    }

    async fn try_peer(&mut self, topic: TopicId, peer: EndpointAddr) -> DialResult {
        let id = peer.id;
        let dial = Dial {
            topic,
            peers: vec![peer],
            reason: DialReason::Found,
        };
        self.port.dial(dial).await.unwrap();
        let ended = |event| match event {
            GossipEvent::DialEnded { peer, result, .. } if peer == id => Some(result),
            _ => None,
        };
        self.log.wait_for("the end of the dial", ended).await
    }

    async fn say(&self, topic: TopicId, payload: impl Into<Bytes>) {
        let payload = payload.into();
        self.port
            .broadcast(Broadcast { topic, payload })
            .await
            .unwrap();
    }

    /// Waits for a broadcast in a topic. Neither it nor anybody in `never` may come in another one.
    async fn hears_in(&mut self, topic: TopicId, never: EndpointId) -> Bytes {
        let heard = |event| match event {
            GossipEvent::Received {
                topic: seen,
                payload,
                ..
            } => {
                assert_eq!(seen, topic);
                Some(payload)
            }
            GossipEvent::NeighborUp {
                topic: seen, peer, ..
            } if peer == never => {
                assert_eq!(seen, topic);
                None
            }
            _ => None,
        };
        self.log.wait_for("a broadcast", heard).await
    }
}

/// A peer that the user names, or that a record names, and that is no member.
#[actix::test]
async fn whoever_is_dialed_is_not_told_the_topic() {
    for (n, answer) in [Answer::Noise, Answer::Reflection, Answer::OtherTopic]
        .into_iter()
        .enumerate()
    {
        let mut a = node(1).await;
        let endpoint = stranger(20 + n as u8).await;
        let outsider = Outsider::new(&endpoint, answer);
        let router = outsider.listen(&endpoint);
        let result = a.try_peer(TOPIC, address_of(&endpoint)).await;
        assert_eq!(result, DialResult::NotMember, "{answer:?}");
        router.shutdown().await.unwrap();
        let claims = outsider.claims.lock().unwrap().clone();
        assert!(claims.iter().all(|claim| claim.len() == CLAIM_BYTES));
        let got = outsider.got.lock().unwrap().clone();
        assert!(got.len() >= CLAIM_BYTES);
        assert_untold(&got, TOPIC);
        let a_neighbor = |event| matches!(event, GossipEvent::NeighborUp { .. });
        assert!(!a.log.drain().into_iter().any(a_neighbor));
    }
}

#[actix::test]
async fn whoever_is_dialed_and_says_nothing_is_not_told_the_topic() {
    let hasty = kukuri_gossip::Config {
        dial_timeout_ms: 300,
        ..local()
    };
    let mut a = node_with(1, hasty).await;
    a.port.join(join(TOPIC)).await.unwrap();
    let endpoint = stranger(20).await;
    let outsider = Outsider::new(&endpoint, Answer::Nothing);
    let router = outsider.listen(&endpoint);
    let result = a.try_peer(TOPIC, address_of(&endpoint)).await;
    assert_ne!(result, DialResult::Connected);
    router.shutdown().await.unwrap();
    assert_untold(&outsider.got.lock().unwrap(), TOPIC);
}

/// It knows the endpoint, the address and even the topic's id, and talks gossip.
#[actix::test]
async fn a_stranger_gets_nothing() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let me = stranger(9).await;
    let swarm = iroh_gossip::proto::TopicId::from_bytes(*TOPIC.as_bytes());
    // As iroh-gossip does it, without a proof.
    let gossip = Gossip::builder().alpn(GOSSIP_ALPN).spawn(me.clone());
    let (sender, mut events) = gossip.subscribe(swarm, Vec::new()).await.unwrap().split();
    let connection = reach(&me, &a.address, GOSSIP_ALPN).await;
    gossip.handle_connection(connection).await.unwrap();
    let peer = iroh::EndpointId::from_bytes(a.address.id.as_bytes()).unwrap();
    sender.join_peers(vec![peer]).await.unwrap();
    sender.broadcast("from outside".into()).await.unwrap();
    a.say(TOPIC, "from inside").await;
    assert_eq!(a.drops(ProofSide::Accepted).await, ProofDrop::TimedOut);
    assert!(futures_util::poll!(events.next()).is_pending());
    drop((sender, events, gossip));
    // Raw, with garbage where the proof belongs.
    let connection = reach(&me, &a.address, GOSSIP_ALPN).await;
    let mut frames = connection.open_uni().await.unwrap();
    let header = [&32u32.to_be_bytes()[..], TOPIC.as_bytes()].concat();
    frames.write_all(&header).await.unwrap();
    let got = Mutex::default();
    let answered = tokio::join!(
        claim_with(&connection, &[1; CLAIM_BYTES]),
        capture(&connection, &got)
    );
    assert_eq!(answered.0, None);
    assert_eq!(a.drops(ProofSide::Accepted).await, ProofDrop::Epoch);
    assert_untold(&got.into_inner().unwrap(), TOPIC);
    for event in a.log.drain().into_iter().chain(b.log.drain()) {
        match event {
            GossipEvent::NeighborUp { peer, .. } => assert_ne!(peer, id_of(&me)),
            GossipEvent::Received { payload, .. } => assert_eq!(payload, "from inside"),
            _ => {}
        }
    }
    me.close().await;
}

#[actix::test]
async fn claims_that_are_no_proof_are_refused_by_their_reason() {
    let mut a = node(1).await;
    let me = stranger(9).await;
    let old = keys_at(TOPIC, EPOCH.offset(-3));
    assert!(enter(&me, &a.address, &old).await.is_none());
    assert_eq!(a.drops(ProofSide::Accepted).await, ProofDrop::Epoch);
    assert!(
        enter(&me, &a.address, &keys_at(OTHER, EPOCH))
            .await
            .is_none()
    );
    assert_eq!(a.drops(ProofSide::Accepted).await, ProofDrop::NotMember);
    for (bytes, reason) in [
        (&[2; CLAIM_BYTES][..], ProofDrop::Version),
        (&[1; CLAIM_BYTES - 1], ProofDrop::Malformed),
        (&[1; CLAIM_BYTES + 1], ProofDrop::Malformed),
        (&[], ProofDrop::Malformed),
    ] {
        let connection = reach(&me, &a.address, GOSSIP_ALPN).await;
        assert_eq!(claim_with(&connection, bytes).await, None);
        assert_eq!(a.drops(ProofSide::Accepted).await, reason);
    }
    let late = keys_at(TOPIC, EPOCH.offset(-2));
    assert!(enter(&me, &a.address, &late).await.is_some());
    // Time goes on, and the node is told its new keys.
    let keys = keys_at(TOPIC, Epoch(EPOCH.0 + 3));
    let topic = TOPIC;
    a.port
        .join(kukuri_contract::Join { topic, keys })
        .await
        .unwrap();
    let then = keys_at(TOPIC, EPOCH);
    assert!(enter(&me, &a.address, &then).await.is_none());
    assert_eq!(a.drops(ProofSide::Accepted).await, ProofDrop::Epoch);
    me.close().await;
}

/// An endpoint in the middle passes on what a member proved to it: at once, and later.
#[actix::test]
async fn a_proof_is_worth_nothing_on_another_connection() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    let endpoint = stranger(9).await;
    let outsider = Outsider::new(&endpoint, Answer::Noise);
    let router = outsider.listen(&endpoint);
    a.try_peer(TOPIC, address_of(&endpoint)).await;
    let recorded = outsider.claims.lock().unwrap()[0].clone();
    for node in [&mut a, &mut b] {
        let connection = reach(&endpoint, &node.address, GOSSIP_ALPN).await;
        assert_eq!(claim_with(&connection, &recorded).await, None);
        assert_eq!(node.drops(ProofSide::Accepted).await, ProofDrop::NotMember);
    }
    // Its own member's proof of one connection, on the next one of the same endpoint.
    let first = reach(&endpoint, &b.address, GOSSIP_ALPN).await;
    let channel = channel(&first, id_of(&endpoint), b.address.id);
    let (_, bytes) = claim(channel, &keys_at(TOPIC, EPOCH));
    let second = reach(&endpoint, &b.address, GOSSIP_ALPN).await;
    assert_eq!(claim_with(&second, &bytes).await, None);
    assert_eq!(b.drops(ProofSide::Accepted).await, ProofDrop::NotMember);
    assert!(
        claim_with(&first, &bytes).await.is_some(),
        "it is good there"
    );
    router.shutdown().await.unwrap();
}

async fn next(events: &mut GossipReceiver) -> Event {
    events.next().await.unwrap().unwrap()
}

/// It dials us, proves the one topic, and talks of both.
#[actix::test]
async fn a_member_of_one_topic_is_in_no_other() {
    let mut a = node(1).await;
    a.port.join(join(OTHER)).await.unwrap();
    let b = node(2).await;
    b.port.join(join(OTHER)).await.unwrap();
    assert_eq!(
        a.try_peer(OTHER, b.address.clone()).await,
        DialResult::Connected
    );
    a.up(b.address.id).await;
    let me = stranger(9).await;
    let gossip = Gossip::builder().spawn(me.clone());
    let connection = enter(&me, &a.address, &keys_at(TOPIC, EPOCH)).await;
    gossip.handle_connection(connection.unwrap()).await.unwrap();
    let peer = iroh::EndpointId::from_bytes(a.address.id.as_bytes()).unwrap();
    let [topic, other] =
        [TOPIC, OTHER].map(|id| iroh_gossip::proto::TopicId::from_bytes(*id.as_bytes()));
    let (elsewhere, mut untold) = gossip.subscribe(other, vec![peer]).await.unwrap().split();
    let (member, mut told) = gossip.subscribe(topic, vec![peer]).await.unwrap().split();
    assert!(matches!(next(&mut told).await, Event::NeighborUp(id) if id == peer));
    // Whatever is said in the other topic has its time to arrive: several round trips.
    for round in 0..5 {
        let payload = |from| Bytes::from(format!("round {round} from {from}"));
        elsewhere.join_peers(vec![peer]).await.unwrap();
        elsewhere.broadcast(payload("outside")).await.unwrap();
        member.broadcast(payload("the member")).await.unwrap();
        let heard = a.hears_in(TOPIC, id_of(&me)).await;
        assert_eq!(heard, payload("the member"));
        a.say(OTHER, payload("the others")).await;
        a.say(TOPIC, payload("us")).await;
        let heard = next(&mut told).await;
        assert!(matches!(heard, Event::Received(message) if message.content == payload("us")));
    }
    assert!(futures_util::poll!(untold.next()).is_pending());
    me.close().await;
}

/// A member of the topic tells our iroh-gossip of a peer that is none: it dials by itself.
#[actix::test]
async fn a_peer_that_a_member_tells_of_has_to_prove_itself_too() {
    for answer in [Answer::OtherTopic, Answer::Reflection] {
        let mut a = node(1).await;
        // The member: lets us in properly, and the other one without a proof.
        let member = stranger(8).await;
        let gossip = Gossip::builder().spawn(member.clone());
        let as_member = Member {
            me: id_of(&member),
            topic: TOPIC,
            gossip: gossip.clone(),
        };
        let back_door = b"back door";
        let members = Router::builder(member.clone())
            .accept(GOSSIP_ALPN, as_member)
            .accept(back_door, gossip.clone())
            .spawn();
        let topic = iroh_gossip::proto::TopicId::from_bytes(*TOPIC.as_bytes());
        let _there = gossip.subscribe(topic, Vec::new()).await.unwrap();
        a.try_peer(TOPIC, address_of(&member)).await;
        // The outsider: comes by the back door, and is told on.
        let endpoint = stranger(9).await;
        let outsider = Outsider::new(&endpoint, answer);
        let outside = outsider.listen(&endpoint);
        let theirs = Gossip::builder().alpn(back_door).spawn(endpoint.clone());
        let _them = theirs.subscribe(topic, vec![]).await.unwrap();
        let connection = reach(&endpoint, &address_of(&member), back_door).await;
        theirs.handle_connection(connection).await.unwrap();
        let (sender, _events) = theirs
            .subscribe(topic, vec![member.id()])
            .await
            .unwrap()
            .split();
        assert_eq!(a.drops(ProofSide::Dialed).await, ProofDrop::NotMember);
        let claims = outsider.claims.lock().unwrap().clone();
        assert!(!claims.is_empty());
        assert!(claims.iter().all(|claim| claim.len() == CLAIM_BYTES));
        assert_untold(&outsider.got.lock().unwrap(), TOPIC);
        drop(sender);
        for event in a.log.drain() {
            if let GossipEvent::NeighborUp { peer, .. } = event {
                assert_ne!(peer, id_of(&endpoint));
            }
        }
        outside.shutdown().await.unwrap();
        members.shutdown().await.unwrap();
    }
}

/// The same with honest nodes: iroh-gossip's own dials find members, and prove to them.
#[actix::test]
async fn members_that_a_member_tells_of_become_neighbors() {
    let (mut a, mut b, mut c) = (node(1).await, node(2).await, node(3).await);
    meet(&mut b, &mut a).await;
    meet(&mut c, &mut a).await;
    b.up(c.address.id).await;
    c.up(b.address.id).await;
}

/// Eight endpoints hold all places at the door, and prove nothing.
#[actix::test]
async fn those_who_hold_the_door_keep_no_member_out() {
    let mut a = node(1).await;
    let mut holders = Vec::new();
    for n in 20..28 {
        let endpoint = stranger(n).await;
        for _ in 0..10 {
            holders.push(reach(&endpoint, &a.address, GOSSIP_ALPN).await);
        }
    }
    assert_eq!(a.drops(ProofSide::Accepted).await, ProofDrop::Busy);
    let mut b = node(2).await;
    meet(&mut b, &mut a).await;
}
