//! What goes to the board: reads of its slots, and the own write.

use std::time::Duration;

use kukuri_contract::{BoardResult, DiscoveryEvent, Epoch, PageDrop, Source, TopicId};

use super::super::board::seen::{Seen, Take};
use super::super::board::write::{Next, Pen, PutResult, Writing};
use super::super::page::{self, Place, SLOTS};
use super::super::{DhtState, Effect, Entropy, Now, PageAt, QueryId};
use super::{Core, Topic};

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

/// A read of one slot.
#[derive(Debug)]
pub(super) struct Page {
    at: Place,
    seen: Seen,
    /// It belongs to the own write.
    writes: bool,
}

impl Page {
    pub(super) fn is_of(&self, topic: TopicId) -> bool {
        self.at.topic == topic
    }
}

impl Core {
    /// When the board of a topic has something to do.
    pub(super) fn board_due(&self, topic: &Topic, now: Now) -> Option<Duration> {
        let ready = self.config.sources.board && self.has_dht_nodes() && is_ready(topic, now);
        topic.board.next_wake().filter(|_| ready)
    }

    /// Whatever is due on the board.
    pub(super) fn drive_board(&mut self, now: Now, rng: &mut impl Entropy) {
        if !self.config.sources.board {
            return;
        }
        for id in self.topics.keys().copied().collect::<Vec<_>>() {
            self.follow_search(id, now, rng);
            if self.has_dht_nodes() {
                self.decide(id, now, rng);
                self.resume_write(id, now);
                self.begin_round(id, now, rng);
            }
        }
        self.read_on();
    }

    /// There is nobody to ask with an empty routing table.
    fn has_dht_nodes(&self) -> bool {
        matches!(self.dht, DhtState::Up { routing_table: 1.. })
    }

    // --- reading ---

    fn follow_search(&mut self, id: TopicId, now: Now, rng: &mut impl Entropy) {
        let rendezvous = self.config.sources.rendezvous;
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if topic.board.follow(topic.alone_since) {
            self.pages
                .retain(|_, page| page.writes || page.at.topic != id);
        }
        // The rendezvous first; what it has found may be about to answer.
        if !rendezvous || topic.evidence.lookups > 0 {
            let config = &self.config;
            topic
                .board
                .plan_first_read(rendezvous, now.mono, rng, config);
        }
        if topic.board.flood.shows(now.mono) {
            topic.board.decide_now(now.mono);
        }
    }

