//! The root of a swarm, whose heartbeats are its mark: the parts of a split swarm have different
//! ones.
//!
//! The root is the member of the lowest [`rank`] among those that are heard of:
//! it broadcasts a heartbeat every [`BEAT`]. Who has neighbors and hears none for a while becomes
//! the root, the lower its rank the sooner; who hears a lower one gives way. A root that is silent
//! is dropped, so after a split the part without it gets another. (The lowest rank *ever* known
//! would be the same on both sides, and would never leave.)

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::{EndpointId, TopicId, UnixMillis};

use super::beacon::Heartbeat;
use super::crowd::{fraction, rank};
use super::record::NO_MARK;

/// Between two heartbeats of a root. 5 s: a newcomer and a healed part know their root soon; a
/// heartbeat is one small broadcast.
pub const BEAT: Duration = Duration::from_secs(5);
/// A root that is silent for so long is dropped: six heartbeats.
const SILENT: Duration = Duration::from_secs(30);
/// Who has neighbors listens for so long before it becomes the root: a heartbeat and some time on
/// the way.
const LISTEN: Duration = Duration::from_secs(6);
/// ... and then for a part of this, by its rank, so that the lowest comes first ...
const SPREAD: Duration = Duration::from_secs(20);
/// ... and for so much longer if it knows of a lower rank.
const YIELD: Duration = Duration::from_secs(10);
/// Two marks of one root that are so far apart (by the root's clock) are of two parts: one hears
/// the root and the other does not.
const APART_MS: u64 = 20_000;
/// A mark is compared once its root has been the same for so long: roots change everywhere within
/// a second or two, and a few times while a swarm forms.
const SETTLED: Duration = Duration::from_secs(15);
/// A root that was dropped is remembered for so long.
const FORMER_FOR: Duration = Duration::from_secs(30 * 60);
/// Most roots that are remembered. 16: more than follow each other in half an hour.
const MAX_FORMER: usize = 16;

/// How a member's mark relates to this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The same part of the swarm.
    Same,
    /// Another part of the swarm.
    Other,
    /// The member has no mark: it is alone, or new.
    Unmarked,
    /// This node has no settled mark yet, or the member may just be late.
    Unknown,
}

/// What a swarm's root is, for one member.
#[derive(Debug)]
pub struct Roots {
    topic: TopicId,
    me: EndpointId,
    my_rank: u64,
    root: Option<Root>,
    /// Roots that were dropped, by rank: their last heartbeat, and when they were dropped.
    former: BTreeMap<u64, (UnixMillis, Duration)>,
    /// Since when there are neighbors.
    joined: Option<Duration>,
    /// Since when no root is known, while there are neighbors.
    rootless: Option<Duration>,
    /// The own heartbeat that is being signed.
    signing: Option<UnixMillis>,
    next_beat: Duration,
    last_beat: UnixMillis,
}

#[derive(Debug)]
struct Root {
    heartbeat: Heartbeat,
    rank: u64,
    since: Duration,
    heard: Duration,
}

impl Roots {
    /// A node without neighbors.
    pub fn new(topic: TopicId, me: EndpointId) -> Self {
        Self {
            topic,
            me,
            my_rank: rank(topic, me),
            root: None,
            former: BTreeMap::new(),
            joined: None,
            rootless: None,
            signing: None,
            next_beat: Duration::ZERO,
            last_beat: UnixMillis(0),
        }
    }

    /// The first neighbor has come, or the last one has gone: then this node is in no part.
    pub fn joined(&mut self, joined: bool, now: Duration) {
        match (self.joined, joined) {
            (None, true) => {
                self.joined = Some(now);
                self.rootless = Some(now);
            }
            (Some(_), false) => {
                self.joined = None;
                self.signing = None;
                self.drop_root(now);
                self.rootless = None;
            }
            _ => {}
        }
    }

    /// Whether there is no neighbor.
    pub fn is_alone(&self) -> bool {
        self.joined.is_none()
    }

    /// Who is the root, if one is known.
    pub fn root(&self) -> Option<EndpointId> {
        self.root.as_ref().map(|root| root.heartbeat.root)
    }

