//! What one DHT node keeps, and by which rules.
//!
//! Two programs answer on Mainline, and they differ. *Lenient* is the server of the crate
//! `mainline` 8: an item of an equal seq replaces the old one; announcements are kept by the id of
//! the requester, which the same crate draws anew for each, and ten random ones are given out.
//! *Strict* is libtorrent: an item of an equal seq is answered "ok" and not kept; announcements are
//! kept by address, up to a hundred random ones are given out, and where there is no room, a coin
//! decides whether a random old one makes way.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::InfoHash;
use serde::Deserialize;

use super::rng::Seeded;

/// Announcements of one infohash that a DHT node keeps (both programs).
pub const MAX_PEERS: usize = 500;
/// An announcement runs out after so long (libtorrent; BEP5 leaves it open).
pub const PEER_TTL: Duration = Duration::from_secs(30 * 60);
/// An item runs out after so long (BEP44).
pub const ITEM_TTL: Duration = Duration::from_secs(2 * 3600);

/// By which rules a DHT node stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// The server of the crate `mainline`.
    Lenient,
    /// libtorrent.
    Strict,
}

/// Names a mutable item: SHA-1 of the public key and the salt (BEP44).
pub type Target = [u8; 20];

/// A mutable item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The content, at most 1000 bytes.
    pub value: Vec<u8>,
    /// Counts up.
    pub seq: i64,
}

/// What a DHT node says to a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutAnswer {
    /// "Ok". That it is kept does not follow.
    Ok,
    /// Error 301: there is an item of another seq than `cas`.
    CasMismatch,
    /// Error 302: there is an item of a higher seq.
    SeqTooLow,
    /// Error 205: longer than 1000 bytes.
    TooLong,
}

/// What one DHT node keeps.
#[derive(Debug)]
pub struct Store {
    rules: Rules,
    /// Newest first.
    peers: HashMap<InfoHash, VecDeque<(SocketAddrV4, Duration)>>,
    items: HashMap<Target, (Item, Duration)>,
}

