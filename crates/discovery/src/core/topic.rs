//! What is known of one topic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use kukuri_contract::{
    DiscoveryEvent, EndpointAddr, EndpointId, Epoch, EpochKeys, Source, TopicId, UnixMillis,
    Verdict,
};

use super::announce::Announcer;
use super::backoff::Backoff;
use super::board::Board;
use super::given::Given;
use super::own::OwnRecord;
use super::record::{Record, RecordError, endpoint_of};
use super::swarm::Swarm;
use super::verdict::Evidence;
use super::{Entropy, Now, Ticket};
use crate::config::Config;

/// Members of a topic whose records are kept, to be handed on in replies.
const MAX_MEMBERS: usize = 64;
/// Peers whose finding was told, so that each is told once per source.
const MAX_TOLD: usize = 1024;
/// A lonely node tells a peer again after so long, so that it is dialed again.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// Hellos of epochs so far from the own one are accepted.
const EPOCHS_ACCEPTED: i64 = 2;
/// A node with neighbors reads the neighboring epoch within this distance of its border.
const BORDER_MS: u64 = 60_000;

/// What is known of one topic.
#[derive(Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// When discovery of it began.
    pub opened: Duration,
    /// Neighbors in its swarm now.
    pub neighbors: usize,
    /// Since when there is none; `None` while there are some.
    pub alone_since: Option<Duration>,
    /// When the next look-up is due, if none runs.
    pub next_lookup: Option<Duration>,
    /// Who waits for a look-up that could not start yet.
    pub lookup_tickets: Vec<Ticket>,
    /// Peers known without looking.
    pub given: Given,
    /// The announcements.
    pub announcer: Announcer,
    /// Its board.
    pub board: Board,
    /// What was seen since the search began.
    pub evidence: Evidence,
    /// What was last said to the listeners.
    pub verdict: Option<Verdict>,
    /// The own record.
    pub own: OwnRecord,
    /// Its swarm as a whole.
    pub swarm: Swarm,
    keys: BTreeMap<Epoch, EpochKeys>,
    keys_asked: BTreeSet<Epoch>,
    /// In order: which of two equally fresh ones comes first must not be chance.
    members: BTreeMap<EndpointId, Record>,
    told: HashMap<(EndpointId, Source), Duration>,
    backoff: Backoff,
}

impl Topic {
    /// A topic whose discovery begins now.
    pub fn new(id: TopicId, me: EndpointId, now: Duration) -> Self {
        let mut given = Given::default();
        given.alone(now);
        Self {
            id,
            opened: now,
            neighbors: 0,
            alone_since: Some(now),
            next_lookup: Some(now),
            lookup_tickets: Vec::new(),
            given,
            announcer: Announcer::default(),
            board: Board::default(),
            evidence: Evidence::default(),
            verdict: None,
            own: OwnRecord::default(),
            swarm: Swarm::new(id, me, now),
            keys: BTreeMap::new(),
            keys_asked: BTreeSet::new(),
            members: BTreeMap::new(),
            told: HashMap::new(),
            backoff: Backoff::default(),
        }
    }

    // --- keys ---

    /// The epochs whose keys must be asked for now; older keys are dropped.
    pub fn missing_keys(&mut self, epoch: Epoch) -> Vec<Epoch> {
        let oldest = epoch.offset(-EPOCHS_ACCEPTED);
        self.keys.retain(|of, _| *of >= oldest);
        self.keys_asked.retain(|of| *of >= oldest);
        let wanted = (-EPOCHS_ACCEPTED..=EPOCHS_ACCEPTED).map(|by| epoch.offset(by));
        // The own epoch first: the first look-up waits for it.
        let mut missing: Vec<_> = wanted.filter(|e| self.keys_asked.insert(*e)).collect();
        missing.sort_unstable_by_key(|e| e.0.abs_diff(epoch.0));
        missing
    }

    /// Takes in keys.
    pub fn put_keys(&mut self, epoch: Epoch, keys: EpochKeys) {
        if self.keys_asked.contains(&epoch) {
            self.keys.insert(epoch, keys);
        }
    }

    /// There was no answer about these keys.
    pub fn ask_keys_again(&mut self, epoch: Epoch) {
        if !self.keys.contains_key(&epoch) {
            self.keys_asked.remove(&epoch);
        }
    }

    /// The keys of an epoch, once they are there.
    pub fn keys(&self, epoch: Epoch) -> Option<&EpochKeys> {
        self.keys.get(&epoch)
    }

