//! What keeps swarms whole: beacons on their way between discovery and gossip, and members of other
//! parts of a swarm, to be dialed.

use actix::Context;
use bytes::Bytes;
use kukuri_contract::{
    Broadcast, Dial, DialReason, DiscoveryPort, EndpointAddr, GossipPort, HearBeacon, Source,
    TopicId,
};

use super::actor::NodeActor;

impl NodeActor {
    /// A member of another part of the swarm: dialed whatever the neighbors, so that the parts join.
    pub(super) fn part_found(
        &mut self,
        topic: TopicId,
        peer: EndpointAddr,
        ctx: &mut Context<Self>,
    ) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get_mut(&topic)) else {
            return;
        };
        open.state.found(&peer, Source::Cache);
        let dial = Dial {
            topic,
            peers: vec![peer],
            reason: DialReason::Heal,
        };
        let dialed = async move { ports.gossip.dial(dial).await };
        self.call(GossipPort::SERVICE, dialed, ctx);
    }

    /// Discovery's beacons go through the swarm.
    pub(super) fn send_beacon(&self, topic: TopicId, payload: Bytes, ctx: &mut Context<Self>) {
        let Some(ports) = self.ports() else {
            return;
        };
        let sent = async move { ports.gossip.broadcast(Broadcast { topic, payload }).await };
        self.call(GossipPort::SERVICE, sent, ctx);
    }

    pub(super) fn hear_beacon(&self, topic: TopicId, payload: Bytes, ctx: &mut Context<Self>) {
        let Some(ports) = self.ports() else {
            return;
        };
        let beacon = HearBeacon { topic, payload };
        let heard = async move { ports.discovery.hear_beacon(beacon).await };
        self.call(DiscoveryPort::SERVICE, heard, ctx);
    }
}
