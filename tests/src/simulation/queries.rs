//! What nodes ask of the DHT, in the world's time.

use std::net::SocketAddrV4;
use std::time::Duration;

use kukuri_contract::{AnnounceResult, InfoHash};
use kukuri_discovery::core::{DhtState, Input, QueryId};

use super::dht::{Ask, K};
use super::event::Event;
use super::network::{Network, NodeId};
use super::node::Known;
use super::world::World;

/// Longest look-up (`discovery.lookup_timeout_ms`).
pub(super) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest try of an announcement (`discovery.announce_timeout_ms`).
pub(super) const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
/// What a query has found is used by puts for so long: the life of a token.
pub(super) const TOKEN: Duration = Duration::from_secs(5 * 60);
/// How often the routing table is counted while it fills.
const TABLE_POLL: Duration = Duration::from_millis(250);
/// A routing table that has so many nodes is counted no more.
const TABLE_FULL: usize = 60;

impl World {
    /// The DHT nodes that store an infohash, as far as a node can reach them.
    fn storing(&mut self, id: NodeId, infohash: InfoHash) -> Vec<u16> {
        let (part, parts) = match self.scenario.network.split_dht {
            true => (self.network.group(id), self.network.groups()),
            false => (0, 1),
        };
        self.dht.closest(infohash, part, parts)
    }

    /// Asks the DHT, and remembers who answered. Says how each DHT node is asked, and when the query
    /// ends.
    pub(super) fn query(&mut self, id: NodeId, infohash: InfoHash) -> Option<(Vec<Ask>, Duration)> {
        let now = self.queue.now();
        let targets = self.storing(id, infohash);
        let node = self.nodes[id as usize].as_mut()?;
        let (table, wait) = (node.table, node.reply_wait);
        let asks = self.dht.query(id, &targets, table, wait, &mut self.rng);
        let took = asks.iter().map(|ask| ask.over).max().unwrap_or_default();
        let answered = asks.iter().filter(|ask| ask.answered.is_some());
        let known = Known {
            ended: now + took,
            answered: answered.map(|ask| ask.node).collect(),
        };
        node.known.retain(|_, known| known.ended + TOKEN > now);
        node.known.insert(infohash, known);
        Some((asks, took))
    }

    pub(super) fn start_lookup(&mut self, id: NodeId, query: QueryId, infohash: InfoHash) {
        let now = self.queue.now();
        self.tally.at(now).lookups += 1;
        let Some((asks, took)) = self.query(id, infohash) else {
            return;
        };
        for ask in asks {
            if let (Some(arrives), Some(answered)) = (ask.arrives, ask.answered) {
                let asked = Event::Asked {
                    node: id,
                    query,
                    infohash,
                    dht: ask.node,
                    reply_at: now + answered,
                };
                self.plan(arrives, asked);
            }
        }
        let ended = Event::Fed(id, Box::new(Input::LookupEnded(query)));
        self.plan(took.min(LOOKUP_TIMEOUT), ended);
    }

    pub(super) fn asked(
        &mut self,
        node: NodeId,
        query: QueryId,
        infohash: InfoHash,
        dht: u16,
        reply_at: Duration,
    ) {
        let now = self.queue.now();
        let entries = self.dht.entries(dht, infohash, now, &mut self.rng);
        // The stream of a look-up has one item per DHT node that has entries.
        if !entries.is_empty() {
            let entries = Input::Entries(query, entries);
            self.queue
                .plan(reply_at, Event::Fed(node, Box::new(entries)));
        }
    }

    pub(super) fn start_announce(&mut self, id: NodeId, query: QueryId, infohash: InfoHash) {
        let now = self.queue.now();
        self.tally.at(now).tries += 1;
        let usable = |known: &Known| {
            let running = known.ended > now;
            running || (known.ended + TOKEN > now && !known.answered.is_empty())
        };
        let known = self.node(id).and_then(|node| node.known.get(&infohash));
        let wait = match known.filter(|known| usable(known)) {
            Some(known) => known.ended.saturating_sub(now),
            None => match self.query(id, infohash) {
                Some((_, took)) => took,
                None => return,
            },
        };
        let put = Event::Put {
            node: id,
            query,
            infohash,
            since: now,
        };
        self.plan(wait, put);
    }

    pub(super) fn put(&mut self, id: NodeId, query: QueryId, infohash: InfoHash, since: Duration) {
        let now = self.queue.now();
        let Some(node) = self.node(id) else {
            return;
        };
        let wait = node.reply_wait;
        let known = node.known.get(&infohash);
        let to = known.map(|known| known.answered.clone());
        let to = to.unwrap_or_default();
        let address: SocketAddrV4 = Network::hello(id);
        let puts = self.dht.puts(id, &to, wait, &mut self.rng);
        for put in &puts {
            if let Some(arrives) = put.arrives {
                let dht = put.node;
                let stored = Event::Stored {
                    dht,
                    infohash,
                    address,
                };
                self.plan(arrives, stored);
            }
        }
        let mut ends = now + puts.iter().map(|put| put.over).max().unwrap_or_default();
        let mut result = match puts.iter().any(|put| put.answered.is_some()) {
            true => AnnounceResult::Stored,
            false if puts.is_empty() => AnnounceResult::Failed,
            false => AnnounceResult::TimedOut,
        };
        if ends > since + ANNOUNCE_TIMEOUT {
            (ends, result) = (since + ANNOUNCE_TIMEOUT, AnnounceResult::TimedOut);
        }
        let ended = Input::AnnounceTryEnded(query, result);
        self.queue.plan(ends, Event::Fed(id, Box::new(ended)));
    }

    /// Counts which DHT nodes answer.
    pub(super) fn probe(&mut self, id: NodeId) {
        let Some(wait) = self.node(id).map(|node| node.reply_wait) else {
            return;
        };
        let answered = self.dht.answering(id, K, wait, &mut self.rng);
        let replies = Input::DhtReplies {
            asked: K as u32,
            answered: answered as u32,
        };
        self.plan(wait, Event::Fed(id, Box::new(replies)));
    }

    /// The routing table fills with those that answer.
    pub(super) fn count_table(&mut self, id: NodeId) {
        let Some(node) = self.node(id) else {
            return;
        };
        let (before, wait) = (node.table, node.reply_wait);
        if before >= TABLE_FULL {
            return;
        }
        let more = self.dht.answering(id, K, wait, &mut self.rng);
        let table = before + more;
        if let Some(node) = self.node(id) {
            node.table = table;
        }
        self.plan(TABLE_POLL, Event::Table(id));
        if more > 0 {
            let up = DhtState::Up {
                routing_table: table,
            };
            // Who answers tells where this node is, too.
            let ip = Some(*Network::hello(id).ip());
            self.plan(TABLE_POLL, Event::Fed(id, Box::new(Input::PublicIp(ip))));
            // It answers first, then it is counted.
            self.plan(TABLE_POLL, Event::Fed(id, Box::new(Input::Dht(up))));
        }
    }
}
