//! What the storing nodes of one slot have returned.

use std::collections::{BTreeMap, VecDeque};

use kukuri_contract::{EndpointId, UnixMillis};
use sha2::{Digest, Sha256};

use super::super::page::fitting;
use super::super::record::{FRESH_MS, Record};

/// A sequence number so far ahead of the own clock marks a page that nobody could replace: as far
/// as records may be.
pub const HOSTILE_MS: i64 = FRESH_MS as i64;
/// Readers look at the next level from here on. 5 min: a writer whose clock is the 10 min behind
/// that members may differ took the same number for hostile.
pub const AHEAD_MS: i64 = HOSTILE_MS - 10 * 60 * 1000;
/// Different values of one slot that are looked at. 20 DHT nodes store it.
pub const MAX_VALUES: usize = 32;
/// Values that are replaced by one write, each on the storing nodes that hold it. 3: more than two
/// writers rarely meet.
const MAX_REPLACED: usize = 3;
/// `cas` where nothing was seen. No page has this number, so a storing node that holds one by then
/// refuses.
pub const NOTHING_SEEN: i64 = 0;

/// What one read of a slot has brought.
#[derive(Debug, Default)]
pub struct Seen {
    values: Vec<Value>,
    /// The newest record of each endpoint.
    pub records: BTreeMap<EndpointId, Record>,
}

#[derive(Debug)]
struct Value {
    hash: [u8; 32],
    seq: i64,
    /// Storing nodes that returned it.
    nodes: u32,
    readable: bool,
    /// It has the own record, as it is now.
    mine: bool,
}

/// What to do with a value that a storing node returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Take {
    /// Read it; then call [`Seen::opened`].
    Read {
        /// Its sequence number is too far ahead.
        hostile: bool,
    },
    /// Another node has returned it already.
    Known,
    /// There are too many.
    Full,
}

impl Seen {
    /// A storing node has returned this.
    pub fn take(&mut self, value: &[u8], seq: i64, now: UnixMillis) -> Take {
        let hash = Sha256::digest(value).into();
        let mut values = self.values.iter_mut();
        if let Some(known) = values.find(|v| v.hash == hash && v.seq == seq) {
            known.nodes += 1;
            return Take::Known;
        }
        if self.values.len() >= MAX_VALUES {
            return Take::Full;
        }
        self.values.push(Value {
            hash,
            seq,
            nodes: 1,
            readable: false,
            mine: false,
        });
        let hostile = ahead(seq, now) > HOSTILE_MS;
        Take::Read { hostile }
    }

    /// The last value was a page with these records.
    pub fn opened(&mut self, records: Vec<Record>, own: Option<&[u8]>) {
        if let Some(value) = self.values.last_mut() {
            value.readable = true;
            value.mine = records.iter().any(|r| own == Some(&r.bytes[..]));
        }
        for record in records {
            let known = self.records.get(&record.peer.id);
            if known.is_none_or(|known| known.issued_at < record.issued_at) {
                self.records.insert(record.peer.id, record);
            }
        }
    }

    /// Pages that could be read.
    pub fn pages(&self) -> u32 {
        self.values.iter().filter(|value| value.readable).count() as u32
    }

    /// Whether the next level is to be read too.
    pub fn leads_on(&self, now: UnixMillis) -> bool {
        let mut values = self.values.iter();
        values.any(|value| ahead(value.seq, now) > AHEAD_MS)
    }

    /// Whether nobody can replace what is there.
    pub fn is_hostile(&self, now: UnixMillis) -> bool {
        let mut values = self.values.iter();
        values.any(|value| ahead(value.seq, now) > HOSTILE_MS)
    }

    /// A number above all that were seen. All are at most [`HOSTILE_MS`] ahead.
    pub fn next_seq(&self, last: i64, now: UnixMillis) -> i64 {
        let seen = self.values.iter().map(|value| value.seq).max();
        let above = seen.unwrap_or(0).max(last).saturating_add(1);
        above.max(millis(now))
    }

    /// The numbers to be replaced, the most frequent first.
    pub fn replaced(&self) -> VecDeque<i64> {
        let mut nodes: BTreeMap<i64, u32> = BTreeMap::new();
        for value in &self.values {
            *nodes.entry(value.seq).or_default() += value.nodes;
        }
        let mut seqs: Vec<_> = nodes.into_iter().collect();
        seqs.sort_by_key(|(seq, nodes)| std::cmp::Reverse((*nodes, *seq)));
        if seqs.is_empty() {
            return [NOTHING_SEEN].into();
        }
        let seqs = seqs.into_iter().map(|(seq, _)| seq);
        seqs.take(MAX_REPLACED).collect()
    }

    /// Storing nodes that returned the own record, and all that returned something.
    pub fn nodes_with_mine(&self) -> (u32, u32) {
        let count = |values: &mut dyn Iterator<Item = &Value>| values.map(|v| v.nodes).sum();
        let mine = count(&mut self.values.iter().filter(|value| value.mine));
        (mine, count(&mut self.values.iter()))
    }

    /// The records of others that are still fresh, the freshest first.
    pub fn others(&self, me: EndpointId, now: UnixMillis) -> Vec<&Record> {
        let others = self.records.values();
        let mut others: Vec<_> = others
            .filter(|r| r.peer.id != me && r.is_fresh(now))
            .collect();
        others.sort_by_key(|r| std::cmp::Reverse(r.issued_at));
        others
    }

    /// Whether one page holds the own record and all others.
    pub fn has_room(&self, own: &Record, now: UnixMillis) -> bool {
        fit_with(own, self.others(own.peer.id, now).into_iter())
    }

    /// Whether the others' records that are fresher than the own one fill the page.
    pub fn is_full(&self, own: &Record, now: UnixMillis) -> bool {
        let others = self.others(own.peer.id, now).into_iter();
        !fit_with(own, others.filter(|r| r.issued_at > own.issued_at))
    }
}

fn fit_with<'a>(own: &'a Record, others: impl Iterator<Item = &'a Record>) -> bool {
    let records: Vec<_> = others.chain([own]).map(|r| &r.bytes[..]).collect();
    fitting(records.iter().copied()) == records.len()
}

fn millis(now: UnixMillis) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}

fn ahead(seq: i64, now: UnixMillis) -> i64 {
    seq.saturating_sub(millis(now))
}
