//! The two keys of a node, and the form in which a store keeps them.
//!
//! ```text
//! "kukuri-id" 9 | version 1 | endpoint key 32 | author key 32 | made at, ms 8 | check 4
//! check = the first 4 bytes of SHA-256 of all before it
//! ```

use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
use kukuri_contract::{
    AuthorId, EndpointId, EndpointKey, KeyBytes, SignError, SignRequest, Signature, UnixMillis,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Version of the stored form.
pub const VERSION: u8 = 1;
/// Length of the stored form in bytes.
pub const STORED_BYTES: usize = MAGIC.len() + 1 + 32 + 32 + 8 + CHECK_BYTES;

/// How every form of the keys starts.
pub(super) const MAGIC: &[u8] = b"kukuri-id";
pub(super) const CHECK_BYTES: usize = 4;

/// The keys of a node. Wiped from memory when dropped; `Debug` prints the public halves.
#[derive(Clone)]
pub struct Keys {
    endpoint: SigningKey,
    author: SigningKey,
    made_at: UnixMillis,
}

/// Why stored bytes are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoredKeysError {
    /// Something else.
    #[error("it is no kukuri identity")]
    NotKeys,
    /// A version that this program does not know.
    #[error("its version {0} is unknown, this program knows {VERSION}; update kukuri")]
    Version(u8),
    /// Bytes are missing, or there are too many.
    #[error("it has {0} bytes instead of {STORED_BYTES}; restore it from a backup")]
    Length(usize),
    /// The check bytes don't fit.
    #[error("it is damaged: its check does not fit; restore it from a backup")]
    Check,
}

impl Keys {
    /// Keys from 32 random bytes each, made at a moment.
    pub fn new(endpoint: &[u8; 32], author: &[u8; 32], made_at: UnixMillis) -> Self {
        Self {
            endpoint: SigningKey::from_bytes(endpoint),
            author: SigningKey::from_bytes(author),
            made_at,
        }
    }

    /// The form that a store keeps.
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(STORED_BYTES));
        out.extend(MAGIC);
        out.push(VERSION);
        out.extend(self.endpoint.as_bytes());
        out.extend(self.author.as_bytes());
        out.extend(self.made_at.0.to_be_bytes());
        let check = check(&out);
        out.extend(check);
        out
    }

    /// Reads the form that a store keeps.
    ///
    /// # Errors
    /// See [`StoredKeysError`].
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StoredKeysError> {
        let rest = bytes.strip_prefix(MAGIC);
        let (version, _) = rest
            .and_then(<[u8]>::split_first)
            .ok_or(StoredKeysError::NotKeys)?;
        if *version != VERSION {
            return Err(StoredKeysError::Version(*version));
        }
        let whole: &[u8; STORED_BYTES] = bytes
            .try_into()
            .map_err(|_| StoredKeysError::Length(bytes.len()))?;
        let (head, tail) = whole.split_at(STORED_BYTES - CHECK_BYTES);
        if tail != check(head) {
            return Err(StoredKeysError::Check);
        }
        let keys = &head[MAGIC.len() + 1..];
        let (endpoint, rest) = keys.split_first_chunk().expect("the length was checked");
        let (author, rest) = rest.split_first_chunk().expect("the length was checked");
        let (made_at, _) = rest.split_first_chunk().expect("the length was checked");
        let made_at = UnixMillis(u64::from_be_bytes(*made_at));
        Ok(Self::new(endpoint, author, made_at))
    }

    /// The endpoint.
    pub fn endpoint_id(&self) -> EndpointId {
        EndpointId::from_bytes(self.endpoint.verifying_key().to_bytes())
    }

    /// The author.
    pub fn author_id(&self) -> AuthorId {
        AuthorId::from_bytes(self.author.verifying_key().to_bytes())
    }

    /// The endpoint's secret key, for the gossip service.
    pub fn endpoint_key(&self) -> EndpointKey {
        EndpointKey::new(self.endpoint.to_bytes())
    }

    /// The same keys with those of `fresh` in their place: the endpoint's, and the author's too if
    /// `author` says so.
    pub fn rotated(&self, fresh: &Self, author: bool) -> Self {
        let kept = if author { fresh } else { self };
        Self {
            endpoint: fresh.endpoint.clone(),
            author: kept.author.clone(),
            made_at: fresh.made_at,
        }
    }

    /// The key that seals the list of topics ([`super::book`]).
    pub fn book_key(&self) -> KeyBytes {
        let secret = Zeroizing::new([*self.endpoint.as_bytes(), *self.author.as_bytes()].concat());
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(b"kukuri/1"), &secret)
            .expand(b"topics file", key.as_mut())
            .expect("32 bytes are within HKDF's limit of 8160");
        KeyBytes::new(*key)
    }

    /// Signs a statement with the key that it is for.
    ///
    /// # Errors
    /// A link of another author.
    pub fn sign(&self, statement: &SignRequest) -> Result<Signature, SignError> {
        match statement {
            SignRequest::Record { .. } | SignRequest::Heartbeat { .. } => {
                Ok(sign(&self.endpoint, statement))
            }
            SignRequest::Post { .. } => Ok(sign(&self.author, statement)),
            SignRequest::Link { author, .. } if *author == self.author_id() => {
                Ok(sign(&self.author, statement))
            }
            _ => Err(SignError::NotOurs),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (endpoint, author) = (self.endpoint_id(), self.author_id());
        write!(f, "Keys({endpoint:?}, {author:?})")
    }
}

