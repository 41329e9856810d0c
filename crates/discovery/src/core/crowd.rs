//! How many members a topic has, from the beacons that are heard.
//!
//! Each endpoint has a rank, a hash. Only the members of the [`SAMPLE`] lowest ranks send beacons
//! of their own accord, so there are few beacons at any size, and the highest rank of the sample
//! tells the size: the lower it is, the more members there must be (the k minimum values of
//! Bar-Yossef et al., "Counting distinct elements in a data stream", 2002). With fewer members than
//! that, it is exact.

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::{EndpointId, TopicId};
use sha2::{Digest, Sha256};

/// Members that send beacons. 64: the estimate of more is off by an eighth (one standard
/// deviation), and half a beacon a second is heard at any size.
pub const SAMPLE: usize = 64;
/// Between two beacons of a member of the sample.
pub const BEACON_EVERY: Duration = Duration::from_secs(120);
/// A member that was not heard for so long is gone: two beacons may be lost.
const EXPIRY: Duration = Duration::from_secs(300);
/// Up to so many members the budget asks for no more than the usual interval, so nothing is
/// gained or lost by a wrong estimate.
const FREE: f64 = 50.0;
/// The size that the budget is made for changes by at most this factor a minute: forged beacons
/// can't silence a topic at once.
const CAP_PER_MINUTE: f64 = 4.0;
/// How often both are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Standard deviations that the budget adds to an estimate: too few writes rather than too many.
const MARGIN: f64 = 2.5;
/// Once a look-up has brought fewer entries than that, late in an epoch ...
const FEW_ENTRIES: usize = 10;
/// ... no large size is believed for so long.
const DOUBT: Duration = Duration::from_secs(600);

/// The rank of an endpoint in a topic: who can be the root, and who is in the sample.
pub fn rank(topic: TopicId, endpoint: EndpointId) -> u64 {
    let hash = Sha256::new()
        .chain_update(b"kukuri/1 rank\0")
        .chain_update(topic.as_bytes())
        .chain_update(endpoint.as_bytes())
        .finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(head)
}

/// This part of the whole range of ranks is below a rank.
pub fn fraction(rank: u64) -> f64 {
    rank as f64 / u64::MAX as f64
}

/// The members heard of lately.
#[derive(Debug)]
pub struct Crowd {
    me: u64,
    /// The lowest ranks and when each was heard; this node's is not among them.
    heard: BTreeMap<u64, Duration>,
    /// What the budget is made for, and since when.
    used: (f64, Duration),
    doubt_until: Duration,
}

impl Crowd {
    /// Only this node, of this rank.
    pub fn new(me: u64, now: Duration) -> Self {
        Self {
            me,
            heard: BTreeMap::new(),
            used: (FREE, now),
            doubt_until: Duration::ZERO,
        }
    }

    /// Whether a member of this rank is beyond a full sample, so that its beacon tells nothing.
    pub fn is_beyond(&self, rank: u64) -> bool {
        let last = self.heard.last_key_value();
        self.heard.len() >= SAMPLE && last.is_some_and(|(last, _)| rank > *last)
    }

    /// A member's beacon was heard.
    pub fn hear(&mut self, rank: u64, now: Duration) {
        if rank == self.me || self.is_beyond(rank) {
            return;
        }
        self.heard.insert(rank, now);
        if self.heard.len() > SAMPLE {
            self.heard.pop_last();
        }
    }

    /// Forgets who was not heard lately, and lets the budget follow the estimate.
    pub fn tick(&mut self, now: Duration) {
        let (before, at) = self.used;
        if now < at + TICK {
            return;
        }
        self.expire(now);
        let minutes = now.saturating_sub(at).as_secs_f64() / 60.0;
        let factor = CAP_PER_MINUTE.powf(minutes);
        let wanted = self.at_most().max(FREE);
        self.used = (wanted.clamp(before / factor, before * factor), now);
    }

    /// Members, this node included; from [`SAMPLE`] on an estimate.
    pub fn members(&self) -> u64 {
        self.estimate().round() as u64
    }

    /// Members that the budget of writes is made for; as many more as this node writes more than
    /// once a turn.
    pub fn budgeted(&self, writes_per_turn: u64, now: Duration) -> u64 {
        if now < self.doubt_until {
            return FREE as u64;
        }
        let few = self.at_most() < FREE;
        let members = if few { self.at_most() } else { self.used.0 };
        (members.ceil() as u64 * writes_per_turn).max(FREE as u64)
    }

    /// A look-up has ended that must have seen the entries of half an epoch: those of at least
    /// thirty members, where there are more than fifty. If hardly any are there, the topic is
    /// being silenced by beacons of members that do not exist.
    pub fn saw_entries(&mut self, entries: usize, now: Duration) {
        if entries < FEW_ENTRIES {
            self.doubt_until = now + DOUBT;
        }
    }

    /// Whether this node is one of those that send beacons.
    pub fn in_sample(&self) -> bool {
        self.heard.range(..self.me).count() < SAMPLE
    }

    /// Whether somebody of a lower rank was heard lately.
    pub fn has_lower(&self) -> bool {
        self.heard.range(..self.me).next().is_some()
    }

