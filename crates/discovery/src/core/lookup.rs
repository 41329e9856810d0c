//! One query of the rendezvous, or one sighting of another source: which of its entries get a hello, and in which order.
//!
//! Entries are claims: anybody can announce anything. So a look-up asks a bounded number, few per
//! address and subnet, and those that several DHT nodes returned before those that one did.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{Epoch, LookupStats, Source, TopicId};

use super::Ticket;
use super::address::subnet;
use crate::config::Config;

/// Most distinct entries kept of one query: far more than are ever asked.
const MAX_ENTRIES: usize = 1024;

/// A query from its start until its entries are dealt with.
#[derive(Debug)]
pub struct Lookup {
    /// The topic it is for.
    pub topic: TopicId,
    /// The epoch whose rendezvous is asked; its hellos use the same.
    pub epoch: Epoch,
    /// Where its entries come from.
    pub source: Source,
    /// Who waits for its end.
    pub tickets: Vec<Ticket>,
    started: Duration,
    ended: Option<Duration>,
    answers: usize,
    /// Entries, and how they stand in the queue.
    seen: BTreeMap<SocketAddrV4, Place>,
    waiting: BTreeSet<(Place, SocketAddrV4)>,
    asked: usize,
    asked_ips: HashMap<Ipv4Addr, usize>,
    asked_subnets: HashMap<[u8; 3], usize>,
}

/// Where an entry stands among those of its query, the first to be asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// So many DHT nodes returned it.
    nodes: Reverse<u32>,
    /// So many entries came before it.
    nth: usize,
}

impl Lookup {
    /// A query that starts now.
    pub fn new(topic: TopicId, epoch: Epoch, source: Source, now: Duration) -> Self {
        Self {
            topic,
            epoch,
            source,
            tickets: Vec::new(),
            started: now,
            ended: None,
            answers: 0,
            seen: BTreeMap::new(),
            waiting: BTreeSet::new(),
            asked: 0,
            asked_ips: HashMap::new(),
            asked_subnets: HashMap::new(),
        }
    }

    /// Takes in the reply of one DHT node. Says whether these are the first entries, and how many
    /// new ones there was no room for.
    pub fn add(&mut self, entries: &[SocketAddrV4]) -> Added {
        let first = self.seen.is_empty() && !entries.is_empty();
        let mut refused = 0;
        self.answers += 1;
        for &entry in entries {
            let nth = self.seen.len();
            if let Some(place) = self.seen.get_mut(&entry) {
                let waits = self.waiting.remove(&(*place, entry));
                place.nodes.0 += 1;
                if waits {
                    self.waiting.insert((*place, entry));
                }
            } else if nth < MAX_ENTRIES {
                let nodes = Reverse(1);
                let place = Place { nodes, nth };
                self.seen.insert(entry, place);
                self.waiting.insert((place, entry));
            } else {
                refused += 1;
            }
        }
        Added { first, refused }
    }

    /// The query has ended; entries may still wait for their hello.
    pub fn end(&mut self, now: Duration) -> LookupStats {
        self.ended = Some(now);
        LookupStats {
            entries: self.seen.len(),
            answers: self.answers,
            took: now - self.started,
        }
    }

    /// Whether the query still runs.
    pub fn running(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether nothing is left to do.
    pub fn finished(&self) -> bool {
        self.ended.is_some() && self.waiting.is_empty()
    }

    /// Distinct entries so far.
    pub fn entries(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Time since the start.
    pub fn age(&self, now: Duration) -> Duration {
        now - self.started
    }

    /// The next entry to ask: returned by most DHT nodes, first seen first.
    pub fn next_entry(&mut self) -> Option<SocketAddrV4> {
        self.waiting.pop_first().map(|(_, entry)| entry)
    }

    /// Counts a hello to this entry; false if it is beyond the bounds.
    pub fn charge(&mut self, to: SocketAddrV4, most: usize, config: &Config) -> bool {
        if self.asked >= most {
            return false;
        }
        let ip = *to.ip();
        if !ip.is_loopback() {
            let of_ip = self.asked_ips.entry(ip).or_default();
            let of_subnet = self.asked_subnets.entry(subnet(ip)).or_default();
            if *of_ip >= config.hellos_per_ip || *of_subnet >= config.hellos_per_subnet {
                return false;
            }
            *of_ip += 1;
            *of_subnet += 1;
        }
        self.asked += 1;
        true
    }
}

/// What came of taking in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// These are the first entries of the query.
    pub first: bool,
    /// So many entries were beyond the bound.
    pub refused: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TopicId = TopicId::from_bytes([1; 32]);

    fn lookup() -> Lookup {
        Lookup::new(T, Epoch(1), Source::Rendezvous, Duration::ZERO)
    }

    fn at(ip: [u8; 4], port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(ip.into(), port)
    }

    #[test]
    fn entries_of_several_nodes_come_first() {
        let mut lookup = lookup();
        let (a, b, c) = (at([1; 4], 1), at([2; 4], 2), at([3; 4], 3));
        assert!(lookup.add(&[a, b]).first);
        assert!(!lookup.add(&[b, c]).first);
        let order: Vec<_> = std::iter::from_fn(|| lookup.next_entry()).collect();
        assert_eq!(order, [b, a, c]);
        lookup.add(&[a, b, c]);
        assert_eq!(lookup.next_entry(), None, "each once");
    }

    #[test]
    fn bounds_per_address_subnet_and_lookup() {
        let config = Config::default();
        let mut lookup = lookup();
        let ip = |port| at([9, 9, 9, 9], port);
        let charged = (1..100)
            .filter(|&p| lookup.charge(ip(p), 64, &config))
            .count();
        assert_eq!(charged, config.hellos_per_ip);
        let subnet = |host| at([9, 9, 9, host], 7);
        let charged = (10..100)
            .filter(|&h| lookup.charge(subnet(h), 64, &config))
            .count();
        assert_eq!(charged, config.hellos_per_subnet - config.hellos_per_ip);
        let loopback = |port| at([127, 0, 0, 1], port);
        let charged = (1..100)
            .filter(|&p| lookup.charge(loopback(p), 64, &config))
            .count();
        assert_eq!(charged, 64 - config.hellos_per_subnet);
    }

    #[test]
    fn a_flood_of_entries_is_bounded() {
        let mut lookup = lookup();
        let flood: Vec<_> = (0..5000u16).map(|n| at([9, 9, 9, 9], n)).collect();
        assert_eq!(lookup.add(&flood).refused, 5000 - MAX_ENTRIES);
        assert_eq!(lookup.end(Duration::ZERO).entries, MAX_ENTRIES);
    }
}
