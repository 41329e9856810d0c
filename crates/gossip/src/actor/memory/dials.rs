//! Whom the actor dials. How a dial ends is among the news.

use std::time::Duration;

use actix::{AsyncContext, Context};

use super::MemoryActor;

impl MemoryActor {
    /// Starts the dials that are wanted now, and plans when to look again.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        let mut wake = None;
        for (topic, membership) in &mut self.topics {
            let room = self.config.max_parallel_dials - self.dialing;
            let (seat, hosts) = (&self.seat, &self.hosts);
            let mut below = |bound| seat.with(|network, _, _| network.below(bound));
            let dials = membership.dials(now, room, hosts, &mut below);
            wake = wake
                .into_iter()
                .chain(membership.next_wake(hosts, now))
                .min();
            self.dialing += dials.len();
            for peer in dials {
                tracing::debug!(step = "dial_started", peer = ?peer.id);
                seat.with(|network, me, now| network.dial(me, *topic, &peer, now));
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
}
