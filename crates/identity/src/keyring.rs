//! Keys in the keyring of the operating system: the only file that names `keyring`.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keyring::Entry;
use kukuri_contract::SecretStoreKind;
use zeroize::Zeroizing;

use crate::error::KeyStoreError;
use crate::file::{read, write_new};
use crate::store::KeyStore;

/// Name of the service in the keyring.
const SERVICE: &str = "kukuri";
/// Name of the file in the data directory that names the entry. Without it a data directory that
/// was moved would come up as somebody else.
const FILE: &str = "identity.keyring";
/// Time for one request: a locked keyring asks its user for a password.
const LIMIT: Duration = Duration::from_secs(30);

/// The keyring of the operating system.
#[derive(Debug)]
pub struct KeyringStore {
    /// Name for a new entry.
    new_name: String,
    file: PathBuf,
}

impl KeyringStore {
    /// The store of a data directory. A new entry gets the name `new_name`.
    pub fn new(data_dir: &Path, new_name: String) -> Self {
        Self {
            new_name,
            file: data_dir.join(FILE),
        }
    }

    /// The name of the entry that has the keys of this data directory.
    fn name(&self) -> Result<Option<String>, KeyStoreError> {
        let bytes = read(&self.file).map_err(|source| KeyStoreError::Read {
            file: self.file.clone(),
            source,
        })?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(text)
    }
}

impl KeyStore for KeyringStore {
    fn kind(&self) -> SecretStoreKind {
        SecretStoreKind::Os
    }

    fn holds_keys(&self) -> bool {
        self.file.exists()
    }

    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        let Some(name) = self.name()? else {
            return Ok(None);
        };
        let user = name.clone();
        let loaded = limited(move || Entry::new(SERVICE, &user)?.get_secret());
        match loaded {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(KeyStoreError::Keyring(keyring::Error::NoEntry)) => {
                let file = self.file.clone();
                Err(KeyStoreError::KeyringLost { name, file })
            }
            Err(error) => Err(error),
        }
    }

    /// The entry first, then the file that names it: if this ends in between, there is an entry
    /// that nobody uses, and no identity that is lost.
    fn save(&self, keys: &[u8]) -> Result<(), KeyStoreError> {
        let (user, keys) = (self.new_name.clone(), Zeroizing::new(keys.to_vec()));
        limited(move || Entry::new(SERVICE, &user)?.set_secret(&keys))?;
        write_new(&self.file, format!("{}\n", self.new_name).as_bytes())
    }

    fn describe(&self) -> String {
        "the keyring of the operating system".to_owned()
    }
}

/// Asks the keyring on a thread of its own: its D-Bus calls block, and may do so for good.
fn limited<T: Send + 'static>(
    request: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<T, KeyStoreError> {
    let (tx, rx) = mpsc::channel();
    // Nobody waits any more after the time limit.
    thread::spawn(move || _ = tx.send(request()));
    let answer = rx.recv_timeout(LIMIT);
    let answer = answer.map_err(|_| KeyStoreError::KeyringSilent(LIMIT))?;
    answer.map_err(|error| match (error, Entry::store_status()) {
        // The error itself says only that there is none.
        (keyring::Error::NoDefaultStore, Err(why)) => KeyStoreError::NoKeyring(why.to_string()),
        (error, _) => KeyStoreError::Keyring(error),
    })
}
