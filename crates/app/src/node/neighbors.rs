//! What the coming and going of neighbors means for a topic.

use std::time::Duration;

use actix::{AsyncContext, Context};
use kukuri_contract::{EndpointId, NodeEvent, TopicId, Verdict};

use super::actor::NodeActor;
use super::topic::TopicEvent;

/// A post that could not be sent is tried again after so long.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

impl NodeActor {
    pub(super) fn neighbor_up(
        &mut self,
        topic: TopicId,
        peer: EndpointId,
        ctx: &mut Context<Self>,
    ) {
        let now = self.now();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        if open.state.neighbors().contains(&peer) {
            return;
        }
        let first = open.state.neighbor_up(peer, now);
        let neighbors = open.state.neighbors().len();
        let known = open.state.address_of(peer).cloned();
        if let Some(first) = first {
            let (source, after) = (first.source, first.after);
            let after_ms = after.as_millis() as u64;
            self.emit(NodeEvent::FirstNeighbor { source, after });
            if !first.again {
                self.wanted.note_joined(topic);
                self.tell(topic, TopicEvent::Joined { source, after });
            }
            self.verdict(topic, Verdict::Joined { source, after_ms });
        }
        let endpoint = peer;
        self.tell(
            topic,
            TopicEvent::NeighborUp {
                endpoint,
                neighbors,
            },
        );
        self.neighbors_changed(topic, ctx);
        if let Some((address, source)) = known {
            self.remember(topic, address, source, ctx);
        }
        self.send_unsent(topic, ctx);
        self.repair_if_due(topic, ctx);
    }

    pub(super) fn neighbor_down(
        &mut self,
        topic: TopicId,
        endpoint: EndpointId,
        ctx: &mut Context<Self>,
    ) {
        let now = self.now();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        if open.state.neighbor_down(endpoint, now) {
            let neighbors = open.state.neighbors().len();
            self.tell(
                topic,
                TopicEvent::NeighborDown {
                    endpoint,
                    neighbors,
                },
            );
            self.neighbors_changed(topic, ctx);
        }
    }

    pub(super) fn send_later(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        // One for all that wait.
        if !self.resending.insert(topic) {
            return;
        }
        ctx.run_later(RESEND_PAUSE, move |actor, ctx| {
            actor.resending.remove(&topic);
            let open = actor.topics.get(&topic);
            if open.is_some_and(|open| !open.state.neighbors().is_empty()) {
                actor.send_unsent(topic, ctx);
            }
        });
    }
}
