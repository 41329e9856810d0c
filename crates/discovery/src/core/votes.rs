//! The own public address, by what others see: members tell in their replies where a hello came
//! from, and so do DHT nodes.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_contract::EndpointId;

/// Members whose word is remembered, the last ones, one voice each.
const MAX_VOTES: usize = 16;
/// So many members that agree outweigh the DHT's word: they are known by a key each.
const AGREE: usize = 2;

/// What others say about the own address.
#[derive(Debug, Default)]
pub struct Votes {
    members: VecDeque<(EndpointId, SocketAddrV4)>,
    dht: Option<Ipv4Addr>,
}

impl Votes {
    /// A member says where a hello of this node came from.
    pub fn heard(&mut self, from: EndpointId, seen: SocketAddrV4) {
        self.members.retain(|(member, _)| *member != from);
        if self.members.len() >= MAX_VOTES {
            self.members.pop_front();
        }
        self.members.push_back((from, seen));
    }

    /// What DHT nodes say; `None` if they say nothing.
    pub fn dht_says(&mut self, ip: Option<Ipv4Addr>) {
        self.dht = ip;
    }

    /// The public IP address: what more than half of the members say, if at least two do; else the
    /// DHT's word; else that of the only member.
    pub fn ip(&self) -> Option<Ipv4Addr> {
        let ips = self.members.iter().map(|(_, seen)| *seen.ip());
        let by_members = majority(ips.collect());
        let agreed = by_members.filter(|(_, votes)| *votes >= AGREE);
        let only = by_members.filter(|_| self.members.len() == 1);
        agreed
            .map(|(ip, _)| ip)
            .or(self.dht)
            .or(only.map(|(ip, _)| ip))
    }

    /// Where the hello socket is, as members see it: what more than half of them say.
    pub fn hello(&self) -> Option<SocketAddrV4> {
        let seen = self.members.iter().map(|(_, seen)| *seen);
        majority(seen.collect()).map(|(seen, _)| seen)
    }
}

/// What more than half say, and how many.
fn majority<T: Copy + Ord>(mut votes: Vec<T>) -> Option<(T, usize)> {
    votes.sort_unstable();
    // Whatever has more than half of a sorted list is in its middle.
    let middle = *votes.get(votes.len() / 2)?;
    let count = votes.iter().filter(|vote| **vote == middle).count();
    (2 * count > votes.len()).then_some((middle, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn member(n: u8) -> EndpointId {
        EndpointId::from_bytes([n; 32])
    }

    #[test]
    fn a_majority_of_members_then_the_dht_then_a_single_member() {
        let (right, wrong) = (at("8.8.8.8:4000"), at("9.9.9.9:4000"));
        let mut votes = Votes::default();
        assert_eq!((votes.ip(), votes.hello()), (None, None));
        votes.heard(member(1), right);
        assert_eq!(votes.ip(), Some(*right.ip()));
        assert_eq!(votes.hello(), Some(right));
        votes.dht_says(Some(*wrong.ip()));
        assert_eq!(votes.ip(), Some(*wrong.ip()), "one member alone");
        votes.heard(member(2), right);
        assert_eq!(votes.ip(), Some(*right.ip()));
        for _ in 0..10 {
            votes.heard(member(3), wrong);
        }
        assert_eq!(votes.ip(), Some(*right.ip()), "one voice per member");
        votes.heard(member(4), wrong);
        assert_eq!(votes.ip(), Some(*wrong.ip()), "a tie: the DHT decides");
        votes.dht_says(None);
        assert_eq!((votes.ip(), votes.hello()), (None, None));
    }

    #[test]
    fn the_port_may_differ_for_each_and_the_ip_not() {
        let mut votes = Votes::default();
        for n in 1..=200u8 {
            votes.heard(member(n), SocketAddrV4::new([8, 8, 8, 8].into(), n.into()));
        }
        assert_eq!(votes.ip(), Some([8, 8, 8, 8].into()));
        assert_eq!(votes.hello(), None);
        assert_eq!(votes.members.len(), MAX_VOTES);
    }
}
