//! Peers that come without the DHT: given by the user or by an earlier run, and sighted by other
//! sources.

use kukuri_contract::{EndpointAddr, Epoch, HelloDrop, Source, TopicId};

use super::super::given::Taken;
use super::super::lookup::Lookup;
use super::super::nearby::{Beacon, Instance, MAX_TAGS, Sighting, tag};
use super::super::topic::Topic;
use super::super::{Effect, Entropy, Now};
use super::{Core, SHOW_PAUSE};

impl Core {
    // --- given ---

    pub(super) fn discover(
        &mut self,
        id: TopicId,
        statics: Vec<EndpointAddr>,
        cached: Vec<EndpointAddr>,
        now: Now,
    ) {
        let me = self.me.endpoint;
        self.topics.entry(id).or_insert_with(|| {
            let mut topic = Topic::new(id, me, now.mono);
            topic.announcer.plan_first(now.mono);
            topic
        });
        let sources = self.config.sources;
        let statics = statics.into_iter().map(|peer| (peer, Source::Static));
        let cached = cached.into_iter().map(|peer| (peer, Source::Cache));
        let given = statics
            .filter(|_| sources.statics)
            .chain(cached.filter(|_| sources.cache));
        for (peer, source) in given {
            self.give(id, peer, source, now);
        }
    }

