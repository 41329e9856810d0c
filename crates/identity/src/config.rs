//! Settings of identity.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of the implementation `keyring`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the node's keys are kept.
    pub store: StoreChoice,
    /// File with the passphrase that encrypts the file of keys; a line break at its end does not
    /// count. Also `KUKURI_PASSPHRASE_FILE`. Without it, the systemd credential `kukuri-passphrase`,
    /// or a question on the terminal.
    pub passphrase_file: Option<PathBuf>,
    /// File with a random key of 32 bytes that encrypts the file of keys, instead of a passphrase: as
    /// it is, in hex or in base64.
    pub key_file: Option<PathBuf>,
    /// Keeps the file of keys in the clear: whoever reads it, or a backup of it, is this node.
    pub insecure_plaintext_store: bool,
    /// Longest wait for one request to the keyring, in milliseconds. 30 s: a locked one asks its
    /// user for a password.
    pub keyring_timeout_ms: u64,
    /// Most topics at once; the same bound as discovery's and gossip's.
    pub max_topics: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreChoice::Auto,
            passphrase_file: None,
            key_file: None,
            insecure_plaintext_store: false,
            keyring_timeout_ms: 30_000,
            max_topics: 64,
        }
    }
}

/// Settings of the implementation `file`: an encrypted file, and no keyring is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// File with the passphrase that encrypts the file of keys; as for `keyring`.
    pub passphrase_file: Option<PathBuf>,
    /// File with a random key of 32 bytes that encrypts the file of keys, instead of a passphrase: as
    /// it is, in hex or in base64.
    pub key_file: Option<PathBuf>,
    /// Keeps the file of keys in the clear: whoever reads it, or a backup of it, is this node.
    pub insecure_plaintext_store: bool,
    /// Most topics at once. 64, as for `keyring`.
    pub max_topics: usize,
}

impl Default for FileConfig {
    fn default() -> Self {
        let Config {
            passphrase_file,
            key_file,
            insecure_plaintext_store,
            max_topics,
            ..
        } = Config::default();
        Self {
            passphrase_file,
            key_file,
            insecure_plaintext_store,
            max_topics,
        }
    }
}

impl From<FileConfig> for Config {
    fn from(config: FileConfig) -> Self {
        Self {
            store: StoreChoice::File,
            passphrase_file: config.passphrase_file,
            key_file: config.key_file,
            insecure_plaintext_store: config.insecure_plaintext_store,
            max_topics: config.max_topics,
            ..Self::default()
        }
    }
}

/// Settings of the implementation `memory`: each start is a new identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Most topics at once. 64, as for `keyring`.
    pub max_topics: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        let Config { max_topics, .. } = Config::default();
        Self { max_topics }
    }
}

impl From<MemoryConfig> for Config {
    fn from(MemoryConfig { max_topics }: MemoryConfig) -> Self {
        Self {
            store: StoreChoice::Memory,
            max_topics,
            ..Self::default()
        }
    }
}

/// Where the node's keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreChoice {
    /// Where they are already; else in the keyring of the operating system, and where there is
    /// none, in an encrypted file.
    Auto,
    /// In the keyring of the operating system, or not at all.
    Os,
    /// In an encrypted file of the data directory.
    File,
    /// In memory: each start is a new identity.
    Memory,
}
