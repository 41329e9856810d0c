//! The DHT as nodes see it: which DHT nodes store an infohash, who answers, and when a query ends.
//!
//! Modeled on the client of the crate `mainline` 8. A query asks the 20 closest DHT nodes, those
//! that it knows at once, the others when a reply has named them; it ends when the last of those
//! asked has answered or has been waited for. A put goes to the closest that answered a query on
//! the same target: to those of one that ended within 5 minutes, or at the end of one that runs, or
//! of one that it starts itself. It ends the same way, and was stored if one acknowledged it.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::InfoHash;

use super::network::Network;
use super::rng::{Seeded, mix, unit};
use super::scenario::{DhtModel, range};
use super::store::Store;

/// DHT nodes that store an infohash (Kademlia's k).
pub const K: usize = 20;
/// Nodes that a routing table holds at most, as far as is known to a query.
const TABLE: f64 = 100.0;
/// Bootstrap nodes; the first queries go through them.
const BOOTSTRAP: usize = 4;
/// Entries in one reply of a DHT node that lies.
const FALSE_ENTRIES: u32 = 100;

/// How a DHT node behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it should.
    Honest,
    /// Never answers.
    Silent,
    /// Says "ok", stores nothing, gives nothing.
    Liar,
    /// Says "ok", stores nothing, gives false entries.
    Poisoner,
}

/// One DHT node.
#[derive(Debug)]
struct DhtNode {
    id: [u8; 20],
    kind: Kind,
    store: Store,
}

/// The DHT.
#[derive(Debug)]
pub struct Dht {
    model: DhtModel,
    seed: u64,
    nodes: Vec<DhtNode>,
    closest: HashMap<(InfoHash, u32, u32), Vec<u16>>,
}

/// How one DHT node is asked by a query: times from the start of the query.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Who.
    pub node: u16,
    /// When the request arrives there; `None` if it is lost.
    pub arrives: Option<Duration>,
    /// When the reply arrives; `None` if there is none in time.
    pub answered: Option<Duration>,
    /// When it has answered or is waited for no longer.
    pub over: Duration,
}

impl Dht {
    /// A DHT with nobody announced.
    pub fn new(model: &DhtModel, seed: u64, rng: &mut Seeded) -> Self {
        let count = model.nodes;
        let share = |share: f64| (share * count as f64).round() as usize;
        let mut kinds = vec![Kind::Honest; count];
        let (silent, liars) = (share(model.silent), share(model.liars));
        let others = [
            (Kind::Silent, silent),
            (Kind::Liar, liars),
            (Kind::Poisoner, share(model.poisoners)),
        ];
        let mut places = kinds.iter_mut();
        for (kind, count) in others {
            places.by_ref().take(count).for_each(|place| *place = kind);
        }
        rng.shuffle(&mut kinds);
        let node = |(n, kind): (usize, Kind)| {
            let mut id = [0; 20];
            kukuri_discovery::core::Entropy::fill(rng, &mut id);
            let rules = model.rules[n % model.rules.len().max(1)];
            DhtNode {
                id,
                kind,
                store: Store::new(rules),
            }
        };
        Self {
            nodes: kinds.into_iter().enumerate().map(node).collect(),
            model: model.clone(),
            seed,
            closest: HashMap::new(),
        }
    }

    /// The DHT nodes that store an infohash, among those of one part of a split network.
    pub fn closest(&mut self, infohash: InfoHash, part: u32, parts: u32) -> Vec<u16> {
        let nodes = &self.nodes;
        let found = self
            .closest
            .entry((infohash, part, parts))
            .or_insert_with(|| {
                let distance = |n: &u16| {
                    let id = nodes[usize::from(*n)].id;
                    std::array::from_fn::<u8, 20, _>(|i| id[i] ^ infohash.as_bytes()[i])
                };
                let all = 0..nodes.len() as u16;
                let mut near: Vec<u16> = all.filter(|n| u32::from(*n) % parts == part).collect();
                near.sort_by_cached_key(distance);
                near.truncate(K);
                near
            });
        found.clone()
    }

    /// One way between a node and a DHT node.
    fn latency(&self, node: u32, dht: u16) -> Duration {
        let pair = (u64::from(node) << 16) | u64::from(dht);
        let u = unit(mix(self.seed ^ mix(pair)));
        let (least, most) = range(self.model.latency_ms);
        least + most.saturating_sub(least).mul_f64(u * u)
    }

    /// One request to a DHT node, sent `after` the start.
    fn ask(&self, node: u32, dht: u16, after: Duration, wait: Duration, rng: &mut Seeded) -> Ask {
        let way = self.latency(node, dht);
        let silent = self.nodes[usize::from(dht)].kind == Kind::Silent;
        let arrives = !rng.chance(self.model.loss);
        let back = arrives && !silent && !rng.chance(self.model.loss) && way * 2 <= wait;
        Ask {
            node: dht,
            arrives: arrives.then(|| after + way),
            answered: back.then(|| after + way * 2),
            over: after + if back { way * 2 } else { wait },
        }
    }

    /// How a query of `target` goes, for a node with so many DHT nodes in its routing table that
    /// waits so long for each reply.
    pub fn query(
        &self,
        node: u32,
        targets: &[u16],
        table: usize,
        wait: Duration,
        rng: &mut Seeded,
    ) -> Vec<Ask> {
        let mut start = Duration::ZERO;
        if table == 0 {
            let asks: Vec<_> = (0..BOOTSTRAP)
                .map(|_| self.ask(node, self.some_node(rng), start, wait, rng))
                .collect();
            let Some(first) = asks.iter().filter_map(|ask| ask.answered).min() else {
                // Nobody is known, and nobody names anybody.
                return asks;
            };
            start = first;
        }
        let known = (TABLE.min(table as f64 * 2.0) / self.nodes.len().max(1) as f64).min(1.0);
        let ask = |dht: &u16| {
            let mut after = start;
            if !rng.chance(known) {
                for _ in 0..self.model.hops {
                    after += self.latency(node, self.some_node(rng)) * 2;
                }
            }
            self.ask(node, *dht, after, wait, rng)
        };
        targets.iter().map(ask).collect()
    }

