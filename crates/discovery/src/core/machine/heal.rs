//! What keeps a swarm whole: heartbeats, beacons, and hellos to members that were lost.

use std::net::{IpAddr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    BeaconDrop, DiscoveryEvent, EndpointAddr, EndpointId, Epoch, Signature, Source, TopicId,
    UnixMillis,
};

use super::super::beacon::{self, Beacon, Heartbeat};
use super::super::crowd;
use super::super::record::{Record, endpoint_of};
use super::super::{Effect, Entropy, Now};
use super::Core;

/// Beacons of one topic whose records are looked at per `RATE_WINDOW`: twice those of a full sample
/// and a root, and the rest for roots that change.
pub(super) const BEACONS: u32 = 120;
/// New heartbeats of one topic that are looked at per `RATE_WINDOW`: those of a root, and the rest for
/// roots that change.
pub(super) const HEARTBEATS: u32 = 60;

impl Core {
    /// Whatever is due in the swarms.
    pub(super) fn heal(&mut self, now: Now, rng: &mut impl Entropy) {
        for id in self.topics.keys().copied().collect::<Vec<_>>() {
            self.follow_root(id, now);
            self.send_beacon_if_due(id, now, rng);
            self.ask_lost(id, now, rng);
            self.tell_swarm(id, now);
        }
    }

