//! The source `lan`: members on the same network find each other by mDNS (RFC 6762) and DNS-SD
//! (RFC 6763), without DHT and internet. The only file that names `mdns_sd`.
//!
//! What is shown: a service `_kukuri._udp.local.` with a random name, the port of the hello socket,
//! and the tags of the beacon as TXT. `docs/PROTOCOL.md` specifies it.

use std::net::{IpAddr, SocketAddrV4};
use std::thread;
use std::time::Duration;

use kukuri_contract::Source;
use mdns_sd::{IfKind, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo, TxtProperty};

use crate::core::nearby::{Beacon, Instance, Sighting, Tag};
use crate::error::DiscoveryError;
use crate::source::{Finder, Found, PeerSource};

/// The service type.
const SERVICE: &str = "_kukuri._udp.local.";
/// Whether this build has mDNS.
pub const BUILT: bool = true;

/// The TXT property that names the version of the beacon, and its value.
const VERSION: (&str, &[u8]) = ("v", b"1");
/// The TXT properties with tags, filled in this order.
const TAGS: [&str; 3] = ["t0", "t1", "t2"];
/// Tags in one property, which with its name has at most 255 bytes (RFC 6763, section 6.1).
const TAGS_PER_PROPERTY: usize = 30;
/// Pause before the network is browsed again after the daemon has ended a browse.
const BROWSE_AGAIN: Duration = Duration::from_secs(1);

/// The local network. Says goodbye to it when it is dropped.
pub struct Lan {
    daemon: ServiceDaemon,
    hello: SocketAddrV4,
    finder: Option<Finder>,
    shown: Option<String>,
}

impl Lan {
    /// Opens the mDNS sockets. Nothing is sent before the first beacon.
    ///
    /// # Errors
    /// The sockets can't be opened.
    pub fn start(hello: SocketAddrV4, finder: Finder) -> Result<Self, DiscoveryError> {
        let lan = |error: mdns_sd::Error| DiscoveryError::Lan(error.to_string());
        let daemon = ServiceDaemon::new().map_err(lan)?;
        // The hello socket is IPv4 only, and others reach it on the networks that it is bound to.
        let ip = *hello.ip();
        let networks = if ip.is_unspecified() {
            daemon.disable_interface(vec![IfKind::IPv6, IfKind::LoopbackV4])
        } else {
            daemon
                .disable_interface(IfKind::All)
                .and_then(|()| daemon.enable_interface(IfKind::Addr(ip.into())))
        };
        networks.map_err(lan)?;
        Ok(Self {
            daemon,
            hello,
            finder: Some(finder),
            shown: None,
        })
    }

    fn service(&self, beacon: &Beacon) -> Result<ServiceInfo, mdns_sd::Error> {
        let name = name(&beacon.instance);
        let mut txt = vec![TxtProperty::from(VERSION)];
        for (key, tags) in TAGS.iter().zip(beacon.tags.chunks(TAGS_PER_PROPERTY)) {
            txt.push(TxtProperty::from((*key, tags.concat().as_slice())));
        }
        let host = format!("{name}.local.");
        let port = self.hello.port();
        let ip = *self.hello.ip();
        if ip.is_unspecified() {
            let all = ServiceInfo::new(SERVICE, &name, &host, (), port, txt)?;
            return Ok(all.enable_addr_auto());
        }
        ServiceInfo::new(SERVICE, &name, &host, IpAddr::V4(ip), port, txt)
    }
}

