//! A network that can be split: each node has a loopback address of its own, and rules of nftables
//! drop packets where they would be received, so that a sender learns nothing, as on the internet.

use std::net::Ipv4Addr;
use std::process::Command;

/// Shell commands that make the network in a namespace of its own.
pub const SPLITTABLE: &str = "ip link set lo up && nft add table ip split && \
    nft add chain ip split input '{ type filter hook input priority 0; }'";
/// Shell commands that make a local network in a namespace of its own, with one machine,
/// [`LAN_IP`], on it. What one of its sockets sends by multicast, the others hear.
pub const LAN: &str = "ip link set lo up && ip link add lan0 type veth peer name lan1 && \
    ip link set lan1 up && ip link set lan0 multicast on up && \
    ip address add 10.77.0.1/24 brd + dev lan0 && ip route add default dev lan0";
/// The machine on the [`LAN`].
pub const LAN_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Where every node's DHT node listens, so that it can be told from its other sockets.
pub const DHT_PORT: u16 = 7000;

/// One part of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// 127.0.1.0/24.
    A,
    /// 127.0.2.0/24.
    B,
}

impl Side {
    /// The IP address of its n-th node.
    pub fn ip(self, n: usize) -> String {
        match self {
            Self::A => format!("127.0.1.{n}"),
            Self::B => format!("127.0.2.{n}"),
        }
    }
}

/// Nothing comes from one side to the other any more, in this namespace.
pub fn split() {
    drop_udp("ip saddr 127.0.1.0/24 ip daddr 127.0.2.0/24");
    drop_udp("ip saddr 127.0.2.0/24 ip daddr 127.0.1.0/24");
}

/// The DHT is gone: that on 127.0.0.1, and the one that the nodes are to each other.
pub fn take_dht_away() {
    for rule in ["ip saddr 127.0.0.1", "ip daddr 127.0.0.1"] {
        drop_udp(rule);
    }
    drop_udp(&format!("udp dport {DHT_PORT}"));
}

/// The two sides hear each other again; a DHT that was taken away stays away.
pub fn join() {
    let listed = nft(&["--handle", "list", "chain", "ip", "split", "input"]);
    for line in listed.lines().filter(|line| line.contains("/24")) {
        let (_, handle) = line.rsplit_once("# handle ").expect("a rule has a handle");
        nft(&["delete", "rule", "ip", "split", "input", "handle", handle]);
    }
}

fn drop_udp(which: &str) {
    let rule = format!("add rule ip split input {which} meta l4proto udp drop");
    nft(&[&rule]);
}

fn nft(args: &[&str]) -> String {
    let output = Command::new("nft").args(args).output();
    let output = output.expect("nft has run before the test began");
    assert!(output.status.success(), "nft {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
