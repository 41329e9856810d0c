//! Hello packets: one exchange turns an address into a verified endpoint, for both sides.
//!
//! ```text
//! packet   version 1 | kind 1 | nonce 24 | tag 8 | sealed 1166              (1200 bytes, always)
//! request  request id 16 | time, ms 8 | recipient 18 | length 2 | record
//!          | flags 1 | port to dial back 2 | zeros
//! reply    request id 16 | time, ms 8 | observed 18 | length 2 | record
//!          | n 1 | n x (length 2 | record) | flags 1 | zeros
//! ```
//!
//! (The third kind is in [`dialback`](super::dialback).)
//!
//! The tag is HMAC-SHA256 of kind and nonce under the epoch's tag key, cut to 8 bytes: members
//! recognize it, and nobody else can tell two packets of one topic from two of different topics.
//! The seal is XChaCha20-Poly1305 with one key per direction; all before it is authenticated with
//! it. A reply is as long as its request, so the service amplifies nothing.

#[cfg(test)]
mod tests;

use std::net::{Ipv6Addr, SocketAddrV4};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use kukuri_contract::{EpochKeys, HelloDrop, KeyBytes, UnixMillis};
use sha2::Sha256;

use super::record::MAX_RECORD_BYTES;

/// Version of the hello format.
pub const VERSION: u8 = 1;
/// Length of every packet in bytes: below every MTU in use, and the same for both directions.
pub const PACKET_BYTES: usize = 1200;

const TAG_BYTES: usize = 8;
const HEADER_BYTES: usize = 2 + 24 + TAG_BYTES;
const SEAL_OVERHEAD: usize = 16;
const PLAIN_BYTES: usize = PACKET_BYTES - HEADER_BYTES - SEAL_OVERHEAD;
/// The flag of a request that asks for a dial-back, and of a reply that says that there is one.
/// Readers ignore the other bits.
const DIAL_BACK: u8 = 1;

/// Names a hello, so that a reply belongs to one request only.
pub type RequestId = [u8; 16];

/// What kind of packet it is: each has its own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From the asker.
    Request,
    /// From the asked.
    Reply,
    /// From the asked too, and from another socket.
    DialBack,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::Reply => 1,
            Self::DialBack => 2,
        }
    }

    const fn key(self, keys: &EpochKeys) -> &KeyBytes {
        match self {
            Self::Request => &keys.hello_request,
            // The kind is authenticated: neither passes for the other.
            Self::Reply | Self::DialBack => &keys.hello_reply,
        }
    }
}

/// What an asker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloRequest {
    /// Random; the reply repeats it.
    pub id: RequestId,
    /// The asker's clock.
    pub time: UnixMillis,
    /// The address that was asked, so that nobody can pass the packet on to another member.
    pub recipient: SocketAddrV4,
    /// The asker's record, not verified yet.
    pub record: Vec<u8>,
    /// The asker wants to know whether this UDP port can be reached where the packet came from.
    pub dial_back: Option<u16>,
}

/// What the asked answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloReply {
    /// From the request.
    pub id: RequestId,
    /// The answerer's clock.
    pub time: UnixMillis,
    /// The source address of the request, as the answerer saw it.
    pub observed: SocketAddrV4,
    /// The answerer's record, not verified yet.
    pub record: Vec<u8>,
    /// Records of other members, not verified yet.
    pub members: Vec<Vec<u8>>,
    /// The answerer sends a dial-back too.
    pub dialed_back: bool,
}

/// The kind of a packet that may be a hello.
///
/// # Errors
/// Wrong length, version or kind.
pub fn kind(packet: &[u8]) -> Result<Kind, HelloDrop> {
    if packet.len() != PACKET_BYTES {
        return Err(HelloDrop::Length);
    }
    match packet[..2] {
        [VERSION, 0] => Ok(Kind::Request),
        [VERSION, 1] => Ok(Kind::Reply),
        [VERSION, 2] => Ok(Kind::DialBack),
        [VERSION, _] => Err(HelloDrop::Malformed),
        _ => Err(HelloDrop::Version),
    }
}

/// Whether the tag of a packet is the one of these keys. Takes the same time either way.
pub fn has_tag(packet: &[u8], keys: &EpochKeys) -> bool {
    packet.len() == PACKET_BYTES
        && mac(packet[1], &packet[2..26], keys)
            .verify_truncated_left(&packet[26..HEADER_BYTES])
            .is_ok()
}

impl HelloRequest {
    /// A sealed packet. The nonce must be random and fresh.
    pub fn seal(&self, keys: &EpochKeys, nonce: [u8; 24]) -> Vec<u8> {
        let mut plain = head(&self.id, self.time, self.recipient);
        put_record(&mut plain, &self.record);
        if let Some(port) = self.dial_back {
            plain.push(DIAL_BACK);
            plain.extend(port.to_be_bytes());
        }
        seal(Kind::Request, keys, nonce, plain)
    }

