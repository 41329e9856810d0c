//! Which of the own addresses others are told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kukuri_contract::MAX_DIRECT_ADDRESSES;

/// The addresses to advertise: loopback where the endpoint is bound to loopback; else public ones
/// first, and private ones only if allowed. At most as many as a record holds.
pub fn advertised(
    known: impl IntoIterator<Item = SocketAddr>,
    bound_to_loopback: bool,
    allow_private: bool,
) -> Vec<SocketAddr> {
    let mut ranked: Vec<(Scope, SocketAddr)> = known
        .into_iter()
        .filter(|address| address.port() != 0)
        .map(|address| (scope(address.ip()), address))
        .filter(|(scope, _)| match scope {
            Scope::Public => !bound_to_loopback,
            Scope::Private => !bound_to_loopback && allow_private,
            Scope::Loopback => bound_to_loopback,
            Scope::Nowhere => false,
        })
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    let addresses = ranked.into_iter().map(|(_, address)| address);
    addresses.take(MAX_DIRECT_ADDRESSES).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Public,
    Private,
    Loopback,
    Nowhere,
}

fn scope(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| scope_v6(ip), scope_v4),
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    if ip.is_loopback() {
        Scope::Loopback
    } else if ip.is_private()
        || ip.is_link_local()
        || ip.octets()[0] == 100 && ip.octets()[1] >> 6 == 1
    {
        Scope::Private
    } else if ip.octets()[0] == 0 || ip.octets()[0] >= 224 || ip.is_documentation() {
        // RFC 6890: "this network", multicast and reserved ranges are no hosts.
        Scope::Nowhere
    } else {
        Scope::Public
    }
}

fn scope_v6(ip: Ipv6Addr) -> Scope {
    if ip.is_loopback() {
        Scope::Loopback
    } else if ip.is_unique_local() || ip.is_unicast_link_local() {
        Scope::Private
    } else if ip.is_unspecified() || ip.is_multicast() {
        Scope::Nowhere
    } else {
        Scope::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<SocketAddr> {
        let texts = [
            "0.0.0.0:1",
            "8.8.4.4:0",
            "192.168.1.2:7",
            "127.0.0.1:7",
            "[fe80::1]:7",
            "100.64.3.4:7",
            "8.8.4.4:7",
            "[2a00::1]:7",
            "224.0.0.1:7",
        ];
        texts.map(|text| text.parse().unwrap()).to_vec()
    }

    fn texts(addresses: Vec<SocketAddr>) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn public_only_by_default() {
        assert_eq!(
            texts(advertised(known(), false, false)),
            ["8.8.4.4:7", "[2a00::1]:7"]
        );
    }

    #[test]
    fn private_ones_come_after_public_ones() {
        let all = texts(advertised(known(), false, true));
        assert_eq!(
            all,
            ["8.8.4.4:7", "[2a00::1]:7", "100.64.3.4:7", "192.168.1.2:7"]
        );
    }

    #[test]
    fn a_loopback_endpoint_says_so() {
        assert_eq!(texts(advertised(known(), true, true)), ["127.0.0.1:7"]);
    }
}
