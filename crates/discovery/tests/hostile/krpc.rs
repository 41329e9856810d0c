//! A hand-written participant of the DHT (BEP5), for what no library would do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use kukuri_contract::InfoHash;

use crate::bencode::{Item, bytes, dict};
use crate::tools::Random;

/// Wait for a reply; lost ones are asked for again.
const WAIT: Duration = Duration::from_millis(500);
const TRIES: usize = 10;

/// An address as DHT nodes write it (BEP5, compact IP address and port).
pub fn compact(address: SocketAddrV4) -> Vec<u8> {
    let mut out = address.ip().octets().to_vec();
    out.extend(address.port().to_be_bytes());
    out
}

pub fn expanded(compact: &[u8]) -> SocketAddrV4 {
    let [a, b, c, d, e, f] = compact.try_into().unwrap();
    SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([e, f]))
}

/// Asks DHT nodes from one IP address.
pub struct Client {
    socket: UdpSocket,
    sent: u32,
}

impl Client {
    pub fn at(ip: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        Self { socket, sent: 0 }
    }

    /// Asks all of these nodes at once, each with its own arguments; their answers, as far as they
    /// give any. What is lost is sent again.
    pub fn ask(
        &mut self,
        query: &str,
        asks: Vec<(SocketAddrV4, Item)>,
    ) -> BTreeMap<SocketAddrV4, Item> {
        let first = self.sent;
        self.sent += u32::try_from(asks.len()).unwrap();
        let mut open: BTreeMap<[u8; 4], _> = BTreeMap::new();
        for (n, ask) in asks.into_iter().enumerate() {
            open.insert((first + n as u32).to_be_bytes(), ask);
        }
        let mut answers = BTreeMap::new();
        for _ in 0..TRIES {
            for (id, (to, arguments)) in &open {
                let message = dict([
                    ("t", bytes(id)),
                    ("y", bytes("q")),
                    ("q", bytes(query)),
                    ("a", arguments.clone()),
                ]);
                self.socket.send_to(&message.encode(), to).unwrap();
            }
            let mut buffer = [0; 4096];
            while !open.is_empty() {
                let Ok((len, SocketAddr::V4(from))) = self.socket.recv_from(&mut buffer) else {
                    break;
                };
                let message = Item::decode(&buffer[..len]);
                let id = message.as_ref().and_then(|m| m.get("t")?.bytes());
                let id = id.and_then(|id| <[u8; 4]>::try_from(id).ok());
                if let Some((id, answer)) = id.zip(message.as_ref().and_then(|m| m.get("r"))) {
                    open.remove(&id);
                    answers.insert(from, answer.clone());
                }
            }
            if open.is_empty() {
                break;
            }
        }
        answers
    }

    /// Every DHT node that can be heard of, with a token of each for this infohash.
    pub fn crawl(&mut self, from: SocketAddrV4, target: InfoHash) -> BTreeMap<SocketAddrV4, Item> {
        let mut tokens = BTreeMap::new();
        let mut known = BTreeSet::from([from]);
        let mut asked = BTreeSet::new();
        loop {
            let new: Vec<_> = known.difference(&asked).copied().collect();
            if new.is_empty() {
                return tokens;
            }
            asked.extend(&new);
            for (node, answer) in self.get_peers(&new, target) {
                let nodes = answer.get("nodes").and_then(Item::bytes).unwrap_or(&[]);
                known.extend(nodes.chunks_exact(26).map(|node| expanded(&node[20..])));
                tokens.extend(answer.get("token").map(|token| (node, token.clone())));
            }
        }
    }

    pub fn get_peers(
        &mut self,
        nodes: &[SocketAddrV4],
        target: InfoHash,
    ) -> BTreeMap<SocketAddrV4, Item> {
        let arguments = || {
            dict([
                ("id", bytes([7; 20])),
                ("info_hash", bytes(target.as_bytes())),
            ])
        };
        self.ask(
            "get_peers",
            nodes.iter().map(|node| (*node, arguments())).collect(),
        )
    }

    /// Announces a port of this IP address at all of these nodes, as some requester. Says how many
    /// have acknowledged it.
    pub fn announce(
        &mut self,
        tokens: &BTreeMap<SocketAddrV4, Item>,
        target: InfoHash,
        port: u16,
        requester: [u8; 20],
    ) -> usize {
        let asks = tokens.iter().map(|(node, token)| {
            let arguments = dict([
                ("id", bytes(requester)),
                ("info_hash", bytes(target.as_bytes())),
                ("port", Item::Int(port.into())),
                ("token", token.clone()),
            ]);
            (*node, arguments)
        });
        self.ask("announce_peer", asks.collect()).len()
    }
}

/// Pushes false entries onto all DHT nodes there are, each under a requester id of its own. Says
/// how many nodes there are, and how many announcements they have acknowledged.
pub fn flood(
    bootstrap: SocketAddrV4,
    target: InfoHash,
    entries: &[SocketAddrV4],
    random: &mut Random,
) -> (usize, usize) {
    let (mut nodes, mut stored) = (0, 0);
    let mut client: Option<(Ipv4Addr, Client, BTreeMap<SocketAddrV4, Item>)> = None;
    let mut all: Option<Vec<SocketAddrV4>> = None;
    for entry in entries {
        if client.as_ref().is_none_or(|(ip, ..)| ip != entry.ip()) {
            // A token is for one IP address.
            let mut fresh = Client::at(*entry.ip());
            let tokens = match &all {
                None => fresh.crawl(bootstrap, target),
                Some(all) => {
                    let answers = fresh.get_peers(all, target).into_iter();
                    let token =
                        |(node, answer): (_, Item)| Some((node, answer.get("token")?.clone()));
                    answers.filter_map(token).collect()
                }
            };
            nodes = tokens.len();
            all.get_or_insert_with(|| tokens.keys().copied().collect());
            client = Some((*entry.ip(), fresh, tokens));
        }
        let (_, client, tokens) = client.as_mut().unwrap();
        stored += client.announce(tokens, target, entry.port(), random.bytes());
    }
    (nodes, stored)
}
