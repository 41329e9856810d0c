//! Peers that are banned.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use bytes::Bytes;
use iroh::protocol::Router;
use iroh_gossip::net::Gossip;
use kukuri_contract::{
    Ask, AskDrop, Broadcast, Dial, DialReason, DialResult, EndpointId, GossipEvent, ProofDrop,
    SetBanned,
};
use kukuri_gossip::{ASK_ALPN, GOSSIP_ALPN};
use nodes::{EPOCH, Member, Node, OTHER, TOPIC, address_of, enter, id_of, join, keys_at, meet};
use nodes::{node, reach, stranger};

impl Node {
    async fn ban(&self, peers: &[EndpointId]) {
        let peers = peers.iter().copied().collect();
        self.port.set_banned(SetBanned { peers }).await.unwrap();
    }

    /// Waits until somebody is turned away at the door.
    async fn turns_away(&mut self, who: EndpointId) -> ProofDrop {
        let dropped = |event| match event {
            GossipEvent::ProofDropped { peer, reason, .. } if peer == who => Some(reason),
            _ => None,
        };
        self.log.wait_for("somebody at the door", dropped).await
    }

    async fn dial_ends(&mut self) -> DialResult {
        let ended = |event| match event {
            GossipEvent::DialEnded { result, .. } => Some(result),
            _ => None,
        };
        self.log.wait_for("the end of a dial", ended).await
    }
}

#[actix::test]
async fn a_banned_peer_is_hung_up_on_everywhere_and_kept_out_until_it_is_free() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    for node in [&a, &b] {
        node.port.join(join(OTHER)).await.unwrap();
    }
    meet(&mut a, &mut b).await;
    let (ours, theirs) = (a.address.id, b.address.id);
    let dial = Dial {
        topic: OTHER,
        peers: vec![b.address.clone()],
        reason: DialReason::Found,
    };
    a.port.dial(dial).await.unwrap();
    a.up(theirs).await;
    b.up(ours).await;
    a.ban(&[theirs]).await;
    for _ in ["in one topic", "in the other one"] {
        a.down(theirs).await;
        b.down(ours).await;
    }
    // It comes again, in vain, and asks.
    b.dial(&[&a]).await;
    assert_eq!(a.turns_away(theirs).await, ProofDrop::Banned);
    assert_eq!(b.dial_ends().await, DialResult::NotMember);
    let ask = Ask {
        topic: TOPIC,
        peer: ours,
        payload: Bytes::new(),
    };
    assert!(b.port.ask(ask).await.is_err());
    // Nor is it dialed.
    a.log.drain();
    a.dial(&[&b]).await;
    assert_eq!(a.dial_ends().await, DialResult::Banned);
    // Told again, nothing changes; not told, it is free.
    a.ban(&[theirs]).await;
    a.ban(&[]).await;
    meet(&mut a, &mut b).await;
}

#[actix::test]
async fn a_banned_peer_is_not_answered_and_its_connection_ends() {
    let mut a = node(1).await;
    let peer = stranger(9).await;
    let connection = reach(&peer, &a.address, ASK_ALPN).await;
    a.ban(&[id_of(&peer)]).await;
    // It was open already.
    connection.closed().await;
    let dropped = |event| match event {
        GossipEvent::AskDropped { peer, reason } => Some((peer, reason)),
        _ => None,
    };
    let expected = (id_of(&peer), AskDrop::Banned);
    assert_eq!(a.log.wait_for("a drop", dropped).await, expected);
    // A claim is not even read.
    let keys = keys_at(TOPIC, EPOCH);
    assert!(enter(&peer, &a.address, &keys).await.is_none());
    assert_eq!(a.turns_away(id_of(&peer)).await, ProofDrop::Banned);
    peer.close().await;
}

/// iroh-gossip's own dials go the same way.
#[actix::test]
async fn a_banned_peer_that_a_member_tells_of_is_not_dialed() {
    let (mut a, mut b, mut c) = (node(1).await, node(2).await, node(3).await);
    let banned = c.address.id;
    b.ban(&[banned]).await;
    meet(&mut c, &mut a).await;
    meet(&mut b, &mut a).await;
    // Told of the new one, its iroh-gossip dials it by itself.
    assert_eq!(b.turns_away(banned).await, ProofDrop::Banned);
    for event in b.log.drain() {
        if let GossipEvent::NeighborUp { peer, .. } = event {
            assert_ne!(peer, banned);
        }
    }
}

