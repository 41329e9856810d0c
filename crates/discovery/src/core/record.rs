//! Records: "this endpoint, at these addresses, is in this topic", signed by the endpoint.
//!
//! ```text
//! version 1 | endpoint 32 | issued at, ms 8 | swarm mark 16
//! | n 1 | n x (family 1 (4 or 6) | IP 4 or 16 | port 2)
//! | length 1 | relay URL | signature 64
//! ```
//!
//! Integers are big endian. The signature is over [`SignRequest::Record`]: domain prefix, topic,
//! epoch of issue, and all of the above before it. A decoded record is a verified one.

use std::net::{IpAddr, SocketAddr};

use kukuri_contract::{
    EndpointAddr, EndpointId, Epoch, HelloDrop, MAX_DIRECT_ADDRESSES, SignRequest, Signature,
    TopicId, UnixMillis,
};

use super::signature;

/// Version of the record format.
pub const VERSION: u8 = 1;
/// Largest record in bytes: several fit one reply or one page.
pub const MAX_RECORD_BYTES: usize = 256;
/// Longest relay URL in bytes: what four IPv6 addresses leave of a record.
pub const MAX_RELAY_BYTES: usize = MAX_RECORD_BYTES - FIXED_BYTES - MAX_DIRECT_ADDRESSES * 19;
/// Records and hellos are fresh within this distance of the own clock, either way.
pub const FRESH_MS: u64 = 15 * 60 * 1000;
/// The swarm mark of a node that knows of none.
pub const NO_MARK: [u8; 16] = [0; 16];

const SIGNATURE_BYTES: usize = 64;
const FIXED_BYTES: usize = 1 + 32 + 8 + 16 + 1 + 1 + SIGNATURE_BYTES;

/// A verified record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who, and where.
    pub peer: EndpointAddr,
    /// When it was issued, by the endpoint's clock.
    pub issued_at: UnixMillis,
    /// The swarm that the endpoint saw itself in; [`NO_MARK`] if it knew of none.
    pub mark: [u8; 16],
    /// As it was on the wire, to be handed on.
    pub bytes: Vec<u8>,
}

/// Why bytes are no record that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Longer than [`MAX_RECORD_BYTES`].
    #[error("a record has at most {MAX_RECORD_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// Bytes are missing, or left over.
    #[error("the record ends too early or goes on too long")]
    Length,
    /// A version that this node does not speak.
    #[error("record version {0} is unknown; this node speaks {VERSION}")]
    Version(u8),
    /// More than [`MAX_DIRECT_ADDRESSES`] addresses.
    #[error("a record has at most {MAX_DIRECT_ADDRESSES} addresses, this one has {0}")]
    TooManyAddresses(u8),
    /// An address family other than 4 and 6.
    #[error("address family {0} is unknown")]
    Family(u8),
    /// The relay URL is no UTF-8.
    #[error("the relay URL is not UTF-8")]
    Relay,
    /// The endpoint id is no Ed25519 key, or the signature is not the endpoint's for this topic.
    #[error("the signature is not the endpoint's for this topic and epoch")]
    BadSignature,
    /// Issued too long ago, or in the future.
    #[error("the record was issued {0} ms away from the own clock, {FRESH_MS} are allowed")]
    Stale(u64),
}

impl From<RecordError> for HelloDrop {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::BadSignature => Self::BadSignature,
            RecordError::Stale(_) => Self::StaleRecord,
            RecordError::Version(_) => Self::Version,
            _ => Self::Malformed,
        }
    }
}

