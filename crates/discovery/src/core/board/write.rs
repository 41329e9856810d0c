//! One write of an own slot: read, put, read back, and again if need be.

use std::collections::VecDeque;
use std::time::Duration;

use kukuri_contract::{BoardResult, EpochKeys};

use super::super::page::{self, Place};
use super::super::record::Record;
use super::super::{Now, QueryId};
use super::seen::Seen;

/// The own write, from its start to its end.
#[derive(Debug)]
pub struct Writing {
    /// The page that is written.
    pub at: Place,
    /// To go to if that one is full.
    second: Option<Place>,
    started: Duration,
    failures: u32,
    step: Step,
    put: Option<PutResult>,
}

#[derive(Debug)]
enum Step {
    /// Until then.
    Pause(Duration),
    /// What is there is read.
    Read(QueryId),
    /// A page takes the place of those with these numbers, one after the other.
    Put(Putting),
    /// What came of it is read.
    ReadBack(QueryId),
}

#[derive(Debug)]
struct Putting {
    query: QueryId,
    page: Vec<u8>,
    seq: i64,
    left: VecDeque<i64>,
}

/// What the DHT said of a put. No reason to believe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutResult {
    /// At least one DHT node acknowledged it.
    Stored,
    /// Most of them hold another value than the one to be replaced.
    Refused,
    /// No DHT node took it.
    Failed,
    /// The time was over.
    TimedOut,
}

/// What a write does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing now.
    Wait,
    /// Read this slot.
    Read(Place),
    /// Put this page.
    Put {
        /// Where.
        at: Place,
        /// The value.
        page: Vec<u8>,
        /// Its sequence number.
        seq: i64,
        /// That of the value to be replaced.
        cas: i64,
    },
    /// It is over.
    Over {
        /// How.
        result: BoardResult,
        /// Since its start.
        took: Duration,
    },
}

/// What a step needs.
#[derive(Debug, Clone, Copy)]
pub struct Pen<'a> {
    /// The own record.
    pub own: &'a Record,
    /// Keys of the epoch that is written.
    pub keys: &'a EpochKeys,
    /// For the page, if one is sealed.
    pub nonce: [u8; 24],
    /// The highest sequence number that was ever put.
    pub last_seq: i64,
    /// Tries beyond the first.
    pub retries: u32,
    /// Before the next try, if there is one.
    pub pause: Duration,
    /// For the next query, if there is one.
    pub query: QueryId,
    /// The time.
    pub now: Now,
}

impl Writing {
    /// Begins after this pause. If there is no room in the first place, it goes to the second.
    pub fn new([at, second]: [Place; 2], now: Duration, pause: Duration) -> Self {
        Self {
            at,
            second: Some(second),
            started: now,
            failures: 0,
            step: Step::Pause(now + pause),
            put: None,
        }
    }

    /// When it goes on by itself.
    pub fn next_wake(&self) -> Option<Duration> {
        match self.step {
            Step::Pause(until) => Some(until),
            _ => None,
        }
    }

    /// Goes on, if the pause is over.
    pub fn resume(&mut self, query: QueryId, now: Duration) -> Next {
        match self.step {
            Step::Pause(until) if until <= now => self.read(query),
            _ => Next::Wait,
        }
    }

    /// A read of the slot has ended.
    pub fn read_ended(&mut self, ended: QueryId, seen: &Seen, pen: Pen<'_>) -> Next {
        let back = match self.step {
            Step::Read(query) if query == ended => false,
            Step::ReadBack(query) if query == ended => true,
            _ => return Next::Wait,
        };
        if seen.is_hostile(pen.now.unix) {
            return match self.at.next_level() {
                Some(at) => self.go_to(at, pen.query),
                None => self.over(BoardResult::Hostile, pen.now.mono),
            };
        }
        if !back
            && !seen.has_room(pen.own, pen.now.unix)
            && let Some(second) = self.second.take()
        {
            return self.go_to(second, pen.query);
        }
        match back {
            true => self.judge(seen, pen),
            false => self.put(seen, pen),
        }
    }

    /// A put has ended: the next one, or reading back.
    pub fn put_ended(&mut self, ended: QueryId, result: PutResult, next: QueryId) -> Next {
        let Step::Put(putting) = &mut self.step else {
            return Next::Wait;
        };
        if putting.query != ended {
            return Next::Wait;
        }
        if self.put != Some(PutResult::Stored) {
            self.put = Some(result);
        }
        let Some(cas) = putting.left.pop_front() else {
            self.step = Step::ReadBack(next);
            return Next::Read(self.at);
        };
        putting.query = next;
        let (at, page, seq) = (self.at, putting.page.clone(), putting.seq);
        Next::Put { at, page, seq, cas }
    }

    fn go_to(&mut self, at: Place, query: QueryId) -> Next {
        self.at = at;
        self.read(query)
    }

    fn read(&mut self, query: QueryId) -> Next {
        self.step = Step::Read(query);
        Next::Read(self.at)
    }

    /// The own record first, then the freshest of all others that were seen on any storing node: it
    /// takes the place of the oldest, if the second slot has no room either.
    fn put(&mut self, seen: &Seen, pen: Pen<'_>) -> Next {
        let others = seen.others(pen.own.peer.id, pen.now.unix).into_iter();
        let records = [pen.own].into_iter().chain(others);
        let records: Vec<_> = records.map(|record| &record.bytes[..]).collect();
        let page = page::seal(&self.at, pen.keys, &records, pen.nonce);
        let seq = seen.next_seq(pen.last_seq, pen.now.unix);
        let mut left = seen.replaced();
        let cas = left.pop_front().unwrap_or_default();
        self.put = None;
        self.step = Step::Put(Putting {
            query: pen.query,
            page: page.clone(),
            seq,
            left,
        });
        let at = self.at;
        Next::Put { at, page, seq, cas }
    }

    /// Most storing nodes must return the own record. In the end it is enough that one does.
    fn judge(&mut self, seen: &Seen, pen: Pen<'_>) -> Next {
        let now = pen.now.mono;
        let (mine, all) = seen.nodes_with_mine();
        if mine > 0 && 2 * mine >= all {
            return self.over(BoardResult::Stored, now);
        }
        if mine == 0 && seen.is_full(pen.own, pen.now.unix) {
            return match self.second.take() {
                Some(second) => self.go_to(second, pen.query),
                None => self.over(BoardResult::Full, now),
            };
        }
        if self.failures < pen.retries {
            self.failures += 1;
            self.step = Step::Pause(now + pen.pause);
            return Next::Wait;
        }
        let result = match self.put {
            _ if mine > 0 => BoardResult::Stored,
            Some(PutResult::Failed) => BoardResult::Failed,
            Some(PutResult::TimedOut) => BoardResult::TimedOut,
            _ => BoardResult::Lost,
        };
        self.over(result, now)
    }

    /// Ends it.
    pub fn over(&self, result: BoardResult, now: Duration) -> Next {
        let took = now.saturating_sub(self.started);
        Next::Over { result, took }
    }
}
