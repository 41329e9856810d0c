//! The board of one topic: when its slots are read and the own one is written.
//!
//! A slot is a BEP44 item: one value per storing DHT node, and whoever writes last replaces what
//! others wrote. So a write reads the slot first, keeps what others have put there, tells each
//! storing node which value it replaces (`cas`), and reads back what came of it. No "ok" counts.
//!
//! `seen.rs` is what one read brought, `write.rs` a write, `flood.rs` whether the rendezvous can be
//! used at all.

pub mod flood;
pub mod seen;
pub mod write;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use kukuri_contract::{BoardResult, EndpointId};

use super::backoff::Backoff;
use super::page::Place;
use super::{Entropy, Now};
use crate::config::{Config, Sources};
use flood::Flood;
use seen::Seen;
use write::Writing;

/// Pause between the first announcement and the decision whether the board is needed: members that
/// found the announcement say hello within it.
pub const FIRST_PAUSE: Duration = Duration::from_secs(3);
/// Pause after a write that failed; it doubles with each failure in a row, up to the longest.
const FAILED_PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

/// The board of one topic.
#[derive(Debug, Default)]
pub struct Board {
    /// The own write under way.
    pub writing: Option<Writing>,
    /// Whether it is needed because the rendezvous is flooded.
    pub flood: Flood,
    /// The highest sequence number that was put.
    pub last_seq: i64,
    /// Turns of the own announcement so far, made here or on the rendezvous.
    pub turns: u32,
    decide_at: Option<Duration>,
    failed: u32,
    /// Since when the topic is alone, as far as is known here.
    alone_since: Option<Duration>,
    next_read: Option<Duration>,
    round: Option<Round>,
    backoff: Backoff,
}

/// Slots that are read together.
#[derive(Debug)]
struct Round {
    started: Duration,
    waiting: VecDeque<Place>,
    running: usize,
    pages: u32,
    found: BTreeSet<EndpointId>,
}

/// What a round has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundEnd {
    /// Different pages that could be read.
    pub pages: u32,
    /// Endpoints on them, this node not counted.
    pub records: u32,
    /// Since its start.
    pub took: Duration,
}

impl Board {
    // --- reading ---

    /// A search has begun or ended. Says whether what was being read is of no use any more.
    pub fn follow(&mut self, alone_since: Option<Duration>) -> bool {
        if self.alone_since == alone_since {
            return false;
        }
        self.alone_since = alone_since;
        self.next_read = None;
        self.round = None;
        self.backoff.reset();
        true
    }

    /// Plans the first round of a search, at once or after a pause: a neighbor may be about to come
    /// up.
    pub fn plan_first_read(
        &mut self,
        pause: bool,
        now: Duration,
        rng: &mut impl Entropy,
        config: &Config,
    ) {
        if self.alone_since.is_some() && self.next_read.is_none() && self.round.is_none() {
            let pause = match pause {
                true => self.backoff.next_reading(rng, config),
                false => Duration::ZERO,
            };
            self.next_read = Some(now + pause);
        }
    }

    /// Reads at once, if a search is on and nothing is being read.
    pub fn hurry_read(&mut self, now: Duration) {
        self.next_read = self.next_read.map(|at| at.min(now));
    }

    /// Whether a round is due.
    pub fn read_due(&self, now: Duration) -> bool {
        self.next_read.is_some_and(|at| at <= now)
    }

    /// Begins to read these, in their order, unless something is being read.
    pub fn begin_round(&mut self, places: Vec<Place>, now: Duration) {
        if self.round.is_some() {
            return;
        }
        self.next_read = None;
        self.round = Some(Round {
            started: now,
            waiting: places.into(),
            running: 0,
            pages: 0,
            found: BTreeSet::new(),
        });
    }

    /// The next slot to read.
    pub fn next_place(&mut self) -> Option<Place> {
        let round = self.round.as_mut()?;
        let place = round.waiting.pop_front()?;
        round.running += 1;
        Some(place)
    }

    /// A slot of the round was read. If its page may be unwritable, the next level is read too.
    pub fn place_ended(
        &mut self,
        at: Place,
        seen: &Seen,
        me: EndpointId,
        now: Now,
    ) -> Option<RoundEnd> {
        let round = self.round.as_mut()?;
        round.running = round.running.saturating_sub(1);
        round.pages += seen.pages();
        round
            .found
            .extend(seen.records.keys().filter(|id| **id != me));
        if seen.leads_on(now.unix) {
            round.waiting.extend(at.next_level());
        }
        if round.running > 0 || !round.waiting.is_empty() {
            return None;
        }
        let end = RoundEnd {
            pages: round.pages,
            records: round.found.len() as u32,
            took: now.mono.saturating_sub(round.started),
        };
        self.round = None;
        Some(end)
    }

    /// Plans the next round of a search.
    pub fn plan_read(&mut self, now: Duration, rng: &mut impl Entropy, config: &Config) {
        if self.alone_since.is_some() {
            self.next_read = Some(now + self.backoff.next_reading(rng, config));
        }
    }

    // --- writing ---

    /// A turn of the own announcement is over: whether the board is needed is decided now, or at
    /// first after `pause`.
    pub fn turn_over(&mut self, pause: Duration, now: Duration) {
        let pause = match self.turns {
            0 => pause,
            _ => Duration::ZERO,
        };
        self.turns = self.turns.saturating_add(1);
        self.decide_at = Some(now + pause);
    }

    /// Decides now.
    pub fn decide_now(&mut self, now: Duration) {
        self.decide_at = Some(now);
    }

    /// Whether a decision is due.
    pub fn decision_due(&mut self, now: Duration) -> bool {
        self.writing.is_none() && self.decide_at.take_if(|at| *at <= now).is_some()
    }

    /// A write has ended. One that failed is made again, ever later.
    pub fn written(&mut self, result: BoardResult, now: Duration) {
        self.writing = None;
        self.failed = match result {
            BoardResult::Stored | BoardResult::Full | BoardResult::Hostile => 0,
            BoardResult::Lost | BoardResult::Failed | BoardResult::TimedOut => self.failed + 1,
        };
        if let Some(doublings) = self.failed.checked_sub(1) {
            let pause = FAILED_PAUSE.0 * 2u32.saturating_pow(doublings.min(16));
            let at = now + pause.min(FAILED_PAUSE.1);
            self.decide_at = Some(self.decide_at.map_or(at, |due| due.min(at)));
        }
    }

    /// Whether a turn of the announcement is made here and not on the rendezvous: always without it,
    /// and every second time if no hello reaches this node. A node without neighbors can't tell that.
    pub fn has_turn(&self, neighbors: usize, proven: bool, sources: Sources) -> bool {
        let rarely = neighbors > 0 && !proven && self.turns % 2 == 1;
        sources.board && (!sources.rendezvous || rarely)
    }

    /// When something is due.
    pub fn next_wake(&self) -> Option<Duration> {
        let write = match &self.writing {
            Some(writing) => writing.next_wake(),
            None => self.decide_at,
        };
        let wakes = [write, self.next_read, self.flood.next_wake()];
        wakes.into_iter().flatten().min()
    }
}