/// The part of a record that is signed, for an endpoint's own addresses. Addresses beyond the
/// first [`MAX_DIRECT_ADDRESSES`] and a relay URL that is too long are left out.
pub fn body(peer: &EndpointAddr, issued_at: UnixMillis, mark: [u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_RECORD_BYTES);
    out.push(VERSION);
    out.extend(peer.id.as_bytes());
    out.extend(issued_at.0.to_be_bytes());
    out.extend(mark);
    let direct = &peer.direct[..peer.direct.len().min(MAX_DIRECT_ADDRESSES)];
    out.push(direct.len() as u8);
    for address in direct {
        match address.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend(ip.octets());
            }
        }
        out.extend(address.port().to_be_bytes());
    }
    let relay = peer.relay.as_deref().unwrap_or("");
    let relay = if relay.len() > MAX_RELAY_BYTES {
        ""
    } else {
        relay
    };
    out.push(relay.len() as u8);
    out.extend(relay.as_bytes());
    out
}

/// A whole record from its signed part and the signature.
pub fn finish(mut body: Vec<u8>, signature: &Signature) -> Vec<u8> {
    body.extend(signature.as_bytes());
    body
}

/// Whose record these bytes are, if they are one. Not verified.
pub fn endpoint_of(bytes: &[u8]) -> Option<EndpointId> {
    let (_version, rest) = bytes.split_first()?;
    rest.first_chunk().copied().map(EndpointId::from_bytes)
}

