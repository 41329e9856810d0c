//! The only file that draws randomness: new keys and new secrets.

use kukuri_contract::{SECRET_BYTES, TopicSecret, UnixMillis};
use zeroize::Zeroizing;

use crate::core::keys::Keys;
use crate::core::sealed::{KEY_BYTES, NONCE_BYTES, SALT_BYTES};

/// A new topic secret of 32 random bytes.
///
/// # Errors
/// The operating system gives no randomness.
pub fn generate_secret() -> Result<TopicSecret, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(bytes.as_mut())?;
    Ok(TopicSecret::from_bytes(*bytes))
}

/// The content of a new key file (`identity.key_file`): 32 random bytes in hexadecimal.
///
/// # Errors
/// The operating system gives no randomness.
pub fn generate_key_file() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(bytes.as_mut())?;
    Ok(Zeroizing::new(
        data_encoding::HEXLOWER.encode(bytes.as_ref()),
    ))
}

/// New keys of a node, linked now.
pub fn generate_keys(now: UnixMillis) -> Result<Keys, getrandom::Error> {
    let mut endpoint = Zeroizing::new([0; 32]);
    let mut author = Zeroizing::new([0; 32]);
    getrandom::fill(endpoint.as_mut())?;
    getrandom::fill(author.as_mut())?;
    Ok(Keys::new(&endpoint, &author, now))
}

/// A random name in hexadecimal, for an entry of a keyring.
pub fn generate_name() -> Result<String, getrandom::Error> {
    Ok(data_encoding::HEXLOWER.encode(&random::<16>()?))
}

/// A new salt for a file of keys.
pub fn generate_salt() -> Result<[u8; SALT_BYTES], getrandom::Error> {
    random()
}

/// A new nonce for a file of keys.
pub fn generate_nonce() -> Result<[u8; NONCE_BYTES], getrandom::Error> {
    random()
}

/// Bytes that need not be wiped.
fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
