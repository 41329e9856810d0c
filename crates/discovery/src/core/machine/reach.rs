//! Whether others reach the hello port, and what they say where it is.

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use kukuri_contract::{
    DiscoveryEvent, EndpointAddr, EndpointId, EpochKeys, HelloDrop, MAX_DIRECT_ADDRESSES,
    Reachability,
};

use super::super::address::{Policy, is_private};
use super::super::dialback::DialBack;
use super::super::hello::{self, HelloReply, HelloRequest};
use super::super::reach::Ask;
use super::super::{Effect, Entropy, Now};
use super::Core;
use super::greet::check_fresh;

impl Core {
    /// The port that is announced: the router's where one is forwarded, else the hello socket's.
    pub fn announced_port(&self) -> u16 {
        self.reach.port()
    }

    // --- where this node is ---

    /// Gossip tells where the endpoint can be dialed.
    pub(super) fn set_address(&mut self, address: EndpointAddr) {
        self.told_address = Some(address);
        self.publish();
    }

    pub(super) fn set_endpoint_port(&mut self, port: Option<u16>) {
        self.endpoint_port = port;
        self.publish();
    }

    /// DHT nodes tell what they see.
    pub(super) fn set_public_ip(&mut self, ip: Option<Ipv4Addr>) {
        self.votes.dht_says(ip);
        self.publish();
    }

    /// The router forwards another port now, or none: others must be told.
    pub(super) fn set_mapped(&mut self, address: Option<SocketAddrV4>, now: Now) {
        if self.mapped == address {
            return;
        }
        self.mapped = address;
        self.publish();
        let event = DiscoveryEvent::PortMapped(address.map(SocketAddr::V4));
        self.out.push(Effect::Emit(event));
        let port = address.map_or(self.me.hello.port(), |mapped| mapped.port());
        if port != self.reach.port() {
            self.reach.set_port(port);
            for topic in self.topics.values_mut() {
                topic.announcer.announce_anew(now.mono);
            }
        }
    }

    /// Makes the addresses that others are told of those that gossip knows and of the public IP
    /// address, where there is room: the router may keep the endpoint's port.
    fn publish(&mut self) {
        let Some(mut address) = self.told_address.clone() else {
            return;
        };
        let by_router = self.mapped.map(|mapped| *mapped.ip());
        let ip = self.votes.ip().or(by_router);
        if let (Some(ip), Some(port)) = (ip, self.endpoint_port) {
            let candidate = SocketAddr::new(ip.into(), port);
            // Where gossip knows a port of this IP address, it knows better.
            let known = address.direct.iter().any(|known| known.ip() == ip);
            let room = address.direct.len() < MAX_DIRECT_ADDRESSES;
            if !known && room && self.own_policy().allows_dial(candidate) {
                address.direct.push(candidate);
            }
        }
        if self.address.as_ref() != Some(&address) {
            self.address = Some(address);
            self.topics
                .values_mut()
                .for_each(|topic| topic.own.outdate());
        }
    }

    /// What counts as an address of this node's own. A local network (`sources.lan`) makes private
    /// addresses ones to ask, and does not make this node's own there its public one.
    fn own_policy(&self) -> Policy {
        Policy {
            private: self.config.allow_private,
            ..self.policy
        }
    }

    /// A member's reply tells where the hello came from, and whether the member has dialed back.
    pub(super) fn heard_where(&mut self, member: EndpointId, reply: &HelloReply, now: Now) {
        if reply.dialed_back {
            self.reach.promised(member, &reply.id, now.mono);
        }
        if self.own_policy().allows_hello(reply.observed) {
            self.votes.heard(member, reply.observed);
            self.publish();
        }
    }

    // --- whether others reach it ---

    /// A valid request came in.
    pub(super) fn unsolicited(&mut self, from: SocketAddrV4, port: u16, now: Now) {
        if self.tells_something(from) {
            self.reach.heard_request(from, port, now.mono);
        }
    }

    /// Somebody on the same network says nothing about who is outside of it.
    fn tells_something(&self, from: SocketAddrV4) -> bool {
        self.config.allow_private || !is_private(*from.ip())
    }

    /// Sends a dial-back, if the request asks for one and there were not too many. Says whether.
    pub(super) fn send_dial_back(
        &mut self,
        from: SocketAddrV4,
        request: &HelloRequest,
        keys: &EpochKeys,
        now: Now,
        rng: &mut impl Entropy,
    ) -> bool {
        let Some(port) = request.dial_back else {
            return false;
        };
        let to = SocketAddrV4::new(*from.ip(), port);
        if !self.policy.allows_hello(to) || !self.reach.may_dial_back(*to.ip(), now.mono) {
            return false;
        }
        let back = DialBack {
            id: request.id,
            time: now.unix,
            to,
        };
        let packet = back.seal(keys, rng.nonce());
        self.out.push(Effect::DialBack(to, packet));
        true
    }

    pub(super) fn dial_back(
        &mut self,
        from: SocketAddrV4,
        packet: &[u8],
        now: Now,
    ) -> Result<(), HelloDrop> {
        let asks: Vec<Ask> = self.reach.asks(now.mono).copied().collect();
        let keys_of = |ask: &Ask| self.topics.get(&ask.topic)?.keys(ask.epoch);
        let mut places: Vec<_> = asks.iter().map(|ask| (ask.topic, ask.epoch)).collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            return Err(HelloDrop::Unasked);
        }
        let mut keys = places.iter().filter_map(|(topic, epoch)| {
            let keys = self.topics.get(topic)?.keys(*epoch)?;
            hello::has_tag(packet, keys).then_some(keys)
        });
        let keys = keys.next().ok_or(HelloDrop::UnknownTag)?;
        let back = DialBack::open(packet, keys)?;
        let mut asks = asks.into_iter().filter(|ask| ask.id == back.id);
        let ask = asks
            .find(|ask| keys_of(ask).is_some_and(|of| std::ptr::eq(of, keys)))
            .ok_or(HelloDrop::Unasked)?;
        check_fresh(back.time, now.unix)?;
        if back.to.port() != ask.port || !self.tells_something(from) {
            return Err(HelloDrop::WrongRecipient);
        }
        match self.reach.dialed_back(&ask, from, now.mono) {
            true => Ok(()),
            false => Err(HelloDrop::Unasked),
        }
    }

    pub(super) fn say_reachability(&mut self, now: Now) {
        let reachability = Reachability::from(self.reach.state(now.mono));
        if reachability != self.reachability {
            self.reachability = reachability;
            let event = DiscoveryEvent::ReachabilityChanged(reachability);
            self.out.push(Effect::Emit(event));
        }
    }
}
