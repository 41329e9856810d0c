//! The parts tied together: `handle(input, now) -> effects`.
//!
//! This file has the inputs and the clockwork; `seek.rs` has what goes to the DHT (look-ups and
//! announcements), `board.rs` the board, `greet.rs` what goes over the hello socket, `reach.rs`
//! whether others reach it and what they say where it is, `sight.rs` what comes without the DHT,
//! `heal.rs` what keeps a swarm whole, `turn.rs` where it is announced, `keys.rs` what identity gives,
//! `dht.rs` whether the DHT is heard.

mod board;
mod dht;
mod greet;
mod heal;
mod keys;
mod reach;
mod seek;
mod sight;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{
    AnnounceError, DiscoverError, DiscoveryEvent, EndpointAddr, EndpointId, HelloDrop, LookupStats,
    Reachability, TopicId, UnixMillis,
};

use super::address::Policy;
use super::exchange::Exchange;
use super::guard::{RateLimit, ReplayCache};
use super::lookup::Lookup;
use super::nearby::{Instance, Seen, Tag};
use super::patience::Patience;
use super::reach::Reach;
use super::record::FRESH_MS;
use super::topic::Topic;
use super::verdict::{Clocks, Replies};
use super::votes::Votes;
use super::{DhtState, Effect, Entropy, Input, Me, Now, QueryId};
use crate::config::Config;
use board::Page;

/// Opened packets that are remembered: 15 min either way at several a second.
const REPLAY_CAPACITY: usize = 8192;
/// Packets of one IP address that could not be opened, per [`RATE_WINDOW`]: a member's are none,
/// but for the turn of an epoch.
const BAD_PER_IP: u32 = 64;
/// Packets per [`RATE_WINDOW`] that are still looked at, from all IP addresses beyond
/// [`BAD_PER_IP`] together. A source can be forged: nobody must be able to silence a member by
/// sending noise in its name. 100 a second cost some 3 % of a core with 64 topics.
const SUSPECTS: u32 = 6000;
/// Valid hellos of one endpoint per [`RATE_WINDOW`]: three epochs of each of a few look-ups.
const VALID_PER_ENDPOINT: u32 = 60;
/// Window of both limits.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Sightings that are looked at per [`RATE_WINDOW`]: all beacons of a large network once.
const SIGHTINGS: u32 = 256;
/// Shortest time between two beacons: mDNS sends a record at most once a second (RFC 6762, section
/// 6), and a node that joins many topics needs one for all of them.
const SHOW_PAUSE: Duration = Duration::from_secs(1);
/// Keys that each limit remembers.
const RATE_KEYS: usize = 4096;

/// What a look-up brings that can't be made.
const NOTHING: LookupStats = LookupStats {
    entries: 0,
    answers: 0,
    took: Duration::ZERO,
};

/// The state of discovery.
#[derive(Debug)]
pub struct Core {
    config: Config,
    me: Me,
    policy: Policy,
    /// What others are told.
    address: Option<EndpointAddr>,
    /// What gossip has told.
    told_address: Option<EndpointAddr>,
    endpoint_port: Option<u16>,
    dht: DhtState,
    topics: BTreeMap<TopicId, Topic>,
    lookups: BTreeMap<QueryId, Lookup>,
    /// Pages of the board that are being read.
    pages: BTreeMap<QueryId, Page>,
    exchange: Exchange,
    replays: ReplayCache,
    bad_packets: RateLimit<IpAddr>,
    suspects: RateLimit<()>,
    valid_hellos: RateLimit<EndpointId>,
    sightings: RateLimit<()>,
    beacons: RateLimit<TopicId>,
    heartbeats: RateLimit<TopicId>,
    clocks: Clocks,
    replies: Replies,
    patience: Patience,
    reach: Reach,
    /// What was last said of it.
    reachability: Reachability,
    votes: Votes,
    /// The hello socket's address at the router.
    mapped: Option<SocketAddrV4>,
    /// The name of this node's beacon, once there is one.
    instance: Option<Instance>,
    /// What the other sources show now.
    shown: Vec<Tag>,
    /// Before this time nothing else is shown.
    next_show: Duration,
    /// There is something else to show.
    show_due: bool,
    seen: Seen,
    last_query: u64,
    out: Vec<Effect>,
}

