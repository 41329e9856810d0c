//! What is known of a topic's swarm as a whole: its root, its size, and who was lost.

use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{EndpointId, TopicId};

use super::crowd::{BEACON_EVERY, Crowd, fraction, rank};
use super::remembered::Remembered;
use super::root::{Part, Roots};

/// First and longest pause between two members of other parts that are told to be dialed. One is
/// enough to join two parts; the next one is for the case that it failed.
const HEAL_PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Shortest time between two tellings of the size.
const TELL_PAUSE: Duration = Duration::from_secs(5);
/// A member of another part that has not been met again for so long tells nothing about healing.
const APART_FOR: Duration = Duration::from_secs(30 * 60);
/// Members that the usual pauses between hellos to a lost root are made for.
const USUAL_MEMBERS: u64 = 50;

/// What is known of a topic's swarm.
#[derive(Debug)]
pub struct Swarm {
    /// Its root.
    pub roots: Roots,
    /// Its size.
    pub crowd: Crowd,
    /// Members that may have to be found again.
    pub remembered: Remembered,
    my_rank: u64,
    next_beacon: Option<Duration>,
    heal: Pace,
    apart: Option<Apart>,
    told: (Option<EndpointId>, u64),
    told_at: Duration,
}

/// The first member of another part that was seen, until it is met in this one.
#[derive(Debug)]
struct Apart {
    who: EndpointId,
    since: Duration,
    joined: Option<Duration>,
}

/// When the next member of another part may be told, and how often that was in vain.
#[derive(Debug, Default)]
struct Pace {
    next: Duration,
    times: u32,
}

impl Swarm {
    /// Nothing known yet.
    pub fn new(topic: TopicId, me: EndpointId, now: Duration) -> Self {
        let my_rank = rank(topic, me);
        Self {
            roots: Roots::new(topic, me),
            crowd: Crowd::new(my_rank, now),
            remembered: Remembered::default(),
            my_rank,
            next_beacon: None,
            heal: Pace::default(),
            apart: None,
            told: (None, 1),
            told_at: now,
        }
    }

    /// These are the neighbors now.
    pub fn set_neighbors(&mut self, neighbors: &[EndpointId], now: Duration) {
        self.remembered.set_neighbors(neighbors, now);
        neighbors.iter().for_each(|who| self.met(*who, now));
        let joined = !neighbors.is_empty();
        self.roots.joined(joined, now);
        match (joined, self.next_beacon) {
            // By rank: the lowest come first, and the others see that they are not needed.
            (true, None) => {
                let first = BEACON_EVERY.mul_f64(fraction(self.my_rank));
                self.next_beacon = Some(now + first);
            }
            (false, Some(_)) => self.next_beacon = None,
            _ => {}
        }
    }

    /// Whether this node must send a beacon now. The root's heartbeats are its beacons.
    pub fn take_beacon_due(&mut self, now: Duration) -> bool {
        let Some(due) = self.next_beacon.filter(|due| *due <= now) else {
            return false;
        };
        // From when it was due, not from now: so they stay spread.
        self.next_beacon = Some((due + BEACON_EVERY).max(now));
        self.crowd.in_sample() && !self.roots.is_root()
    }

    /// Where to send a hello to a lost member now. A lost root is asked more slowly, the more have
    /// lost it.
    pub fn ask_lost(&mut self, now: Duration) -> Option<SocketAddrV4> {
        let crowd = &self.crowd;
        let slower = || {
            let members = crowd.budgeted(1, now) / USUAL_MEMBERS;
            members.try_into().unwrap_or(u32::MAX)
        };
        self.remembered.due(slower, now)
    }

    /// A member has told its mark: what part it is in, and whether it is to be dialed.
    pub fn compare(&mut self, who: EndpointId, mark: [u8; 16], now: Duration) -> bool {
        let lost = self.remembered.is_lost(who);
        let apart = match self.roots.compare(mark, now) {
            Part::Same => {
                self.remembered.found(who);
                self.heal.times = 0;
                self.met(who, now);
                false
            }
            Part::Other => true,
            // It has lost everybody, or this node has.
            Part::Unmarked => lost,
            Part::Unknown => lost && self.roots.is_alone(),
        };
        if apart {
            self.apart.get_or_insert(Apart {
                who,
                since: now,
                joined: None,
            });
        }
        apart && self.heal.take(now)
    }

    /// A member is a neighbor, or in the same part.
    fn met(&mut self, who: EndpointId, now: Duration) {
        if let Some(apart) = self.apart.as_mut().filter(|apart| apart.who == who) {
            apart.joined = Some(now.saturating_sub(apart.since));
        }
    }

    /// How long it took until the first member of another part that was seen was met in this one;
    /// told once.
    pub fn take_joined(&mut self, now: Duration) -> Option<Duration> {
        let over = |apart: &mut Apart| apart.joined.is_some() || apart.since + APART_FOR <= now;
        self.apart.take_if(over)?.joined
    }

    /// The record of a member, this old, was handed on by another: whether the member is to be dialed.
    pub fn compare_old(&mut self, mark: [u8; 16], age: Duration, now: Duration) -> bool {
        self.roots.compare_old(mark, age, now) == Part::Other && self.heal.take(now)
    }

    /// Root and size, if they are others than those that were told.
    pub fn news(&mut self, now: Duration) -> Option<(Option<EndpointId>, u64)> {
        let root = self.roots.root();
        // The size is not looked at for each input: it is a sort of the sample.
        if root == self.told.0 && now < self.told_at + TELL_PAUSE {
            return None;
        }
        self.told_at = now;
        let news = (root, self.crowd.members());
        if news == self.told {
            return None;
        }
        self.told = news;
        Some(news)
    }