    /// The keys of hellos that are accepted in this epoch.
    pub fn accepted_keys(&self, epoch: Epoch) -> impl Iterator<Item = (Epoch, &EpochKeys)> {
        self.keys
            .iter()
            .map(|(of, keys)| (*of, keys))
            .filter(move |(of, _)| of.0.abs_diff(epoch.0) <= EPOCHS_ACCEPTED.unsigned_abs())
    }

    /// The epochs whose rendezvous is read: around the own one while alone, else the own one and,
    /// near a border, its neighbor.
    pub fn epochs_to_read(&self, now: UnixMillis) -> Vec<Epoch> {
        let epoch = Epoch::at(now);
        if self.neighbors == 0 {
            return vec![epoch, epoch.offset(-1), epoch.offset(1)];
        }
        let near = |ms: i64| Epoch::at(UnixMillis(now.0.saturating_add_signed(ms)));
        let border = BORDER_MS as i64;
        let mut epochs = vec![epoch, near(-border), near(border)];
        epochs.dedup();
        epochs.retain({
            let mut seen = BTreeSet::new();
            move |e| seen.insert(*e)
        });
        epochs
    }

    // --- members ---

    /// The record of these bytes, be it new or known.
    ///
    /// # Errors
    /// See [`Record::parse`].
    pub fn read_record(&self, bytes: &[u8], now: UnixMillis) -> Result<Record, RecordError> {
        let known = endpoint_of(bytes).and_then(|id| self.members.get(&id));
        Record::among(known, bytes, now).map_or_else(|| Record::parse(self.id, bytes, now), Ok)
    }

    /// Takes in a verified record; an older one never wins. Says whether the peer should be told
    /// to the listeners: new from this source, at a new address, or still needed.
    pub fn learn(&mut self, record: Record, source: Source, now: Now) -> bool {
        let id = record.peer.id;
        let known = self.members.get(&id);
        let moved = known.is_some_and(|k| k.issued_at < record.issued_at && k.peer != record.peer);
        self.keep(record, now.unix);
        self.tell(id, source, moved, now.mono)
    }

    /// Takes in a verified record, to be handed on; an older one never wins.
    pub fn keep(&mut self, record: Record, now: UnixMillis) {
        let known = self.members.get(&record.peer.id);
        if known.is_none_or(|k| k.issued_at < record.issued_at) {
            self.make_room(now);
            self.members.insert(record.peer.id, record);
        }
    }

    /// Notes that a peer is told to the listeners; false if there is no need.
    pub fn tell(&mut self, id: EndpointId, source: Source, moved: bool, now: Duration) -> bool {
        let last = self.told.get(&(id, source)).copied();
        let needed = |at| self.neighbors == 0 && now >= at + TELL_AGAIN;
        if !moved && last.is_some_and(|at| !needed(at)) {
            return false;
        }
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        self.told.insert((id, source), now);
        self.evidence.found(now);
        true
    }

    /// Says that a peer was found.
    pub fn found(&self, peer: EndpointAddr, source: Source, now: Duration) -> DiscoveryEvent {
        DiscoveryEvent::PeerFound {
            topic: self.id,
            peer,
            source,
            after: now - self.opened,
        }
    }

    /// The freshest records of members other than `asker`, to be handed on.
    pub fn members_for(&self, asker: EndpointId, now: UnixMillis) -> Vec<Vec<u8>> {
        let mut fresh: Vec<_> = self
            .members
            .values()
            .filter(|r| r.peer.id != asker && r.is_fresh(now))
            .collect();
        fresh.sort_by_key(|r| std::cmp::Reverse(r.issued_at));
        fresh.into_iter().map(|r| r.bytes.clone()).collect()
    }

    fn make_room(&mut self, now: UnixMillis) {
        if self.members.len() < MAX_MEMBERS {
            return;
        }
        self.members.retain(|_, r| r.is_fresh(now));
        if self.members.len() >= MAX_MEMBERS {
            let oldest = self.members.values().min_by_key(|r| r.issued_at);
            if let Some(id) = oldest.map(|r| r.peer.id) {
                self.members.remove(&id);
            }
        }
    }

    // --- schedule ---

    /// The neighbors have changed, perhaps. Says whether a search begins.
    pub fn set_neighbors(&mut self, neighbors: &[EndpointId], now: Duration) -> bool {
        self.swarm.set_neighbors(neighbors, now);
        let before = std::mem::replace(&mut self.neighbors, neighbors.len());
        match (before, self.neighbors) {
            (0, 0) => false,
            (_, 0) => {
                self.search_again(now);
                true
            }
            (0, _) => {
                self.alone_since = None;
                self.next_lookup = None;
                self.given.rest();
                self.verdict = None;
                false
            }
            _ => false,
        }
    }