impl Store {
    /// Nothing kept yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            peers: HashMap::new(),
            items: HashMap::new(),
        }
    }

    /// Keeps an announcement, if there is room.
    pub fn announce(
        &mut self,
        infohash: InfoHash,
        address: SocketAddrV4,
        now: Duration,
        rng: &mut Seeded,
    ) {
        let peers = self.peers.entry(infohash).or_default();
        peers.retain(|(_, at)| *at + PEER_TTL > now);
        if self.rules == Rules::Strict {
            peers.retain(|(known, _)| *known != address);
            if peers.len() >= MAX_PEERS {
                if rng.chance(0.5) {
                    return;
                }
                let unlucky = rng.index(peers.len());
                peers.remove(unlucky);
            }
        }
        peers.push_front((address, now));
        peers.truncate(MAX_PEERS);
    }

    /// Random announcements of an infohash.
    pub fn peers(
        &mut self,
        infohash: InfoHash,
        now: Duration,
        rng: &mut Seeded,
    ) -> Vec<SocketAddrV4> {
        let Some(peers) = self.peers.get_mut(&infohash) else {
            return Vec::new();
        };
        peers.retain(|(_, at)| *at + PEER_TTL > now);
        let most = match self.rules {
            Rules::Lenient => 10,
            Rules::Strict => 100,
        };
        let (mut wanted, mut left) = (most.min(peers.len()), peers.len());
        let mut out = Vec::with_capacity(wanted);
        for (address, _) in peers.iter() {
            // Each has the same chance, and exactly `wanted` are taken.
            if rng.index(left) < wanted {
                out.push(*address);
                wanted -= 1;
            }
            left -= 1;
        }
        out
    }

    /// Puts an item.
    pub fn put(
        &mut self,
        target: Target,
        item: Item,
        cas: Option<i64>,
        now: Duration,
    ) -> PutAnswer {
        if item.value.len() > 1000 {
            return PutAnswer::TooLong;
        }
        if let Some(known) = self.get(target, now) {
            if cas.is_some_and(|cas| cas != known.seq) {
                return PutAnswer::CasMismatch;
            }
            if item.seq < known.seq {
                return PutAnswer::SeqTooLow;
            }
            if item.seq == known.seq && self.rules == Rules::Strict {
                return PutAnswer::Ok;
            }
        }
        self.items.insert(target, (item, now));
        PutAnswer::Ok
    }

    /// The item that is kept.
    pub fn get(&self, target: Target, now: Duration) -> Option<&Item> {
        let (item, at) = self.items.get(&target)?;
        (*at + ITEM_TTL > now).then_some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::network::Network;

    const H: InfoHash = InfoHash::from_bytes([1; 20]);
    const T: Target = [2; 20];
    const S: Duration = Duration::from_secs(1);

    fn item(text: &str, seq: i64) -> Item {
        let value = text.as_bytes().to_vec();
        Item { value, seq }
    }

    fn kept(store: &Store, now: Duration) -> String {
        let value = store.get(T, now).map(|item| item.value.clone());
        String::from_utf8(value.unwrap_or_default()).unwrap()
    }

    #[test]
    fn of_an_equal_seq_the_last_wins_or_the_first() {
        for (rules, wins) in [(Rules::Lenient, "b"), (Rules::Strict, "a")] {
            let mut store = Store::new(rules);
            assert_eq!(store.put(T, item("a", 5), None, S), PutAnswer::Ok);
            assert_eq!(store.put(T, item("b", 5), None, S), PutAnswer::Ok);
            assert_eq!(kept(&store, S), wins, "{rules:?}; both were told ok");
        }
    }

    #[test]
    fn a_lower_seq_and_another_cas_are_refused() {
        for rules in [Rules::Lenient, Rules::Strict] {
            let mut store = Store::new(rules);
            let first = store.put(T, item("a", 5), Some(3), S);
            assert_eq!(first, PutAnswer::Ok, "cas needs a value to compare with");
            assert_eq!(store.put(T, item("b", 4), None, S), PutAnswer::SeqTooLow);
            let other = store.put(T, item("b", 9), Some(4), S);
            assert_eq!(other, PutAnswer::CasMismatch);
            assert_eq!(store.put(T, item("b", 6), Some(5), S), PutAnswer::Ok);
            assert_eq!(kept(&store, S), "b");
            store.put(T, item("last", i64::MAX), None, S);
            assert_eq!(
                store.put(T, item("c", 7), None, S),
                PutAnswer::SeqTooLow,
                "nothing follows the highest seq"
            );
            let long = Item {
                value: vec![0; 1001],
                seq: 1,
            };
            assert_eq!(store.put([9; 20], long, None, S), PutAnswer::TooLong);
        }
    }

    #[test]
    fn items_and_announcements_run_out() {
        let (mut store, mut rng) = (Store::new(Rules::Strict), Seeded::new(1));
        store.put(T, item("a", 9), None, S);
        assert_eq!(kept(&store, ITEM_TTL), "a");
        assert_eq!(kept(&store, S + ITEM_TTL), "");
        let again = store.put(T, item("b", 1), None, S + ITEM_TTL);
        assert_eq!(again, PutAnswer::Ok, "what has run out binds nobody");
        store.announce(H, Network::hello(1), S, &mut rng);
        assert_eq!(store.peers(H, PEER_TTL, &mut rng).len(), 1);
        assert!(store.peers(H, S + PEER_TTL, &mut rng).is_empty());
    }

    #[test]
    fn a_repeated_announcement_counts_again_or_not() {
        let mut rng = Seeded::new(1);
        for (rules, entries) in [(Rules::Lenient, 3), (Rules::Strict, 1)] {
            let mut store = Store::new(rules);
            for second in 1..=3 {
                store.announce(H, Network::hello(1), second * S, &mut rng);
            }
            assert_eq!(store.peers(H, 3 * S, &mut rng).len(), entries);
        }
    }

    #[test]
    fn a_flood_takes_all_places_of_a_lenient_node_and_most_of_a_strict_one() {
        let mut rng = Seeded::new(1);
        for (rules, given) in [(Rules::Lenient, 10), (Rules::Strict, 100)] {
            let mut store = Store::new(rules);
            for node in 0..20 {
                store.announce(H, Network::hello(node), S, &mut rng);
            }
            for n in 0..2000u16 {
                store.announce(H, Network::nobody(1, 2000 + n), 2 * S, &mut rng);
            }
            let found = store.peers(H, 2 * S, &mut rng);
            assert_eq!(found.len(), given);
            let all = &store.peers[&H];
            assert_eq!(all.len(), MAX_PEERS);
            let ours = all.iter().filter(|(a, _)| Network::node_at(*a).is_some());
            let ours = ours.count();
            assert!(
                ours <= 10 && (rules == Rules::Strict || ours == 0),
                "{ours}"
            );
        }
    }

    #[test]
    fn each_announcement_is_given_out_as_often_as_any_other() {
        let (mut store, mut rng) = (Store::new(Rules::Lenient), Seeded::new(1));
        for node in 0..50 {
            store.announce(H, Network::hello(node), S, &mut rng);
        }
        let mut given = [0; 50];
        for _ in 0..1000 {
            let found = store.peers(H, S, &mut rng);
            assert_eq!(found.len(), 10);
            for node in found.into_iter().filter_map(Network::node_at) {
                given[node as usize] += 1;
            }
        }
        assert!(given.iter().all(|n| (140..260).contains(n)), "{given:?}");
    }
}
