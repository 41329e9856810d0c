//! Identifiers and times.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde::{Deserialize, Serialize};

/// Length of an epoch in seconds: keys and places on the DHT change this often.
pub const EPOCH_SECONDS: u64 = 600;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text has the wrong length.
    #[error("expected {expected} hexadecimal digits, got {got} characters")]
    Length {
        /// Digits that the identifier has.
        expected: usize,
        /// Characters that the text has.
        got: usize,
    },
    /// The text has a character that is no hexadecimal digit.
    #[error("not hexadecimal: use the digits 0-9 and a-f")]
    NotHex,
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    if text.len() != 2 * N {
        return Err(IdError::Length {
            expected: 2 * N,
            got: text.chars().count(),
        });
    }
    let bytes = HEX.decode(text.as_bytes()).map_err(|_| IdError::NotHex)?;
    bytes.try_into().map_err(|_| IdError::NotHex)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        ///
        /// Text form: lower-case hexadecimal. `Debug` prints the first five bytes only.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first five bytes in hexadecimal, for logs.
            pub fn short(&self) -> String {
                HEX.encode(&self.0[..5])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEX.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Who a node is on the network: an Ed25519 public key (RFC 8032), whose
    /// secret half the gossip service proves to have.
    EndpointId,
    32
);
id!(
    /// Who wrote a post: an Ed25519 public key that is not the endpoint's.
    AuthorId,
    32
);
id!(
    /// A topic, by its name and secret, from which it is derived. It is told to members only.
    TopicId,
    32
);
id!(
    /// A place to meet, which only members of a topic can derive; as long as a DHT wants it.
    InfoHash,
    20
);
id!(
    /// An Ed25519 signature (RFC 8032).
    Signature,
    64
);

/// A moment in milliseconds since the Unix epoch, as one node's wall clock tells it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Distance to another moment in milliseconds, whichever is later.
    pub fn distance(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }
}

/// Number of a span of [`EPOCH_SECONDS`] seconds since the Unix epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that a moment lies in.
    pub fn at(time: UnixMillis) -> Self {
        Self(time.0 / (EPOCH_SECONDS * 1000))
    }

    /// This epoch moved by `by` epochs; stops at the ends of the range.
    pub fn offset(self, by: i64) -> Self {
        Self(self.0.saturating_add_signed(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_debug_is_short() {
        let id = EndpointId::from_bytes([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:?}"), "EndpointId(ababababab)");
    }

    #[test]
    fn bad_text_names_what_is_wrong() {
        assert_eq!(
            "abc".parse::<TopicId>(),
            Err(IdError::Length {
                expected: 64,
                got: 3
            })
        );
        assert_eq!("zz".repeat(32).parse::<TopicId>(), Err(IdError::NotHex));
        // As many bytes as digits are wanted, but not as many characters.
        assert!("é".repeat(32).parse::<TopicId>().is_err());
    }

    #[test]
    fn epochs_are_ten_minutes() {
        assert_eq!(Epoch::at(UnixMillis(599_999)), Epoch(0));
        assert_eq!(Epoch::at(UnixMillis(600_000)), Epoch(1));
        assert_eq!(Epoch(0).offset(-1), Epoch(0));
        assert_eq!(Epoch(7).offset(-2), Epoch(5));
    }
}
