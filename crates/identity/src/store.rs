//! Where a node's keys are kept: one trait, and the choice among its implementations.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kukuri_contract::{SecretStoreKind, UnixMillis};
use zeroize::Zeroizing;

use crate::config::{Config, StoreChoice};
use crate::core::keys::Keys;
use crate::error::{IdentityError, KeyStoreError};
use crate::file_store::FileStore;
use crate::keyring::KeyringStore;
use crate::random::{generate_keys, generate_name};
use crate::unlock::Sources;

/// A place for the keys of one data directory.
pub trait KeyStore {
    /// Its name in the config.
    fn name(&self) -> &'static str;
    /// Whether the keys of this data directory are here, as far as can be seen without asking.
    fn holds_keys(&self) -> bool;
    /// The keys; `None` if there never were any.
    fn load(&self) -> Result<Option<Loaded>, KeyStoreError>;
    /// Keeps new keys; they are safe when this returns. Never overwrites any.
    fn save(&self, keys: &[u8]) -> Result<Place, KeyStoreError>;
    /// Keeps keys in the place of those that are here. At any moment, either are safe.
    fn replace(&self, keys: &[u8]) -> Result<Place, KeyStoreError>;
}

/// Where keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What kind of place it is.
    pub kind: SecretStoreKind,
    /// The place in words.
    pub note: String,
}

impl Place {
    fn because(self, reason: impl std::fmt::Display) -> Self {
        Self {
            note: format!("{}, because {reason}", self.note),
            ..self
        }
    }
}

/// Keys in their stored form, and where they are kept.
#[derive(Clone)]
pub struct Loaded {
    /// The keys.
    pub keys: Zeroizing<Vec<u8>>,
    /// Where they are kept.
    pub place: Place,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loaded({:?})", self.place)
    }
}

/// Keys in memory: they outlive the actor, but not the process. Clones share the keys.
///
/// It is the store `memory`, and remembers what another store gave, for a restart of the actor: no
/// passphrase is asked for twice, and a keyring that was locked meanwhile ends no node.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Option<Loaded>>>);

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryStore(..)")
    }
}

impl MemoryStore {
    fn remember(&self, keys: &[u8], place: &Place) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Loaded {
            keys: Zeroizing::new(keys.to_vec()),
            place: place.clone(),
        });
    }
}

impl KeyStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn holds_keys(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_some()
    }

    fn load(&self) -> Result<Option<Loaded>, KeyStoreError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.clone())
    }

    fn save(&self, keys: &[u8]) -> Result<Place, KeyStoreError> {
        let place = Place {
            kind: SecretStoreKind::Memory,
            note: "memory (gone when the program ends)".to_owned(),
        };
        self.remember(keys, &place);
        Ok(place)
    }

    fn replace(&self, keys: &[u8]) -> Result<Place, KeyStoreError> {
        self.save(keys)
    }
}

/// Keys, and where they are kept.
#[derive(Debug)]
pub struct Opened {
    /// The keys.
    pub keys: Keys,
    /// Where they are kept, with the reason.
    pub place: Place,
}

/// Opens the keys of a data directory, or makes them. Blocks.
///
/// # Errors
/// The store of choice fails, or the keys are in another one.
pub fn open(
    config: &Config,
    dir: &Path,
    memory: &MemoryStore,
    sources: Sources,
    now: UnixMillis,
) -> Result<Opened, IdentityError> {
    if memory.holds_keys() {
        return load_or_make(memory, now);
    }
    let stores = stores(config, dir, sources)?;
    let opened = match config.store {
        StoreChoice::Memory => load_or_make(memory, now),
        StoreChoice::Auto => auto(&stores.os, &stores.file, now),
        StoreChoice::File | StoreChoice::Os => load_or_make(stores.of(config.store, dir)?, now),
    }?;
    memory.remember(&opened.keys.to_stored(), &opened.place);
    Ok(opened)
}

/// The stores that outlive the process.
pub struct Stores {
    /// The keyring of the operating system.
    pub os: KeyringStore,
    /// The file in the data directory.
    pub file: FileStore,
}

impl Stores {
    /// The one that has the keys of `dir`, or would have new ones.
    ///
    /// # Errors
    /// The keys are in another one than the choice, or the choice keeps none.
    pub fn of(&self, choice: StoreChoice, dir: &Path) -> Result<&dyn KeyStore, IdentityError> {
        match choice {
            StoreChoice::Memory => Err(IdentityError::KeptInMemory),
            StoreChoice::File => elsewhere_refused(dir, &self.os, &self.file),
            StoreChoice::Os => elsewhere_refused(dir, &self.file, &self.os),
            StoreChoice::Auto if self.os.holds_keys() => Ok(&self.os),
            StoreChoice::Auto => Ok(&self.file),
        }
    }
}

/// The stores of a data directory.
pub fn stores(config: &Config, dir: &Path, sources: Sources) -> Result<Stores, IdentityError> {
    let limit = Duration::from_millis(config.keyring_timeout_ms);
    Ok(Stores {
        os: KeyringStore::new(dir, generate_name()?, limit),
        file: FileStore::new(dir, sources, config.insecure_plaintext_store),
    })
}

/// Where the keys are; else the keyring where it works, else the file.
fn auto(os: &KeyringStore, file: &FileStore, now: UnixMillis) -> Result<Opened, IdentityError> {
    let opened = |opened: Opened, reason: &str| Opened {
        place: opened.place.because(reason),
        ..opened
    };
    let there = "this data directory's keys are there";
    if os.holds_keys() {
        return load_or_make(os, now).map(|o| opened(o, there));
    }
    if file.holds_keys() {
        return load_or_make(file, now).map(|o| opened(o, there));
    }
    let unusable = match load_or_make(os, now) {
        Ok(o) => return Ok(opened(o, "it works here")),
        Err(error) => root_cause(&error),
    };
    match load_or_make(file, now) {
        Ok(o) => Ok(opened(o, &format!("no keyring can be used ({unusable})"))),
        Err(IdentityError::Store(KeyStoreError::NothingToEncryptWith(_))) => {
            Err(IdentityError::NoSafePlace { keyring: unusable })
        }
        Err(error) => Err(error),
    }
}

/// Another store must not silently make another identity of the same data directory.
fn elsewhere_refused<'a>(
    dir: &Path,
    found: &dyn KeyStore,
    wanted: &'a dyn KeyStore,
) -> Result<&'a dyn KeyStore, IdentityError> {
    if !found.holds_keys() || wanted.holds_keys() {
        return Ok(wanted);
    }
    Err(IdentityError::Elsewhere {
        dir: dir.to_owned(),
        found: found.name(),
        wanted: wanted.name(),
    })
}

fn load_or_make(store: &dyn KeyStore, now: UnixMillis) -> Result<Opened, IdentityError> {
    let Some(Loaded { keys, place }) = store.load()? else {
        let keys = generate_keys(now)?;
        let place = store.save(&keys.to_stored())?;
        return Ok(Opened { keys, place });
    };
    let keys = Keys::from_stored(&keys).map_err(|source| KeyStoreError::Damaged {
        place: place.note.clone(),
        source,
    })?;
    Ok(Opened { keys, place })
}

/// The last of the causes, which says most.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
