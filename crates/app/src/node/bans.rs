//! What peers do wrong, and what becomes of it: points, then a ban, which the store keeps and gossip
//! carries out. `core/score.rs` decides.

use actix::{ActorFutureExt, AsyncContext, Context, ResponseActFuture, WrapFuture};
use kukuri_contract::{
    AskDrop, Bans, EndpointId, GossipPort, NodeEvent, Offense, PostDrop, ProofDrop, SaveBan,
    SetBanned, StorePort, TopicId,
};

use super::actor::NodeActor;
use crate::core::score::{MAX_PEERS, Outcome, is_garbage};

impl NodeActor {
    /// A peer has done something wrong.
    pub(super) fn offended(&mut self, peer: EndpointId, offense: Offense, ctx: &mut Context<Self>) {
        let (now, wall) = (self.now(), self.clock.now());
        let outcome = self.scores.offends(peer, offense, now, wall);
        if outcome == Outcome::Known {
            return;
        }
        tracing::debug!(?peer, offense = offense.as_str(), "a peer misbehaves");
        self.emit(NodeEvent::Offended { offense });
        let (Outcome::Banned(ban), Some(ports)) = (outcome, self.ports()) else {
            return;
        };
        let minutes = (ban.until.0 - wall.0) / 60_000;
        tracing::info!(?peer, reason = offense.as_str(), minutes, "peer banned");
        self.emit(NodeEvent::Banned { reason: offense });
        let saved = async move { ports.store.save_ban(SaveBan(ban)).await };
        self.call(StorePort::SERVICE, saved, ctx);
        self.tell_bans(ctx);
    }

    /// A question of a peer was not passed on.
    pub(super) fn ask_dropped(
        &mut self,
        peer: EndpointId,
        reason: AskDrop,
        ctx: &mut Context<Self>,
    ) {
        if matches!(reason, AskDrop::Malformed | AskDrop::Unfinished) {
            self.offended(peer, Offense::BadStream, ctx);
        }
    }

    /// A peer was not let in. It may only be a member of another topic, or of none any more.
    pub(super) fn proof_dropped(
        &mut self,
        peer: EndpointId,
        reason: ProofDrop,
        ctx: &mut Context<Self>,
    ) {
        if reason == ProofDrop::Malformed {
            self.offended(peer, Offense::BadClaim, ctx);
        }
    }

    /// A broadcast was not used. `own`: it is the neighbor's own.
    pub(super) fn broadcast_dropped(
        &mut self,
        topic: TopicId,
        from: EndpointId,
        own: bool,
        reason: PostDrop,
        ctx: &mut Context<Self>,
    ) {
        self.drop_post(reason);
        let now = self.now();
        if own && is_garbage(reason) && self.scores.sent_garbage(from, now) {
            self.offended(from, Offense::Garbage, ctx);
        }
        if let (PostDrop::RateLimited, Some(open)) = (reason, self.topics.get_mut(&topic)) {
            open.state.repairs.gap(now);
        }
    }

    // --- bans ---

    /// Takes in the bans of earlier runs.
    pub(super) fn load_bans(&self) -> ResponseActFuture<Self, ()> {
        let Some(ports) = self.ports() else {
            return Box::pin(async {}.into_actor(self));
        };
        let limit = MAX_PEERS;
        let asked = async move { ports.store.bans(Bans { limit }).await };
        let then = asked.into_actor(self).map(|bans, actor, _| match bans {
            Ok(bans) => {
                actor.scores.load(bans, actor.clock.now());
                actor.bans_loaded = true;
            }
            // Reconciling asks again.
            Err(error) => actor.call_failed(StorePort::SERVICE, &error),
        });
        Box::pin(then)
    }

    /// Tells gossip of all who are banned, as it must know after any restart.
    pub(super) fn tell_bans(&mut self, ctx: &mut Context<Self>) {
        let told = self.say_bans();
        ctx.spawn(told);
    }

    /// The same; done when gossip knows.
    pub(super) fn say_bans(&mut self) -> ResponseActFuture<Self, ()> {
        let peers: std::collections::BTreeSet<_> = self.scores.banned(self.clock.now()).collect();
        if peers != self.banned {
            let peers = peers.len();
            self.emit(NodeEvent::BansChanged { peers });
        }
        self.banned.clone_from(&peers);
        let Some(ports) = self.ports() else {
            return Box::pin(async {}.into_actor(self));
        };
        let told = async move { ports.gossip.set_banned(SetBanned { peers }).await };
        let then = told.into_actor(self).map(|told, actor, _| {
            if let Err(error) = told {
                actor.call_failed(GossipPort::SERVICE, &error);
            }
        });
        Box::pin(then)
    }

    /// Lets those go whose ban is over.
    pub(super) fn end_bans(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        if self
            .banned
            .iter()
            .any(|peer| !self.scores.is_banned(*peer, now))
        {
            self.tell_bans(ctx);
        }
    }

    /// Reconciling: gossip is told again, and the store asked, if it did not answer.
    pub(super) fn reconcile_bans(&mut self, ctx: &mut Context<Self>) {
        match self.bans_loaded {
            true => self.tell_bans(ctx),
            false => {
                let loaded = self.load_bans();
                ctx.spawn(loaded.map(|(), actor, ctx| actor.tell_bans(ctx)));
            }
        }
    }
}
