//! Peers that are connected, and neighbors on one side only or on none.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::time::Duration;

use iroh::endpoint::{Connection, ConnectionError};
use iroh::protocol::{AcceptError, ProtocolHandler, Router};
use iroh_gossip::net::Gossip;
use kukuri_contract::{Ask, AskError, Broadcast, CallError, Dial, DialReason, GossipEvent};
use kukuri_gossip::{ASK_ALPN, Config, GOSSIP_ALPN};
use nodes::{EPOCH, Member, TOPIC, address_of, enter, id_of, join, keys_at, local, meet};
use nodes::{node, node_with, stranger};
use tokio::time::timeout;

/// A member whose word that it lets go of this node was lost: gossip's connection is whole, and
/// questions are answered as a stranger's.
#[actix::test]
async fn a_neighbor_on_one_side_only_is_let_go() {
    let mut a = node(1).await;
    let endpoint = stranger(9).await;
    let gossip = Gossip::builder().spawn(endpoint.clone());
    let as_member = Member {
        me: id_of(&endpoint),
        topic: TOPIC,
        gossip: gossip.clone(),
    };
    let router = Router::builder(endpoint.clone())
        .accept(GOSSIP_ALPN, as_member)
        .accept(ASK_ALPN, AllAreStrangers)
        .spawn();
    let swarm = iroh_gossip::proto::TopicId::from_bytes(*TOPIC.as_bytes());
    let _swarm = gossip.subscribe(swarm, Vec::new()).await.unwrap();
    let member = address_of(&endpoint);
    let dial = Dial {
        topic: TOPIC,
        peers: vec![member.clone()],
        reason: DialReason::Found,
    };
    a.port.dial(dial).await.unwrap();
    a.up(member.id).await;
    let ask = Ask {
        topic: TOPIC,
        peer: member.id,
        payload: "?".into(),
    };
    let one_sided = CallError::Refused(AskError::OneSided);
    assert_eq!(a.port.ask(ask.clone()).await, Err(one_sided.clone()));
    // It may not have noticed its new neighbor yet.
    assert_eq!(a.port.ask(ask).await, Err(one_sided));
    a.down(member.id).await;
    router.shutdown().await.unwrap();
}

#[actix::test]
async fn a_connection_that_nobody_needs_is_closed() {
    let config = Config {
        stray_ms: 200,
        ..local()
    };
    let (mut a, mut b) = (node_with(1, config).await, node(2).await);
    a.port.join(join(TOPIC)).await.unwrap();
    meet(&mut a, &mut b).await;
    let stray = stranger(9).await;
    let connection = enter(&stray, &a.address, &keys_at(TOPIC, EPOCH)).await;
    let connection = connection.unwrap();
    let closed = timeout(Duration::from_secs(30), connection.closed()).await;
    assert!(matches!(closed, Ok(ConnectionError::ApplicationClosed(_))));
    // The neighbor's, which is older, is not.
    a.port
        .broadcast(Broadcast {
            topic: TOPIC,
            payload: "still here".into(),
        })
        .await
        .unwrap();
    let came = |event| matches!(event, GossipEvent::Received { .. }).then_some(());
    b.log.wait_for("a broadcast", came).await;
    stray.close().await;
}

/// Says so to each question.
#[derive(Debug)]
struct AllAreStrangers;

impl ProtocolHandler for AllAreStrangers {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            let _question = recv.read_to_end(100).await;
            let _sent = send.write_all(&[4]).await;
            let _sent = send.finish();
        }
        Ok(())
    }
}