    fn search_again(&mut self, now: Duration) {
        self.alone_since = Some(now);
        self.next_lookup = Some(now);
        self.backoff.reset();
        self.given.alone(now);
        self.evidence = Evidence {
            announced: self.evidence.announced,
            ..Evidence::default()
        };
    }

    /// Plans the next look-up of a lonely node after one has ended.
    pub fn plan_lookup(&mut self, now: Duration, rng: &mut impl Entropy, config: &Config) {
        if self.neighbors > 0 {
            return;
        }
        self.next_lookup = Some(now + self.backoff.next(rng, config));
    }
}

/// The addresses of a peer, with those on the IP that its hello came from first: they work best.
pub fn prefer_ip(peer: &mut EndpointAddr, ip: IpAddr) {
    peer.direct.sort_by_key(|address| address.ip() != ip);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{NOW, TOPIC, keys, peer, signed_record};

    fn now(s: u64) -> Now {
        Now {
            mono: Duration::from_secs(s),
            unix: UnixMillis(NOW.0 + s * 1000),
        }
    }

    fn record(n: u8, at: UnixMillis) -> Record {
        Record::parse(TOPIC, &signed_record(n, TOPIC, &peer(n), at), at).unwrap()
    }

    #[test]
    fn a_peer_is_told_once_per_source_and_again_when_needed() {
        let mut topic = Topic::new(TOPIC, peer(9).id, Duration::ZERO);
        let r = || record(1, NOW);
        assert!(topic.learn(r(), Source::Inbound, now(0)));
        assert!(!topic.learn(r(), Source::Inbound, now(1)));
        assert!(topic.learn(r(), Source::Rendezvous, now(1)));
        assert!(topic.learn(r(), Source::Rendezvous, now(12)));
        topic.set_neighbors(&[peer(1).id], now(13).mono);
        assert!(!topic.learn(r(), Source::Rendezvous, now(60)));
    }

    #[test]
    fn an_older_record_never_wins_and_members_are_bounded() {
        let mut topic = Topic::new(TOPIC, peer(9).id, Duration::ZERO);
        let newer = UnixMillis(NOW.0 + 1000);
        topic.learn(record(1, newer), Source::Rendezvous, now(1));
        topic.learn(record(1, NOW), Source::Rendezvous, now(1));
        assert_eq!(topic.members[&peer(1).id].issued_at, newer);
        for n in 2..=200 {
            topic.learn(record(n, NOW), Source::Rendezvous, now(1));
        }
        assert!(topic.members.len() <= MAX_MEMBERS);
        assert!(
            topic.members.contains_key(&peer(1).id),
            "the freshest stays"
        );
        assert!(!topic.members_for(peer(1).id, NOW).is_empty());
    }

    #[test]
    fn epochs_while_alone_and_with_neighbors() {
        let mut topic = Topic::new(TOPIC, peer(9).id, Duration::ZERO);
        let start = UnixMillis(600_000 * 100);
        let middle = UnixMillis(start.0 + 300_000);
        let read = |topic: &Topic, at| -> Vec<u64> {
            topic.epochs_to_read(at).iter().map(|e| e.0).collect()
        };
        assert_eq!(read(&topic, middle), [100, 99, 101]);
        topic.set_neighbors(&[peer(1).id], Duration::ZERO);
        assert_eq!(read(&topic, middle), [100]);
        assert_eq!(read(&topic, start), [100, 99]);
        assert_eq!(read(&topic, UnixMillis(start.0 - 1)), [99, 100]);
    }

    #[test]
    fn keys_are_asked_once_and_dropped_when_old() {
        let mut topic = Topic::new(TOPIC, peer(9).id, Duration::ZERO);
        let asked = topic.missing_keys(Epoch(10));
        assert_eq!(asked[0], Epoch(10), "the own epoch first");
        assert_eq!(asked.len(), 5);
        assert!(topic.missing_keys(Epoch(10)).is_empty());
        topic.put_keys(Epoch(8), keys(8));
        topic.put_keys(Epoch(99), keys(99));
        assert!(topic.keys(Epoch(8)).is_some());
        assert!(topic.keys(Epoch(99)).is_none(), "nobody asked for it");
        assert_eq!(topic.missing_keys(Epoch(11)), [Epoch(13)]);
        assert!(topic.keys(Epoch(8)).is_none());
    }
}
