//! What goes over the hello socket: asking the entries of look-ups, and answering members.

use std::net::{IpAddr, SocketAddrV4};

use kukuri_contract::{
    DiscoveryEvent, EndpointAddr, Epoch, HelloDrop, Source, TopicId, UnixMillis,
};

use super::super::address;
use super::super::exchange::{Late, Pending};
use super::super::hello::{self, HelloReply, HelloRequest, Kind};
use super::super::record::{Record, RecordError};
use super::super::topic::prefer_ip;
use super::super::{Effect, Entropy, Now};
use super::Core;

impl Core {
    // --- asking ---

    /// Asks entries for as long as there is room under way. Look-ups take turns, the oldest first,
    /// so that one with many entries holds up no other.
    pub(super) fn send_hellos(&mut self, now: Now, rng: &mut impl Entropy) {
        loop {
            let mut asked = false;
            for query in self.lookups.keys().copied().collect::<Vec<_>>() {
                if !self.exchange.has_room() {
                    return;
                }
                asked |= self.ask_next(query, now, rng);
            }
            if !asked {
                return;
            }
        }
    }

    /// Takes the next entry of a look-up; false if it has none, or cannot ask yet.
    fn ask_next(&mut self, query: super::QueryId, now: Now, rng: &mut impl Entropy) -> bool {
        let Some(lookup) = self.lookups.get_mut(&query) else {
            return false;
        };
        // Entries wait until there is an own record to show.
        let topic = self.topics.get(&lookup.topic);
        let Some(topic) = topic.filter(|topic| topic.own.bytes().is_some()) else {
            return false;
        };
        let Some(entry) = lookup.next_entry() else {
            return false;
        };
        let most = match topic.neighbors {
            0 => self.config.hellos_per_lookup,
            _ if now.mono < topic.opened + self.first_contact() => self.config.hellos_per_lookup,
            _ => self.config.hellos_with_neighbors,
        };
        let own = entry == self.me.hello || Some(entry) == self.mapped;
        if own || !self.exchange.may_ask(topic.id, entry, now.mono) {
            return true;
        }
        let lookup = self.lookups.get_mut(&query).expect("it was there above");
        if !self.policy.allows_hello(entry) {
            self.drop_counted(HelloDrop::RefusedAddress);
        } else if !lookup.charge(entry, most, &self.config) {
            self.drop_counted(HelloDrop::Bound);
        } else {
            let (topic, epoch, source) = (lookup.topic, lookup.epoch, lookup.source);
            let mut id = [0; 16];
            rng.fill(&mut id);
            self.exchange
                .begin(topic, epoch, source, entry, id, now.mono);
            self.send_hello(topic, epoch, entry, id, now, rng);
        }
        true
    }

    pub(super) fn send_hello(
        &mut self,
        topic: TopicId,
        epoch: Epoch,
        to: SocketAddrV4,
        id: hello::RequestId,
        now: Now,
        rng: &mut impl Entropy,
    ) {
        let Some(topic) = self.topics.get(&topic) else {
            return;
        };
        let (Some(keys), Some(record)) = (topic.keys(epoch), topic.own.bytes()) else {
            return;
        };
        let request = HelloRequest {
            id,
            time: now.unix,
            recipient: to,
            record: record.to_vec(),
            dial_back: self.reach.ask(id, topic.id, epoch, now.mono),
        };
        let packet = request.seal(keys, rng.nonce());
        self.reach.sent(to, now.mono);
        self.out.push(Effect::Send(to, packet));
        self.out.push(Effect::Emit(DiscoveryEvent::HelloSent));
    }

    pub(super) fn resend_hellos(&mut self, now: Now, rng: &mut impl Entropy) {
        for late in self.exchange.late(now.mono) {
            match late {
                Late::Again(hello) => {
                    self.send_hello(hello.topic, hello.epoch, hello.to, hello.id, now, rng);
                }
                Late::GaveUp(hello) => {
                    if let Some(topic) = self.topics.get_mut(&hello.topic) {
                        topic.board.flood.silent();
                    }
                    self.drop_counted(HelloDrop::NoAnswer);
                }
            }
        }
    }

    // --- what comes in ---

