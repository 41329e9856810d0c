//! A member that is nothing but a socket: its hellos, made by hand.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::{SocketAddr, SocketAddrV4};

use kukuri_conformance::MemoryIdentity;
use kukuri_contract::{
    AddTopic, EndpointAddr, EndpointId, Epoch, EpochKeys, IdentityPort, Sign, SignRequest, TopicId,
    TopicKeys, TopicSecret, WallClock,
};
use kukuri_discovery::core::hello::{HelloRequest, RequestId};
use kukuri_discovery::core::record::{NO_MARK, body, finish};

pub struct ByHand {
    pub id: EndpointId,
    topic: TopicId,
    identity: IdentityPort,
}

impl ByHand {
    /// Endpoint number n, in the topic that [`Start::node`](super::Start::node) joins.
    pub async fn new(n: u64, secret: Option<u8>) -> Self {
        let (id, identity) = MemoryIdentity::spawn(n);
        let add = AddTopic {
            name: "test".parse().unwrap(),
            secret: secret.map(|s| TopicSecret::from_bytes([s; 32])),
        };
        let topic = identity.add_topic(add).await.unwrap();
        Self {
            id,
            topic,
            identity,
        }
    }

    /// The keys of hellos, now.
    pub async fn keys(&self) -> EpochKeys {
        let epoch = Epoch::at(WallClock::system().now());
        let topic = self.topic;
        self.identity
            .topic_keys(TopicKeys { topic, epoch })
            .await
            .unwrap()
    }

    /// A request to `recipient`, whose record says that the endpoint is at `at`.
    pub async fn request(
        &self,
        id: RequestId,
        recipient: SocketAddrV4,
        at: SocketAddr,
        dial_back: Option<u16>,
    ) -> Vec<u8> {
        let now = WallClock::system().now();
        let address = EndpointAddr {
            id: self.id,
            direct: vec![at],
            relay: None,
        };
        let body = body(&address, now, NO_MARK);
        let sign = SignRequest::Record {
            topic: self.topic,
            epoch: Epoch::at(now),
            body: body.clone(),
        };
        let signature = self.identity.sign(Sign(sign)).await.unwrap();
        let request = HelloRequest {
            id,
            time: now,
            recipient,
            record: finish(body, &signature),
            dial_back,
        };
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&id);
        request.seal(&self.keys().await, nonce)
    }
}
