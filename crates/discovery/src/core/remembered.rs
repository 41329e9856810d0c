//! Members that are remembered, so that a swarm that the network has split finds together again
//! without the DHT.
//!
//! Where a member's hello port is, is known from its hellos and beacons. A member that was a
//! neighbor, or the root, and is so no more gets a hello now and then, for half an hour. If it
//! answers and is in the same part of the swarm, it is not lost: HyParView changes neighbors all the
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::EndpointId;

/// Most members that are remembered. 128: the members that send beacons, and twice as many
/// neighbors as anybody loses at once.
const MAX_MEMBERS: usize = 128;
/// Most hello addresses of a member: as many as a record has.
const MAX_ADDRESSES: usize = 4;
/// A lost member is asked for so long.
const ASK_FOR: Duration = Duration::from_secs(30 * 60);
/// First and longest pause between two hellos to a lost member whose address has answered before.
/// 10 s: a swarm heals within seconds of the network being whole, since several members ask several.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// Longest pause where the address has never answered: it may be a victim's.
const PAUSE_UNPROVEN: Duration = Duration::from_secs(60);
/// Where one address has answered before, each so many hellos one goes to another address that the
/// member has told: to those as rarely as where none has.
const OTHERS_EVERY: u32 = 6;
/// Shortest time between two hellos to lost members of one topic.
const PACE: Duration = Duration::from_millis(500);

/// The members of one topic that are remembered.
#[derive(Debug, Default)]
pub struct Remembered {
    members: BTreeMap<EndpointId, Member>,
    /// Those of them that are lost: few, and looked at whenever anything happens.
    lost: BTreeMap<EndpointId, Lost>,
    neighbors: BTreeSet<EndpointId>,
    next_ask: Duration,
}

#[derive(Debug)]
struct Member {
    /// Its packets came from here.
    proven: Option<SocketAddrV4>,
    /// By its beacons, newest first; anybody's, perhaps.
    told: Vec<SocketAddrV4>,
    heard: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Lost {
    since: Duration,
    next: Duration,
    asked: u32,
    /// Everybody has lost it: each asks it more rarely, the more they are.
    by_all: bool,
}

impl Remembered {
    /// A member's hello port is there: by its own packet (proven) or by its beacon.
    pub fn heard(&mut self, member: EndpointId, hello: SocketAddrV4, proven: bool, now: Duration) {
        if !self.members.contains_key(&member) && !self.make_room() {
            return;
        }
        let member = self.members.entry(member).or_insert_with(|| Member {
            proven: None,
            told: Vec::new(),
            heard: now,
        });
        member.heard = now;
        if proven {
            member.proven = Some(hello);
        } else if !member.told.contains(&hello) {
            member.told.insert(0, hello);
            member.told.truncate(MAX_ADDRESSES);
        }
    }

    /// These are the neighbors now: those that were and are not are lost, perhaps.
    pub fn set_neighbors(&mut self, neighbors: &[EndpointId], now: Duration) {
        let neighbors: BTreeSet<_> = neighbors.iter().copied().collect();
        for lost in self.neighbors.difference(&neighbors) {
            if self.members.contains_key(lost) {
                self.lost.entry(*lost).or_insert(Lost::new(false, now));
            }
        }
        for found in &neighbors {
            self.found(*found);
        }
        self.neighbors = neighbors;
    }

    /// The root, which everybody has heard, is heard no more.
    pub fn lose_root(&mut self, root: EndpointId, now: Duration) {
        if self.members.contains_key(&root) {
            self.lost.entry(root).or_insert(Lost::new(true, now));
        }
    }

    /// Whether a member counts as lost.
    pub fn is_lost(&self, member: EndpointId) -> bool {
        self.lost.contains_key(&member)
    }

    /// A member is not lost (any more).
    pub fn found(&mut self, member: EndpointId) {
        self.lost.remove(&member);
    }

    /// Whom to send a hello now. `slower` stretches the pauses between those to a lost root: 1 in a
    /// small swarm, more where more have lost it.
    pub fn due(&mut self, slower: impl FnOnce() -> u32, now: Duration) -> Option<SocketAddrV4> {
        self.lost.retain(|_, lost| now < lost.since + ASK_FOR);
        if now < self.next_ask {
            return None;
        }
        let first = self.lost.iter_mut().min_by_key(|(_, lost)| lost.next);
        let (id, lost) = first.filter(|(_, lost)| lost.next <= now)?;
        let member = self.members.get(id)?;
        let longest = match member.proven {
            Some(_) => PAUSE.1,
            None => PAUSE_UNPROVEN,
        };
        let pause = PAUSE
            .0
            .saturating_mul(2u32.saturating_pow(lost.asked.min(16)));
        let slower = if lost.by_all { slower().max(1) } else { 1 };
        lost.next = now + pause.min(longest) * slower;
        let nth = lost.asked;
        lost.asked = lost.asked.saturating_add(1);
        self.next_ask = now + PACE;
        member.address(nth)
    }

    /// When to ask next.
    pub fn next_wake(&self) -> Option<Duration> {
        let next = self.lost.values().map(|lost| lost.next).min()?;
        Some(next.max(self.next_ask))
    }

