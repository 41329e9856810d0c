//! A neighbor that does not count this node as its own.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::net::Ipv4Addr;

use iroh::endpoint::{Connection, presets};
use iroh::protocol::{AcceptError, ProtocolHandler, Router};
use iroh::{Endpoint, RelayMode, SecretKey};
use iroh_gossip::ALPN as GOSSIP_ALPN;
use iroh_gossip::net::Gossip;
use kukuri_contract::{Ask, AskError, CallError, Dial, EndpointAddr, EndpointId};
use kukuri_gossip::ASK_ALPN;
use nodes::{TOPIC, node};

/// A member whose word that it lets go of this node was lost: gossip's connection is whole, and
/// questions are answered as a stranger's.
#[actix::test]
async fn a_neighbor_on_one_side_only_is_let_go() {
    let mut a = node(1).await;
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[9; 32]))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .bind()
        .await
        .unwrap();
    let gossip = Gossip::builder().spawn(endpoint.clone());
    let router = Router::builder(endpoint.clone())
        .accept(GOSSIP_ALPN, gossip.clone())
        .accept(ASK_ALPN, AllAreStrangers)
        .spawn();
    let swarm = iroh_gossip::proto::TopicId::from_bytes(*TOPIC.as_bytes());
    let _swarm = gossip.subscribe(swarm, Vec::new()).await.unwrap();
    let member = EndpointAddr {
        id: EndpointId::from_bytes(*endpoint.id().as_bytes()),
        direct: endpoint.bound_sockets(),
        relay: None,
    };
    let dial = Dial {
        topic: TOPIC,
        peers: vec![member.clone()],
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