impl Core {
    /// Nothing going on yet.
    pub fn new(config: Config, me: Me) -> Self {
        let policy = Policy {
            loopback: me.hello.ip().is_loopback(),
            // On a local network nearly all addresses are private.
            private: config.allow_private || config.sources.lan,
        };
        Self {
            exchange: Exchange::new(&config),
            policy,
            reach: Reach::new(me.hello.port()),
            reachability: Reachability::Unknown,
            votes: Votes::default(),
            mapped: None,
            me,
            address: None,
            told_address: None,
            endpoint_port: None,
            dht: if config.sources.need_dht() {
                DhtState::Starting
            } else {
                DhtState::Off
            },
            topics: BTreeMap::new(),
            lookups: BTreeMap::new(),
            pages: BTreeMap::new(),
            replays: ReplayCache::new(Duration::from_millis(2 * FRESH_MS), REPLAY_CAPACITY),
            bad_packets: RateLimit::new(BAD_PER_IP, RATE_WINDOW, RATE_KEYS),
            suspects: RateLimit::new(SUSPECTS, RATE_WINDOW, 1),
            valid_hellos: RateLimit::new(VALID_PER_ENDPOINT, RATE_WINDOW, RATE_KEYS),
            sightings: RateLimit::new(SIGHTINGS, RATE_WINDOW, 1),
            beacons: RateLimit::new(heal::BEACONS, RATE_WINDOW, config.max_topics),
            heartbeats: RateLimit::new(heal::HEARTBEATS, RATE_WINDOW, config.max_topics),
            clocks: Clocks::default(),
            replies: Replies::default(),
            patience: Patience::default(),
            instance: None,
            shown: Vec::new(),
            next_show: Duration::ZERO,
            show_due: false,
            seen: Seen::default(),
            last_query: 0,
            out: Vec::new(),
            config,
        }
    }

    /// Whether one more topic can be discovered (one that already is, always can).
    ///
    /// # Errors
    /// At the bound `max_topics`.
    pub fn check_room(&self, topic: TopicId) -> Result<(), DiscoverError> {
        let limit = self.config.max_topics;
        if self.topics.len() >= limit && !self.topics.contains_key(&topic) {
            return Err(DiscoverError::TooManyTopics { limit });
        }
        Ok(())
    }

    /// Whether a topic is being discovered.
    pub fn knows(&self, topic: TopicId) -> bool {
        self.topics.contains_key(&topic)
    }

    /// Takes in what happened and what time it is; gives out what must be done.
    pub fn handle(&mut self, input: Input, now: Now, rng: &mut impl Entropy) -> Vec<Effect> {
        match input {
            Input::Discover {
                topic,
                peers,
                cached,
            } => self.discover(topic, peers, cached, now),
            Input::Forget(topic) => self.forget(topic, now),
            Input::Neighbors(topic, neighbors) => self.neighbors(topic, &neighbors, now),
            Input::Beacon(topic, payload) => self.beacon(topic, &payload, now),
            Input::Beat(topic, beat, signature) => self.beat(topic, beat, signature, now, rng),
            Input::NoBeat(topic) => self.no_beat(topic, now),
            Input::Address(address) => self.set_address(address),
            Input::EndpointPort(port) => self.set_endpoint_port(port),
            Input::PublicIp(ip) => self.set_public_ip(ip),
            Input::Mapped(address) => self.set_mapped(address, now),
            Input::Keys(topic, epoch, keys) => self.put_keys(topic, epoch, keys, now),
            Input::Signed {
                topic,
                body,
                signature,
            } => self.signed(topic, &body, &signature),
            Input::NoKeys(topic, epoch) => self.no_keys(topic, epoch),
            Input::NotSigned(topic) => self.not_signed(topic),
            Input::DhtReplies { asked, answered } => self.dht_heard(asked, answered, now),
            Input::Sighted(source, sighting) => self.sighted(source, sighting, now),
            Input::Gone(instance) => self.seen.gone(&instance),
            Input::Dht(state) => self.dht_changed(state, now),
            Input::Entries(query, entries) => self.entries(query, &entries, now),
            Input::LookupEnded(query) => self.lookup_ended(query, now, rng),
            Input::AnnounceTryEnded(query, result) => self.try_ended(query, result, now, rng),
            Input::PageSeen(query, value, seq) => self.page_seen(query, &value, seq, now),
            Input::PageReadEnded(query) => self.page_read_ended(query, now, rng),
            Input::PageWritten(query, result) => self.page_written(query, result, now),
            Input::Datagram(from, packet) => self.datagram(from, &packet, now, rng),
            Input::AnnounceNow(topic, ticket) => match self.topics.contains_key(&topic) {
                true => self.announce(topic, Some(ticket), now, rng),
                false => {
                    let unknown = Err(AnnounceError::UnknownTopic(topic));
                    self.out.push(Effect::AnswerAnnounce(ticket, unknown));
                }
            },
            Input::LookupNow(topic, ticket) => {
                self.ask_sighted(topic, None, now);
                self.look(topic, Some(ticket), now);
            }
            Input::Tick => {}
        }
        self.pump(now, rng);
        std::mem::take(&mut self.out)
    }

