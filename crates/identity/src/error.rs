//! Why identity can't start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::book::TopicBookError;
use crate::core::keys::StoredKeysError;
use crate::core::sealed::SealedError;
use crate::links::LinksFileError;

/// What a file can be encrypted with.
const WITH_WHAT: &str = "give a passphrase (--passphrase-file or KUKURI_PASSPHRASE_FILE, the systemd \
                         credential kukuri-passphrase, or type it on a terminal) or a key \
                         (--key-file)";
/// Where its passphrase may come from.
const WITH_WHAT_PASSPHRASE: &str = "give it with --passphrase-file or KUKURI_PASSPHRASE_FILE, as the \
                                    systemd credential kukuri-passphrase, or type it on a terminal";

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
         identity.kind to \"keyring\" and identity.store to \"{found}\" or \"auto\", or take another \
         --data-dir for a new identity"
    )]
    Elsewhere {
        /// The data directory.
        dir: PathBuf,
        /// The store that has them.
        found: &'static str,
        /// The store that was asked for.
        wanted: &'static str,
    },
    /// The store `auto` finds no place that is safe.
    #[error(
        "the node's keys have no safe place: no keyring can be used here ({keyring}), and nothing is \
         there to encrypt a file with. Do one of these: start or unlock a keyring; {WITH_WHAT}; or \
         allow keys in the clear with --insecure-plaintext-store"
    )]
    NoSafePlace {
        /// Why no keyring can be used.
        keyring: String,
    },
    /// There are keys, and others were to be taken in.
    #[error(
        "{0} has an identity already, which is left as it is; take another --data-dir, or move its \
         files away first"
    )]
    Exists(PathBuf),
    /// There are no keys.
    #[error("{0} has no identity yet; `kukuri identity show` makes it")]
    NoKeys(PathBuf),
    /// The keys are in memory.
    #[error(
        "the keys are in memory: new at each start, and neither kept nor handed out; for keys that stay, \
         set identity.kind to \"keyring\" (and identity.store to \"auto\") or to \"file\""
    )]
    KeptInMemory,
    /// Nobody gives the passphrase of a backup.
    #[error(
        "a backup has a passphrase of its own; give it with --backup-passphrase-file, or type it on a \
         terminal"
    )]
    NoBackupPassphrase,
    /// The list of topics can't be taken along.
    #[error(transparent)]
    Topics(#[from] TopicBookError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
    /// The author links can't be used.
    #[error(transparent)]
    Links(#[from] LinksFileError),
}

/// A cause of any kind.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store does not give or take keys. Says nothing of any secret.
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
    /// Others may read a file with a secret.
    #[error("others may read {0}, which holds a secret; run `chmod 600` on it")]
    Exposed(PathBuf),
    /// A file is too long to be what it should be.
    #[error("{0} is too long; is it the right file?")]
    TooLong(PathBuf),
    /// A passphrase file or key file is not there.
    #[error(
        "there is no file {0}, which should hold the passphrase or the key; make it, or name another"
    )]
    NoFile(PathBuf),
    /// A passphrase is empty.
    #[error("{0} is empty; a passphrase has at least one letter")]
    EmptyPassphrase(String),
    /// A key file holds no key.
    #[error(
        "{0} holds no key: 32 random bytes, as they are, in hex or in base64; make one with \
         `(umask 077; openssl rand -hex 32 > FILE)`"
    )]
    BadKeyFile(PathBuf),
    /// A backup is not there.
    #[error("there is no backup {0}; check the name")]
    NoBackup(PathBuf),
    /// The user was asked, and gave no passphrase.
    #[error("no passphrase was typed")]
    Prompt(#[source] io::Error),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness to encrypt with")]
    NoRandomness(#[from] getrandom::Error),
    /// A new file would be in the clear.
    #[error(
        "nothing is there to encrypt {0} with; {WITH_WHAT}, or allow keys in the clear with \
         --insecure-plaintext-store"
    )]
    NothingToEncryptWith(PathBuf),
    /// An encrypted file, and no passphrase.
    #[error("{0} is encrypted with a passphrase, and none is given; {WITH_WHAT_PASSPHRASE}")]
    NoPassphrase(PathBuf),
    /// Locked with a key file.
    #[error("{0} is encrypted with a key file; name it with --key-file (identity.key_file)")]
    NeedsKeyFile(PathBuf),
    /// Locked with a passphrase.
    #[error(
        "{0} is encrypted with a passphrase, and a key file is given; leave out --key-file \
         (identity.key_file), and give the passphrase"
    )]
    NeedsPassphrase(PathBuf),
    /// The wrong passphrase, or the wrong key.
    #[error("{from} does not open {file}; nothing was changed: try again with the right one")]
    Wrong {
        /// The file.
        file: PathBuf,
        /// Where the passphrase or key is from.
        from: String,
    },
    /// A file of an earlier version, which is not encrypted.
    #[error(
        "{0} holds the node's keys in the clear; {WITH_WHAT}, and it is encrypted in place, or leave \
         it as it is with --insecure-plaintext-store"
    )]
    InTheClear(PathBuf),
    /// An encrypted file can't be used.
    #[error("the identity in {file} can't be used")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: SealedError,
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
    /// The operating system's keyring is locked.
    #[error(
        "the keyring of the operating system is locked, and was not unlocked; unlock it, then start \
         again"
    )]
    KeyringLocked(#[source] Cause),
    /// The operating system's keyring does not work.
    #[error("the keyring of the operating system does not work")]
    Keyring(#[source] Cause),
    /// The operating system's keyring does not answer.
    #[error(
        "the keyring of the operating system did not answer within {0:?} \
         (identity.keyring_timeout_ms); is it locked?"
    )]
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
