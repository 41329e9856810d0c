//! Flags on where a node's files are, and how its keys are protected.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

/// Whose node it is.
#[derive(Debug, Args)]
pub struct HomeArgs {
    /// Where identity, topics and posts are kept. Default: the platform's data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How the node's keys are protected.
    #[command(flatten)]
    pub keys: KeyArgs,
}

impl HomeArgs {
    /// The flags that were given, in the shape of the config.
    pub fn overrides(&self) -> Value {
        let mut node = Map::new();
        if let Some(dir) = &self.data_dir {
            node.insert("data_dir".into(), json!(dir));
        }
        json!({ "node": node, "identity": self.keys.overrides() })
    }
}

/// Where the node's keys are kept: in the keyring of the operating system; where there is none, in a
/// file that one of these encrypts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// File with the passphrase that encrypts the node's keys, where no keyring has them. Default:
    /// $KUKURI_PASSPHRASE_FILE, the systemd credential `kukuri-passphrase`, a question on the
    /// terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with a random key that encrypts them, instead of a passphrase: 32 bytes, as they are, in
    /// hex or in base64.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    pub key_file: Option<PathBuf>,
    /// Keep them in the clear, where no keyring has them: whoever reads that file, or a backup of
    /// it, is this node.
    #[arg(long)]
    pub insecure_plaintext_store: bool,
}

impl KeyArgs {
    /// The flags that were given, in the shape of the section `identity` of the config.
    pub fn overrides(&self) -> Value {
        let mut identity = Map::new();
        if let Some(file) = &self.passphrase_file {
            identity.insert("passphrase_file".into(), json!(file));
        }
        if let Some(file) = &self.key_file {
            identity.insert("key_file".into(), json!(file));
        }
        if self.insecure_plaintext_store {
            identity.insert("insecure_plaintext_store".into(), json!(true));
        }
        identity.into()
    }
}