    /// Forgets the member that was not heard for longest, and is neither lost nor a neighbor.
    fn make_room(&mut self) -> bool {
        if self.members.len() < MAX_MEMBERS {
            return true;
        }
        let idle = self
            .members
            .iter()
            .filter(|(id, _)| !self.lost.contains_key(id) && !self.neighbors.contains(id));
        let oldest = idle.min_by_key(|(_, member)| member.heard);
        let oldest = oldest.map(|(id, _)| *id);
        oldest.is_some_and(|id| self.members.remove(&id).is_some())
    }
}

impl Member {
    /// Where the nth hello goes.
    fn address(&self, nth: u32) -> Option<SocketAddrV4> {
        let others = match self.proven {
            Some(proven) if nth % OTHERS_EVERY < OTHERS_EVERY - 1 => return Some(proven),
            Some(_) => nth / OTHERS_EVERY,
            None => nth,
        };
        let told = self.told.get(others as usize % self.told.len().max(1));
        told.copied().or(self.proven)
    }
}

impl Lost {
    fn new(by_all: bool, now: Duration) -> Self {
        Self {
            since: now,
            next: now + PAUSE.0,
            asked: 0,
            by_all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn id(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    fn hello(n: u8) -> SocketAddrV4 {
        SocketAddrV4::new([127, 0, 0, n].into(), 4000)
    }

    /// The seconds in which hellos go out, until `end`.
    fn asked(remembered: &mut Remembered, end: u64) -> Vec<(u64, SocketAddrV4)> {
        let mut out = Vec::new();
        for second in 0..=end {
            let now = Duration::from_secs(second);
            out.extend(remembered.due(|| 1, now).map(|to| (second, to)));
        }
        out
    }

    #[test]
    fn a_lost_neighbor_is_asked_for_half_an_hour() {
        let mut remembered = Remembered::default();
        remembered.heard(id(1), hello(1), true, Duration::ZERO);
        remembered.set_neighbors(&[id(1)], Duration::ZERO);
        assert!(asked(&mut remembered, 100).is_empty());
        remembered.set_neighbors(&[], Duration::ZERO);
        let asked = asked(&mut remembered, 2000);
        let times: Vec<_> = asked.iter().map(|(second, _)| *second).collect();
        assert_eq!(times[..6], [2, 4, 8, 16, 26, 36]);
        assert!(times.last() < Some(&1800));
        assert_eq!(remembered.next_wake(), None);
    }

    #[test]
    fn an_address_that_never_answered_is_asked_ever_more_rarely() {
        let mut remembered = Remembered::default();
        remembered.heard(id(1), hello(1), false, Duration::ZERO);
        remembered.heard(id(1), hello(2), false, Duration::ZERO);
        remembered.lose_root(id(1), Duration::ZERO);
        let asked = asked(&mut remembered, 1800);
        assert!(asked.len() <= 35, "{}", asked.len());
        let to_first = asked.iter().filter(|(_, to)| *to == hello(1)).count();
        assert!(to_first.abs_diff(asked.len() / 2) <= 1, "in turns");
    }

    #[test]
    fn another_address_of_a_proven_member_is_asked_as_rarely_as_a_victims() {
        let mut remembered = Remembered::default();
        remembered.heard(id(1), hello(1), true, Duration::ZERO);
        remembered.heard(id(1), hello(9), false, Duration::ZERO);
        remembered.lose_root(id(1), Duration::ZERO);
        let asked = asked(&mut remembered, 1800);
        let others = asked.iter().filter(|(_, to)| *to == hello(9)).count();
        assert!(asked.len() > 170 && (25..=31).contains(&others), "{others}");
    }

    #[test]
    fn who_comes_back_or_answers_is_asked_no_more() {
        let mut remembered = Remembered::default();
        for n in 1..=2 {
            remembered.heard(id(n), hello(n), true, Duration::ZERO);
        }
        remembered.set_neighbors(&[id(1), id(2)], Duration::ZERO);
        remembered.set_neighbors(&[], Duration::ZERO);
        assert!(remembered.is_lost(id(1)) && remembered.is_lost(id(2)));
        remembered.set_neighbors(&[id(1)], S);
        remembered.found(id(2));
        assert!(asked(&mut remembered, 100).is_empty());
        remembered.set_neighbors(&[id(1)], 2 * S);
        assert!(!remembered.is_lost(id(2)));
    }

    #[test]
    fn many_lost_members_share_the_pace() {
        let mut remembered = Remembered::default();
        let all: Vec<_> = (1..=100).map(id).collect();
        for n in 1..=100 {
            remembered.heard(id(n), hello(n), true, Duration::ZERO);
        }
        remembered.set_neighbors(&all, Duration::ZERO);
        remembered.set_neighbors(&[], Duration::ZERO);
        let mut sent = 0;
        for ms in (0..60_000).step_by(50) {
            sent += usize::from(remembered.due(|| 1, Duration::from_millis(ms)).is_some());
        }
        assert!((100..=120).contains(&sent), "{sent} in a minute");
    }

    #[test]
    fn memory_is_bounded_and_the_lost_are_kept() {
        let mut remembered = Remembered::default();
        let member = |n: u64| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            EndpointId::from_bytes(id)
        };
        remembered.heard(member(0), hello(1), true, Duration::ZERO);
        remembered.lose_root(member(0), Duration::ZERO);
        for n in 1..1000 {
            remembered.heard(member(n), hello(1), true, n as u32 * S);
        }
        assert_eq!(remembered.members.len(), MAX_MEMBERS);
        assert!(remembered.is_lost(member(0)));
    }
}
