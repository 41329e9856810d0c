//! What goes to the DHT: look-ups and announcements.
//!
//! The order when joining: look-up and announcement start together; a second look-up starts the
//! moment the announcement is acknowledged, because whoever announced at the same time is visible
//! then; after that with growing pauses, for as long as there is no neighbor.

use std::net::SocketAddrV4;

use kukuri_contract::{
    AnnounceError, AnnounceResult, Announced, DiscoveryEvent, EPOCH_SECONDS, Epoch, HelloDrop,
    SkipReason, Source, TopicId,
};

use super::super::announce::TryEnd;
use super::super::lookup::Lookup;
use super::super::{DhtState, Effect, Entropy, Now, QueryId, Ticket};
use super::{Core, NOTHING, Topic};

/// So far into an epoch, half of its entries must be there.
const HALF_AN_EPOCH_MS: u64 = EPOCH_SECONDS * 1000 / 2;

impl Core {
    pub(super) fn start_due_lookups(&mut self, now: Now) {
        if !self.rendezvous_is_up() {
            return;
        }
        let due = |topic: &Topic| topic.next_lookup.is_some_and(|at| at <= now.mono);
        let topics = self.topics.values().filter(|t| due(t)).map(|t| t.id);
        for topic in topics.collect::<Vec<_>>() {
            self.look(topic, None, now);
        }
    }

    /// Starts a look-up in every epoch that is read now. One that runs already is not repeated:
    /// the DHT node would start nothing new either. What can't start yet stays due.
    pub(super) fn look(&mut self, id: TopicId, ticket: Option<Ticket>, now: Now) {
        let dht = self.rendezvous();
        let Some(topic) = self.topics.get_mut(&id) else {
            self.answer_lookup(ticket.into_iter().collect(), NOTHING);
            return;
        };
        topic.lookup_tickets.extend(ticket);
        let epochs = topic.epochs_to_read(now.unix);
        let own = epochs[0];
        match dht {
            DhtState::Up { .. } if topic.keys(own).is_some() => {}
            DhtState::Up { .. } | DhtState::Starting => {
                topic.next_lookup = Some(now.mono);
                return;
            }
            DhtState::Off | DhtState::NoBootstrap | DhtState::NoIpv4 => {
                let tickets = std::mem::take(&mut topic.lookup_tickets);
                self.answer_lookup(tickets, NOTHING);
                return;
            }
        }
        topic.next_lookup = None;
        let tickets = std::mem::take(&mut topic.lookup_tickets);
        for epoch in epochs {
            self.look_in(id, epoch, now);
        }
        let mut lookups = self.lookups.values_mut();
        let running = lookups.find(|l| l.topic == id && l.epoch == own && l.running());
        match running {
            Some(lookup) => lookup.tickets.extend(tickets),
            None => self.answer_lookup(tickets, NOTHING),
        }
    }

    fn look_in(&mut self, id: TopicId, epoch: Epoch, now: Now) {
        let same = |l: &Lookup| l.topic == id && l.epoch == epoch && l.running();
        if self.lookups.values().any(same) {
            return;
        }
        let keys = self.topics.get(&id).and_then(|topic| topic.keys(epoch));
        let Some(infohash) = keys.map(|keys| keys.infohash) else {
            return;
        };
        let query = self.new_query();
        let lookup = Lookup::new(id, epoch, Source::Rendezvous, now.mono);
        self.lookups.insert(query, lookup);
        self.out.push(Effect::StartLookup(query, infohash));
    }

    pub(super) fn entries(&mut self, query: QueryId, entries: &[SocketAddrV4], now: Now) {
        let Some(lookup) = self.lookups.get_mut(&query) else {
            return;
        };
        let (topic, after) = (lookup.topic, lookup.age(now.mono));
        let added = lookup.add(entries);
        if let Some(topic) = self.topics.get_mut(&topic) {
            topic.evidence.answers += 1;
        }
        if added.first {
            let event = DiscoveryEvent::FirstEntry { topic, after };
            self.out.push(Effect::Emit(event));
        }
        for _ in 0..added.refused {
            self.drop_counted(HelloDrop::Bound);
        }
    }

