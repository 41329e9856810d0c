//! Keys in the keyring of the operating system: the only file that names `keyring_core` and the
//! crates of its stores.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[cfg(all(feature = "os", target_os = "macos"))]
use apple_native_keyring_store::keychain::Store as OsStore;
use keyring_core::{Entry, Error};
use kukuri_contract::SecretStoreKind;
#[cfg(all(feature = "os", windows))]
use windows_native_keyring_store::Store as OsStore;
#[cfg(all(
    feature = "os",
    unix,
    not(any(target_os = "macos", target_os = "ios", target_os = "android"))
))]
use zbus_secret_service_keyring_store::Store as OsStore;
use zeroize::{Zeroize, Zeroizing};

use crate::error::KeyStoreError;
use crate::file::{read, replace, write_new};
use crate::store::{KeyStore, Loaded, Place};

/// Name of the service in the keyring.
const SERVICE: &str = "kukuri";
/// Name of the file in the data directory that names the entry. Without it a data directory that
/// was moved would come up as somebody else.
const FILE: &str = "identity.keyring";

/// The keyring of the operating system.
#[derive(Debug)]
pub struct KeyringStore {
    /// Name for a new entry.
    new_name: String,
    file: PathBuf,
    /// Longest wait for one request.
    limit: Duration,
}

impl KeyringStore {
    /// The store of a data directory. A new entry gets the name `new_name`.
    pub fn new(data_dir: &Path, new_name: String, limit: Duration) -> Self {
        Self {
            new_name,
            file: data_dir.join(FILE),
            limit,
        }
    }

    /// The name of the entry that has the keys of this data directory.
    fn name_of_entry(&self) -> Result<Option<String>, KeyStoreError> {
        let bytes = read(&self.file)?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(text)
    }

    /// Asks the keyring on a thread of its own: its D-Bus calls block, and may do so for good. Each
    /// request connects anew, so that a keyring that comes up later, or again, is found.
    fn ask<T: Send + 'static>(
        &self,
        user: String,
        request: impl FnOnce(&Entry) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        let (tx, rx) = mpsc::channel();
        let answer = move || {
            let entry = entry(&user).map_err(|error| KeyStoreError::NoKeyring(reason(&error)));
            request(&entry?)
        };
        // Nobody waits any more after the time limit.
        thread::spawn(move || _ = tx.send(answer()));
        let answer = rx.recv_timeout(self.limit);
        answer.map_err(|_| KeyStoreError::KeyringSilent(self.limit))?
    }

    /// Puts keys into a new entry.
    fn put(&self, keys: &[u8]) -> Result<(), KeyStoreError> {
        let keys = Zeroizing::new(keys.to_vec());
        self.ask(self.new_name.clone(), move |entry| {
            entry.set_secret(&keys).map_err(failed)?;
            // A keyring that keeps nothing must not be found out at the next start.
            let kept = Zeroizing::new(entry.get_secret().map_err(failed)?);
            match kept == keys {
                true => Ok(()),
                false => Err(KeyStoreError::Keyring(
                    "it gives back something else than was put into it".into(),
                )),
            }
        })
    }

    fn new_name_line(&self) -> String {
        format!("{}\n", self.new_name)
    }

    fn place() -> Place {
        Place {
            kind: SecretStoreKind::Os,
            note: "the keyring of the operating system".to_owned(),
        }
    }
}

impl KeyStore for KeyringStore {
    fn name(&self) -> &'static str {
        "os"
    }

    fn holds_keys(&self) -> bool {
        self.file.exists()
    }

    fn load(&self) -> Result<Option<Loaded>, KeyStoreError> {
        let Some(name) = self.name_of_entry()? else {
            return Ok(None);
        };
        let lost = KeyStoreError::KeyringLost {
            name: name.clone(),
            file: self.file.clone(),
        };
        let keys = self.ask(name, move |entry| match entry.get_secret() {
            Ok(secret) => Ok(Zeroizing::new(secret)),
            Err(Error::NoEntry) => Err(lost),
            Err(error) => Err(failed(error)),
        })?;
        let place = Self::place();
        Ok(Some(Loaded { keys, place }))
    }

    /// The entry first, then the file that names it: if this ends in between, there is an entry
    /// that nobody uses, and no identity that is lost.
    fn save(&self, keys: &[u8]) -> Result<Place, KeyStoreError> {
        self.put(keys)?;
        write_new(&self.file, self.new_name_line().as_bytes())?;
        Ok(Self::place())
    }

    /// A new entry, then the file that names it, then the old entry goes: in between, one that
    /// nobody uses stays, and the keys are the old or the new ones.
    fn replace(&self, keys: &[u8]) -> Result<Place, KeyStoreError> {
        let before = self.name_of_entry()?;
        self.put(keys)?;
        replace(&self.file, self.new_name_line().as_bytes())?;
        if let Some(before) = before {
            let gone = self.ask(before, |entry| entry.delete_credential().map_err(failed));
            if let Err(error) = gone {
                tracing::warn!(%error, "the old keys are still in the keyring, and not used any more");
            }
        }
        Ok(Self::place())
    }
}

#[cfg(all(feature = "os", not(any(target_os = "ios", target_os = "android"))))]
fn entry(user: &str) -> keyring_core::Result<Entry> {
    use keyring_core::api::CredentialStoreApi;
    OsStore::new()?.build(SERVICE, user, None)
}

#[cfg(any(not(feature = "os"), target_os = "ios", target_os = "android"))]
fn entry(_: &str) -> keyring_core::Result<Entry> {
    let why = format!("{SERVICE} has no store for this platform in this build");
    Err(Error::NotSupportedByStore(why))
}

/// Why there is no keyring, without the library's own words around it.
fn reason(error: &Error) -> String {
    match error {
        Error::PlatformFailure(source) | Error::NoStorageAccess(source) => source.to_string(),
        other => other.to_string(),
    }
}

/// An error of a request. Some of the library's errors hold what it has read, which may be the keys:
/// that is wiped, and only the reason is kept.
fn failed(error: Error) -> KeyStoreError {
    match error {
        Error::NoStorageAccess(source) => KeyStoreError::KeyringLocked(source),
        Error::PlatformFailure(source) => KeyStoreError::Keyring(source),
        Error::BadEncoding(mut read) => {
            read.zeroize();
            KeyStoreError::Keyring("its entry is not of the form that it should have".into())
        }
        Error::BadDataFormat(mut read, source) => {
            read.zeroize();
            KeyStoreError::Keyring(source)
        }
        other => KeyStoreError::Keyring(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_nothing_of_what_was_read() {
        let secret = || vec![207, 208, 209];
        let source = || Box::new(std::io::Error::other("bad"));
        for error in [
            Error::BadEncoding(secret()),
            Error::BadDataFormat(secret(), source()),
        ] {
            let kept = failed(error);
            assert!(!format!("{kept:?} {kept}").contains("207"), "{kept:?}");
        }
        let locked = failed(Error::NoStorageAccess(source()));
        assert!(matches!(locked, KeyStoreError::KeyringLocked(_)));
    }
}
