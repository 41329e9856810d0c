//! The file of a member: its address and the time, under a code that only members can make.

use hmac::{Hmac, KeyInit, Mac};
use kukuri_contract::{EndpointAddr, HelloDrop, KeyBytes, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Largest file in bytes: an id, four addresses and a relay need some 500.
pub const MAX_BYTES: usize = 1024;
/// Longest URL of a relay, in bytes, so that a file stays below [`MAX_BYTES`].
pub const MAX_RELAY_BYTES: usize = 256;
/// Most direct addresses of a member; the best come first.
pub const MAX_DIRECT: usize = 4;
/// Files that were written longer ago than this, or are as far in the future, don't count, in
/// milliseconds. A minute: whoever lives writes its file anew at each look.
pub const FRESH_MS: u64 = 60_000;

/// Tells this use of the key from all others.
const DOMAIN: &[u8] = b"kukuri-folder/1\0";
/// Length of the code, in bytes.
const CODE_BYTES: usize = 32;

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who, and where to dial.
    pub peer: EndpointAddr,
    /// When, by its clock.
    pub time: UnixMillis,
}

impl Entry {
    /// The bytes of the file: code, then JSON. The key is the topic's `hello_tag` of the epoch.
    pub fn write(&self, key: &KeyBytes) -> Vec<u8> {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let code = code(key, &body).finalize().into_bytes();
        [code.as_slice(), &body].concat()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn read(bytes: &[u8], key: &KeyBytes, now: UnixMillis) -> Result<Self, HelloDrop> {
        if bytes.len() > MAX_BYTES {
            return Err(HelloDrop::Length);
        }
        let (told, body) = bytes
            .split_at_checked(CODE_BYTES)
            .ok_or(HelloDrop::Length)?;
        let right = code(key, body).verify_slice(told);
        right.map_err(|_| HelloDrop::UnknownTag)?;
        let entry: Self = serde_json::from_slice(body).map_err(|_| HelloDrop::Malformed)?;
        match entry.time.0.abs_diff(now.0) {
            0..FRESH_MS => Ok(entry),
            _ => Err(HelloDrop::StaleRecord),
        }
    }
}

fn code(key: &KeyBytes, body: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key.expose())
        .expect("HMAC takes keys of any length")
        .chain_update(DOMAIN)
        .chain_update(body)
}