impl Record {
    /// The fresh one of these (verified) records that has these bytes. Members hand on the same ones
    /// again and again, and to verify a signature costs more than all else about a hello.
    pub fn among<'a>(
        known: impl IntoIterator<Item = &'a Self>,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Option<Self> {
        let mut known = known.into_iter();
        known
            .find(|known| known.bytes == bytes && known.is_fresh(now))
            .cloned()
    }

    /// Whether it was issued within [`FRESH_MS`] of this time.
    pub fn is_fresh(&self, now: UnixMillis) -> bool {
        self.issued_at.distance(now) <= FRESH_MS
    }

    /// Reads and verifies a record of a topic.
    ///
    /// # Errors
    /// See [`RecordError`]; the signature is checked last, because it costs most.
    pub fn parse(topic: TopicId, bytes: &[u8], now: UnixMillis) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLong(bytes.len()));
        }
        let mut read = Reader(bytes);
        let [version] = read.array()?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let id = EndpointId::from_bytes(read.array()?);
        let issued_at = UnixMillis(u64::from_be_bytes(read.array()?));
        let mark = read.array()?;
        let direct = read.addresses()?;
        let relay = read.relay()?;
        let signature = read.array::<SIGNATURE_BYTES>()?;
        if !read.0.is_empty() {
            return Err(RecordError::Length);
        }
        let age = issued_at.distance(now);
        if age > FRESH_MS {
            return Err(RecordError::Stale(age));
        }
        let signed = SignRequest::Record {
            topic,
            epoch: Epoch::at(issued_at),
            body: bytes[..bytes.len() - SIGNATURE_BYTES].to_vec(),
        };
        let signature = Signature::from_bytes(signature);
        if !signature::is_signed(id, &signed.preimage(), &signature) {
            return Err(RecordError::BadSignature);
        }
        Ok(Self {
            peer: EndpointAddr { id, direct, relay },
            issued_at,
            mark,
            bytes: bytes.to_vec(),
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(RecordError::Length)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.take(N)?.try_into().map_err(|_| RecordError::Length)
    }

    fn addresses(&mut self) -> Result<Vec<SocketAddr>, RecordError> {
        let [count] = self.array()?;
        if usize::from(count) > MAX_DIRECT_ADDRESSES {
            return Err(RecordError::TooManyAddresses(count));
        }
        let one = |_| {
            let ip: IpAddr = match self.array()? {
                [4] => self.array::<4>()?.into(),
                [6] => self.array::<16>()?.into(),
                [other] => return Err(RecordError::Family(other)),
            };
            Ok(SocketAddr::new(ip, u16::from_be_bytes(self.array()?)))
        };
        (0..count).map(one).collect()
    }

    fn relay(&mut self) -> Result<Option<String>, RecordError> {
        let [len] = self.array()?;
        let url = std::str::from_utf8(self.take(len.into())?).map_err(|_| RecordError::Relay)?;
        Ok((!url.is_empty()).then(|| url.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::testing::{NOW, TOPIC, peer, signed_record, signing_key};

    #[test]
    fn round_trip() {
        let mut peer = peer(1);
        peer.direct.push("[2001:db8::7]:4433".parse().unwrap());
        peer.relay = Some("https://relay.example/".into());
        let bytes = signed_record(1, TOPIC, &peer, NOW);
        let record = Record::parse(TOPIC, &bytes, NOW).unwrap();
        assert_eq!(record.peer, peer);
        assert_eq!(record.issued_at, NOW);
        assert_eq!(record.bytes, bytes);
    }

    #[test]
    fn the_largest_record_fits() {
        let mut peer = peer(1);
        peer.direct = vec!["[2001:db8::7]:4433".parse().unwrap(); MAX_DIRECT_ADDRESSES];
        peer.relay = Some("r".repeat(MAX_RELAY_BYTES));
        let bytes = signed_record(1, TOPIC, &peer, NOW);
        assert_eq!(bytes.len(), MAX_RECORD_BYTES);
        assert_eq!(Record::parse(TOPIC, &bytes, NOW).unwrap().peer, peer);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut peer = peer(1);
        peer.direct = vec!["127.0.0.1:4433".parse().unwrap(); MAX_DIRECT_ADDRESSES + 1];
        peer.relay = Some("r".repeat(MAX_RELAY_BYTES + 1));
        let bytes = signed_record(1, TOPIC, &peer, NOW);
        let read = Record::parse(TOPIC, &bytes, NOW).unwrap().peer;
        assert_eq!(read.direct.len(), MAX_DIRECT_ADDRESSES);
        assert_eq!(read.relay, None);
    }

    #[test]
    fn another_topic_or_endpoint_is_a_bad_signature() {
        let bytes = signed_record(1, TOPIC, &peer(1), NOW);
        let other = TopicId::from_bytes([9; 32]);
        assert_eq!(
            Record::parse(other, &bytes, NOW),
            Err(RecordError::BadSignature)
        );
        // Signed by key 2, but naming endpoint 1.
        let forged = signed_record(2, TOPIC, &peer(1), NOW);
        assert_eq!(
            Record::parse(TOPIC, &forged, NOW),
            Err(RecordError::BadSignature)
        );
    }

    #[test]
    fn freshness_ends_at_fifteen_minutes_either_way() {
        let bytes = signed_record(1, TOPIC, &peer(1), NOW);
        let at = |ms: i64| UnixMillis(NOW.0.checked_add_signed(ms).unwrap());
        let edge = FRESH_MS as i64;
        assert!(Record::parse(TOPIC, &bytes, at(edge)).is_ok());
        assert!(Record::parse(TOPIC, &bytes, at(-edge)).is_ok());
        for off in [edge + 1, -edge - 1] {
            let read = Record::parse(TOPIC, &bytes, at(off));
            assert_eq!(read, Err(RecordError::Stale(FRESH_MS + 1)));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Record::parse(TOPIC, &bytes, NOW).is_err());
        }

        #[test]
        fn any_change_is_noticed(at in 0usize..151, bit in 0u8..8) {
            let mut bytes = signed_record(1, TOPIC, &peer(1), NOW);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(Record::parse(TOPIC, &bytes, NOW).is_err());
        }
    }

    #[test]
    fn the_endpoint_id_is_the_key() {
        let key = signing_key(1).verifying_key();
        assert_eq!(peer(1).id.as_bytes(), key.as_bytes());
    }

    #[test]
    fn a_known_record_is_found_by_its_very_bytes_while_it_is_fresh() {
        let bytes = signed_record(1, TOPIC, &peer(1), NOW);
        let known = [Record::parse(TOPIC, &bytes, NOW).unwrap()];
        assert_eq!(Record::among(&known, &bytes, NOW).unwrap().peer, peer(1));
        let mut forged = bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(Record::among(&known, &forged, NOW), None);
        let later = UnixMillis(NOW.0 + FRESH_MS + 1);
        assert_eq!(Record::among(&known, &bytes, later), None);
    }
}
