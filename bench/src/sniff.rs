//! Counts the DHT messages on the loopback interface, in the same way for all who are measured.
//! Needs root (a packet socket). Formats: BEP5 (KRPC) and BEP44; IPv4 (RFC 791), UDP (RFC 768).

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

/// IPv4 in the byte order that the kernel wants. A tap for one protocol sees each packet of the
/// loopback interface once (one for all protocols twice: as it leaves and as it comes in).
const ETH_P_IP: i32 = 0x0800_u16.to_be() as i32;
/// Ethernet's header, which the loopback interface has too.
const ETHERNET: usize = 14;
/// Queries for one target with no longer pauses between them are one operation: the request
/// time-out of mainline is 2 s.
const OPERATION_GAP: Duration = Duration::from_secs(3);
/// How soon the thread notices that it shall end.
const POLL: Duration = Duration::from_millis(100);
/// Packets that wait to be read, in bytes: a second of a mass start.
const BUFFER: usize = 16 << 20;

/// What nodes have said to the DHT.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Messages to and from the DHT.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Operations by the kind of query: one for each burst of queries of one node for one target.
    pub operations: HashMap<&'static str, u64>,
}

/// Counts for as long as it lives.
#[derive(Debug)]
pub struct Sniffer {
    counts: Arc<Mutex<Counts>>,
    stop: Arc<AtomicBool>,
}

impl Sniffer {
    /// Counts messages between others and these ports of 127.0.0.1, and among the others; what the
    /// nodes at these ports say to each other is not counted.
    ///
    /// # Errors
    /// No packet socket: it needs root.
    pub fn start(dht_ports: HashSet<u16>) -> anyhow::Result<Self> {
        let protocol = Some(Protocol::from(ETH_P_IP));
        let socket = Socket::new(Domain::PACKET, Type::RAW, protocol)
            .context("no packet socket (it needs root)")?;
        socket.set_read_timeout(Some(POLL))?;
        socket.set_recv_buffer_size(BUFFER)?;
        let sniffer = Self {
            counts: Arc::default(),
            stop: Arc::default(),
        };
        let (counts, stop) = (sniffer.counts.clone(), sniffer.stop.clone());
        thread::spawn(move || {
            let mut tally = Tally {
                dht_ports,
                last: HashMap::new(),
            };
            let mut packet = [0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                let Ok(length) = (&socket).read(&mut packet) else {
                    continue;
                };
                if let Some(udp) = Udp::parse(&packet[..length]) {
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.count(&udp, &mut counts, Instant::now());
                }
            }
        });
        Ok(sniffer)
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A UDP datagram.
struct Udp<'a> {
    from: u16,
    to: u16,
    /// With the IP header.
    length: usize,
    payload: &'a [u8],
}

impl<'a> Udp<'a> {
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let ip = frame.get(ETHERNET..)?;
        let header = usize::from(ip.first()? & 0x0f) * 4;
        const UDP: u8 = 17;
        if *ip.get(9)? != UDP {
            return None;
        }
        let udp = ip.get(header..)?;
        let port = |at| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
        Some(Self {
            from: port(0)?,
            to: port(2)?,
            length: ip.len(),
            payload: udp.get(8..)?,
        })
    }
}

struct Tally {
    dht_ports: HashSet<u16>,
    /// When a node last asked for a target, by kind.
    last: HashMap<(u16, &'static str, [u8; 20]), Instant>,
}

impl Tally {
    fn count(&mut self, udp: &Udp<'_>, counts: &mut Counts, now: Instant) {
        let among_dht = self.dht_ports.contains(&udp.from) && self.dht_ports.contains(&udp.to);
        if among_dht || !is_krpc(udp.payload) {
            return;
        }
        counts.packets += 1;
        counts.bytes += udp.length as u64;
        let Some((kind, target)) = query(udp.payload) else {
            return;
        };
        if self.dht_ports.contains(&udp.from) {
            return;
        }
        let before = self.last.insert((udp.from, kind, target), now);
        if before.is_none_or(|before| now - before > OPERATION_GAP) {
            *counts.operations.entry(kind).or_default() += 1;
        }
    }
}

/// A bencoded dictionary that says what kind of message it is.
fn is_krpc(payload: &[u8]) -> bool {
    payload.first() == Some(&b'd') && find(payload, b"1:y1:").is_some()
}

/// The kind of a query, and what it is about.
fn query(payload: &[u8]) -> Option<(&'static str, [u8; 20])> {
    const KINDS: [(&str, &[u8]); 6] = [
        ("get_peers", b"1:q9:get_peers"),
        ("announce_peer", b"1:q13:announce_peer"),
        ("get", b"1:q3:get"),
        ("put", b"1:q3:put"),
        ("find_node", b"1:q9:find_node"),
        ("ping", b"1:q4:ping"),
    ];
    let is = |(_, marker): &(&str, &[u8])| find(payload, marker).is_some();
    let (kind, _) = KINDS.into_iter().find(is)?;
    let names: [&[u8]; 3] = [b"9:info_hash20:", b"6:target20:", b"1:k32:"];
    let about = names.into_iter().find_map(|name| find(payload, name));
    let target = about.and_then(|at| payload.get(at..at + 20));
    // A ping is about nothing.
    let target = target.and_then(|bytes| bytes.try_into().ok());
    Some((kind, target.unwrap_or_default()))
}

/// Where what follows the needle begins.
fn find(payload: &[u8], needle: &[u8]) -> Option<usize> {
    let mut windows = payload.windows(needle.len());
    windows
        .position(|window| window == needle)
        .map(|at| at + needle.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: &[u8] =
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe";

    fn udp(from: u16, to: u16, payload: &[u8]) -> Udp<'_> {
        let length = payload.len() + 28;
        Udp {
            from,
            to,
            length,
            payload,
        }
    }

    #[test]
    fn a_query_is_known_by_kind_and_target() {
        assert!(is_krpc(LOOKUP));
        assert_eq!(query(LOOKUP), Some(("get_peers", *b"mnopqrstuvwxyz123456")));
        assert!(!is_krpc(b"\x40 something of QUIC"));
    }

    #[test]
    fn one_burst_is_one_operation_and_the_dhts_own_talk_is_none() {
        let mut tally = Tally {
            dht_ports: HashSet::from([1, 2]),
            last: HashMap::new(),
        };
        let (mut counts, now) = (Counts::default(), Instant::now());
        tally.count(&udp(1, 2, LOOKUP), &mut counts, now);
        assert_eq!(counts.packets, 0);
        for to in [1, 2] {
            tally.count(&udp(9, to, LOOKUP), &mut counts, now);
        }
        tally.count(&udp(9, 1, LOOKUP), &mut counts, now + OPERATION_GAP * 2);
        assert_eq!(counts.packets, 3);
        assert_eq!(counts.operations["get_peers"], 2);
    }
}