impl PeerSource for Lan {
    fn show(&mut self, beacon: &Beacon) {
        if beacon.tags.is_empty() {
            if let Some(name) = self.shown.take() {
                // Its end is of no interest: at worst the beacon runs out by itself.
                _ = self.daemon.unregister(&name);
            }
            return;
        }
        let service = match self.service(beacon) {
            Ok(mut service) => {
                // Its name is 64 random bits: nobody else has it (RFC 6762, section 8.1), and asking
                // for it would take 0.75 s.
                service.set_requires_probe(false);
                service
            }
            Err(error) => return tracing::warn!(%error, "no beacon on the local network"),
        };
        self.shown = Some(service.get_fullname().to_owned());
        if let Err(error) = self.daemon.register(service) {
            tracing::warn!(%error, "no beacon on the local network");
        }
        if let Some(finder) = self.finder.take() {
            let daemon = self.daemon.clone();
            // The daemon hands its events out by a blocking channel.
            let browsing = thread::Builder::new().name("kukuri-lan".into());
            if let Err(error) = browsing.spawn(move || browse(&daemon, finder)) {
                tracing::warn!(%error, "the local network is not browsed");
            }
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // It takes the beacon back, ends the browse, and with it the thread.
        if let Err(error) = self.daemon.shutdown() {
            tracing::debug!(%error, "mDNS daemon not stopped");
        }
    }
}

/// Runs until the daemon ends. It ends a browse by itself when events are not taken fast enough.
fn browse(daemon: &ServiceDaemon, mut finder: Finder) {
    while let Ok(events) = daemon.browse(SERVICE) {
        while let Ok(event) = events.recv() {
            match event {
                ServiceEvent::ServiceResolved(service) => match sighting(&service) {
                    Some(seen) => finder.tell(Found::Sighted(Source::Lan, seen)),
                    None => finder.missed(1),
                },
                ServiceEvent::ServiceRemoved(_, fullname) => {
                    if let Some(instance) = instance(&fullname) {
                        finder.tell(Found::Gone(instance));
                    }
                }
                _ => {}
            }
        }
        thread::sleep(BROWSE_AGAIN);
    }
}

fn name(instance: &Instance) -> String {
    format!("{:016x}", u64::from_be_bytes(*instance))
}

fn instance(fullname: &str) -> Option<Instance> {
    let name = fullname.strip_suffix(SERVICE)?.strip_suffix('.')?;
    let plain = name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let number = plain.then(|| u64::from_str_radix(name, 16).ok())??;
    Some(number.to_be_bytes())
}

/// Reads a service; `None` if it is none of version 1.
fn sighting(service: &ResolvedService) -> Option<Sighting> {
    let property = |key| service.get_property_val(key).flatten();
    if property(VERSION.0) != Some(VERSION.1) {
        return None;
    }
    let (tags, rest): (Vec<&[Tag]>, Vec<&[u8]>) = TAGS
        .iter()
        .filter_map(|key| property(key))
        .map(<[u8]>::as_chunks)
        .unzip();
    if rest.iter().any(|rest| !rest.is_empty()) {
        return None;
    }
    let port = service.get_port();
    let mut addresses: Vec<_> = service.get_addresses_v4().into_iter().collect();
    addresses.sort_unstable();
    Some(Sighting {
        instance: instance(service.get_fullname())?,
        tags: tags.concat(),
        addresses: addresses
            .into_iter()
            .map(|ip| SocketAddrV4::new(ip, port))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::nearby::MAX_TAGS;

    fn lan() -> Lan {
        let (finder, _found) = Finder::new();
        Lan::start("127.0.0.1:4000".parse().unwrap(), finder).unwrap()
    }

    #[test]
    fn a_beacon_is_read_as_it_was_written() {
        let beacon = Beacon {
            instance: [7; 8],
            tags: (0..MAX_TAGS as u8).map(|n| [n; 8]).collect(),
        };
        let service = lan().service(&beacon).unwrap();
        assert_eq!(
            service.get_fullname(),
            "0707070707070707._kukuri._udp.local."
        );
        let seen = sighting(&service.as_resolved_service()).unwrap();
        assert_eq!(seen.instance, beacon.instance);
        assert_eq!(seen.tags, beacon.tags);
        assert_eq!(seen.addresses, ["127.0.0.1:4000".parse().unwrap()]);
    }

    #[test]
    fn what_is_no_beacon_is_none() {
        let read = |name: &str, txt: &[(&str, &str)]| {
            let service = ServiceInfo::new(SERVICE, name, "x.local.", "127.0.0.1", 1, txt);
            sighting(&service.unwrap().as_resolved_service())
        };
        let good = ("t0", "12345678");
        assert!(read("0707070707070707", &[("v", "1"), good]).is_some());
        assert!(read("0707070707070707", &[("v", "2"), good]).is_none());
        assert!(read("0707070707070707", &[good]).is_none());
        assert!(read("0707070707070707", &[("v", "1"), ("t0", "123")]).is_none());
        assert!(read("+707070707070707", &[("v", "1"), good]).is_none());
        assert!(read("printer", &[("v", "1"), good]).is_none());
    }
}
