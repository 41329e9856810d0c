//! Why identity can't start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::keys::StoredKeysError;

/// Why identity can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A field of the config is wrong.
    #[error("identity.{field} is wrong: {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness for new keys")]
    NoRandomness(#[from] getrandom::Error),
    /// The keys of this data directory are in another store than the one asked for.
    #[error(
        "the identity of {dir} is kept in the store \"{found}\", not in \"{wanted}\"; set \
         identity.store to \"{found}\" or \"auto\", or take another --data-dir for a new identity"
    )]
    Elsewhere {
        /// The data directory.
        dir: PathBuf,
        /// The store that has them.
        found: &'static str,
        /// The store that was asked for.
        wanted: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
}

/// Why a store does not give or take keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// A file can't be read.
    #[error("can't read {file}: check its permissions")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be written.
    #[error("can't write {file}: check the permissions of its directory and the space on the disk")]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read a file of keys.
    #[error("others may read {file}, which holds secret keys; run `chmod 600` on it")]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// What is kept can't be used.
    #[error("the identity in {place} can't be used")]
    Damaged {
        /// Where.
        place: String,
        /// Why.
        source: StoredKeysError,
    },
    /// The operating system has no keyring here.
    #[error("there is no keyring of the operating system here: {0}")]
    NoKeyring(String),
    /// The operating system's keyring does not work.
    #[error("the keyring of the operating system does not work")]
    Keyring(#[source] keyring::Error),
    /// The operating system's keyring does not answer.
    #[error("the keyring of the operating system did not answer within {0:?}; is it locked?")]
    KeyringSilent(Duration),
    /// The entry is gone.
    #[error(
        "the keyring of the operating system has no entry {name:?}, which {file} names; unlock or \
         restore the keyring, or remove that file to start with a new identity"
    )]
    KeyringLost {
        /// Name of the entry.
        name: String,
        /// The file that names it.
        file: PathBuf,
    },
}
