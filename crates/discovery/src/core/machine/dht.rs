//! Whether the DHT is heard at all, and how long its nodes are waited for.

use std::time::Duration;

use kukuri_contract::{AnnounceError, SkipReason};

use super::super::patience::SETTLE;
use super::super::{DhtState, Effect, FILLED, Now};
use super::{Core, NOTHING, Topic};

impl Core {
    /// When the DHT is to be probed for a topic: halfway to its verdict, then now and then while it
    /// is alone.
    pub(super) fn probe_due(&self, topic: &Topic) -> Option<Duration> {
        let DhtState::Up { routing_table: 1.. } = self.dht else {
            return None;
        };
        let first = topic.alone_since? + self.first_contact() / 2;
        Some(first.max(self.replies.next_probe()))
    }

    pub(super) fn probe_dht(&mut self, now: Now) {
        let mut due = self.topics.values().filter_map(|t| self.probe_due(t));
        if due.any(|at| at <= now.mono) {
            self.replies.probed(now.mono);
            self.out.push(Effect::ProbeDht);
        }
    }

    pub(super) fn dht_heard(&mut self, asked: u32, answered: u32, now: Now) {
        self.replies.heard(asked, answered);
        if self.replies.lost() && self.patience.may_change(now.mono) {
            self.change_patience(now);
        }
    }

    /// When to wait longer for replies, or not so long, because there are none. Nobody waits where
    /// there is no topic.
    pub(super) fn patience_due(&self) -> Option<Duration> {
        let mut topics = self.topics.values();
        let lonely = topics.any(|topic| topic.alone_since.is_some());
        self.patience.due().filter(|_| lonely)
    }

    pub(super) fn lose_patience(&mut self, now: Now) {
        if self.patience_due().is_some_and(|at| at <= now.mono) {
            self.change_patience(now);
        }
    }

    fn change_patience(&mut self, now: Now) {
        let wait = match self.patience.change(now.mono) {
            true => self.config.patient_timeout_ms,
            false => self.config.request_timeout_ms,
        };
        self.replies.probe_at(now.mono + SETTLE);
        let wait = Duration::from_millis(wait);
        self.out.push(Effect::WaitForReplies(wait));
        self.announce_again(now);
    }

    /// The DHT node is there, or not. Where there is none, nobody waits for it in vain.
    pub(super) fn dht_changed(&mut self, state: DhtState, now: Now) {
        let before = std::mem::replace(&mut self.dht, state);
        let nodes = match state {
            DhtState::Up { routing_table } => Some(routing_table),
            _ => None,
        };
        self.patience.table(nodes, now.mono);
        if matches!(state, DhtState::Up { .. } | DhtState::Starting) {
            let is_empty = |dht| !matches!(dht, DhtState::Up { routing_table: 1.. });
            if is_empty(before) && !is_empty(state) {
                self.announce_again(now);
            }
            if is_filled(state) && !is_filled(before) {
                self.look_with_a_filled_table(now);
            }
            return;
        }
        self.replies.forget();
        let mut looking = Vec::new();
        for topic in self.topics.values_mut() {
            looking.append(&mut topic.lookup_tickets);
            let announcing = std::mem::take(&mut topic.announcer.tickets);
            let no_dht = Err(AnnounceError::Skipped(SkipReason::NoDht));
            let answers = announcing
                .into_iter()
                .map(|t| Effect::AnswerAnnounce(t, no_dht.clone()));
            self.out.extend(answers);
        }
        self.answer_lookup(looking, NOTHING);
    }

    /// What failed while no DHT node was known says nothing about those that are known now.
    fn announce_again(&mut self, now: Now) {
        for topic in self.topics.values_mut() {
            topic.evidence.announce_failed = false;
            topic.announcer.plan_again(now.mono);
        }
    }

    /// A look-up with an empty table finds next to nothing: lonely topics look again.
    fn look_with_a_filled_table(&mut self, now: Now) {
        for topic in self.topics.values_mut() {
            topic.board.hurry_read(now.mono);
            if topic.alone_since.is_some() && topic.next_lookup.is_some() {
                topic.next_lookup = Some(now.mono);
            }
        }
    }
}

fn is_filled(dht: DhtState) -> bool {
    matches!(dht, DhtState::Up { routing_table } if routing_table >= FILLED)
}
