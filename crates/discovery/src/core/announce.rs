//! When a topic is announced: budget, retries, own place in the interval.
//!
//! A topic of N members is to be written at most ten times a minute: each member writes every
//! `max(5 min, N x 6 s)`, at a place in that interval that its endpoint id and the epoch give, so
//! that the members never write all at the turn of an epoch. N is an estimate
//! ([`crowd`](super::crowd)).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use kukuri_contract::{AnnounceResult, EndpointId, Epoch, SkipReason, UnixMillis};
use sha2::{Digest, Sha256};

use super::{Entropy, Now, QueryId, Ticket};
use crate::config::Config;

/// The window of the budget.
const MINUTE: Duration = Duration::from_secs(60);
/// A newcomer that has seen so many entries adds itself only with a probability: the burst of a
/// mass start stays bounded.
const CROWD: u64 = 10;
/// A newcomer waits so long for entries before it announces itself, so that it can tell a crowd.
/// Not for longer: the put waits for the end of the look-up on the same infohash anyway.
pub const NEWCOMER_PAUSE: Duration = Duration::from_millis(40);

/// A newcomer that stayed away from a crowd announces itself after so long all the same, if nobody
/// of that crowd has answered: false entries must not keep members from being found. Far longer
/// than a member takes to answer, and than most entries of members that are gone take to fail.
const CROWD_PROOF: Duration = Duration::from_secs(3);

/// Pause after an announcement that failed; it doubles with each failure in a row, up to the usual
/// interval. Long enough for a budget of ten a minute, short enough for a network that comes back.
const FAILED_PAUSE: Duration = Duration::from_secs(30);

/// The announcements of one topic.
#[derive(Debug, Default)]
pub struct Announcer {
    /// Who waits for the one under way.
    pub tickets: Vec<Ticket>,
    writes: VecDeque<Duration>,
    under_way: Option<UnderWay>,
    due: Option<Duration>,
    last: Option<Duration>,
    /// Announcements in a row that nobody has acknowledged.
    failed: u32,
    /// The interval that the next one was planned in, in seconds.
    planned_in: u64,
    /// The one under way announces what is not true any more.
    outdated: bool,
    /// It stayed away from a crowd that has yet to prove that it is one.
    doubts: bool,
}

#[derive(Debug)]
struct UnderWay {
    query: QueryId,
    started: Duration,
    failures: u32,
    retry_at: Option<Duration>,
}

/// What follows the end of a try.
#[derive(Debug, PartialEq, Eq)]
pub enum TryEnd {
    /// Another try comes at its time.
    Retry,
    /// It is over.
    Over {
        /// How the last try ended.
        result: AnnounceResult,
        /// Since the first try.
        took: Duration,
    },
}

impl Announcer {
    /// Plans the first announcement, shortly after the first look-up has started.
    pub fn plan_first(&mut self, now: Duration) {
        if self.due.is_none() && self.under_way.is_none() {
            self.due = Some(now + NEWCOMER_PAUSE);
        }
    }

    /// A look-up has ended: whether there is a crowd is known, and nothing else is waited for.
    pub fn hurry_first(&mut self, now: Duration) {
        if self.last.is_none() && !self.doubts {
            self.due = self.due.map(|due| due.min(now));
        }
    }

    /// Announces at once what has failed before: the DHT is in reach now.
    pub fn plan_again(&mut self, now: Duration) {
        if self.failed > 0 && self.under_way.is_none() {
            self.due = Some(now + NEWCOMER_PAUSE);
        }
    }

    /// Announces again at once, if anything was: there is something else to announce.
    pub fn announce_anew(&mut self, now: Duration) {
        self.outdated = self.under_way.is_some();
        if self.last.is_some() && !self.outdated {
            self.due = Some(now);
        }
    }

    /// Plans the next one: at the own place in the interval, or earlier if this one has failed.
    pub fn plan_next(&mut self, me: EndpointId, members: u64, now: Now, config: &Config) {
        let interval_s = interval_s(members, config);
        self.planned_in = interval_s;
        let wait = wait_for_place(me, interval_s * 1000, interval_s * 500, now.unix);
        let mut wait = Duration::from_millis(wait);
        if let Some(doublings) = self.failed.checked_sub(1) {
            wait = wait.min(FAILED_PAUSE.saturating_mul(2u32.saturating_pow(doublings)));
        }
        if std::mem::take(&mut self.outdated) {
            wait = Duration::ZERO;
        }
        self.due = Some(now.mono + wait);
    }

    /// Plans the next one anew, where its place was one of a shorter interval: at the own place in the
    /// longer one, however soon that is. If all waited for half of it first, nobody would be announced
    /// meanwhile.
    pub fn plan_anew(&mut self, me: EndpointId, members: u64, now: Now, config: &Config) {
        self.planned_in = interval_s(members, config);
        let wait = wait_for_place(me, self.planned_in * 1000, 0, now.unix);
        self.due = Some(now.mono + Duration::from_millis(wait));
    }

