//! What peers did wrong, and who is banned for it.
//!
//! Each offense adds points to its peer, at most once a second for each kind, so that a burst counts
//! as one. Points fade: half of them are gone after `HALF_LIFE`. Who has `LIMIT` of them is banned,
//! and longer each time, but for broadcasts. A peer answers for what it sent itself, never for what it hands on.

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::{Ban, EndpointId, Offense, PostDrop, UnixMillis};

use super::bucket::{Bucket, Rate};

/// Points of a peer that are too many: ten seconds of garbage, or five unusable answers.
const LIMIT: f64 = 100.0;
/// After so long half of the points are gone. A minute: one that errs every ten seconds stays below
/// the limit, whatever it does.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// The first ban. Ten minutes, an epoch: long enough to calm down a node that is only broken.
pub const FIRST_BAN_MS: u64 = 10 * 60 * 1000;
/// A ban for broadcasts. A minute, and never more: that they were first hand is a hint only (the hop
/// count of iroh-gossip 0.101 wraps at 65,536), so a member could have others ban its neighbor for longer.
const BROADCASTS_BAN_MS: u64 = 60 * 1000;
/// The longest one: each is twice as long as the one before, up to a day.
pub const LONGEST_BAN_MS: u64 = 24 * 60 * 60 * 1000;
/// So long after its end a ban is forgotten, and the next one is a first one.
const FORGIVEN_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Peers whose conduct is remembered, and bans. 1024: many times the neighbors of 64 topics; beyond,
/// those with the fewest points are forgotten.
pub const MAX_PEERS: usize = 1024;
/// Broadcasts of one peer's own. A node sends at most half as many (see [`SENT`]), and its beacons.
const FIRST_HAND: Rate = Rate {
    burst: 4096.0,
    per_second: 200.0,
};
/// Posts that a node broadcasts itself; what is beyond waits, or goes by gap repair. 100 a second: a
/// thousand at once after a time alone, and far more than people write.
pub const SENT: Rate = Rate {
    burst: 2048.0,
    per_second: 100.0,
};
/// Questions of one peer. A node that catches up asks one after the other, some ten a second.
const QUESTIONS: Rate = Rate {
    burst: 512.0,
    per_second: 16.0,
};
/// One in so many broadcasts of a peer's own may be bad, counted over a second: an honest one sends
/// none, but a share tells a broken disk from an attack.
const BAD_SHARE: u32 = 10;

/// Points of an offense.
const fn points(offense: Offense) -> f64 {
    match offense {
        // Only somebody who means it does these.
        Offense::BadAnswer | Offense::BadQuestion => 20.0,
        Offense::Garbage | Offense::Flood | Offense::BadClaim | Offense::BadStream => 10.0,
        // A node may send again what it does not know to have arrived, for a second or two.
        Offense::Replay => 5.0,
        // Refused, and never enough for a ban.
        Offense::Questions => 1.0,
    }
}

/// Whether a broadcast that was dropped is one that no honest node would send first. A wrong clock, a
/// newer version and one's own trouble are no offenses.
pub fn is_garbage(reason: PostDrop) -> bool {
    match reason {
        PostDrop::Malformed
        | PostDrop::Oversize
        | PostDrop::BadSignature
        | PostDrop::Seal
        | PostDrop::WrongKind => true,
        PostDrop::Version
        | PostDrop::Duplicate
        | PostDrop::Future
        | PostDrop::NoKey
        | PostDrop::NotJoined
        | PostDrop::NotStored
        | PostDrop::Overload
        | PostDrop::RateLimited
        | PostDrop::Revoked => false,
    }
}

/// Whether an offense was seen in broadcasts, of which nobody knows for sure who sent them first.
fn in_broadcasts(offense: Offense) -> bool {
    matches!(offense, Offense::Garbage | Offense::Flood | Offense::Replay)
}

/// What came of an offense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The same was counted in this second already, or the peer is banned.
    Known,
    /// It counts.
    Counted,
    /// It was one too many.
    Banned(Ban),
}

/// The conduct of all peers.
#[derive(Debug, Default)]
pub struct Scores {
    peers: BTreeMap<EndpointId, Peer>,
    /// Also those that have ended, as long as they are not forgiven.
    bans: BTreeMap<EndpointId, Ban>,
}

#[derive(Debug)]
struct Peer {
    points: f64,
    /// When they were that many.
    at: Duration,
    /// When each offense counted last.
    counted: [Option<u64>; Offense::ALL.len()],
    first_hand: Bucket,
    questions: Bucket,
    /// Broadcasts of its own in this second, and the bad ones among them.
    second: u64,
    sent: u32,
    bad: u32,
}

