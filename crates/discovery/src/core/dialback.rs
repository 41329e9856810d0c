//! The third kind of hello packet: proof that a port takes what it has not asked for.
//!
//! ```text
//! dial-back  request id 16 | time, ms 8 | where it is sent 18 | zeros      (1200 bytes, always)
//! ```
//!
//! A member that answers a request with the flag sends one, from a socket other than its hello
//! socket, sealed with the key of replies. The kind is authenticated, so that a reply that is sent
//! again from elsewhere is none.

use std::net::SocketAddrV4;

use kukuri_contract::{EpochKeys, HelloDrop, UnixMillis};

use super::hello::{Kind, Reader, RequestId, head, open, seal};

/// What the asked sends from another socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialBack {
    /// From the request.
    pub id: RequestId,
    /// The sender's clock.
    pub time: UnixMillis,
    /// Where it is sent: the request's source IP address, and the port that the request names.
    pub to: SocketAddrV4,
}

impl DialBack {
    /// A sealed packet. The nonce must be random and fresh.
    pub fn seal(&self, keys: &EpochKeys, nonce: [u8; 24]) -> Vec<u8> {
        let plain = head(&self.id, self.time, self.to);
        seal(Kind::DialBack, keys, nonce, plain)
    }

    /// Opens a packet.
    ///
    /// # Errors
    /// [`HelloDrop::Seal`] or [`HelloDrop::Malformed`].
    pub fn open(packet: &[u8], keys: &EpochKeys) -> Result<Self, HelloDrop> {
        let plain = open(Kind::DialBack, keys, packet)?;
        let (id, time, to) = Reader(&plain).head()?;
        Ok(Self { id, time, to })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::hello::{HelloReply, PACKET_BYTES, has_tag, kind};
    use crate::core::testing::{NOW, keys};

    fn dial_back() -> DialBack {
        DialBack {
            id: [3; 16],
            time: NOW,
            to: "192.0.2.1:4000".parse().unwrap(),
        }
    }

    #[test]
    fn it_is_what_it_is_and_nothing_else() {
        let packet = dial_back().seal(&keys(1), [9; 24]);
        assert_eq!(packet.len(), PACKET_BYTES);
        assert_eq!(kind(&packet), Ok(Kind::DialBack));
        assert!(has_tag(&packet, &keys(1)) && !has_tag(&packet, &keys(2)));
        assert_eq!(DialBack::open(&packet, &keys(1)), Ok(dial_back()));
        assert_eq!(DialBack::open(&packet, &keys(2)), Err(HelloDrop::Seal));
        // A reply with the same content, as somebody could send it on from another socket.
        let reply = HelloReply {
            id: [3; 16],
            time: NOW,
            observed: "192.0.2.1:4000".parse().unwrap(),
            record: Vec::new(),
            members: Vec::new(),
            dialed_back: false,
        };
        let mut turned = reply.seal(&keys(1), [9; 24]);
        turned[1] = 2;
        assert!(!has_tag(&turned, &keys(1)));
        assert_eq!(DialBack::open(&turned, &keys(1)), Err(HelloDrop::Seal));
    }

    proptest! {
        #[test]
        fn any_change_is_noticed(at in 0usize..PACKET_BYTES, bit in 0u8..8) {
            let mut packet = dial_back().seal(&keys(1), [9; 24]);
            packet[at] ^= 1 << bit;
            prop_assert!(kind(&packet) != Ok(Kind::DialBack) || DialBack::open(&packet, &keys(1)).is_err());
        }

        #[test]
        fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..1300)) {
            prop_assert!(DialBack::open(&bytes, &keys(1)).is_err());
        }
    }
}
