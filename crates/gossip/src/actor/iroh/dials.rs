//! Whom the actor dials, and what becomes of it.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use kukuri_contract::{DialResult, EndpointAddr, EndpointId, GossipEvent, TopicId};

use super::GossipActor;

/// A peer that is connected becomes a neighbor within so long, or never: a few round trips around
/// the world.
const JOIN_LIMIT: Duration = Duration::from_secs(2);

impl GossipActor {
    /// Starts the dials that are wanted now, and plans when to look again.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        let mut wake = None;
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            let room = self.config.max_parallel_dials - self.dialing;
            let Some(open) = self.topics.get_mut(&topic) else {
                continue;
            };
            let dials = open
                .membership
                .dials(now, room, &self.hosts, &mut random_below);
            let next = open.membership.next_wake(&self.hosts, now);
            wake = wake.into_iter().chain(next).min();
            for peer in dials {
                self.dial(topic, peer, ctx);
            }
        }
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        // With all dials in use, the end of one of them comes back here.
        let wake = wake.filter(|_| self.dialing < self.config.max_parallel_dials);
        self.timer = wake.map(|at| {
            let wait = at.saturating_sub(now).max(Duration::from_millis(1));
            ctx.run_later(wait, |actor, ctx| actor.pump(ctx))
        });
    }

    fn dial(&mut self, topic: TopicId, peer: EndpointAddr, ctx: &mut Context<Self>) {
        tracing::debug!(step = "dial_started", peer = ?peer.id);
        self.dialing += 1;
        let id = peer.id;
        let peer = self.hosts.without_resting(peer, self.now());
        let dialed_at = peer.clone();
        let sender = self.topics.get(&topic).map(|open| open.swarm.sender());
        let swarms = self.swarms.clone();
        let dialed = async move {
            let (result, took) = swarms.dial(topic, &peer).await;
            if let (DialResult::Connected, Some(sender)) = (result, sender) {
                sender.ask(id).await;
            }
            (result, took)
        };
        let then = dialed
            .into_actor(self)
            .map(move |(result, took), actor, ctx| {
                tracing::debug!(step = "dial_ended", peer = ?id, result = result.as_str());
                actor.dialing -= 1;
                let now = actor.now();
                let connected = result == DialResult::Connected;
                // Whoever says no is there: nobody is aimed at somebody else's host.
                let answered = connected || result == DialResult::NotMember;
                actor.hosts.dial_ended(&dialed_at, answered, now);
                if let Some(open) = actor.topics.get_mut(&topic) {
                    open.membership.dial_ended(id, connected, now);
                }
                match connected {
                    true => actor.expect_neighbor(topic, id, ctx),
                    false => actor.forget(id),
                }
                actor.emit(GossipEvent::DialEnded {
                    topic,
                    peer: id,
                    result,
                    took,
                });
                actor.pump(ctx);
            });
        ctx.spawn(then);
    }

    /// A member that is connected and does not become a neighbor takes this node for the neighbor
    /// that it was before a crash. Hanging up helps.
    fn expect_neighbor(&mut self, topic: TopicId, peer: EndpointId, ctx: &mut Context<Self>) {
        ctx.run_later(JOIN_LIMIT, move |actor, _| {
            if !actor.needs(topic, peer) {
                tracing::debug!(?peer, "connected, and no neighbor; hanging up");
                actor.swarms.hang_up(topic, peer);
                actor.forget(peer);
            }
        });
    }

    /// Ends connections that nobody needs. The other side may take this node for its neighbor still,
    /// and notices now.
    pub(super) fn hang_up_strays(&mut self) {
        let stray = Duration::from_millis(self.config.stray_ms);
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            let connected = self.swarms.connected(topic, stray);
            for peer in connected
                .into_iter()
                .filter(|peer| !self.needs(topic, *peer))
            {
                tracing::debug!(?peer, "connected, and no neighbor; hanging up");
                self.swarms.hang_up(topic, peer);
            }
        }
    }

    /// Whether a peer is a neighbor in a topic, or is being dialed for it.
    fn needs(&self, topic: TopicId, peer: EndpointId) -> bool {
        let open = self.topics.get(&topic);
        open.is_some_and(|open| {
            open.membership.neighbors().contains(&peer) || open.membership.is_dialing(peer)
        })
    }

    /// Addresses and connections of peers that are neighbors nowhere would only pile up: a candidate
    /// brings its addresses along when it is dialed.
    pub(super) fn forget(&mut self, peer: EndpointId) {
        let mut topics = self.topics.values();
        if !topics.any(|open| open.membership.neighbors().contains(&peer)) {
            self.swarms.forget(peer);
            self.asks.hang_up(peer);
        }
    }
}

fn random_below(bound: usize) -> usize {
    let random = getrandom::u64().expect("the operating system gives randomness");
    // The bias of the remainder is below 2^-50 for the few candidates there are.
    (random % bound.max(1) as u64) as usize
}