    fn expire(&mut self, now: Duration) {
        self.heard.retain(|_, heard| *heard + EXPIRY > now);
    }

    fn estimate(&self) -> f64 {
        let known = self.heard.len() + 1;
        // A full sample says nothing of those beyond it, who are silent.
        if known < SAMPLE {
            return known as f64;
        }
        // The highest of the lowest SAMPLE ranks, this node's among them if it is one.
        let mut ranks = self.heard.keys().copied().skip(SAMPLE - 2);
        let [below, at] = [(); 2].map(|()| ranks.next().unwrap_or(u64::MAX));
        let highest = self.me.clamp(below, at);
        (SAMPLE - 1) as f64 / fraction(highest.max(1))
    }

    fn at_most(&self) -> f64 {
        let known = self.heard.len() + 1;
        let margin = match known < SAMPLE {
            true => 0.0,
            false => MARGIN / ((SAMPLE - 2) as f64).sqrt(),
        };
        self.estimate() * (1.0 + margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn endpoint(n: u64) -> EndpointId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        EndpointId::from_bytes(id)
    }

    fn ranks(topic: u8, members: u64) -> Vec<u64> {
        let topic = TopicId::from_bytes([topic; 32]);
        (0..members).map(|n| rank(topic, endpoint(n))).collect()
    }

    fn crowd(topic: u8, members: u64, now: Duration) -> Crowd {
        let ranks = ranks(topic, members);
        let mut crowd = Crowd::new(ranks[0], Duration::ZERO);
        ranks[1..].iter().for_each(|rank| crowd.hear(*rank, now));
        crowd
    }

    #[test]
    fn few_members_are_counted_and_many_estimated() {
        for members in [1, 2, 20, 63] {
            assert_eq!(crowd(1, members, S).members(), members);
        }
        for members in [100, 1000, 10_000] {
            let estimates = (0..50).map(|topic| crowd(topic, members, S).members());
            let near = |e: &u64| (members / 2..=members * 2).contains(e);
            assert!(estimates.clone().all(|e| near(&e)), "{members}");
            let mean = estimates.sum::<u64>() / 50;
            assert!(
                (members * 9 / 10..=members * 11 / 10).contains(&mean),
                "{mean}"
            );
        }
    }

    #[test]
    fn a_member_of_the_sample_knows_that_there_are_more() {
        let mut ranks = ranks(1, 1000);
        ranks.sort_unstable();
        let mut crowd = Crowd::new(ranks[0], Duration::ZERO);
        ranks[1..SAMPLE]
            .iter()
            .for_each(|rank| crowd.hear(*rank, S));
        assert!(
            (500..=2000).contains(&crowd.members()),
            "the others are silent"
        );
    }

    #[test]
    fn the_budget_is_hardly_ever_made_for_too_few() {
        let too_few = |topic: &u8| crowd(*topic, 1000, S).at_most() < 1000.0;
        assert!((0..100).filter(too_few).count() <= 2);
    }

    #[test]
    fn who_is_silent_is_forgotten() {
        let mut crowd = crowd(1, 20, S);
        crowd.hear(ranks(1, 20)[1], 200 * S);
        crowd.tick(301 * S);
        assert_eq!(crowd.members(), 2);
    }

    #[test]
    fn the_budget_follows_slowly() {
        let mut crowd = Crowd::new(u64::MAX, Duration::ZERO);
        (1..=64).for_each(|rank| crowd.hear(rank, 60 * S));
        assert!(crowd.members() > 1_000_000, "forged");
        let mut used = Vec::new();
        for minute in 1..=4 {
            crowd.tick(minute * 60 * S);
            used.push(crowd.budgeted(1, minute * 60 * S));
        }
        assert_eq!(used, [200, 800, 3200, 12_800]);
        crowd.tick(400 * S);
        crowd.tick(1000 * S);
        assert_eq!(crowd.budgeted(1, 1000 * S), 50);
    }

    #[test]
    fn an_empty_rendezvous_says_that_the_crowd_is_forged() {
        let mut crowd = Crowd::new(u64::MAX, Duration::ZERO);
        (1..=64).for_each(|rank| crowd.hear(rank, S));
        crowd.tick(120 * S);
        assert!(crowd.budgeted(1, 120 * S) > 500);
        crowd.saw_entries(30, 120 * S);
        assert!(crowd.budgeted(1, 120 * S) > 500);
        crowd.saw_entries(9, 120 * S);
        assert_eq!(crowd.budgeted(1, 700 * S), 50);
        assert!(crowd.budgeted(1, 720 * S) > 500);
    }

    #[test]
    fn only_the_lowest_ranks_send_beacons() {
        let all = ranks(1, 1000);
        let senders = all.iter().filter(|me| {
            let mut crowd = Crowd::new(**me, Duration::ZERO);
            all.iter().for_each(|rank| crowd.hear(*rank, S));
            crowd.in_sample()
        });
        assert_eq!(senders.count(), SAMPLE);
        assert!(!Crowd::new(all[0], S).has_lower());
        assert!(crowd(1, 1000, S).has_lower());
    }
}