    pub(super) fn datagram(
        &mut self,
        from: SocketAddrV4,
        packet: &[u8],
        now: Now,
        rng: &mut impl Entropy,
    ) {
        let ip = IpAddr::V4(*from.ip());
        let expected = self.exchange.asked(from).next().is_some();
        let suspect = !expected && self.bad_packets.exhausted(&ip, now.mono);
        if suspect && !self.suspects.allow((), now.mono) {
            self.drop_counted(HelloDrop::RateLimited);
            return;
        }
        let handled = match hello::kind(packet) {
            Ok(Kind::Request) => self.request(from, packet, now, rng),
            Ok(Kind::Reply) => self.reply(from, packet, now),
            Ok(Kind::DialBack) => self.dial_back(from, packet, now),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = handled {
            self.drop_counted(reason);
            let unopened = matches!(
                reason,
                HelloDrop::Length | HelloDrop::Version | HelloDrop::UnknownTag | HelloDrop::Seal
            );
            if unopened {
                self.bad_packets.allow(ip, now.mono);
            }
        }
    }

    fn request(
        &mut self,
        from: SocketAddrV4,
        packet: &[u8],
        now: Now,
        rng: &mut impl Entropy,
    ) -> Result<(), HelloDrop> {
        let epoch = Epoch::at(now.unix);
        let mut candidates = self.topics.values().flat_map(|topic| {
            let keys = topic.accepted_keys(epoch);
            keys.map(move |(_, keys)| (topic, keys))
        });
        let (id, keys) = candidates
            .find(|(_, keys)| hello::has_tag(packet, keys))
            .map(|(topic, keys)| (topic.id, keys.clone()))
            .ok_or(HelloDrop::UnknownTag)?;
        drop(candidates);
        let request = HelloRequest::open(packet, &keys)?;
        let nonce = packet[2..26].try_into().map_err(|_| HelloDrop::Length)?;
        if !self.replays.admit(nonce, now.mono) {
            return Err(HelloDrop::Replay);
        }
        check_fresh(request.time, now.unix)?;
        self.check_recipient(request.recipient)?;
        let record = self.read_record(id, &request.record, now)?;
        let asker = record.peer.id;
        if asker == self.me.endpoint {
            self.exchange.is_own(request.recipient, now.mono);
            return Err(HelloDrop::RefusedAddress);
        }
        if !self.valid_hellos.allow(asker, now.mono) {
            return Err(HelloDrop::RateLimited);
        }
        self.clocks.heard(asker, request.time, now.unix);
        self.unsolicited(from, request.recipient.port(), now);
        // The asker's hello socket is where the packet came from: no need to ask it in turn.
        self.exchange.met(id, from, now.mono);
        self.meet(id, record, Source::Inbound, from, now);
        let Some(topic) = self.topics.get(&id) else {
            return Ok(());
        };
        // Without an own record there is nothing to say yet; the asker will ask again.
        let Some(own) = topic.own.bytes() else {
            return Ok(());
        };
        let (record, members) = (own.to_vec(), topic.members_for(asker, now.unix));
        let reply = HelloReply {
            id: request.id,
            time: now.unix,
            observed: from,
            record,
            members,
            dialed_back: self.send_dial_back(from, &request, &keys, now, rng),
        };
        let packet = reply.seal(&keys, rng.nonce());
        self.reach.sent(from, now.mono);
        self.out.push(Effect::Send(from, packet));
        self.out.push(Effect::Emit(DiscoveryEvent::HelloServed));
        Ok(())
    }

    fn reply(&mut self, from: SocketAddrV4, packet: &[u8], now: Now) -> Result<(), HelloDrop> {
        let pending = self.exchange.asked(from).find(|p| {
            let keys = self.topics.get(&p.topic).and_then(|t| t.keys(p.epoch));
            keys.is_some_and(|keys| hello::has_tag(packet, keys))
        });
        let Pending {
            topic,
            epoch,
            source,
            first_sent,
            ..
        } = *pending.ok_or(HelloDrop::Unasked)?;
        let keys = self.topics.get(&topic).and_then(|t| t.keys(epoch));
        let reply = HelloReply::open(packet, keys.ok_or(HelloDrop::Unasked)?)?;
        // Another hello to the same address under the same keys: the id tells them apart.
        let same = |p: &Pending| p.id == reply.id && (p.topic, p.epoch) == (topic, epoch);
        if !self.exchange.asked(from).any(same) {
            return Err(HelloDrop::Unasked);
        }
        check_fresh(reply.time, now.unix)?;
        let record = self.read_record(topic, &reply.record, now)?;
        if record.peer.id == self.me.endpoint {
            self.exchange.is_own(from, now.mono);
            return Err(HelloDrop::RefusedAddress);
        }
        self.exchange.answered(&reply.id, now.mono);
        self.heard_where(record.peer.id, &reply, now);
        self.clocks.heard(record.peer.id, reply.time, now.unix);
        let after = now.mono - first_sent;
        let event = DiscoveryEvent::HelloAnswered { after };
        self.out.push(Effect::Emit(event));
        if let Some(topic) = self.topics.get_mut(&topic) {
            topic.board.flood.answered();
        }
        self.meet(topic, record, source, from, now);
        for member in &reply.members {
            match self.read_record(topic, member, now) {
                Ok(record) => self.learn(topic, record, source, None, now),
                Err(error) => self.drop_counted(error.into()),
            }
        }
        Ok(())
    }

    fn read_record(&self, id: TopicId, bytes: &[u8], now: Now) -> Result<Record, RecordError> {
        match self.topics.get(&id) {
            Some(topic) => topic.read_record(bytes, now.unix),
            None => Record::parse(id, bytes, now.unix),
        }
    }

    /// A packet for another address was passed on by somebody. Behind NAT a node does not know its
    /// public IP address, so there only the port is compared.
    fn check_recipient(&self, recipient: SocketAddrV4) -> Result<(), HelloDrop> {
        let bound = self.me.hello;
        let behind_nat = bound.ip().is_unspecified() || address::is_private(*bound.ip());
        let same_ip = behind_nat || bound.ip() == recipient.ip();
        let mapped = self.mapped.map(|mapped| mapped.port());
        let same_port = bound.port() == recipient.port() || mapped == Some(recipient.port());
        match same_ip && same_port {
            true => Ok(()),
            false => Err(HelloDrop::WrongRecipient),
        }
    }

    /// Takes in the record of a member whose own packet came from this address just now.
    fn meet(&mut self, id: TopicId, record: Record, source: Source, from: SocketAddrV4, now: Now) {
        let (who, mark) = (record.peer.id, record.mark);
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.swarm.remembered.heard(who, from, true, now.mono);
        }
        let dialable = self.dialable(&record, Some(from));
        self.learn(id, record, source, Some(from), now);
        self.compare_parts(id, who, mark, dialable, now);
    }