    pub(super) fn lookup_ended(&mut self, query: QueryId, now: Now, rng: &mut impl Entropy) {
        let Some(lookup) = self.lookups.get_mut(&query) else {
            return;
        };
        let (id, epoch) = (lookup.topic, lookup.epoch);
        let stats = lookup.end(now.mono);
        let tickets = std::mem::take(&mut lookup.tickets);
        self.answer_lookup(tickets, stats);
        let event = DiscoveryEvent::LookupEnded { topic: id, stats };
        self.out.push(Effect::Emit(event));
        let mut of_topic = self.lookups.values().filter(|lookup| lookup.topic == id);
        let all_ended = !of_topic.any(Lookup::running);
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.evidence.lookups += 1;
            topic.board.flood.looked_up(stats.entries, now.mono);
            topic.announcer.hurry_first(now.mono);
            // With neighbors the own entry is there, and those of the whole epoch until now.
            let late = now.unix.0 % (2 * HALF_AN_EPOCH_MS) >= HALF_AN_EPOCH_MS;
            if late && topic.neighbors > 0 && epoch == Epoch::at(now.unix) && stats.entries > 0 {
                topic.swarm.crowd.saw_entries(stats.entries, now.mono);
            }
            if all_ended && topic.next_lookup.is_none() {
                topic.plan_lookup(now.mono, rng, &self.config);
            }
        }
    }

    pub(super) fn start_due_announcements(&mut self, now: Now, rng: &mut impl Entropy) {
        if !self.dht_is_up() {
            return;
        }
        let mut due = Vec::new();
        let mut retries = Vec::new();
        let mut on_board = Vec::new();
        let proven = self.hello_is_proven(now);
        let sources = self.config.sources;
        for (id, topic) in &mut self.topics {
            if topic.announcer.is_due(now.mono) {
                let board = topic.board.has_turn(topic.neighbors, proven, sources);
                if board { &mut on_board } else { &mut due }.push(*id);
            }
            retries.extend(
                topic
                    .announcer
                    .retry_due(now.mono)
                    .map(|query| (*id, query)),
            );
        }
        if !due.is_empty() {
            self.reach.try_again(now.mono);
        }
        for id in due {
            self.announce(id, None, now, rng);
        }
        for id in on_board {
            self.turn_of_board(id, now);
        }
        for (id, query) in retries {
            self.put(id, query, now, rng);
        }
    }

    /// Announces the topic under the own epoch, if its budget allows.
    pub(super) fn announce(
        &mut self,
        id: TopicId,
        ticket: Option<Ticket>,
        now: Now,
        rng: &mut impl Entropy,
    ) {
        let writes = self.writes_per_turn(now);
        let query = self.new_query();
        let crowd = self.entries_seen(id);
        let dht = self.rendezvous();
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if topic.announcer.busy() {
            topic.announcer.tickets.extend(ticket);
            return;
        }
        // It stays due: the DHT node or the keys are on their way.
        if dht == DhtState::Starting || topic.keys(Epoch::at(now.unix)).is_none() {
            topic.announcer.tickets.extend(ticket);
            topic.announcer.plan_first(now.mono);
            return;
        }
        let members = topic.swarm.crowd.budgeted(writes, now.mono);
        let alone = topic.evidence.found == 0;
        let doubted = topic.announcer.end_doubt();
        if doubted && !alone && ticket.is_none() {
            // The crowd is one: it stays away, as was said.
            topic
                .announcer
                .plan_next(self.me.endpoint, members, now, &self.config);
            return;
        }
        let announcer = &mut topic.announcer;
        let outgrown = ticket.is_none() && announcer.is_outgrown(members, &self.config);
        let started = match dht {
            DhtState::Up { .. } if outgrown => Err(SkipReason::Crowded),
            DhtState::Up { .. } => {
                // Entries of which none has answered by now are no crowd.
                let crowd = if doubted && alone { 0 } else { crowd };
                announcer.start(query, crowd, now.mono, rng, &self.config)
            }
            _ => Err(SkipReason::NoDht),
        };
        match started {
            Ok(()) => {
                topic.announcer.tickets.extend(ticket);
                self.put(id, query, now, rng);
            }
            Err(reason) => {
                let doubt = reason == SkipReason::Crowded && alone && !outgrown;
                if doubt {
                    topic.announcer.doubt(now.mono);
                } else if outgrown {
                    let me = self.me.endpoint;
                    topic.announcer.plan_anew(me, members, now, &self.config);
                } else if reason != SkipReason::NoDht {
                    topic
                        .announcer
                        .plan_next(self.me.endpoint, members, now, &self.config);
                }
                let event = DiscoveryEvent::AnnounceSkipped { topic: id, reason };
                self.out.push(Effect::Emit(event));
                let waiting = std::mem::take(&mut topic.announcer.tickets);
                let skipped = |t| Effect::AnswerAnnounce(t, Err(AnnounceError::Skipped(reason)));
                self.out
                    .extend(waiting.into_iter().chain(ticket).map(skipped));
            }
        }
    }

    fn put(&mut self, id: TopicId, query: QueryId, now: Now, rng: &mut impl Entropy) {
        let topic = self.topics.get(&id);
        let keys = topic.and_then(|topic| topic.keys(Epoch::at(now.unix)));
        match keys.map(|keys| keys.infohash) {
            Some(infohash) => self.out.push(Effect::StartAnnounce(query, infohash)),
            // Only after a jump of the clock; the next try has the keys.
            None => self.try_ended(query, AnnounceResult::Failed, now, rng),
        }
    }

    pub(super) fn try_ended(
        &mut self,
        query: QueryId,
        result: AnnounceResult,
        now: Now,
        rng: &mut impl Entropy,
    ) {
        let writes = self.writes_per_turn(now);
        let config = &self.config;
        let ended = self.topics.iter_mut().find_map(|(id, topic)| {
            let end = topic
                .announcer
                .try_ended(query, result, now.mono, rng, config)?;
            Some((*id, topic, end))
        });
        let Some((id, topic, TryEnd::Over { result, took })) = ended else {
            return;
        };
        let stored = result == AnnounceResult::Stored;
        topic.evidence.announced = stored;
        topic.evidence.announce_failed = !stored;
        let members = topic.swarm.crowd.budgeted(writes, now.mono);
        topic
            .announcer
            .plan_next(self.me.endpoint, members, now, config);
        let answer = match stored {
            true => Ok(Announced { took }),
            false => Err(AnnounceError::NotStored(result.as_str().to_owned())),
        };
        let tickets = std::mem::take(&mut topic.announcer.tickets);
        let answers = tickets
            .into_iter()
            .map(|t| Effect::AnswerAnnounce(t, answer.clone()));
        self.out.extend(answers);
        let event = DiscoveryEvent::AnnounceEnded {
            topic: id,
            result,
            took,
        };
        self.out.push(Effect::Emit(event));
        self.turn_over(id, now);
        // Whoever announced at the same time is visible now.
        if stored {
            self.look(id, None, now);
        }
    }

    /// Distinct entries of the look-ups that run, as far as they have come.
    fn entries_seen(&self, id: TopicId) -> u64 {
        let of_topic = self.lookups.values().filter(|lookup| lookup.topic == id);
        of_topic.map(Lookup::entries).max().unwrap_or(0)
    }
}
