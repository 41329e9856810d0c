//! Peers that come without the DHT: given by the user or by an earlier run, and sighted by other
//! sources.

use kukuri_contract::{EndpointAddr, Epoch, EpochKeys, HelloDrop, Source, TopicId};

use super::super::given::Taken;
use super::super::lookup::Lookup;
use super::super::nearby::{Beacon, Instance, MAX_TAGS, Sighting, tag};
use super::super::topic::Topic;
use super::super::{Effect, Entropy, Now};
use super::Core;

impl Core {
    // --- given ---

    pub(super) fn discover(
        &mut self,
        id: TopicId,
        statics: Vec<EndpointAddr>,
        cached: Vec<EndpointAddr>,
        now: Now,
    ) {
        self.topics.entry(id).or_insert_with(|| {
            let mut topic = Topic::new(id, now.mono);
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
        if tags != self.shown {
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

    pub(super) fn put_keys(&mut self, id: TopicId, epoch: Epoch, keys: EpochKeys, now: Now) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        topic.put_keys(epoch, keys);
        if topic.neighbors == 0 {
            self.ask_sighted(id, None, now);
        }
    }

    /// Has everybody (or one) asked whose beacon carries a tag of this topic, just as the entries of
    /// a look-up are.
    fn ask_sighted(&mut self, id: TopicId, only: Option<Instance>, now: Now) {
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