    /// Where a member can be dialed, if at all.
    pub(super) fn dialable(
        &self,
        record: &Record,
        from: Option<SocketAddrV4>,
    ) -> Option<EndpointAddr> {
        let mut peer = record.peer.clone();
        peer.direct
            .retain(|address| self.policy.allows_dial(*address));
        if let Some(from) = from {
            prefer_ip(&mut peer, IpAddr::V4(*from.ip()));
        }
        let somewhere = !peer.direct.is_empty() || peer.relay.is_some();
        somewhere.then_some(peer)
    }

    /// Takes in a verified record and tells the listeners whom it names.
    pub(super) fn learn(
        &mut self,
        id: TopicId,
        record: Record,
        source: Source,
        from: Option<SocketAddrV4>,
        now: Now,
    ) {
        if record.peer.id == self.me.endpoint {
            return;
        }
        let Some(peer) = self.dialable(&record, from) else {
            // There is somebody, and no way to them.
            if let Some(topic) = self.topics.get_mut(&id) {
                topic.evidence.found(now.mono);
            }
            self.drop_counted(HelloDrop::RefusedAddress);
            return;
        };
        let Some(topic) = self.topics.get_mut(&id) else {
            return;
        };
        if topic.learn(record, source, now) {
            let event = topic.found(peer, source, now.mono);
            self.out.push(Effect::Emit(event));
        }
    }
}

pub(super) fn check_fresh(theirs: UnixMillis, ours: UnixMillis) -> Result<(), HelloDrop> {
    match super::is_fresh(theirs, ours) {
        true => Ok(()),
        false => Err(HelloDrop::Stale),
    }
}
