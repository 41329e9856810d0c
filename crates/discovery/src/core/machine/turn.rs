//! The turns of the own announcement: on the rendezvous, on the board, or on both.

use std::time::Duration;

use kukuri_contract::{DiscoveryEvent, SkipReason, TopicId};

use super::super::board::FIRST_PAUSE;
use super::super::{DhtState, Effect, Now};
use super::Core;

impl Core {
    /// The DHT, as far as the rendezvous is concerned.
    pub(super) fn rendezvous(&self) -> DhtState {
        match self.config.sources.rendezvous {
            true => self.dht,
            false => DhtState::Off,
        }
    }

    /// Whether the rendezvous can be used.
    pub(super) fn rendezvous_is_up(&self) -> bool {
        matches!(self.rendezvous(), DhtState::Up { .. })
    }

    /// How often a turn writes at most: on the board too, where no hello is sure to come in. (Then
    /// each second turn leaves out the rendezvous.)
    pub(super) fn writes_per_turn(&self, now: Now) -> u64 {
        match self.config.sources.board && !self.hello_is_proven(now) {
            true => 2,
            false => 1,
        }
    }

    /// Whether others reach the hello port, by the last that is known of it.
    pub(super) fn hello_is_proven(&self, now: Now) -> bool {
        self.reach.holds(now.mono)
    }

    pub(super) fn has_relay(&self) -> bool {
        self.address.as_ref().is_some_and(|a| a.relay.is_some())
    }

    /// A turn without the rendezvous. A place in a much shorter interval is given up.
    pub(super) fn turn_of_board(&mut self, id: TopicId, now: Now) {
        let writes = self.writes_per_turn(now);
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        let (me, config) = (self.me.endpoint, &self.config);
        let members = topic.swarm.crowd.budgeted(writes, now.mono);
        let outgrown = topic.announcer.is_outgrown(members, config);
        match outgrown {
            true => topic.announcer.plan_anew(me, members, now, config),
            false => topic.announcer.plan_next(me, members, now, config),
        }
        if outgrown {
            let reason = SkipReason::Crowded;
            let event = DiscoveryEvent::AnnounceSkipped { topic: id, reason };
            self.out.push(Effect::Emit(event));
        } else {
            self.turn_over(id, now);
        }
    }

    /// A turn is over, whatever came of it: the board is next.
    pub(super) fn turn_over(&mut self, id: TopicId, now: Now) {
        let relayed = self.has_relay();
        let rendezvous = self.config.sources.rendezvous;
        if let Some(topic) = self.topics.get_mut(&id) {
            // Members that found the announcement may say hello first.
            let waits = rendezvous && !relayed && !topic.board.flood.is_on();
            let pause = if waits { FIRST_PAUSE } else { Duration::ZERO };
            topic.board.turn_over(pause, now.mono);
        }
    }
}