    /// When something is due, without any input before.
    pub fn next_wake(&self) -> Option<Duration> {
        let beat = self.roots.beat_due(self.crowd.has_lower());
        let silence = self.roots.silence_due();
        let ask = self.remembered.next_wake();
        [beat, silence, ask, self.next_beacon]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Pace {
    fn take(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        let pause = HEAL_PAUSE
            .0
            .saturating_mul(2u32.saturating_pow(self.times.min(16)));
        self.next = now + pause.min(HEAL_PAUSE.1);
        self.times = self.times.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::NO_MARK;
    use crate::core::testing::{NOW, TOPIC, heartbeat, peer};
    use kukuri_contract::UnixMillis;

    const S: Duration = Duration::from_secs(1);

    fn swarm(root: u8, beat: Duration) -> Swarm {
        let mut swarm = Swarm::new(TOPIC, peer(1).id, Duration::ZERO);
        swarm.set_neighbors(&[peer(2).id], Duration::ZERO);
        let beat = UnixMillis(NOW.0 + beat.as_millis() as u64);
        swarm.roots.hear(heartbeat(root, TOPIC, beat), S);
        swarm
    }

    #[test]
    fn members_of_another_part_are_told_few_at_a_time() {
        let (mut here, there) = (swarm(3, S), swarm(4, S));
        let mark = there.roots.mark();
        let mut told = Vec::new();
        for second in 6..=200u32 {
            if here.compare(peer(9).id, mark, second * S) {
                told.push(second);
            }
        }
        assert_eq!(told, [16, 18, 22, 30, 46, 78, 138, 198]);
    }

    #[test]
    fn whoever_is_in_the_same_part_is_not_dialed_and_not_lost() {
        let (mut here, there) = (swarm(3, S), swarm(3, 10 * S));
        let hello = "127.0.0.1:4000".parse().unwrap();
        here.remembered.heard(peer(2).id, hello, true, S);
        here.set_neighbors(&[peer(5).id], 7 * S);
        assert!(here.remembered.is_lost(peer(2).id));
        assert!(!here.compare(peer(2).id, there.roots.mark(), 20 * S));
        assert!(!here.remembered.is_lost(peer(2).id));
    }

    #[test]
    fn a_lost_member_that_is_alone_is_dialed_and_a_newcomer_is_not() {
        let mut here = swarm(3, S);
        let hello = "127.0.0.1:4000".parse().unwrap();
        here.remembered.heard(peer(2).id, hello, true, S);
        here.set_neighbors(&[peer(5).id], 7 * S);
        assert!(!here.compare(peer(2).id, NO_MARK, 8 * S), "the swarm forms");
        assert!(here.compare(peer(2).id, NO_MARK, 20 * S));
        assert!(!here.compare(peer(6).id, NO_MARK, 100 * S));
    }

    #[test]
    fn it_is_told_once_how_long_it_took_until_two_parts_were_one() {
        let (mut here, there) = (swarm(3, S), swarm(4, S));
        assert!(here.compare(peer(9).id, there.roots.mark(), 16 * S));
        assert!(here.compare(peer(8).id, there.roots.mark(), 18 * S));
        assert_eq!(here.take_joined(18 * S), None);
        // The first that was seen counts.
        assert!(!here.compare(peer(8).id, here.roots.mark(), 20 * S));
        assert_eq!(here.take_joined(20 * S), None);
        assert!(!here.compare(peer(9).id, here.roots.mark(), 21 * S));
        assert_eq!(here.take_joined(22 * S), Some(5 * S));
        assert_eq!(here.take_joined(23 * S), None);
        // A neighbor is in the same part too.
        assert!(here.compare(peer(9).id, there.roots.mark(), 40 * S));
        here.set_neighbors(&[peer(2).id, peer(9).id], 41 * S);
        assert_eq!(here.take_joined(41 * S), Some(S));
        // One that has gone for good tells nothing.
        assert!(here.compare(peer(7).id, there.roots.mark(), 60 * S));
        assert_eq!(here.take_joined(60 * S + APART_FOR), None);
        here.set_neighbors(&[peer(7).id], 61 * S + APART_FOR);
        assert_eq!(here.take_joined(61 * S + APART_FOR), None);
    }

    #[test]
    fn who_has_lost_everybody_dials_whoever_answers() {
        let (mut here, there) = (swarm(3, S), swarm(3, S));
        let hello = "127.0.0.1:4000".parse().unwrap();
        here.remembered.heard(peer(2).id, hello, true, S);
        here.set_neighbors(&[], 7 * S);
        assert!(here.compare(peer(2).id, there.roots.mark(), 8 * S));
    }

    #[test]
    fn beacons_come_by_rank_and_then_regularly() {
        let mut swarm = swarm(3, S);
        let sent: Vec<_> = (0..600u32)
            .filter(|s| swarm.take_beacon_due(*s * S))
            .collect();
        assert_eq!(sent.len(), 5);
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] == 120));
        swarm.set_neighbors(&[], 600 * S);
        assert!(!swarm.take_beacon_due(10_000 * S));
    }

    #[test]
    fn a_change_is_told_once() {
        let mut swarm = swarm(3, S);
        assert_eq!(swarm.news(S), Some((Some(peer(3).id), 1)));
        assert_eq!(swarm.news(2 * S), None);
        swarm.crowd.hear(7, 2 * S);
        assert_eq!(swarm.news(3 * S), None, "not so soon");
        assert_eq!(swarm.news(6 * S), Some((Some(peer(3).id), 2)));
    }
}