    /// Opens a packet.
    ///
    /// # Errors
    /// [`HelloDrop::Seal`] or [`HelloDrop::Malformed`].
    pub fn open(packet: &[u8], keys: &EpochKeys) -> Result<Self, HelloDrop> {
        let plain = open(Kind::Request, keys, packet)?;
        let mut read = Reader(&plain);
        let (id, time, recipient) = read.head()?;
        let record = read.record()?;
        let port = u16::from_be_bytes;
        let dial_back = match read.flags() & DIAL_BACK {
            0 => None,
            _ => Some(port(read.array()?)),
        };
        Ok(Self {
            id,
            time,
            recipient,
            record,
            dial_back,
        })
    }
}

impl HelloReply {
    /// A sealed packet; of the members' records as many as fit. The nonce must be random and fresh.
    pub fn seal(&self, keys: &EpochKeys, nonce: [u8; 24]) -> Vec<u8> {
        let mut plain = head(&self.id, self.time, self.observed);
        put_record(&mut plain, &self.record);
        let count_at = plain.len();
        plain.push(0);
        for member in &self.members {
            // One byte is for the flags.
            if plain.len() + 2 + member.len() + 1 > PLAIN_BYTES {
                break;
            }
            put_record(&mut plain, member);
            plain[count_at] += 1;
        }
        plain.push(if self.dialed_back { DIAL_BACK } else { 0 });
        seal(Kind::Reply, keys, nonce, plain)
    }

    /// Opens a packet.
    ///
    /// # Errors
    /// [`HelloDrop::Seal`] or [`HelloDrop::Malformed`].
    pub fn open(packet: &[u8], keys: &EpochKeys) -> Result<Self, HelloDrop> {
        let plain = open(Kind::Reply, keys, packet)?;
        let mut read = Reader(&plain);
        let (id, time, observed) = read.head()?;
        let record = read.record()?;
        let [count] = read.array()?;
        let members = (0..count)
            .map(|_| read.record())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            id,
            time,
            observed,
            record,
            members,
            dialed_back: read.flags() & DIAL_BACK != 0,
        })
    }
}

fn mac(kind: u8, nonce: &[u8], keys: &EpochKeys) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.hello_tag.expose())
        .expect("HMAC takes keys of any length");
    mac.update(&[kind]);
    mac.update(nonce);
    mac
}

pub(super) fn seal(kind: Kind, keys: &EpochKeys, nonce: [u8; 24], mut plain: Vec<u8>) -> Vec<u8> {
    plain.resize(PLAIN_BYTES, 0);
    let tag = mac(kind.byte(), &nonce, keys).finalize().into_bytes();
    let mut packet = Vec::with_capacity(PACKET_BYTES);
    packet.extend([VERSION, kind.byte()]);
    packet.extend(nonce);
    packet.extend(&tag[..TAG_BYTES]);
    let payload = Payload {
        msg: &plain,
        aad: &packet,
    };
    let sealed = cipher(kind.key(keys))
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a packet is far below the cipher's limit of 256 GiB");
    packet.extend(sealed);
    packet
}

pub(super) fn open(kind: Kind, keys: &EpochKeys, packet: &[u8]) -> Result<Vec<u8>, HelloDrop> {
    if packet.len() != PACKET_BYTES {
        return Err(HelloDrop::Length);
    }
    let (header, sealed) = packet.split_at(HEADER_BYTES);
    let nonce: [u8; 24] = header[2..26].try_into().map_err(|_| HelloDrop::Length)?;
    let payload = Payload {
        msg: sealed,
        aad: header,
    };
    cipher(kind.key(keys))
        .decrypt(&XNonce::from(nonce), payload)
        .map_err(|_| HelloDrop::Seal)
}

fn cipher(key: &KeyBytes) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

pub(super) fn head(id: &RequestId, time: UnixMillis, address: SocketAddrV4) -> Vec<u8> {
    let mut plain = Vec::with_capacity(PLAIN_BYTES);
    plain.extend(id);
    plain.extend(time.0.to_be_bytes());
    plain.extend(address.ip().to_ipv6_mapped().octets());
    plain.extend(address.port().to_be_bytes());
    plain
}

fn put_record(plain: &mut Vec<u8>, record: &[u8]) {
    debug_assert!(record.len() <= MAX_RECORD_BYTES);
    plain.extend((record.len() as u16).to_be_bytes());
    plain.extend(record);
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], HelloDrop> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(HelloDrop::Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HelloDrop> {
        self.take(N)?.try_into().map_err(|_| HelloDrop::Malformed)
    }

    /// Flags that came later: a packet that is full without them has none.
    fn flags(&mut self) -> u8 {
        self.array().map_or(0, |[flags]| flags)
    }

    pub(super) fn head(&mut self) -> Result<(RequestId, UnixMillis, SocketAddrV4), HelloDrop> {
        let id = self.array()?;
        let time = UnixMillis(u64::from_be_bytes(self.array()?));
        let ip = Ipv6Addr::from(self.array::<16>()?);
        let port = u16::from_be_bytes(self.array()?);
        // Hello sockets are found through BEP5, which is IPv4 only.
        let ip = ip.to_ipv4_mapped().ok_or(HelloDrop::Malformed)?;
        Ok((id, time, SocketAddrV4::new(ip, port)))
    }

    fn record(&mut self) -> Result<Vec<u8>, HelloDrop> {
        let len = u16::from_be_bytes(self.array()?).into();
        if len > MAX_RECORD_BYTES {
            return Err(HelloDrop::Malformed);
        }
        Ok(self.take(len)?.to_vec())
    }
}
