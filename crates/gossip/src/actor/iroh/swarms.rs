//! What the swarms tell the actor.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};
use kukuri_contract::{EndpointId, GossipEvent, TopicId};

use super::GossipActor;
use crate::swarm::{Subscription, TopicEvent};
use crate::swarms::SwarmEvent;

/// After lost events, what is known of neighbors is renewed so much later. A new subscription costs
/// the broadcasts that wait in the old one, so not one for each loss of a flood; half a second: a
/// neighbor that was missed is asked nothing, and one that is gone can't answer, until then.
const RENEW_PAUSE: Duration = Duration::from_millis(500);

impl StreamHandler<SwarmEvent> for GossipActor {
    fn handle(&mut self, event: SwarmEvent, ctx: &mut Self::Context) {
        match event {
            SwarmEvent::In(topic, subscription, events) => {
                for event in events {
                    self.heard(topic, subscription, event, ctx);
                }
            }
            SwarmEvent::AddressChanged => self.address_changed(),
        }
    }

    /// The stream ends with the endpoint; the actor ends when it is told to.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl GossipActor {
    fn heard(
        &mut self,
        topic: TopicId,
        subscription: Subscription,
        event: TopicEvent,
        ctx: &mut Context<Self>,
    ) {
        let Some(open) = self.topics.get(&topic) else {
            return;
        };
        // What an earlier subscription says of neighbors is old, its broadcasts are as good as any:
        // the next one does not bring them again.
        let current = open.subscription == subscription;
        match event {
            TopicEvent::Received(payload, from, first_hand) => self.emit(GossipEvent::Received {
                topic,
                payload,
                from,
                first_hand,
            }),
            TopicEvent::Up(peer) if current => self.neighbor_up(topic, peer),
            TopicEvent::Down(peer) if current => {
                self.neighbor_down(topic, peer);
                self.pump(ctx);
            }
            TopicEvent::Lagged if current => self.lagged(topic, ctx),
            _ => {}
        }
    }

    pub(super) fn next_subscription(&mut self) -> Subscription {
        self.subscriptions += 1;
        Subscription(self.subscriptions)
    }

    fn neighbor_up(&mut self, topic: TopicId, peer: EndpointId) {
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        open.membership.neighbor_up(peer);
        let neighbors = open.membership.neighbors().len();
        self.publish(topic);
        tracing::debug!(step = "neighbor_up", ?peer);
        self.emit(GossipEvent::NeighborUp {
            topic,
            peer,
            neighbors,
        });
    }

    fn neighbor_down(&mut self, topic: TopicId, peer: EndpointId) {
        let now = self.now();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        open.membership.neighbor_down(peer, now);
        let neighbors = open.membership.neighbors().len();
        self.publish(topic);
        self.emit(GossipEvent::NeighborDown {
            topic,
            peer,
            neighbors,
        });
        self.forget(peer);
    }

    /// Events were lost, those of neighbors perhaps.
    fn lagged(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        self.emit(GossipEvent::TopicLagged { topic });
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        if std::mem::replace(&mut open.renewing, true) {
            return;
        }
        let lagged = open.subscription;
        ctx.run_later(RENEW_PAUSE, move |actor, ctx| {
            let open = actor.topics.get(&topic);
            // The topic may have been left meanwhile, and joined again.
            if open.is_some_and(|open| open.subscription == lagged) {
                actor.resubscribe(topic, ctx);
            }
        });
    }

    /// A new subscription tells of all neighbors again.
    fn resubscribe(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        let subscription = self.next_subscription();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        // Until there is the new one, the old one keeps the topic open.
        open.swarm.mute();
        open.subscription = subscription;
        open.renewing = false;
        for peer in open.membership.neighbors().clone() {
            self.neighbor_down(topic, peer);
        }
        let swarms = self.swarms.clone();
        let entered = async move { swarms.enter(topic).await };
        let then = entered.into_actor(self).map(move |entered, actor, _| {
            let open = actor.topics.get_mut(&topic);
            // The topic may have been left meanwhile, and joined again.
            let open = open.filter(|open| open.subscription == subscription);
            if let (Some(entered), Some(open)) = (entered, open) {
                open.swarm = entered.listen(subscription);
            }
        });
        ctx.spawn(then);
    }

    fn address_changed(&mut self) {
        let advertised = self.swarms.addresses().advertised;
        if advertised != self.advertised {
            self.advertised = advertised.clone();
            self.emit(GossipEvent::AddressChanged(advertised));
        }
    }
}
