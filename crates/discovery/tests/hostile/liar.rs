//! A hand-written DHT node that observes, and lies as told.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use kukuri_contract::InfoHash;

use crate::bencode::{Item, bytes, dict};
use crate::krpc::compact;
use crate::tools::Random;

/// What a DHT node does with what it is asked.
#[derive(Debug, Clone)]
pub enum Way {
    /// Stores and tells, as it should, and takes notes.
    Honest,
    /// Says ok, and stores nothing.
    Forgetful,
    /// Tells these entries, whatever it is asked for; as many as fit one reply.
    False(Vec<SocketAddrV4>),
    /// Answers with random bytes, and with bencode that means nothing.
    Garbage,
}

/// A DHT node at an id next to an infohash. Ends with the test's process.
pub struct Liar {
    pub address: SocketAddrV4,
    seen: Arc<Mutex<Seen>>,
}

/// All that it has received.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub packets: Vec<Vec<u8>>,
    pub infohashes: BTreeSet<Vec<u8>>,
    pub announced: BTreeSet<SocketAddrV4>,
    pub askers: BTreeSet<SocketAddr>,
}

impl Liar {
    /// Number n of those around a target. Each is at an IP address of its own: mainline takes one
    /// id with the same first 21 bits per address.
    pub fn start(n: u8, target: InfoHash, way: Way) -> Self {
        let ip = Ipv4Addr::new(127, 7, 7, n);
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        let SocketAddr::V4(address) = socket.local_addr().unwrap() else {
            panic!("an IPv4 socket");
        };
        let mut id = *target.as_bytes();
        id[19] ^= n;
        let seen = Arc::<Mutex<Seen>>::default();
        let node = Node {
            id,
            way,
            seen: seen.clone(),
            random: Random(n.into()),
        };
        thread::spawn(move || node.serve(&socket));
        Self { address, seen }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

struct Node {
    id: [u8; 20],
    way: Way,
    seen: Arc<Mutex<Seen>>,
    random: Random,
}

impl Node {
    fn serve(mut self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let packet = &buffer[..len];
            let answer = self.answer(packet, from);
            if let Some(answer) = answer {
                // The asker may be gone.
                _ = socket.send_to(&answer, from);
            }
        }
    }

    fn answer(&mut self, packet: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        let mut seen = self.seen.lock().unwrap();
        seen.packets.push(packet.to_vec());
        let message = Item::decode(packet)?;
        let transaction = message.get("t")?.clone();
        let query = message.get("q")?.bytes()?;
        let arguments = message.get("a")?;
        seen.askers.insert(from);
        if let Some(hash) = arguments.get("info_hash").and_then(Item::bytes) {
            seen.infohashes.insert(hash.to_vec());
        }
        if query == b"announce_peer"
            && let SocketAddr::V4(from) = from
        {
            let port = arguments.get("port")?.int()? as u16;
            seen.announced.insert(SocketAddrV4::new(*from.ip(), port));
        }
        let entries: Vec<_> = match &self.way {
            Way::Honest => seen.announced.iter().copied().collect(),
            Way::Forgetful => Vec::new(),
            Way::False(entries) => entries.clone(),
            Way::Garbage => return Some(self.garbage(transaction, seen.packets.len())),
        };
        drop(seen);
        let mut reply = vec![("id", bytes(self.id))];
        if query != b"ping" && query != b"announce_peer" {
            reply.push(("nodes", bytes([])));
            reply.push(("token", bytes([1, 2, 3, 4])));
        }
        if query == b"get_peers" && !entries.is_empty() {
            let values = entries.into_iter().map(|entry| bytes(compact(entry)));
            reply.push(("values", Item::List(values.collect())));
        }
        Some(said(transaction, dict(reply)))
    }

    /// In turns: noise; bencode that is no message; a reply of wrong types; a reply cut short.
    fn garbage(&self, transaction: Item, turn: usize) -> Vec<u8> {
        let mut random = Random(self.random.0 + turn as u64);
        let good = said(transaction.clone(), dict([("id", bytes(self.id))]));
        match turn % 4 {
            0 => random.bytes::<300>().to_vec(),
            1 => Item::List(vec![Item::Int(-1), dict([])]).encode(),
            2 => {
                let values = Item::List(vec![bytes([1, 2, 3]), Item::Int(7)]);
                let wrong = dict([
                    ("id", Item::Int(7)),
                    ("values", values),
                    ("nodes", bytes([9])),
                ]);
                said(transaction, wrong)
            }
            _ => good[..good.len() - 3].to_vec(),
        }
    }
}

fn said(transaction: Item, reply: Item) -> Vec<u8> {
    dict([("t", transaction), ("y", bytes("r")), ("r", reply)]).encode()
}