    /// When [`Input::Tick`] must come at the latest.
    pub fn next_wake(&self, now: Now) -> Duration {
        /// Epochs turn and records age without any input.
        const AT_LATEST: Duration = Duration::from_secs(10);
        let topics = self.topics.values().flat_map(|topic| {
            let verdict = topic.alone_since.filter(|_| topic.verdict.is_none());
            let lookup = topic.next_lookup.filter(|_| self.rendezvous_is_up());
            let announce = topic.announcer.next_wake().filter(|_| self.dht_is_up());
            let verdict = verdict.map(|since| since + self.first_contact());
            let given = topic.given.next_wake();
            let board = self.board_due(topic, now);
            let swarm = topic.swarm.next_wake();
            [
                lookup,
                announce,
                verdict,
                given,
                board,
                swarm,
                self.probe_due(topic),
            ]
        });
        let show = self.show_due.then_some(self.next_show);
        let patience = self.patience_due();
        let others = [self.exchange.next_wake(), show, patience];
        let wakes = topics.chain(others).flatten();
        wakes
            .min()
            .unwrap_or(Duration::MAX)
            .min(now.mono + AT_LATEST)
    }

    // --- inputs ---

    fn forget(&mut self, id: TopicId, now: Now) {
        let Some(topic) = self.topics.remove(&id) else {
            return;
        };
        self.answer_lookup(topic.lookup_tickets, NOTHING);
        for ticket in topic.announcer.tickets {
            let unknown = Err(AnnounceError::UnknownTopic(id));
            self.out.push(Effect::AnswerAnnounce(ticket, unknown));
        }
        let gone = self.lookups.extract_if(.., |_, lookup| lookup.topic == id);
        for (_, mut lookup) in gone.collect::<Vec<_>>() {
            let stats = lookup.end(now.mono);
            self.answer_lookup(lookup.tickets, stats);
        }
        self.exchange.forget(id);
        self.pages.retain(|_, page| !page.is_of(id));
    }

    fn neighbors(&mut self, id: TopicId, neighbors: &[EndpointId], now: Now) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if topic.set_neighbors(neighbors, now.mono) {
            // Others that lost the same neighbors must be able to find this node: an announcement
            // of the last minute still stands.
            let fresh = |ago: Duration| ago < Duration::from_secs(60);
            if !topic.announcer.since_last(now.mono).is_some_and(fresh) {
                topic.announcer.plan_first(now.mono);
            }
        }
    }

    // --- the clockwork: whatever is due, in the order of who waits for whom ---

    fn pump(&mut self, now: Now, rng: &mut impl Entropy) {
        self.fetch_keys(now);
        self.heal(now, rng);
        self.sign_records(now);
        self.show(now, rng);
        self.tell_again(now, rng);
        self.probe_dht(now);
        self.lose_patience(now);
        self.start_due_lookups(now);
        self.start_due_announcements(now, rng);
        self.drive_board(now, rng);
        self.resend_hellos(now, rng);
        self.send_hellos(now, rng);
        self.lookups.retain(|_, lookup| !lookup.finished());
        self.say_reachability(now);
        self.say_verdicts(now);
    }

    fn say_verdicts(&mut self, now: Now) {
        let first_contact = self.first_contact();
        for (id, topic) in &mut self.topics {
            let Some(since) = topic.alone_since else {
                continue;
            };
            // Without IPv4 nothing will come of waiting.
            topic.evidence.forget(now.mono);
            let at_once = self.dht == DhtState::NoIpv4 && topic.evidence.found == 0;
            if now.mono < since + first_contact && !at_once {
                continue;
            }
            let verdict = topic
                .evidence
                .verdict(self.dht, &self.clocks, &self.replies);
            if topic.verdict != Some(verdict) {
                topic.verdict = Some(verdict);
                let topic = *id;
                let event = DiscoveryEvent::VerdictChanged { topic, verdict };
                self.out.push(Effect::Emit(event));
            }
        }
    }

    // --- small things that several parts use ---

    fn first_contact(&self) -> Duration {
        Duration::from_millis(self.config.first_contact_ms)
    }

    fn dht_is_up(&self) -> bool {
        matches!(self.dht, DhtState::Up { .. })
    }

    fn new_query(&mut self) -> QueryId {
        self.last_query += 1;
        QueryId(self.last_query)
    }

    fn drop_counted(&mut self, reason: HelloDrop) {
        let event = DiscoveryEvent::Dropped { reason };
        self.out.push(Effect::Emit(event));
    }

    fn answer_lookup(&mut self, tickets: Vec<super::Ticket>, stats: LookupStats) {
        let answers = tickets.into_iter().map(|t| Effect::AnswerLookup(t, stats));
        self.out.extend(answers);
    }
}

/// Whether a time that another node tells is near enough to the own one.
fn is_fresh(theirs: UnixMillis, ours: UnixMillis) -> bool {
    theirs.distance(ours) <= FRESH_MS
}
