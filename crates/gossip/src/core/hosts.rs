//! Hosts that are dialed in vain.
//!
//! A member can name any host in its record, and make up as many members as it likes that name the
//! same one. So hosts rest as peers do, over all topics of a node.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use kukuri_contract::EndpointAddr;

/// Dials of a host that may fail in a row before it rests: a newcomer dials five peers, and several
/// may be behind one address.
const FREE: u32 = 4;
/// First and longest rest of a host after that; as of a peer that could not be dialed.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Hosts that are remembered; beyond, the one that would be free first is forgotten.
const MAX_HOSTS: usize = 1024;

/// The hosts that were dialed in vain.
#[derive(Debug, Default)]
pub struct Hosts(HashMap<IpAddr, Vain>);

#[derive(Debug, Clone, Copy)]
struct Vain {
    until: Duration,
    failures: u32,
}

impl Hosts {
    /// From when on a peer may be dialed at one of its addresses at least.
    pub fn free_at(&self, peer: &EndpointAddr) -> Duration {
        if peer.relay.is_some() {
            return Duration::ZERO;
        }
        let addresses = peer.direct.iter();
        let free = addresses.map(|address| self.host_free_at(address.ip()));
        free.min().unwrap_or(Duration::ZERO)
    }

    /// The peer without the addresses that rest.
    pub fn without_resting(&self, mut peer: EndpointAddr, now: Duration) -> EndpointAddr {
        peer.direct
            .retain(|address| self.host_free_at(address.ip()) <= now);
        peer
    }

    /// A dial of a peer at these addresses has ended. Where several hosts were dialed and one has
    /// answered, nobody knows which.
    pub fn dial_ended(&mut self, peer: &EndpointAddr, connected: bool, now: Duration) {
        let hosts: BTreeSet<_> = peer.direct.iter().filter_map(|a| host(a.ip())).collect();
        if connected && hosts.len() == 1 {
            hosts.iter().for_each(|host| _ = self.0.remove(host));
        }
        if connected {
            return;
        }
        for host in hosts {
            let failures = self.0.get(&host).map_or(0, |vain| vain.failures) + 1;
            let (first, longest) = REST;
            let rest = failures
                .checked_sub(FREE)
                .map(|n| first * 2u32.pow(n.min(16)));
            let until = now + rest.unwrap_or_default().min(longest);
            self.make_room();
            self.0.insert(host, Vain { until, failures });
        }
    }

    fn host_free_at(&self, ip: IpAddr) -> Duration {
        let vain = host(ip).and_then(|host| self.0.get(&host));
        vain.map_or(Duration::ZERO, |vain| vain.until)
    }

    fn make_room(&mut self) {
        if self.0.len() < MAX_HOSTS {
            return;
        }
        let first = self.0.iter().min_by_key(|(_, vain)| vain.until);
        if let Some(host) = first.map(|(host, _)| *host) {
            self.0.remove(&host);
        }
    }
}

/// What counts as one host: an IPv4 address, or an IPv6 network of 64 bits, in which one host has
/// as many addresses as it likes. `None` for loopback: that is this machine, and no victim.
fn host(ip: IpAddr) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    let host = match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    };
    (!ip.is_loopback()).then_some(host)
}

#[cfg(test)]
mod tests {
    use kukuri_contract::EndpointId;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn peer(n: u8, direct: &[&str]) -> EndpointAddr {
        EndpointAddr {
            id: EndpointId::from_bytes([n; 32]),
            direct: direct.iter().map(|text| text.parse().unwrap()).collect(),
            relay: None,
        }
    }

    #[test]
    fn a_host_that_many_peers_name_rests_longer_each_time() {
        let mut hosts = Hosts::default();
        let mut now = S;
        let mut rests = Vec::new();
        for n in 0..13 {
            let peer = peer(n, &[&format!("11.0.0.1:{}", 2000 + u32::from(n))]);
            let free = hosts.free_at(&peer);
            rests.extend((free > now).then(|| (free - now).as_secs()));
            now = now.max(free);
            hosts.dial_ended(&peer, false, now);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let fresh = peer(99, &["11.0.0.1:9000"]);
        assert!(hosts.free_at(&fresh) > now);
        hosts.dial_ended(&fresh, true, now);
        assert_eq!(hosts.free_at(&fresh), Duration::ZERO);
    }

    #[test]
    fn other_hosts_of_a_peer_and_its_relay_are_used() {
        let mut hosts = Hosts::default();
        let victim = peer(1, &["11.0.0.1:2000", "[2a00::1]:7"]);
        for _ in 0..FREE {
            hosts.dial_ended(&victim, false, S);
        }
        assert_eq!(hosts.free_at(&victim), 2 * S);
        let neighbor = peer(2, &["[2a00::2]:7", "[2a00:0:0:1::1]:7"]);
        assert_eq!(hosts.free_at(&neighbor), Duration::ZERO);
        let left = hosts.without_resting(neighbor, S);
        assert_eq!(left.direct, peer(2, &["[2a00:0:0:1::1]:7"]).direct);
        // Which of two hosts has answered is unknown, so neither is cleared.
        hosts.dial_ended(&victim, true, S);
        assert_eq!(hosts.free_at(&victim), 2 * S);
        let mut relayed = victim;
        relayed.relay = Some("https://relay.example".into());
        assert_eq!(hosts.free_at(&relayed), Duration::ZERO);
    }

    #[test]
    fn loopback_never_rests_and_memory_is_bounded() {
        let mut hosts = Hosts::default();
        let here = peer(1, &["127.0.0.1:2000", "[::1]:2000"]);
        for _ in 0..100 {
            hosts.dial_ended(&here, false, S);
        }
        assert_eq!(hosts.free_at(&here), Duration::ZERO);
        for n in 0..2_000u32 {
            let ip = std::net::Ipv4Addr::from(0x0b00_0000 + n);
            hosts.dial_ended(&peer(1, &[&format!("{ip}:2000")]), false, S);
        }
        assert_eq!(hosts.0.len(), MAX_HOSTS);
    }
}
