//! The sealed form of a node's keys, as a file keeps them. PROTOCOL.md, section 16, has the rules.
//!
//! ```text
//! "kukuri-id" 9 | version 2 | lock 1 | memory, KiB 4 | passes 4 | lanes 4 | salt 16 | nonce 24
//! | sealed keys | check 4
//!
//! sealed keys = XChaCha20-Poly1305 of the stored form (`keys`), additional data: all before them
//! check       = the first 4 bytes of SHA-256 of all before it
//! ```
//!
//! | lock | the cipher's key |
//! |---|---|
//! | 1 | Argon2id (RFC 9106, version 0x13) of a passphrase and the salt, by memory, passes, lanes |
//! | 2 | HKDF-SHA256 of a key file's 32 bytes and the salt; memory, passes, lanes are 0 |
//!
//! The check tells a damaged file from a wrong passphrase. It is no protection; the cipher is.

use argon2::{Algorithm, Argon2, Block, Params};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::{CHECK_BYTES, MAGIC, check};

/// Version of the sealed form; 1 is the stored form in the clear.
pub const VERSION: u8 = 2;
/// Length of a key file's key.
pub const KEY_BYTES: usize = 32;
/// Length of the salt.
pub const SALT_BYTES: usize = 16;
/// Length of the nonce.
pub const NONCE_BYTES: usize = 24;

const BY_PASSPHRASE: u8 = 1;
const BY_KEY: u8 = 2;
const HEADER_BYTES: usize = MAGIC.len() + 1 + 1 + 3 * 4 + SALT_BYTES + NONCE_BYTES;
const TAG_BYTES: usize = 16;
const INFO: &[u8] = b"kukuri/1 key file";

/// What guessing a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes that may be computed side by side.
    pub lanes: u32,
}

impl Cost {
    /// Of new files: the second recommended option of RFC 9106, for machines that can't spare 2 GiB.
    pub const NEW: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };
    /// Most that is taken from a file: whoever can write it must not be able to stop the machine.
    pub const MOST: Self = Self {
        memory_kib: 1024 * 1024,
        passes: 16,
        lanes: 16,
    };

    fn is_bearable(self) -> bool {
        let (most, lanes) = (Self::MOST, self.lanes);
        (1..=most.lanes).contains(&lanes)
            && (1..=most.passes).contains(&self.passes)
            && (8 * lanes..=most.memory_kib).contains(&self.memory_kib)
    }
}

/// What seals and opens. Wiped from memory when dropped; `Debug` prints which kind it is.
#[derive(Clone)]
pub enum Unlock {
    /// A passphrase.
    Passphrase(Zeroizing<Vec<u8>>),
    /// The key of a key file.
    Key(Zeroizing<[u8; KEY_BYTES]>),
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(..)",
            Self::Key(_) => "Key(..)",
        })
    }
}

/// What a sealed file is locked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// A passphrase, at this cost.
    Passphrase(Cost),
    /// A key file.
    Key,
}

/// Why bytes are not opened, or not sealed. Says nothing of what is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// Something else.
    #[error("it is no kukuri identity")]
    NotKeys,
    /// A version that this program does not know.
    #[error("its version {0} is unknown, this program knows {VERSION}; update kukuri")]
    Version(u8),
    /// Bytes are missing.
    #[error("it has {0} bytes, which is too short; restore it from a backup")]
    Length(usize),
    /// The check bytes don't fit.
    #[error("it is damaged: its check does not fit; restore it from a backup")]
    Check,
    /// A lock that this program does not know.
    #[error("its lock {0} is unknown; update kukuri")]
    Lock(u8),
    /// Opening it would cost more than is reasonable, or less than is possible.
    #[error(
        "opening it would take {} KiB of memory, {} passes and {} lanes, which no kukuri asks for; \
         restore it from a backup", .0.memory_kib, .0.passes, .0.lanes
    )]
    Cost(Cost),
    /// It is locked with the other kind: a passphrase, or a key file.
    #[error("it is locked with something else")]
    OtherLock,
    /// It is not what it was locked with, or somebody has changed the file with care.
    #[error("this does not open it")]
    Wrong,
    /// There is not enough memory.
    #[error("there is not enough memory to derive the key ({} KiB)", .0.memory_kib)]
    Memory(Cost),
}

/// Whether bytes say that they are sealed, in this or another version.
pub fn is_sealed(bytes: &[u8]) -> bool {
    let version = bytes.strip_prefix(MAGIC).and_then(<[u8]>::first);
    version.is_some_and(|version| *version != super::keys::VERSION)
}