    fn give(&mut self, id: TopicId, peer: EndpointAddr, source: Source, now: Now) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if peer.id == self.me.endpoint {
            return;
        }
        match topic.given.add(peer.clone(), source) {
            Taken::New => {
                let event = topic.found(peer, source, now.mono);
                self.out.push(Effect::Emit(event));
            }
            Taken::Known => {}
            Taken::Full => self.drop_counted(HelloDrop::Bound),
        }
    }

    /// Tells lonely topics their given peers again, and asks who was sighted.
    pub(super) fn tell_again(&mut self, now: Now, rng: &mut impl Entropy) {
        let mut lonely = Vec::new();
        for (id, topic) in &mut self.topics {
            if topic.given.next_wake().is_none_or(|at| at > now.mono) {
                continue;
            }
            topic.given.plan(now.mono, rng, &self.config);
            lonely.push(*id);
            // At the start of the search they were told just now, as they were given.
            if topic.opened < now.mono {
                let told = topic.given.peers().cloned();
                let told = told.map(|(peer, source)| topic.found(peer, source, now.mono));
                self.out.extend(told.map(Effect::Emit));
            }
        }
        for id in lonely {
            self.ask_sighted(id, None, now);
        }
    }

    // --- shown and sighted ---

    /// Tells the other sources what to show, if it has changed.
    pub(super) fn show(&mut self, now: Now, rng: &mut impl Entropy) {
        if !self.config.sources.lan {
            return;
        }
        let instance = *self.instance.get_or_insert_with(|| {
            let mut instance = Instance::default();
            rng.fill(&mut instance);
            instance
        });
        let epoch = Epoch::at(now.unix);
        let keys = self.topics.values().filter_map(|topic| topic.keys(epoch));
        let tags = keys.map(|keys| tag(keys, &instance));
        let mut tags: Vec<_> = tags.take(MAX_TAGS).collect();
        // The order of the topics says nothing to who watches.
        tags.sort_unstable();
        self.show_due = tags != self.shown;
        if self.show_due && now.mono >= self.next_show {
            self.show_due = false;
            self.next_show = now.mono + SHOW_PAUSE;
            self.shown.clone_from(&tags);
            self.out.push(Effect::Show(Beacon { instance, tags }));
        }
    }

    pub(super) fn sighted(&mut self, source: Source, seen: Sighting, now: Now) {
        let instance = seen.instance;
        if self.instance == Some(instance) {
            return;
        }
        if !self.sightings.allow((), now.mono) {
            self.drop_counted(HelloDrop::RateLimited);
            return;
        }
        let noted = self.seen.note(source, seen, now.mono);
        for _ in 0..noted.refused {
            self.drop_counted(HelloDrop::Bound);
        }
        if noted.new {
            for id in self.topics.keys().copied().collect::<Vec<_>>() {
                self.ask_sighted(id, Some(instance), now);
            }
        }
    }

    /// Has everybody (or one) asked whose beacon carries a tag of this topic, just as the entries of
    /// a look-up are.
    pub(super) fn ask_sighted(&mut self, id: TopicId, only: Option<Instance>, now: Now) {
        let Some(topic) = self.topics.get(&id) else {
            return;
        };
        let mut found = Vec::new();
        for (epoch, keys) in topic.accepted_keys(Epoch::at(now.unix)) {
            for (source, seen) in self.seen.with_tag(keys) {
                if only.is_none_or(|only| only == seen.instance) {
                    found.push((source, epoch, seen.addresses.clone()));
                }
            }
        }
        for (source, epoch, addresses) in found {
            let mut lookup = Lookup::new(id, epoch, source, now.mono);
            lookup.add(&addresses);
            lookup.end(now.mono);
            let query = self.new_query();
            self.lookups.insert(query, lookup);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kukuri_contract::{DiscoveryEvent, EPOCH_SECONDS, UnixMillis};

    use super::super::super::{Input, Me};
    use super::*;
    use crate::config::Config;
    use crate::core::testing::{NOW, Seeded, TOPIC, keys, peer};

    /// A core whose local network is on, and the time.
    struct Bench {
        core: Core,
        now: Duration,
        rng: Seeded,
    }

    impl Bench {
        fn new() -> Self {
            let mut config = Config::default();
            config.sources.lan = true;
            let me = Me {
                endpoint: peer(1).id,
                hello: "10.0.0.1:4000".parse().unwrap(),
            };
            Self {
                core: Core::new(config, me),
                now: Duration::ZERO,
                rng: Seeded(1),
            }
        }

        fn feed(&mut self, input: Input) -> Vec<Effect> {
            let now = Now {
                mono: self.now,
                unix: UnixMillis(NOW.0 + self.now.as_millis() as u64),
            };
            let mut out = self.core.handle(input, now, &mut self.rng);
            let fetched = out.iter().filter_map(|effect| match effect {
                Effect::FetchKeys(topic, epoch) => Some((*topic, *epoch)),
                _ => None,
            });
            for (topic, epoch) in fetched.collect::<Vec<_>>() {
                let keys = keys((epoch.0 % 97) as u8);
                out.extend(self.feed(Input::Keys(topic, epoch, keys)));
            }
            out
        }

        fn discover(&mut self, peers: Vec<EndpointAddr>, cached: Vec<EndpointAddr>) -> Vec<Effect> {
            let topic = TOPIC;
            self.feed(Input::Discover {
                topic,
                peers,
                cached,
            })
        }
    }

    fn shown(effects: &[Effect]) -> Vec<&Beacon> {
        let shown = effects.iter().filter_map(|effect| match effect {
            Effect::Show(beacon) => Some(beacon),
            _ => None,
        });
        shown.collect()
    }

    fn found(effects: &[Effect]) -> Vec<Source> {
        let found = effects.iter().filter_map(|effect| match effect {
            Effect::Emit(DiscoveryEvent::PeerFound { source, .. }) => Some(*source),
            _ => None,
        });
        found.collect()
    }

    #[test]
    fn the_beacon_follows_topics_and_epochs() {
        let mut bench = Bench::new();
        let effects = bench.discover(vec![], vec![]);
        let [first] = shown(&effects)[..] else {
            panic!("one beacon, when the keys of the epoch are there");
        };
        assert_eq!(first.tags.len(), 1);
        assert!(shown(&bench.feed(Input::Tick)).is_empty(), "as before");
        bench.now += Duration::from_secs(EPOCH_SECONDS);
        let effects = bench.feed(Input::Tick);
        let [second] = shown(&effects)[..] else {
            panic!("another beacon in another epoch");
        };
        assert_eq!(second.instance, first.instance);
        assert_ne!(second.tags, first.tags);
        assert!(shown(&bench.feed(Input::Forget(TOPIC))).is_empty());
        bench.now += SHOW_PAUSE;
        let effects = bench.feed(Input::Tick);
        assert!(shown(&effects)[0].tags.is_empty());
    }

    #[test]
    fn given_peers_are_told_ever_more_rarely_and_only_while_alone() {
        let mut bench = Bench::new();
        let effects = bench.discover(vec![peer(2)], vec![peer(3), peer(1)]);
        assert_eq!(found(&effects), [Source::Static, Source::Cache]);
        let mut told = Vec::new();
        for second in 1..=600 {
            bench.now = Duration::from_secs(second);
            let sources = found(&bench.feed(Input::Tick));
            if !sources.is_empty() {
                assert_eq!(sources, [Source::Static, Source::Cache]);
                told.push(second);
            }
        }
        assert!((20..=32).contains(&told.len()), "{told:?}");
        assert!(told[0] <= 1 && told.windows(2).all(|t| t[1] - t[0] <= 38));
        bench.feed(Input::Neighbors(TOPIC, vec![peer(2).id]));
        bench.now += Duration::from_secs(100);
        assert!(found(&bench.feed(Input::Tick)).is_empty());
        let effects = bench.feed(Input::Neighbors(TOPIC, vec![]));
        assert_eq!(found(&effects).len(), 2, "at once");
    }

    #[test]
    fn a_flood_of_given_peers_and_sightings_is_cut_off_and_counted() {
        let mut bench = Bench::new();
        let many = (2..=101).map(peer).collect();
        let effects = bench.discover(many, vec![]);
        let drops = |effects: &[Effect], wanted| {
            let dropped = |effect: &&Effect| matches!(effect, Effect::Emit(DiscoveryEvent::Dropped { reason }) if *reason == wanted);
            effects.iter().filter(dropped).count()
        };
        assert_eq!(drops(&effects, HelloDrop::Bound), 36);
        let mut limited = 0;
        for n in 0..1000u64 {
            let seen = Sighting {
                instance: n.to_be_bytes(),
                tags: vec![],
                addresses: vec![],
            };
            let effects = bench.feed(Input::Sighted(Source::Lan, seen));
            limited += drops(&effects, HelloDrop::RateLimited);
        }
        assert_eq!(limited, 1000 - 256);
    }
}
