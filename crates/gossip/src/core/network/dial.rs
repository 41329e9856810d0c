//! Dials: a round trip, then a proof of each side to the other, as over iroh.

use std::time::Duration;

use kukuri_contract::{
    DialResult, EndpointAddr, EndpointId, GossipEvent, ProofDrop, ProofSide, TopicId,
};

use super::endpoint::Dialed;
use super::link::{End, Item, Link, Number, Packet, pair};
use super::{Network, News, Pass, address_of};
use crate::core::member::{ANSWER_BYTES, BINDING_BYTES, CLAIM_BYTES, Channel, answer, claim};

impl Network {
    /// Dials a peer for a topic. How it ends is told, also where it can't begin.
    pub fn dial(&mut self, pass: Pass, topic: TopicId, to: &EndpointAddr, now: Duration) {
        self.at(now);
        let (number, peer, since) = (self.number(), to.id, self.now);
        let Some(own) = self.own(pass) else {
            return;
        };
        let ends = since + own.limits.dial;
        let due = self.plan(pass, ends, Item::DialDue(number), None);
        let Some(own) = self.own(pass) else {
            return;
        };
        let dialed = Dialed {
            topic,
            peer,
            since,
            due,
        };
        own.dials.insert(number, dialed);
        if own.banned.has(peer) {
            return self.dial_ended(pass, number, DialResult::Banned);
        }
        if to.direct.is_empty() || !own.topics.contains_key(&topic) || peer == pass.id {
            return self.dial_ended(pass, number, DialResult::Failed);
        }
        if self.pairs.contains_key(&pair(topic, pass.id, peer)) {
            return self.dial_ended(pass, number, DialResult::Connected);
        }
        let there = self.endpoints.get(&peer);
        let there = there.filter(|_| to.direct.contains(&address_of(peer)));
        let Some(stay) = there.map(|there| there.stay) else {
            // Nobody is there: nothing comes back, as over UDP.
            return;
        };
        let link = Link {
            topic,
            dialer: pass,
            acceptor: Pass { id: peer, stay },
            accepted: false,
            broken: false,
            claimed: None,
            last: [since; 2],
            cut: None,
        };
        self.links.insert(number, link);
        self.send(number, peer, Packet::Hello);
    }

    /// The acceptor was greeted. One that has too much to do already does not answer.
    pub(super) fn greeted(&mut self, pass: Pass, number: Number, dialer: Pass) {
        if self.own(pass).is_some_and(|own| !own.is_full()) {
            self.send(number, dialer.id, Packet::HelloBack);
        }
    }

    /// The dialer proves to be a member.
    pub(super) fn claim(&mut self, pass: Pass, number: Number) {
        let Some(link) = self.links.get(&number) else {
            return;
        };
        let (to, channel) = (link.acceptor.id, channel(number, link));
        let member = self.endpoint(pass);
        let Some(member) = member.and_then(|own| own.topics.get(&link.topic)) else {
            return;
        };
        let (claimed, bytes) = claim(channel, &member.keys);
        if let Some(link) = self.links.get_mut(&number) {
            link.claimed = Some(claimed);
        }
        self.send(number, to, Packet::Claim(bytes));
    }

    /// The acceptor looks at the claim of the dialer.
    pub(super) fn judge(&mut self, pass: Pass, number: Number, bytes: &[u8; CLAIM_BYTES]) {
        let (Some(link), Some(own)) = (self.links.get(&number), self.endpoint(pass)) else {
            return;
        };
        let (topic, dialer) = (link.topic, link.dialer.id);
        if own.is_full() {
            // As to its greeting.
            return;
        }
        let member = own.topics.get(&topic);
        let known = member.map(|member| (topic, &member.keys));
        let judged = match own.banned.has(dialer) {
            true => Err(ProofDrop::Banned),
            false => answer(&channel(number, link), bytes, known),
        };
        let proof = match judged {
            Ok((_, proof)) => proof,
            Err(reason) => {
                self.tell_proof(pass, dialer, ProofSide::Accepted, reason);
                return self.end(number, End::Refused, Some(pass.id));
            }
        };
        let pair = link.pair();
        if self.pairs.contains_key(&pair) {
            // Both have dialed, and this side was let in by the other one before.
            return self.end(number, End::Merged, Some(pass.id));
        }
        self.pairs.insert(pair, number);
        if let Some(link) = self.links.get_mut(&number) {
            link.accepted = true;
        }
        // From here on nothing may get lost for good, also where the two are cut off by now.
        self.cut_link(number);
        self.send(number, dialer, Packet::Proof(proof));
        self.up(pass, topic, dialer, number);
    }

    /// The dialer looks at the proof of the acceptor.
    pub(super) fn check(&mut self, pass: Pass, number: Number, proof: &[u8; ANSWER_BYTES]) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let (topic, peer) = (link.topic, link.acceptor.id);
        let Some(claimed) = link.claimed.take() else {
            return;
        };
        if let Err(reason) = claimed.check(proof) {
            self.tell_proof(pass, peer, ProofSide::Dialed, reason);
            return self.end(number, End::NotMember, Some(pass.id));
        }
        self.dial_ended(pass, number, DialResult::Connected);
        self.up(pass, topic, peer, number);
    }

    /// A side has a link that the other one has too.
    fn up(&mut self, pass: Pass, topic: TopicId, peer: EndpointId, number: Number) {
        let Some(own) = self.own(pass) else {
            return;
        };
        let Some(member) = own.topics.get_mut(&topic) else {
            return;
        };
        let earlier = member.neighbors.insert(peer, number);
        own.counts.links += 1;
        // The news that it has ended are on their way still.
        if earlier.is_some() {
            self.tell(pass, News::Down { topic, peer });
        }
        self.tell(pass, News::Up { topic, peer });
    }

    /// Tells a dialer that it was not let in.
    pub(super) fn refused(&mut self, pass: Pass, number: Number, peer: EndpointId, end: End) {
        let own = self.endpoint(pass);
        if end == End::Refused && own.is_some_and(|own| own.dials.contains_key(&number)) {
            self.tell_proof(pass, peer, ProofSide::Dialed, ProofDrop::Refused);
        }
    }

    /// A dial has ended, if it has not before.
    pub(super) fn dial_ended(&mut self, pass: Pass, number: Number, result: DialResult) {
        let now = self.now;
        let Some(own) = self.own(pass) else {
            return;
        };
        let Some(dialed) = own.dials.remove(&number) else {
            return;
        };
        own.cancel(dialed.due);
        let Dialed {
            topic, peer, since, ..
        } = dialed;
        let took = now.saturating_sub(since);
        self.tell(
            pass,
            News::DialEnded {
                topic,
                peer,
                result,
                took,
            },
        );
    }

    fn tell_proof(&mut self, pass: Pass, peer: EndpointId, side: ProofSide, reason: ProofDrop) {
        let event = GossipEvent::ProofDropped { peer, side, reason };
        self.tell(pass, News::Event(event));
    }
}

/// A link, as its sides prove it. No two have the same number.
fn channel(Number(number): Number, link: &Link) -> Channel {
    let mut binding = [0; BINDING_BYTES];
    binding[..8].copy_from_slice(&number.to_be_bytes());
    Channel {
        binding,
        initiator: link.dialer.id,
        responder: link.acceptor.id,
    }
}
