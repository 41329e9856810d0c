//! Pages of the board: how nodes read and write them, in the world's time.

use std::time::Duration;

use kukuri_contract::InfoHash;
use kukuri_discovery::core::board::write::PutResult;
use kukuri_discovery::core::{Input, PageAt, QueryId};

use super::event::Event;
use super::network::NodeId;
use super::queries::{ANNOUNCE_TIMEOUT, LOOKUP_TIMEOUT, TOKEN};
use super::store::{Item, PutAnswer};
use super::world::World;

/// A put under way.
#[derive(Debug, Clone)]
pub(super) struct PagePut {
    /// Who puts.
    pub node: NodeId,
    /// The put's name.
    pub query: QueryId,
    /// Which page.
    pub target: InfoHash,
    /// What is put.
    pub item: Item,
    /// The number that it may replace.
    pub cas: i64,
}

/// What DHT nodes have said to a put so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    ok: usize,
    refused: usize,
}

/// Where a page is stored. Real ones are under the SHA-1 of key and salt; here any place of its own
/// will do.
fn target(at: &PageAt) -> InfoHash {
    let mut place = [0; 20];
    place[..16].copy_from_slice(&at.salt);
    place[16..].copy_from_slice(&at.key.expose()[..4]);
    InfoHash::from_bytes(place)
}

impl World {
    pub(super) fn read_page(&mut self, id: NodeId, query: QueryId, at: &PageAt) {
        let now = self.queue.now();
        self.tally.at(now).page_reads += 1;
        let target = target(at);
        let Some((asks, took)) = self.query(id, target) else {
            return;
        };
        for ask in asks {
            if let (Some(arrives), Some(answered)) = (ask.arrives, ask.answered) {
                let asked = Event::PageAsked {
                    node: id,
                    query,
                    target,
                    dht: ask.node,
                    reply_at: now + answered,
                };
                self.plan(arrives, asked);
            }
        }
        let ended = Event::Fed(id, Box::new(Input::PageReadEnded(query)));
        self.plan(took.min(LOOKUP_TIMEOUT), ended);
    }

    pub(super) fn page_asked(
        &mut self,
        node: NodeId,
        query: QueryId,
        target: InfoHash,
        dht: u16,
        reply_at: Duration,
    ) {
        let now = self.queue.now();
        let store = self.dht.store(dht);
        let item = store.and_then(|store| store.get(*target.as_bytes(), now));
        if let Some(Item { value, seq }) = item.cloned() {
            let seen = Input::PageSeen(query, value, seq);
            self.queue.plan(reply_at, Event::Fed(node, Box::new(seen)));
        }
    }

    pub(super) fn write_page(
        &mut self,
        node: NodeId,
        query: QueryId,
        at: &PageAt,
        item: Item,
        cas: i64,
    ) {
        let now = self.queue.now();
        self.tally.at(now).tries += 1;
        let target = target(at);
        let known = self.node(node).and_then(|node| node.known.get(&target));
        let wait = match known.filter(|known| known.ended + TOKEN > now) {
            Some(known) => known.ended.saturating_sub(now),
            None => match self.query(node, target) {
                Some((_, took)) => took,
                None => return,
            },
        };
        let put = PagePut {
            node,
            query,
            target,
            item,
            cas,
        };
        self.plan(wait, Event::PutPage(Box::new(put)));
    }

    pub(super) fn put_page(&mut self, put: &PagePut) {
        let Some(node) = self.node(put.node) else {
            return;
        };
        let wait = node.reply_wait;
        let known = node.known.get(&put.target);
        let to = known.map(|known| known.answered.clone());
        let asks = self
            .dht
            .puts(put.node, &to.unwrap_or_default(), wait, &mut self.rng);
        for ask in &asks {
            if let Some(arrives) = ask.arrives {
                let (dht, answered) = (ask.node, ask.answered.is_some());
                let put = Box::new(put.clone());
                self.plan(arrives, Event::PageStored { dht, answered, put });
            }
        }
        let over = asks.iter().map(|ask| ask.over).max().unwrap_or_default();
        let (node, query) = (put.node, put.query);
        self.page_answers.insert((node, query), Answers::default());
        let timed_out = over > ANNOUNCE_TIMEOUT;
        let ended = Event::PageEnded {
            node,
            query,
            timed_out,
        };
        self.plan(over.min(ANNOUNCE_TIMEOUT), ended);
    }

    /// A put is at a DHT node. One that lies says "ok" too.
    pub(super) fn page_stored(&mut self, dht: u16, answered: bool, put: PagePut) {
        let now = self.queue.now();
        let target = *put.target.as_bytes();
        let store = self.dht.store(dht);
        let answer = store.map_or(PutAnswer::Ok, |store| {
            store.put(target, put.item, Some(put.cas), now)
        });
        let answers = self.page_answers.get_mut(&(put.node, put.query));
        if let Some(answers) = answers.filter(|_| answered) {
            match answer {
                PutAnswer::Ok => answers.ok += 1,
                _ => answers.refused += 1,
            }
        }
    }

    pub(super) fn page_ended(&mut self, node: NodeId, query: QueryId, timed_out: bool) {
        let answers = self.page_answers.remove(&(node, query));
        let Answers { ok, refused } = answers.unwrap_or_default();
        let result = match timed_out {
            true => PutResult::TimedOut,
            // The crate `mainline` says so where most refuse.
            false if refused > ok => PutResult::Refused,
            false if ok > 0 => PutResult::Stored,
            false => PutResult::Failed,
        };
        self.drive(node, Input::PageWritten(query, result));
    }
}