    /// How a put to these DHT nodes goes.
    pub fn puts(&self, node: u32, to: &[u16], wait: Duration, rng: &mut Seeded) -> Vec<Ask> {
        to.iter()
            .map(|dht| self.ask(node, *dht, Duration::ZERO, wait, rng))
            .collect()
    }

    /// How many of so many DHT nodes answer in time.
    pub fn answering(&self, node: u32, asked: usize, wait: Duration, rng: &mut Seeded) -> usize {
        let answers = (0..asked).filter(|_| {
            let dht = self.some_node(rng);
            let ask = self.ask(node, dht, Duration::ZERO, wait, rng);
            ask.answered.is_some()
        });
        answers.count()
    }

    fn some_node(&self, rng: &mut Seeded) -> u16 {
        rng.index(self.nodes.len()) as u16
    }

    /// What a DHT node gives for an infohash now.
    pub fn entries(
        &mut self,
        dht: u16,
        infohash: InfoHash,
        now: Duration,
        rng: &mut Seeded,
    ) -> Vec<SocketAddrV4> {
        let node = &mut self.nodes[usize::from(dht)];
        match node.kind {
            Kind::Honest => node.store.peers(infohash, now, rng),
            Kind::Silent | Kind::Liar => Vec::new(),
            Kind::Poisoner => {
                let false_entry = |_| {
                    let host = u32::from(dht) * 1000 + rng.index(1000) as u32;
                    Network::nobody(host, 4000)
                };
                (0..FALSE_ENTRIES).map(false_entry).collect()
            }
        }
    }

    /// An announcement arrives at a DHT node.
    pub fn announce(
        &mut self,
        dht: u16,
        infohash: InfoHash,
        address: SocketAddrV4,
        now: Duration,
        rng: &mut Seeded,
    ) {
        let node = &mut self.nodes[usize::from(dht)];
        if node.kind == Kind::Honest {
            node.store.announce(infohash, address, now, rng);
        }
    }

    /// What an honest DHT node keeps; `None` if it keeps nothing.
    pub fn store(&mut self, dht: u16) -> Option<&mut Store> {
        let node = &mut self.nodes[usize::from(dht)];
        (node.kind == Kind::Honest).then_some(&mut node.store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: InfoHash = InfoHash::from_bytes([3; 20]);
    const WAIT: Duration = Duration::from_millis(250);

    fn dht(change: impl FnOnce(&mut DhtModel)) -> (Dht, Seeded) {
        let mut model = DhtModel::default();
        change(&mut model);
        let mut rng = Seeded::new(1);
        (Dht::new(&model, 1, &mut rng), rng)
    }

    #[test]
    fn twenty_store_and_the_parts_of_a_split_dht_have_their_own() {
        let (mut dht, _) = dht(|_| {});
        let whole = dht.closest(H, 0, 1);
        assert_eq!(whole.len(), K);
        let (left, right) = (dht.closest(H, 0, 2), dht.closest(H, 1, 2));
        assert!(left.iter().all(|n| !right.contains(n)));
        let seen = whole
            .iter()
            .filter(|n| left.contains(n) || right.contains(n));
        assert_eq!(seen.count(), K, "once whole, both sides' entries are found");
    }

    #[test]
    fn a_query_ends_with_the_last_answer_or_with_the_wait_for_a_silent_node() {
        let (mut all_answer, mut rng) = dht(|model| model.silent = 0.0);
        let targets = all_answer.closest(H, 0, 1);
        let asks = all_answer.query(1, &targets, 20, WAIT, &mut rng);
        assert!(asks.iter().all(|ask| ask.answered == Some(ask.over)));
        let (mut half, mut rng) = dht(|model| model.silent = 0.5);
        let targets = half.closest(H, 0, 1);
        let asks = half.query(1, &targets, 20, WAIT, &mut rng);
        let silent: Vec<_> = asks.iter().filter(|a| a.answered.is_none()).collect();
        assert!(!silent.is_empty() && silent.len() < K);
        assert!(silent.iter().all(|ask| ask.over >= WAIT));
        assert!(silent.iter().all(|ask| ask.arrives.is_some()));
    }

    #[test]
    fn loss_each_way_takes_requests_and_replies() {
        let (dht, mut rng) = dht(|model| (model.loss, model.silent) = (0.5, 0.0));
        let answers = dht.answering(1, 4000, WAIT, &mut rng);
        assert!((900..1100).contains(&answers), "{answers}: one in four");
    }

    #[test]
    fn who_lies_stores_nothing_and_may_give_false_entries() {
        let s = Duration::from_secs(1);
        let (mut liars, mut rng) = dht(|model| (model.liars, model.silent) = (1.0, 0.0));
        liars.announce(0, H, Network::hello(1), s, &mut rng);
        assert!(liars.entries(0, H, s, &mut rng).is_empty());
        assert!(liars.store(0).is_none());
        let (mut poisoners, mut rng) = dht(|model| (model.poisoners, model.silent) = (1.0, 0.0));
        poisoners.announce(0, H, Network::hello(1), s, &mut rng);
        let entries = poisoners.entries(0, H, s, &mut rng);
        assert_eq!(entries.len(), FALSE_ENTRIES as usize);
        assert!(
            entries
                .iter()
                .all(|entry| Network::node_at(*entry).is_none())
        );
    }
}
