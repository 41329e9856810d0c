//! Which addresses are asked and dialed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// Lowest port that a hello is sent to. Below are services (DNS, NTP, ...) that an attacker could
/// have us bother by announcing their addresses.
pub const MIN_PORT: u16 = 1024;

/// Which ranges this node uses besides public addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// 127.0.0.0/8 and ::1: only for a node that is bound to loopback itself.
    pub loopback: bool,
    /// RFC 1918, RFC 4193 and link-local addresses: only where configured.
    pub private: bool,
}

impl Policy {
    /// Whether a hello may go there.
    pub fn allows_hello(self, to: SocketAddrV4) -> bool {
        to.port() >= MIN_PORT && self.allows_v4(*to.ip())
    }

    /// Whether an endpoint may be dialed there.
    pub fn allows_dial(self, to: SocketAddr) -> bool {
        to.port() >= MIN_PORT
            && match to.ip() {
                IpAddr::V4(ip) => self.allows_v4(ip),
                IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                    Some(ip) => self.allows_v4(ip),
                    None => self.allows_v6(ip),
                },
            }
    }

    fn allows_v4(self, ip: Ipv4Addr) -> bool {
        if ip.is_loopback() {
            return self.loopback;
        }
        if is_private(ip) {
            return self.private;
        }
        // 0.0.0.0/8 "this network" and 240.0.0.0/4 "reserved" (RFC 6890) are no hosts.
        let [first, ..] = ip.octets();
        first != 0 && first < 224 && !ip.is_documentation()
    }

    fn allows_v6(self, ip: Ipv6Addr) -> bool {
        if ip.is_loopback() {
            return self.loopback;
        }
        if ip.is_unique_local() || ip.is_unicast_link_local() {
            return self.private;
        }
        !ip.is_unspecified() && !ip.is_multicast() && !is_special(ip)
    }
}

/// Whether an address means something inside of its network only: RFC 1918, link-local, and
/// 100.64.0.0/10 behind carrier-grade NAT (RFC 6598).
pub fn is_private(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
}

/// Ranges of IPv6 that lead to some IPv4 host by way of a translator (64:ff9b::/96 of RFC 6052,
/// 2002::/16 of RFC 3056), or nowhere (2001:db8::/32 of RFC 3849).
fn is_special(ip: Ipv6Addr) -> bool {
    matches!(
        ip.segments(),
        [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0xdb8, ..]
    )
}

/// The /24 that an address lies in.
pub fn subnet(ip: Ipv4Addr) -> [u8; 3] {
    let [a, b, c, _] = ip.octets();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: Policy = Policy {
        loopback: false,
        private: false,
    };

    fn hello(policy: Policy, to: &str) -> bool {
        policy.allows_hello(to.parse().unwrap())
    }

    #[test]
    fn only_public_hosts_by_default() {
        assert!(hello(PUBLIC, "8.8.4.4:6881"));
        for bad in [
            "8.8.4.4:53",
            "127.0.0.1:6881",
            "10.1.2.3:6881",
            "192.168.1.1:6881",
            "169.254.0.1:6881",
            "100.64.0.1:6881",
            "0.0.0.0:6881",
            "224.0.0.1:6881",
            "255.255.255.255:6881",
        ] {
            assert!(!hello(PUBLIC, bad), "{bad}");
        }
    }

    #[test]
    fn loopback_and_private_where_allowed() {
        let loopback = Policy {
            loopback: true,
            ..PUBLIC
        };
        let private = Policy {
            private: true,
            ..PUBLIC
        };
        assert!(hello(loopback, "127.0.0.1:6881"));
        assert!(!hello(loopback, "10.1.2.3:6881"));
        assert!(hello(private, "10.1.2.3:6881"));
        assert!(!hello(private, "127.0.0.1:6881"));
    }

    #[test]
    fn dials_see_through_mapped_addresses() {
        assert!(!PUBLIC.allows_dial("[::ffff:10.0.0.1]:4433".parse().unwrap()));
        assert!(!PUBLIC.allows_dial("[fe80::1]:4433".parse().unwrap()));
        assert!(!PUBLIC.allows_dial("[::1]:4433".parse().unwrap()));
        assert!(!PUBLIC.allows_dial("[64:ff9b::a00:1]:4433".parse().unwrap()));
        assert!(!PUBLIC.allows_dial("[2002:a00:1::]:4433".parse().unwrap()));
        assert!(PUBLIC.allows_dial("[2a00::1]:4433".parse().unwrap()));
    }
}
