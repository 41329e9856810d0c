//! The node's own service: what the public handles ask of the node's actor.

use bytes::Bytes;
use kukuri_contract::{
    DiscoveryEvent, EndpointAddr, GossipEvent, Never, StoreEvent, TopicId, TopicName, TopicSecret,
    request, service,
};
use tokio::sync::broadcast;

use super::topic::TopicEvent;
use crate::Former;
use crate::compose::Wires;
use crate::error::{PostError, TopicError};

service! {
    /// The actor that ties the services of a node together.
    NodeService, NodePort, "node" {
        /// Joins a topic.
        open: Open,
        /// Leaves a topic. Unknown ones are fine.
        leave: LeaveTopic,
        /// Posts to a topic; the reply is the post's number, and means that it is stored.
        post: SendPost,
    }
    // Without them a node does not work, so they must not wait behind those who want it to.
    without_permit {
        /// Hands over the services; topics that are wanted already are joined again.
        wire: Wire,
        /// A service was started again: tells it what it must know.
        resync: Resync,
    }
    events {
        DiscoveryEvent,
        GossipEvent,
        StoreEvent,
    }
}

request! {
    Wire => (), Never;
    Open => TopicId, TopicError;
    LeaveTopic => (), Never;
    SendPost => u64, PostError;
    Resync => (), Never;
}

/// Hands over the services.
#[derive(Debug)]
pub struct Wire(pub Wires);

/// Joins a topic.
#[derive(Debug)]
pub struct Open {
    /// Its name.
    pub name: TopicName,
    /// Its secret, if it is a secret topic.
    pub secret: Option<TopicSecret>,
    /// The secret before, where the node takes part under both for a while.
    pub former: Option<Former>,
    /// Peers that the user named.
    pub peers: Vec<EndpointAddr>,
    /// Who hears of it.
    pub events: broadcast::Sender<TopicEvent>,
}

/// Leaves a topic.
#[derive(Debug, Clone, Copy)]
pub struct LeaveTopic(pub TopicId);

/// Posts to a topic.
#[derive(Debug)]
pub struct SendPost {
    /// Where.
    pub topic: TopicId,
    /// What.
    pub body: Bytes,
}

/// A service was started again.
#[derive(Debug, Clone, Copy)]
pub struct Resync(pub crate::supervise::Service);