/// A broadcast as iroh-gossip writes it, after so many hops (PROTOCOL.md, section 10).
fn frame(content: &[u8], hops: u16) -> Vec<u8> {
    let mut message = vec![1, 0];
    message.extend(blake3::hash(content).as_bytes());
    message.push(content.len() as u8);
    message.extend(content);
    message.push(0);
    let mut hops = hops;
    while hops >= 0x80 {
        message.push(hops as u8 | 0x80);
        hops >>= 7;
    }
    message.push(hops as u8);
    let length = (message.len() as u32).to_be_bytes();
    [&length[..], &message].concat()
}

/// A hop counter that wraps would make a neighbor answer for what a member has sent.
#[actix::test]
async fn a_hop_count_wraps_so_first_hand_is_a_hint_and_no_proof() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let me = stranger(9).await;
    let connection = enter(&me, &a.address, &keys_at(TOPIC, EPOCH))
        .await
        .unwrap();
    let mut frames = connection.open_uni().await.unwrap();
    let header = [&32u32.to_be_bytes()[..], TOPIC.as_bytes()].concat();
    frames.write_all(&header).await.unwrap();
    let heard = |event| match event {
        GossipEvent::Received {
            from,
            first_hand,
            payload,
            ..
        } => Some((from, first_hand, payload)),
        _ => None,
    };
    for hops in [0, 1, 1000, u16::MAX - 1, u16::MAX] {
        let content = format!("after {hops}");
        let bytes = frame(content.as_bytes(), hops);
        frames.write_all(&bytes).await.unwrap();
        let own = (id_of(&me), hops == 0, content.clone().into());
        assert_eq!(a.log.wait_for("it", heard).await, own);
        // As iroh-gossip 0.101 counts. Where this fails, it counts right, and who broadcasts garbage may
        // be banned like any other offender (`core/score.rs` of the app).
        let wrapped = hops == u16::MAX;
        let handed_on = (a.address.id, wrapped, content.into());
        assert_eq!(b.log.wait_for("it", heard).await, handed_on);
    }
    me.close().await;
}

/// A neighbor answers for what it broadcasts itself, and not for what it hands on.
#[actix::test]
async fn what_a_neighbor_hands_on_is_not_its_own() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    // A member that only `a` lets in.
    let me = stranger(9).await;
    let mine = id_of(&me);
    b.ban(&[mine]).await;
    let gossip = Gossip::builder().spawn(me.clone());
    let member = Member {
        me: mine,
        topic: TOPIC,
        gossip: gossip.clone(),
    };
    let router = Router::builder(me.clone())
        .accept(GOSSIP_ALPN, member)
        .spawn();
    let topic = iroh_gossip::proto::TopicId::from_bytes(*TOPIC.as_bytes());
    let (sender, _events) = gossip.subscribe(topic, Vec::new()).await.unwrap().split();
    let dial = Dial {
        topic: TOPIC,
        peers: vec![address_of(&me)],
        reason: DialReason::Found,
    };
    a.port.dial(dial).await.unwrap();
    a.up(mine).await;
    sender.broadcast("of a member".into()).await.unwrap();
    let heard = |event| match event {
        GossipEvent::Received {
            from, first_hand, ..
        } => Some((from, first_hand)),
        _ => None,
    };
    assert_eq!(a.log.wait_for("it", heard).await, (mine, true));
    let handed_on = (a.address.id, false);
    assert_eq!(b.log.wait_for("it", heard).await, handed_on);
    let payload = Bytes::from_static(b"its own");
    let topic = TOPIC;
    a.port
        .broadcast(Broadcast { topic, payload })
        .await
        .unwrap();
    assert_eq!(b.log.wait_for("it", heard).await, (a.address.id, true));
    router.shutdown().await.unwrap();
}