impl Peer {
    fn new(now: Duration) -> Self {
        Self {
            points: 0.0,
            at: now,
            counted: [None; Offense::ALL.len()],
            first_hand: Bucket::full(FIRST_HAND, now),
            questions: Bucket::full(QUESTIONS, now),
            second: 0,
            sent: 0,
            bad: 0,
        }
    }

    fn points_at(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.at).as_secs_f64();
        self.points * (-age / HALF_LIFE.as_secs_f64()).exp2()
    }

    fn in_second(&mut self, now: Duration) {
        if self.second != now.as_secs() {
            (self.second, self.sent, self.bad) = (now.as_secs(), 0, 0);
        }
    }
}

impl Scores {
    /// Takes in the bans of an earlier run. One that would last for longer than any was made by
    /// another clock.
    pub fn load(&mut self, bans: Vec<Ban>, wall: UnixMillis) {
        for mut ban in bans {
            ban.until.0 = ban.until.0.min(wall.0.saturating_add(LONGEST_BAN_MS));
            self.bans.entry(ban.peer).or_insert(ban);
        }
    }

    /// A peer sends a broadcast of its own. False: one too many, it is not looked at.
    pub fn sends(&mut self, peer: EndpointId, now: Duration) -> bool {
        let peer = self.peer(peer, now);
        peer.in_second(now);
        peer.sent = peer.sent.saturating_add(1);
        peer.first_hand.take(now)
    }

    /// A broadcast of a peer's own was [garbage](is_garbage). True if such are too large a share of what
    /// it sends: that is an [`Offense::Garbage`].
    pub fn sent_garbage(&mut self, peer: EndpointId, now: Duration) -> bool {
        let peer = self.peer(peer, now);
        peer.in_second(now);
        peer.bad = peer.bad.saturating_add(1);
        peer.bad.saturating_mul(BAD_SHARE) >= peer.sent
    }

    /// A peer asks. False: one too many, to be refused.
    pub fn asks(&mut self, peer: EndpointId, now: Duration) -> bool {
        self.peer(peer, now).questions.take(now)
    }

    /// A peer has done something wrong.
    pub fn offends(
        &mut self,
        id: EndpointId,
        offense: Offense,
        now: Duration,
        wall: UnixMillis,
    ) -> Outcome {
        if self.is_banned(id, wall) {
            return Outcome::Known;
        }
        let peer = self.peer(id, now);
        let counted = &mut peer.counted[offense as usize];
        if counted.replace(now.as_secs()) == Some(now.as_secs()) {
            return Outcome::Known;
        }
        peer.points = peer.points_at(now) + points(offense);
        peer.at = now;
        if peer.points < LIMIT {
            return Outcome::Counted;
        }
        self.peers.remove(&id);
        let before = self.bans.get(&id);
        let before = before.filter(|ban| ban.until.0.saturating_add(FORGIVEN_MS) > wall.0);
        let before = before.map_or(0, |ban| ban.times);
        let (times, lasts) = match in_broadcasts(offense) {
            true => (before, BROADCASTS_BAN_MS),
            false => {
                let doubled = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
                let lasts = FIRST_BAN_MS.saturating_mul(doubled).min(LONGEST_BAN_MS);
                (before.saturating_add(1), lasts)
            }
        };
        let ban = Ban {
            peer: id,
            until: UnixMillis(wall.0.saturating_add(lasts)),
            times,
            reason: offense,
        };
        self.bans.insert(id, ban);
        while self.bans.len() > MAX_PEERS {
            let first = self.bans.values().min_by_key(|ban| ban.until);
            let Some(first) = first.map(|ban| ban.peer) else {
                break;
            };
            self.bans.remove(&first);
        }
        Outcome::Banned(ban)
    }

    /// Whether a peer is banned.
    pub fn is_banned(&self, peer: EndpointId, wall: UnixMillis) -> bool {
        self.bans.get(&peer).is_some_and(|ban| ban.until > wall)
    }

    /// All who are banned.
    pub fn banned(&self, wall: UnixMillis) -> impl Iterator<Item = EndpointId> {
        let banned = self.bans.values().filter(move |ban| ban.until > wall);
        banned.map(|ban| ban.peer)
    }

    fn peer(&mut self, id: EndpointId, now: Duration) -> &mut Peer {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&id) {
            let points = |peer: &Peer| peer.points_at(now);
            let least = self
                .peers
                .iter()
                .min_by(|(_, a), (_, b)| points(a).total_cmp(&points(b)));
            if let Some(least) = least.map(|(id, _)| *id) {
                self.peers.remove(&least);
            }
        }
        self.peers.entry(id).or_insert_with(|| Peer::new(now))
    }
}

#[cfg(test)]
mod tests;
