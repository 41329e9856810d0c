//! What the swarms tell the actor.

use actix::{ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};
use kukuri_contract::{EndpointId, GossipEvent, TopicId};

use super::GossipActor;
use crate::swarm::{Subscription, SwarmEvent, TopicEvent};

impl StreamHandler<SwarmEvent> for GossipActor {
    fn handle(&mut self, event: SwarmEvent, ctx: &mut Self::Context) {
        let (topic, subscription, event) = match event {
            SwarmEvent::In(topic, subscription, event) => (topic, subscription, event),
            SwarmEvent::AddressChanged => return self.address_changed(),
        };
        let open = self.topics.get(&topic);
        if open.is_none_or(|open| open.subscription != subscription) {
            return;
        }
        match event {
            TopicEvent::Up(peer) => self.neighbor_up(topic, peer),
            TopicEvent::Down(peer) => {
                self.neighbor_down(topic, peer);
                self.pump(ctx);
            }
            TopicEvent::Received(payload, from) => self.emit(GossipEvent::Received {
                topic,
                payload,
                from,
            }),
            TopicEvent::Lagged => self.resubscribe(topic, ctx),
        }
    }

    /// The stream ends with the endpoint; the actor ends when it is told to.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl GossipActor {
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

    /// Events were lost, those of neighbors perhaps: a new subscription tells them all again.
    fn resubscribe(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        self.emit(GossipEvent::TopicLagged { topic });
        let subscription = self.next_subscription();
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        // Until there is the new one, the old one keeps the topic open.
        open.swarm.mute();
        open.subscription = subscription;
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