fn sign(key: &SigningKey, statement: &SignRequest) -> Signature {
    Signature::from_bytes(key.sign(&statement.preimage()).to_bytes())
}

/// Finds damage; it is no protection.
pub(super) fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(bytes);
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::VerifyingKey;
    use kukuri_contract::{Epoch, TopicId};
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::new(&[1; 32], &[2; 32], UnixMillis(1_780_000_000_000))
    }

    fn verifies(key: &[u8; 32], statement: &SignRequest, signature: &Signature) -> bool {
        VerifyingKey::from_bytes(key)
            .unwrap()
            .verify_strict(&statement.preimage(), &signature.as_bytes().into())
            .is_ok()
    }

    #[test]
    fn the_stored_form_round_trips() {
        let stored = keys().to_stored();
        assert_eq!(stored.len(), STORED_BYTES);
        let read = Keys::from_stored(&stored).unwrap();
        assert_eq!(read.to_stored(), stored);
        assert_eq!(read.author_id(), keys().author_id());
        assert_eq!(read.endpoint_key().expose(), &[1; 32]);
    }

    #[test]
    fn each_damage_has_its_error() {
        let good = keys().to_stored();
        let read = |bytes: &[u8]| Keys::from_stored(bytes).unwrap_err();
        assert_eq!(read(b""), StoredKeysError::NotKeys);
        assert_eq!(read(b"something else"), StoredKeysError::NotKeys);
        assert_eq!(read(&good[..50]), StoredKeysError::Length(50));
        let mut newer = good.to_vec();
        newer[MAGIC.len()] = 2;
        assert_eq!(read(&newer), StoredKeysError::Version(2));
    }

    #[test]
    fn each_statement_is_signed_by_its_key_and_stands_for_no_other() {
        let keys = keys();
        let topic = TopicId::from_bytes([7; 32]);
        let record = SignRequest::Record {
            topic,
            epoch: Epoch(1),
            body: b"same".to_vec(),
        };
        let post = SignRequest::Post {
            topic,
            envelope: b"same".to_vec(),
        };
        let (endpoint, author) = (keys.endpoint_id(), keys.author_id());
        let signature = keys.sign(&record).unwrap();
        assert!(verifies(endpoint.as_bytes(), &record, &signature));
        assert!(!verifies(endpoint.as_bytes(), &post, &signature));
        let signature = keys.sign(&post).unwrap();
        assert!(verifies(author.as_bytes(), &post, &signature));
        let link = |author| SignRequest::Link {
            author,
            writer: AuthorId::from_bytes([8; 32]),
            issued_at: UnixMillis(1),
        };
        let signature = keys.sign(&link(author)).unwrap();
        assert!(verifies(author.as_bytes(), &link(author), &signature));
        let foreign = link(AuthorId::from_bytes([9; 32]));
        assert_eq!(keys.sign(&foreign), Err(SignError::NotOurs));
    }

    #[test]
    fn debug_prints_public_halves_only() {
        let text = format!("{:?}", keys());
        assert!(
            !text.contains("0101010101") && !text.contains("0202020202"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(Keys::from_stored(&bytes).is_err());
        }

        #[test]
        fn any_change_is_noticed(at in 0usize..STORED_BYTES, bit in 0u8..8) {
            let mut bytes = keys().to_stored();
            bytes[at] ^= 1 << bit;
            prop_assert!(Keys::from_stored(&bytes).is_err());
        }
    }
}