    fn begin_round(&mut self, id: TopicId, now: Now, rng: &mut impl Entropy) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if !topic.board.read_due(now.mono) || topic.keys(Epoch::at(now.unix)).is_none() {
            return;
        }
        // Each reader begins elsewhere, so that no slot is the last one for all.
        let first = rng.below(SLOTS.into()) as u8;
        let slots = (0..SLOTS).map(|slot| (first + slot) % SLOTS);
        let epochs = topic.epochs_to_read(now.unix);
        let epochs = epochs.into_iter().filter(|e| topic.keys(*e).is_some());
        let places = epochs.flat_map(|epoch| slots.clone().map(move |slot| place(id, epoch, slot)));
        let places = places.collect();
        topic.board.begin_round(places, now.mono);
    }

    /// Starts reads for as long as there is room, the topics in turn.
    fn read_on(&mut self) {
        loop {
            let before = self.pages.len();
            for id in self.topics.keys().copied().collect::<Vec<_>>() {
                let reads = self.pages.values().filter(|page| !page.writes).count();
                if reads >= self.config.board_reads_in_flight {
                    return;
                }
                let next = self.topics.get_mut(&id).and_then(|t| t.board.next_place());
                if let Some(at) = next {
                    let query = self.new_query();
                    self.read_page(query, at, false);
                }
            }
            if self.pages.len() == before {
                return;
            }
        }
    }

    fn read_page(&mut self, query: QueryId, at: Place, writes: bool) {
        let seen = Seen::default();
        self.pages.insert(query, Page { at, seen, writes });
        let page = self.page_at(at);
        self.out
            .extend(page.map(|page| Effect::ReadPage(query, page)));
    }

    /// Keys are there for as long as a round or a write can take.
    fn page_at(&self, at: Place) -> Option<PageAt> {
        let keys = self.topics.get(&at.topic)?.keys(at.epoch)?;
        let (key, salt) = (keys.board_key.clone(), at.salt(keys));
        Some(PageAt { key, salt })
    }

    /// A storing node has returned a value of a slot.
    pub(super) fn page_seen(&mut self, query: QueryId, value: &[u8], seq: i64, now: Now) {
        let Some(page) = self.pages.get_mut(&query) else {
            return;
        };
        let at = page.at;
        match page.seen.take(value, seq, now.unix) {
            Take::Known => return,
            Take::Full => return self.drop_page(PageDrop::Bound),
            Take::Read { hostile: true } => self.drop_page(PageDrop::HostileSeq),
            Take::Read { hostile: false } => {}
        }
        let Some(topic) = self.topics.get(&at.topic) else {
            return;
        };
        let Some(keys) = topic.keys(at.epoch) else {
            return;
        };
        let opened = page::open(&at, keys, value);
        let own = topic.own.bytes().map(<[u8]>::to_vec);
        let mut records = Vec::new();
        let mut drops = Vec::new();
        match opened {
            Err(reason) => return self.drop_page(reason),
            Ok(found) => {
                for bytes in found {
                    match topic.read_record(&bytes, now.unix) {
                        Ok(record) => records.push(record),
                        Err(error) => drops.push(error.into()),
                    }
                }
            }
        }
        drops.into_iter().for_each(|reason| self.drop_page(reason));
        for record in &records {
            self.learn(at.topic, record.clone(), Source::Board, None, now);
            self.compare_with_page(at.topic, record, now);
        }
        if let Some(page) = self.pages.get_mut(&query) {
            page.seen.opened(records, own.as_deref());
        }
    }

    /// A read of a slot has ended.
    pub(super) fn page_read_ended(&mut self, query: QueryId, now: Now, rng: &mut impl Entropy) {
        let Some(page) = self.pages.remove(&query) else {
            return;
        };
        let Page { at, seen, writes } = page;
        if writes {
            return self.write_on(at.topic, now, rng, |writing, pen| {
                writing.read_ended(query, &seen, pen)
            });
        }
        let Some(topic) = self.topics.get_mut(&at.topic) else {
            return;
        };
        let Some(end) = topic.board.place_ended(at, &seen, self.me.endpoint, now) else {
            return;
        };
        topic.board.plan_read(now.mono, rng, &self.config);
        let event = DiscoveryEvent::BoardRead {
            topic: at.topic,
            pages: end.pages,
            records: end.records,
            took: end.took,
        };
        self.out.push(Effect::Emit(event));
    }

    fn drop_page(&mut self, reason: PageDrop) {
        let event = DiscoveryEvent::PageDropped { reason };
        self.out.push(Effect::Emit(event));
    }

    // --- writing ---

    /// Whether the board is written this time. If not, a node with neighbors reads one slot, so that
    /// it hears of members that it has never met.
    fn decide(&mut self, id: TopicId, now: Now, rng: &mut impl Entropy) {
        let epoch = Epoch::at(now.unix);
        let relayed = self.has_relay();
        let proven = self.hello_is_proven(now);
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if !is_ready(topic, now) || !topic.board.decision_due(now.mono) {
            return;
        }
        if proven && !relayed && !topic.board.flood.is_on() {
            if topic.neighbors > 0 {
                let slot = rng.below(SLOTS.into()) as u8;
                let one = vec![place(id, epoch, slot)];
                topic.board.begin_round(one, now.mono);
            }
            return;
        }
        match topic.announcer.charge(now.mono, &self.config) {
            Ok(()) => {
                let slots = page::slots_of(self.me.endpoint, epoch);
                let pause = self.jitter(rng);
                let places = slots.map(|slot| place(id, epoch, slot));
                let writing = Writing::new(places, now.mono, pause);
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.board.writing = Some(writing);
                }
            }
            Err(reason) => {
                let event = DiscoveryEvent::AnnounceSkipped { topic: id, reason };
                self.out.push(Effect::Emit(event));
            }
        }
    }

    fn jitter(&self, rng: &mut impl Entropy) -> Duration {
        Duration::from_millis(rng.below(self.config.announce_jitter_ms + 1))
    }

    fn resume_write(&mut self, id: TopicId, now: Now) {
        let topic = self.topics.get(&id);
        let writing = topic.and_then(|topic| topic.board.writing.as_ref());
        let due = writing.and_then(Writing::next_wake);
        if due.is_none_or(|at| at > now.mono) {
            return;
        }
        let query = self.new_query();
        let topic = self.topics.get_mut(&id);
        if let Some(writing) = topic.and_then(|topic| topic.board.writing.as_mut()) {
            let next = writing.resume(query, now.mono);
            self.write_next(id, query, next, now);
        }
    }

    /// A put has ended.
    pub(super) fn page_written(&mut self, ended: QueryId, result: PutResult, now: Now) {
        let query = self.new_query();
        let nexts = self.topics.iter_mut().filter_map(|(id, topic)| {
            let writing = topic.board.writing.as_mut()?;
            let next = writing.put_ended(ended, result, query);
            (next != Next::Wait).then_some((*id, next))
        });
        if let Some((id, next)) = nexts.collect::<Vec<_>>().pop() {
            self.write_next(id, query, next, now);
        }
    }

    /// Takes the next step of the own write, with all that it may need.
    fn write_on(
        &mut self,
        id: TopicId,
        now: Now,
        rng: &mut impl Entropy,
        step: impl FnOnce(&mut Writing, Pen<'_>) -> Next,
    ) {
        let query = self.new_query();
        let pause = self.jitter(rng);
        let nonce = rng.nonce();
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        let Some(mut writing) = topic.board.writing.take() else {
            return;
        };
        let own = topic
            .own
            .bytes()
            .map(|bytes| topic.read_record(bytes, now.unix));
        let next = match (own, topic.keys(writing.at.epoch)) {
            (Some(Ok(own)), Some(keys)) => {
                let pen = Pen {
                    own: &own,
                    keys,
                    nonce,
                    last_seq: topic.board.last_seq,
                    retries: self.config.announce_retries,
                    pause,
                    query,
                    now,
                };
                step(&mut writing, pen)
            }
            // Only after a jump of the clock.
            _ => writing.over(BoardResult::Failed, now.mono),
        };
        topic.board.writing = Some(writing);
        self.write_next(id, query, next, now);
    }

    fn write_next(&mut self, id: TopicId, query: QueryId, next: Next, now: Now) {
        match next {
            Next::Wait => {}
            Next::Read(at) => self.read_page(query, at, true),
            Next::Put { at, page, seq, cas } => {
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.board.last_seq = topic.board.last_seq.max(seq);
                }
                let at = self.page_at(at);
                let put = at.map(|at| Effect::WritePage {
                    query,
                    at,
                    page,
                    seq,
                    cas,
                });
                self.out.extend(put);
            }
            Next::Over { result, took } => {
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.board.written(result, now.mono);
                }
                let topic = id;
                let event = DiscoveryEvent::BoardWritten {
                    topic,
                    result,
                    took,
                };
                self.out.push(Effect::Emit(event));
            }
        }
    }
}

/// Keys and a record are on their way otherwise.
fn is_ready(topic: &Topic, now: Now) -> bool {
    topic.own.bytes().is_some() && topic.keys(Epoch::at(now.unix)).is_some()
}

fn place(topic: TopicId, epoch: Epoch, slot: u8) -> Place {
    Place {
        topic,
        epoch,
        slot,
        level: 0,
    }
}