    fn follow_root(&mut self, id: TopicId, now: Now) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        let swarm = &mut topic.swarm;
        swarm.crowd.tick(now.mono);
        if let Some(root) = swarm.roots.drop_silent(now.mono) {
            swarm.remembered.lose_root(root, now.mono);
        }
        let due = swarm.roots.beat_due(swarm.crowd.has_lower());
        if due.is_some_and(|due| due <= now.mono) {
            let beat = swarm.roots.begin_beat(now.unix);
            self.out.push(Effect::SignHeartbeat(id, beat));
        }
    }

    /// The own heartbeat is signed.
    pub(super) fn beat(
        &mut self,
        id: TopicId,
        beat: UnixMillis,
        signature: Signature,
        now: Now,
        rng: &mut impl Entropy,
    ) {
        let heartbeat = Heartbeat {
            root: self.me.endpoint,
            beat,
            signature,
        };
        let topic = self.topics.get_mut(&id);
        let wanted = topic.and_then(|topic| topic.swarm.roots.signed(heartbeat, now.mono));
        if wanted.is_some() {
            self.send_beacon(id, now, rng);
        }
    }

    /// It is not signed, and tried again later.
    pub(super) fn no_beat(&mut self, id: TopicId, now: Now) {
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.swarm.roots.not_signed(now.mono);
        }
    }

    fn send_beacon_if_due(&mut self, id: TopicId, now: Now, rng: &mut impl Entropy) {
        let topic = self.topics.get_mut(&id);
        if topic.is_some_and(|topic| topic.swarm.take_beacon_due(now.mono)) {
            self.send_beacon(id, now, rng);
        }
    }

    fn send_beacon(&mut self, id: TopicId, now: Now, rng: &mut impl Entropy) {
        let Some(topic) = self.topics.get(&id) else {
            return;
        };
        let epoch = Epoch::at(now.unix);
        let (Some(keys), Some(record)) = (topic.keys(epoch), topic.own.bytes()) else {
            return;
        };
        let beacon = Beacon {
            heartbeat: topic.swarm.roots.heartbeat(),
            hello_port: self.announced_port(),
            record: record.to_vec(),
        };
        let payload = beacon.seal(id, epoch, &keys.beacon, rng.nonce());
        self.out.push(Effect::Emit(DiscoveryEvent::BeaconDue {
            topic: id,
            payload: Bytes::from(payload),
        }));
    }

    /// A beacon came in by gossip.
    pub(super) fn beacon(&mut self, id: TopicId, payload: &[u8], now: Now) {
        if !self.topics.contains_key(&id) {
            return;
        }
        if let Err(reason) = self.hear_beacon(id, payload, now) {
            let event = DiscoveryEvent::BeaconDropped { reason };
            self.out.push(Effect::Emit(event));
        }
    }

    fn hear_beacon(&mut self, id: TopicId, payload: &[u8], now: Now) -> Result<(), BeaconDrop> {
        let Some(topic) = self.topics.get(&id) else {
            return Ok(());
        };
        let own_epoch = Epoch::at(now.unix);
        let epoch = beacon::epoch(payload)?;
        let mut accepted = topic.accepted_keys(own_epoch);
        let keys = accepted.find(|(of, _)| *of == epoch);
        let key = keys.map(|(_, keys)| keys.beacon.clone());
        drop(accepted);
        let beacon = Beacon::open(id, payload, &key.ok_or(BeaconDrop::Epoch)?)?;
        // Where many join, newcomers that can't know yet that they are not needed send beacons too:
        // those must not drown the sample, nor the root, whose word all of them repeat.
        let rank = endpoint_of(&beacon.record).map(|member| crowd::rank(id, member));
        let needed = !rank.is_some_and(|rank| topic.swarm.crowd.is_beyond(rank));
        let too_many = needed && !self.beacons.allow(id, now.mono);
        if needed && !too_many {
            self.hear_member(id, &beacon, now)?;
        }
        if let Some(heartbeat) = beacon.heartbeat {
            self.hear_heartbeat(id, heartbeat, now)?;
        }
        match too_many {
            true => Err(BeaconDrop::RateLimited),
            false => Ok(()),
        }
    }

    /// What a beacon says of its sender.
    fn hear_member(&mut self, id: TopicId, beacon: &Beacon, now: Now) -> Result<(), BeaconDrop> {
        let policy = self.policy;
        let Some(topic) = self.topics.get_mut(&id) else {
            return Ok(());
        };
        let record = topic.read_record(&beacon.record, now.unix)?;
        let member = record.peer.id;
        if member == self.me.endpoint {
            return Ok(());
        }
        let swarm = &mut topic.swarm;
        swarm.crowd.hear(crowd::rank(id, member), now.mono);
        for address in &record.peer.direct {
            if let IpAddr::V4(ip) = address.ip() {
                let hello = SocketAddrV4::new(ip, beacon.hello_port);
                if policy.allows_hello(hello) {
                    swarm.remembered.heard(member, hello, false, now.mono);
                }
            }
        }
        topic.keep(record, now.unix);
        Ok(())
    }

    fn hear_heartbeat(
        &mut self,
        id: TopicId,
        heartbeat: Heartbeat,
        now: Now,
    ) -> Result<(), BeaconDrop> {
        let Some(topic) = self.topics.get_mut(&id) else {
            return Ok(());
        };
        let roots = &mut topic.swarm.roots;
        if roots.is_news(&heartbeat) {
            if !self.heartbeats.allow(id, now.mono) {
                return Err(BeaconDrop::RateLimited);
            }
            if !heartbeat.is_signed(id) {
                return Err(BeaconDrop::BadSignature);
            }
            if !super::is_fresh(heartbeat.beat, now.unix) {
                return Err(BeaconDrop::Stale);
            }
            roots.hear(heartbeat, now.mono);
        }
        Ok(())
    }

    /// Sends hellos to members that were lost; one try each, the next one comes anyway.
    fn ask_lost(&mut self, id: TopicId, now: Now, rng: &mut impl Entropy) {
        // Without a port nobody could answer.
        if self.me.hello.port() == 0 || !self.exchange.has_room() {
            return;
        }
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        let epoch = Epoch::at(now.unix);
        if topic.own.bytes().is_none() || topic.keys(epoch).is_none() {
            return;
        }
        let Some(to) = topic.swarm.ask_lost(now.mono) else {
            return;
        };
        if to == self.me.hello || self.exchange.asked(to).any(|hello| hello.topic == id) {
            return;
        }
        let mut request = [0; 16];
        rng.fill(&mut request);
        self.exchange
            .begin(id, epoch, Source::Cache, to, request, now.mono);
        self.exchange.only_try(&request);
        self.send_hello(id, epoch, to, request, now, rng);
    }

    /// A member has told its mark in a hello just now: whether it is in another part of the swarm.
    pub(super) fn compare_parts(
        &mut self,
        id: TopicId,
        who: EndpointId,
        mark: [u8; 16],
        dialable: Option<EndpointAddr>,
        now: Now,
    ) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        let apart = topic.swarm.compare(who, mark, now.mono);
        if let (true, Some(peer)) = (apart, dialable) {
            let event = DiscoveryEvent::PartFound { topic: id, peer };
            self.out.push(Effect::Emit(event));
        }
    }

    /// A record stands on the board: whether its member was in another part of the swarm then. No
    /// hello may reach it, so the mark there must do.
    pub(super) fn compare_with_page(&mut self, id: TopicId, record: &Record, now: Now) {
        let age = Duration::from_millis(record.issued_at.distance(now.unix));
        let dialable = self.dialable(record, None);
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        let apart = topic.swarm.compare_old(record.mark, age, now.mono);
        if let (true, Some(peer)) = (apart, dialable) {
            let event = DiscoveryEvent::PartFound { topic: id, peer };
            self.out.push(Effect::Emit(event));
        }
    }

    fn tell_swarm(&mut self, id: TopicId, now: Now) {
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if let Some(after) = topic.swarm.take_joined(now.mono) {
            let event = DiscoveryEvent::PartsJoined { topic: id, after };
            self.out.push(Effect::Emit(event));
        }
        if let Some((root, members)) = topic.swarm.news(now.mono) {
            let event = DiscoveryEvent::SwarmChanged {
                topic: id,
                root,
                members,
            };
            self.out.push(Effect::Emit(event));
        }
    }
}