/// Seals the stored form of keys. Salt and nonce must be random and new.
///
/// # Errors
/// The cost is none that would be opened again, or the memory for it is not there.
pub fn seal(
    plain: &[u8],
    unlock: &Unlock,
    cost: Cost,
    salt: &[u8; SALT_BYTES],
    nonce: &[u8; NONCE_BYTES],
) -> Result<Vec<u8>, SealedError> {
    let (lock, numbers) = match unlock {
        Unlock::Passphrase(_) => (
            BY_PASSPHRASE,
            [cost.memory_kib, cost.passes, cost.lanes].map(u32::to_be_bytes),
        ),
        Unlock::Key(_) => (BY_KEY, [[0; 4]; 3]),
    };
    let head = [MAGIC, &[VERSION, lock], numbers.as_flattened(), salt, nonce].concat();
    let key = derive(unlock, cost, salt)?;
    let payload = Payload {
        msg: plain,
        aad: &head,
    };
    let sealed = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&XNonce::from(*nonce), payload)
        .expect("keys are far below the cipher's limit of 256 GiB");
    let mut out = [head, sealed].concat();
    let check = check(&out);
    out.extend(check);
    Ok(out)
}

/// What a sealed file is locked with.
///
/// # Errors
/// It is damaged, or this program does not know it.
pub fn lock(bytes: &[u8]) -> Result<Lock, SealedError> {
    parse(bytes).map(|parts| parts.lock)
}

/// Opens a sealed file: the stored form of the keys.
///
/// # Errors
/// See [`SealedError`].
pub fn open(bytes: &[u8], unlock: &Unlock) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let parts = parse(bytes)?;
    let cost = match (parts.lock, unlock) {
        (Lock::Passphrase(cost), Unlock::Passphrase(_)) => cost,
        (Lock::Key, Unlock::Key(_)) => Cost::NEW,
        _ => return Err(SealedError::OtherLock),
    };
    let key = derive(unlock, cost, parts.salt)?;
    let payload = Payload {
        msg: parts.sealed,
        aad: parts.head,
    };
    XChaCha20Poly1305::new((&*key).into())
        .decrypt(&XNonce::from(*parts.nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| SealedError::Wrong)
}

/// A sealed file, taken apart.
struct Parts<'a> {
    head: &'a [u8],
    lock: Lock,
    salt: &'a [u8; SALT_BYTES],
    nonce: &'a [u8; NONCE_BYTES],
    sealed: &'a [u8],
}

fn parse(bytes: &[u8]) -> Result<Parts<'_>, SealedError> {
    let rest = bytes.strip_prefix(MAGIC);
    let (version, _) = rest
        .and_then(<[u8]>::split_first)
        .ok_or(SealedError::NotKeys)?;
    if *version != VERSION {
        return Err(SealedError::Version(*version));
    }
    if bytes.len() < HEADER_BYTES + TAG_BYTES + CHECK_BYTES {
        return Err(SealedError::Length(bytes.len()));
    }
    let (body, tail) = bytes.split_at(bytes.len() - CHECK_BYTES);
    if tail != check(body) {
        return Err(SealedError::Check);
    }
    let (head, sealed) = body.split_at(HEADER_BYTES);
    let fields = &head[MAGIC.len() + 1..];
    let proof = "the length was checked";
    let (lock, rest) = fields.split_first().expect(proof);
    let (numbers, rest) = rest.split_first_chunk::<12>().expect(proof);
    let (salt, rest) = rest.split_first_chunk().expect(proof);
    let (nonce, _) = rest.split_first_chunk().expect(proof);
    let number = |at: usize| {
        let bytes = numbers[at * 4..].first_chunk().expect(proof);
        u32::from_be_bytes(*bytes)
    };
    let cost = Cost {
        memory_kib: number(0),
        passes: number(1),
        lanes: number(2),
    };
    let lock = match *lock {
        BY_PASSPHRASE if cost.is_bearable() => Lock::Passphrase(cost),
        BY_KEY if *numbers == [0; 12] => Lock::Key,
        BY_PASSPHRASE | BY_KEY => return Err(SealedError::Cost(cost)),
        other => return Err(SealedError::Lock(other)),
    };
    Ok(Parts {
        head,
        lock,
        salt,
        nonce,
        sealed,
    })
}

/// The cipher's key.
fn derive(
    unlock: &Unlock,
    cost: Cost,
    salt: &[u8; SALT_BYTES],
) -> Result<Zeroizing<[u8; 32]>, SealedError> {
    let mut key = Zeroizing::new([0; 32]);
    match unlock {
        Unlock::Key(secret) => Hkdf::<Sha256>::new(Some(salt), secret.as_ref())
            .expand(INFO, key.as_mut())
            .expect("32 bytes are within HKDF's limit of 8160"),
        Unlock::Passphrase(passphrase) => {
            if !cost.is_bearable() {
                return Err(SealedError::Cost(cost));
            }
            let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
            let params = params.map_err(|_| SealedError::Cost(cost))?;
            // Its own memory would not be wiped: what is left there helps guessing.
            let mut memory = Zeroizing::new(Vec::new());
            let blocks = params.block_count();
            memory
                .try_reserve_exact(blocks)
                .map_err(|_| SealedError::Memory(cost))?;
            memory.resize(blocks, Block::default());
            Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params)
                .hash_password_into_with_memory(passphrase, salt, key.as_mut(), &mut memory[..])
                .map_err(|_| SealedError::Cost(cost))?;
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