    /// Whether the topic has grown so much since the next one was planned that it must be planned
    /// anew: its place was one of a much shorter interval.
    pub fn is_outgrown(&self, members: u64, config: &Config) -> bool {
        self.last.is_some() && self.failed == 0 && interval_s(members, config) > 2 * self.planned_in
    }

    /// It stayed away from a crowd of which nobody has answered yet: looks again at that soon.
    pub fn doubt(&mut self, now: Duration) {
        self.doubts = true;
        self.due = Some(now + CROWD_PROOF);
    }

    /// Whether a crowd was doubted; from now on it is not.
    pub fn end_doubt(&mut self) -> bool {
        std::mem::take(&mut self.doubts)
    }

    /// Whether a look-up or a retry is under way.
    pub fn busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// How long ago the topic was last announced.
    pub fn since_last(&self, now: Duration) -> Option<Duration> {
        self.last.map(|at| now.saturating_sub(at))
    }

    /// Whether one is due.
    pub fn is_due(&self, now: Duration) -> bool {
        self.under_way.is_none() && self.due.is_some_and(|due| due <= now)
    }

    /// Whether a retry is due, and of which query.
    pub fn retry_due(&mut self, now: Duration) -> Option<QueryId> {
        let under_way = self.under_way.as_mut()?;
        under_way.retry_at.take_if(|at| *at <= now)?;
        Some(under_way.query)
    }

    /// Counts one write of another kind, if the budget of the minute allows.
    pub fn charge(&mut self, now: Duration, config: &Config) -> Result<(), SkipReason> {
        self.check_budget(now, config)?;
        self.writes.push_back(now);
        Ok(())
    }

    fn check_budget(&mut self, now: Duration, config: &Config) -> Result<(), SkipReason> {
        while self.writes.front().is_some_and(|at| *at + MINUTE <= now) {
            self.writes.pop_front();
        }
        match self.writes.len() >= config.announces_per_minute as usize {
            true => Err(SkipReason::Budget),
            false => Ok(()),
        }
    }

    /// Starts one, if the budget allows. A newcomer that sees a crowd may be told to stay away.
    pub fn start(
        &mut self,
        query: QueryId,
        crowd: u64,
        now: Duration,
        rng: &mut impl Entropy,
        config: &Config,
    ) -> Result<(), SkipReason> {
        self.due = None;
        self.check_budget(now, config)?;
        if self.last.is_none() && crowd > CROWD && rng.below(crowd) >= CROWD {
            return Err(SkipReason::Crowded);
        }
        self.writes.push_back(now);
        self.under_way = Some(UnderWay {
            query,
            started: now,
            failures: 0,
            retry_at: None,
        });
        Ok(())
    }

    /// A try has ended.
    pub fn try_ended(
        &mut self,
        query: QueryId,
        result: AnnounceResult,
        now: Duration,
        rng: &mut impl Entropy,
        config: &Config,
    ) -> Option<TryEnd> {
        let under_way = self.under_way.as_mut().filter(|u| u.query == query)?;
        if result != AnnounceResult::Stored && under_way.failures < config.announce_retries {
            under_way.failures += 1;
            let jitter = rng.below(config.announce_jitter_ms + 1);
            under_way.retry_at = Some(now + Duration::from_millis(jitter));
            return Some(TryEnd::Retry);
        }
        let took = now - under_way.started;
        self.under_way = None;
        self.last = Some(now);
        self.failed = match result {
            AnnounceResult::Stored => 0,
            _ => self.failed.saturating_add(1),
        };
        Some(TryEnd::Over { result, took })
    }

    /// When something is due.
    pub fn next_wake(&self) -> Option<Duration> {
        match &self.under_way {
            Some(under_way) => under_way.retry_at,
            None => self.due,
        }
    }
}

fn interval_s(members: u64, config: &Config) -> u64 {
    config
        .reannounce_s
        .max(members.saturating_mul(config.reannounce_per_member_s))
        .max(1)
}

/// Milliseconds until the own place in the interval, at least so many away.
fn wait_for_place(me: EndpointId, interval_ms: u64, at_least: u64, now: UnixMillis) -> u64 {
    let place = place(me, Epoch::at(now), interval_ms);
    let into_interval = (now.0 + at_least) % interval_ms;
    let further = (place + interval_ms - into_interval) % interval_ms;
    at_least + further
}

/// The own place within an interval: H(endpoint id, epoch).
fn place(me: EndpointId, epoch: Epoch, interval_ms: u64) -> u64 {
    let hash = Sha256::new()
        .chain_update(b"kukuri/1 place\0")
        .chain_update(me.as_bytes())
        .chain_update(epoch.0.to_be_bytes())
        .finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(head) % interval_ms
}