    /// Its newest heartbeat.
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        self.root.as_ref().map(|root| root.heartbeat)
    }

    /// Whether this node is the root.
    pub fn is_root(&self) -> bool {
        self.root() == Some(self.me)
    }

    /// The mark for records: rank of the root and its newest heartbeat.
    pub fn mark(&self) -> [u8; 16] {
        let Some(root) = &self.root else {
            return NO_MARK;
        };
        let mut mark = NO_MARK;
        mark[..8].copy_from_slice(&root.rank.to_be_bytes());
        mark[8..].copy_from_slice(&root.heartbeat.beat.0.to_be_bytes());
        mark
    }

    /// Whether this heartbeat says something new, so that its signature is worth a look.
    pub fn is_news(&self, heartbeat: &Heartbeat) -> bool {
        let rank = rank(self.topic, heartbeat.root);
        let former = self.former.get(&rank);
        if self.joined.is_none() || former.is_some_and(|(beat, _)| heartbeat.beat <= *beat) {
            return false;
        }
        if heartbeat.root == self.me {
            return heartbeat.beat > self.last_beat;
        }
        match &self.root {
            Some(root) if root.rank == rank => heartbeat.beat > root.heartbeat.beat,
            Some(root) => rank < root.rank,
            None => true,
        }
    }

    /// Takes in a heartbeat that [is news](Self::is_news) and is signed.
    pub fn hear(&mut self, heartbeat: Heartbeat, now: Duration) {
        if heartbeat.root == self.me {
            // Of an earlier run, when the clock was ahead: the next one must be later.
            self.last_beat = heartbeat.beat;
            return;
        }
        let rank = rank(self.topic, heartbeat.root);
        match &mut self.root {
            Some(root) if root.rank == rank => {
                root.heartbeat = heartbeat;
                root.heard = now;
            }
            _ => {
                self.drop_root(now);
                self.follow(heartbeat, rank, now);
            }
        }
    }

    fn follow(&mut self, heartbeat: Heartbeat, rank: u64, now: Duration) {
        self.rootless = None;
        self.root = Some(Root {
            heartbeat,
            rank,
            since: now,
            heard: now,
        });
    }

    fn drop_root(&mut self, now: Duration) {
        let Some(root) = self.root.take() else {
            return;
        };
        self.rootless = Some(now);
        let last = (root.heartbeat.beat, now);
        self.former.insert(root.rank, last);
        self.former.retain(|_, (_, at)| *at + FORMER_FOR > now);
        while self.former.len() > MAX_FORMER {
            let oldest = self.former.iter().min_by_key(|(_, (_, at))| *at);
            let oldest = oldest.map(|(rank, _)| *rank);
            self.former.retain(|rank, _| Some(*rank) != oldest);
        }
    }

    /// Drops a root that is silent; says who it was.
    pub fn drop_silent(&mut self, now: Duration) -> Option<EndpointId> {
        let root = self.root.as_ref()?;
        let silent = root.heartbeat.root != self.me && root.heard + SILENT <= now;
        let who = silent.then_some(root.heartbeat.root)?;
        self.drop_root(now);
        Some(who)
    }

    /// When this node must send a heartbeat.
    pub fn beat_due(&self, has_lower: bool) -> Option<Duration> {
        let joined = self.joined?;
        if self.signing.is_some() {
            return None;
        }
        let by_rank = SPREAD.mul_f64(fraction(self.my_rank));
        let due = match &self.root {
            Some(root) if root.heartbeat.root == self.me => self.next_beat,
            // A newcomer of a lower rank takes over.
            Some(root) if self.my_rank < root.rank => joined.max(root.since) + LISTEN + by_rank,
            Some(_) => return None,
            None => {
                let patience = if has_lower { YIELD } else { Duration::ZERO };
                self.rootless.unwrap_or(joined).max(joined) + LISTEN + by_rank + patience
            }
        };
        Some(due.max(self.next_beat))
    }

    /// Begins a heartbeat: what is to be signed.
    pub fn begin_beat(&mut self, unix: UnixMillis) -> UnixMillis {
        let beat = UnixMillis(unix.0.max(self.last_beat.0 + 1));
        self.signing = Some(beat);
        beat
    }

    /// The heartbeat is signed; `None` if it is not wanted any more.
    pub fn signed(&mut self, heartbeat: Heartbeat, now: Duration) -> Option<Heartbeat> {
        self.signing.take_if(|beat| *beat == heartbeat.beat)?;
        self.last_beat = heartbeat.beat;
        self.next_beat = now + BEAT;
        match &mut self.root {
            Some(root) if root.rank < self.my_rank => return None,
            Some(root) if root.rank == self.my_rank => {
                root.heartbeat = heartbeat;
                root.heard = now;
            }
            _ => {
                self.drop_root(now);
                self.follow(heartbeat, self.my_rank, now);
            }
        }
        Some(heartbeat)
    }

    /// The signature did not come; the next try is later.
    pub fn not_signed(&mut self, now: Duration) {
        self.signing = None;
        self.next_beat = now + BEAT;
    }

    /// When a silent root is dropped.
    pub fn silence_due(&self) -> Option<Duration> {
        let root = self.root.as_ref()?;
        (root.heartbeat.root != self.me).then_some(root.heard + SILENT)
    }

    /// Compares the mark in a record of this age, which another member has handed on. Only another
    /// root than the one that this part had already then says something.
    pub fn compare_old(&self, mark: [u8; 16], age: Duration, now: Duration) -> Part {
        let (rank, _) = halves(mark);
        match &self.root {
            _ if mark == NO_MARK => Part::Unmarked,
            Some(root) if root.since + age + LISTEN > now => Part::Unknown,
            Some(root) if rank == root.rank => Part::Same,
            Some(_) if !self.former.contains_key(&rank) => Part::Other,
            _ => Part::Unknown,
        }
    }

    /// Compares the mark that a member tells just now with the own one.
    pub fn compare(&self, mark: [u8; 16], now: Duration) -> Part {
        let Some(root) = self.root.as_ref().filter(|r| r.since + SETTLED <= now) else {
            return Part::Unknown;
        };
        if mark == NO_MARK {
            return Part::Unmarked;
        }
        let (rank, beat) = halves(mark);
        if rank == root.rank {
            return match beat.abs_diff(root.heartbeat.beat.0) <= APART_MS {
                true => Part::Same,
                false => Part::Other,
            };
        }
        match self.former.get(&rank) {
            // A root that was dropped here lives on there.
            Some((last, _)) if beat > last.0.saturating_add(APART_MS) => Part::Other,
            Some(_) => Part::Unknown,
            None => Part::Other,
        }
    }
}

/// Rank and beat of a mark.
fn halves(mark: [u8; 16]) -> (u64, u64) {
    let mut halves = [[0; 8]; 2];
    halves[0].copy_from_slice(&mark[..8]);
    halves[1].copy_from_slice(&mark[8..]);
    let [rank, beat] = halves.map(u64::from_be_bytes);
    (rank, beat)
}
