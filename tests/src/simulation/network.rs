//! The network between the nodes: addresses, latencies, loss, splits.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::rng::{Seeded, mix, unit};

/// A node by its number, in the order in which nodes are made.
pub type NodeId = u32;

/// The port of each hello socket.
const HELLO_PORT: u16 = 4000;
/// The port of each iroh endpoint.
const ENDPOINT_PORT: u16 = 5000;
/// The port of each socket that nothing else is sent from.
const OTHER_PORT: u16 = 6000;
/// First byte of the nodes' addresses. 20.0.0.0 to 35.255.255.255 are ordinary public addresses.
const FIRST_NET: u32 = 20;
/// How many /24 there are for nodes: each is in one of its own.
const NETS: u32 = 16 << 16;
/// First time that QUIC waits for an acknowledgment (RFC 9002: three times 333 ms).
const FIRST_RESEND: Duration = Duration::from_secs(1);

/// The network between the nodes.
#[derive(Debug)]
pub struct Network {
    seed: u64,
    latency: (Duration, Duration),
    loss: f64,
    groups: Option<u32>,
}

impl Network {
    /// A whole network with one-way latencies in this range and this share of lost datagrams.
    pub fn new(seed: u64, latency: (Duration, Duration), loss: f64) -> Self {
        Self {
            seed,
            latency,
            loss,
            groups: None,
        }
    }

    /// Where a node's hello socket is.
    pub fn hello(node: NodeId) -> SocketAddrV4 {
        SocketAddrV4::new(ip(node), HELLO_PORT)
    }

    /// Where a node's iroh endpoint is.
    pub fn endpoint(node: NodeId) -> SocketAddrV4 {
        SocketAddrV4::new(ip(node), ENDPOINT_PORT)
    }

    /// Where a node's packets come from that are to show whether it is reached unasked.
    pub fn other(node: NodeId) -> SocketAddrV4 {
        SocketAddrV4::new(ip(node), OTHER_PORT)
    }

    /// Which node is at an address; attackers' addresses lead to nobody.
    pub fn node_at(address: SocketAddrV4) -> Option<NodeId> {
        let [a, b, c, host] = address.ip().octets();
        let net = u32::from_be_bytes([0, a, b, c]);
        let node = net.checked_sub(FIRST_NET << 16)?;
        (node < NETS && host == 1).then_some(node)
    }

    /// An address where nobody is: what attackers announce.
    pub fn nobody(host: u32, port: u16) -> SocketAddrV4 {
        // 64.0.0.0/8 is no node's; each host in a /24 of its own.
        SocketAddrV4::new(Ipv4Addr::from((64 << 24) | (host << 8) | 1), port)
    }

    /// Splits the network: node n is in group n mod `groups` and reaches no other.
    pub fn split(&mut self, groups: u32) {
        self.groups = Some(groups.max(1));
    }

    /// Makes the network whole.
    pub fn heal(&mut self) {
        self.groups = None;
    }

    /// The part of the network that a node is in; 0 for all while it is whole.
    pub fn group(&self, node: NodeId) -> u32 {
        self.groups.map_or(0, |groups| node % groups)
    }

    /// So many parts there are.
    pub fn groups(&self) -> u32 {
        self.groups.unwrap_or(1)
    }

    /// Whether no packet goes between two nodes.
    pub fn blocked(&self, a: NodeId, b: NodeId) -> bool {
        self.group(a) != self.group(b)
    }

    /// One way between two nodes: always the same, short ones more often than long ones.
    pub fn latency(&self, a: NodeId, b: NodeId) -> Duration {
        let pair = (u64::from(a.min(b)) << 32) | u64::from(a.max(b));
        let u = unit(mix(self.seed ^ mix(pair)));
        let (least, most) = self.latency;
        least + most.saturating_sub(least).mul_f64(u * u)
    }

    /// When a datagram that is sent now arrives, if it does.
    pub fn datagram(&self, a: NodeId, b: NodeId, rng: &mut Seeded) -> Option<Duration> {
        let lost = rng.chance(self.loss) || self.blocked(a, b);
        (!lost).then(|| self.latency(a, b))
    }

    /// How long a message takes over QUIC, which sends again what was lost.
    pub fn message(&self, a: NodeId, b: NodeId, rng: &mut Seeded) -> Duration {
        let way = self.latency(a, b);
        // A probe time-out of two round trips once the round trip is known.
        way + self.resends(way * 4, rng)
    }

    /// How long the first round trip of QUIC takes.
    pub fn handshake(&self, a: NodeId, b: NodeId, rng: &mut Seeded) -> Duration {
        let round_trip = self.latency(a, b) * 2;
        round_trip + self.resends(FIRST_RESEND, rng) + self.resends(FIRST_RESEND, rng)
    }

    fn resends(&self, first: Duration, rng: &mut Seeded) -> Duration {
        let mut waited = Duration::ZERO;
        let mut wait = first;
        while rng.chance(self.loss) && waited < Duration::from_secs(60) {
            waited += wait;
            wait *= 2;
        }
        waited
    }
}

fn ip(node: NodeId) -> Ipv4Addr {
    Ipv4Addr::from(((FIRST_NET << 16) + node % NETS) << 8 | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let ms = Duration::from_millis;
        Network::new(7, (ms(5), ms(80)), 0.25)
    }

    #[test]
    fn an_address_leads_back_to_its_node() {
        for node in [0, 1, 255, 256, 65_536, 99_999] {
            assert_eq!(Network::node_at(Network::hello(node)), Some(node));
            assert_eq!(Network::node_at(Network::endpoint(node)), Some(node));
        }
        assert_eq!(Network::node_at(Network::nobody(3, 4000)), None);
    }

    #[test]
    fn latency_is_the_same_both_ways_and_within_its_range() {
        let network = network();
        for (a, b) in [(1, 2), (5, 900), (17, 17)] {
            let way = network.latency(a, b);
            assert_eq!(way, network.latency(b, a));
            assert!(way >= Duration::from_millis(5) && way <= Duration::from_millis(80));
        }
    }

    #[test]
    fn a_split_blocks_and_healing_ends_it() {
        let (mut network, mut rng) = (network(), Seeded::new(1));
        network.split(2);
        assert!(network.blocked(1, 2) && !network.blocked(1, 3));
        assert!((0..100).all(|_| network.datagram(1, 2, &mut rng).is_none()));
        network.heal();
        assert!(!network.blocked(1, 2));
    }

    #[test]
    fn the_share_of_lost_datagrams_is_as_asked() {
        let (network, mut rng) = (network(), Seeded::new(1));
        let lost = (0..10_000).filter(|_| network.datagram(1, 2, &mut rng).is_none());
        let lost = lost.count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
