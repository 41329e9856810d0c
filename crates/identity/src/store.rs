//! Where a node's keys are kept: one trait, and the choice among its implementations.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kukuri_contract::{SecretStoreKind, UnixMillis};
use zeroize::Zeroizing;

use crate::config::StoreChoice;
use crate::core::keys::Keys;
use crate::error::{IdentityError, KeyStoreError};
use crate::file::FileStore;
use crate::keyring::KeyringStore;
use crate::random::{generate_keys, generate_name};

/// A place for the keys of one data directory.
pub trait KeyStore {
    /// What kind of place it is.
    fn kind(&self) -> SecretStoreKind;
    /// Whether the keys of this data directory are here, as far as can be seen without asking.
    fn holds_keys(&self) -> bool;
    /// The keys; `None` if there never were any.
    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError>;
    /// Keeps new keys; they are safe when this returns. Never overwrites any.
    fn save(&self, keys: &[u8]) -> Result<(), KeyStoreError>;
    /// The place in words.
    fn describe(&self) -> String;
}

/// Keys in memory: they outlive the actor, but not the process. Clones share the keys.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>);

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryStore(..)")
    }
}

impl KeyStore for MemoryStore {
    fn kind(&self) -> SecretStoreKind {
        SecretStoreKind::Memory
    }

    fn holds_keys(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    fn save(&self, keys: &[u8]) -> Result<(), KeyStoreError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| Zeroizing::new(keys.to_vec()));
        Ok(())
    }

    fn describe(&self) -> String {
        "memory (gone when the program ends)".to_owned()
    }
}

/// Keys, and where they are kept.
#[derive(Debug)]
pub struct Opened {
    /// The keys.
    pub keys: Keys,
    /// Where they are kept.
    pub kind: SecretStoreKind,
    /// The same in words, with the reason.
    pub note: String,
}

/// Opens the keys of a data directory, or makes them. Blocks.
///
/// # Errors
/// The store of choice fails, or the keys are in another one.
pub fn open(
    choice: StoreChoice,
    dir: &Path,
    memory: &MemoryStore,
    now: UnixMillis,
) -> Result<Opened, IdentityError> {
    let file = FileStore::new(dir);
    let os = KeyringStore::new(dir, generate_name()?);
    match choice {
        StoreChoice::Memory => load_or_make(memory, now),
        StoreChoice::File => {
            refuse_elsewhere(dir, &os, &file)?;
            load_or_make(&file, now)
        }
        StoreChoice::Os => {
            refuse_elsewhere(dir, &file, &os)?;
            load_or_make(&os, now)
        }
        StoreChoice::Auto if os.holds_keys() => load_or_make(&os, now),
        StoreChoice::Auto if file.holds_keys() => load_or_make(&file, now),
        StoreChoice::Auto => load_or_make(&os, now).or_else(|unusable| {
            let mut opened = load_or_make(&file, now)?;
            let why = root_cause(&unusable);
            opened.note = format!("{}, because no keyring can be used ({why})", opened.note);
            Ok(opened)
        }),
    }
}

/// Another store must not silently make another identity of the same data directory.
fn refuse_elsewhere(
    dir: &Path,
    found: &impl KeyStore,
    wanted: &impl KeyStore,
) -> Result<(), IdentityError> {
    if !found.holds_keys() || wanted.holds_keys() {
        return Ok(());
    }
    Err(IdentityError::Elsewhere {
        dir: dir.to_owned(),
        found: found.kind().as_str(),
        wanted: wanted.kind().as_str(),
    })
}

fn load_or_make(store: &impl KeyStore, now: UnixMillis) -> Result<Opened, IdentityError> {
    let keys = match store.load()? {
        Some(stored) => Keys::from_stored(&stored).map_err(|source| KeyStoreError::Damaged {
            place: store.describe(),
            source,
        })?,
        None => {
            let keys = generate_keys(now)?;
            store.save(&keys.to_stored())?;
            keys
        }
    };
    Ok(Opened {
        keys,
        kind: store.kind(),
        note: store.describe(),
    })
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

    fn open_in(choice: StoreChoice, dir: &Path) -> Result<Opened, IdentityError> {
        open(choice, dir, &MemoryStore::default(), NOW)
    }

    fn open_file(dir: &Path) -> Result<Opened, IdentityError> {
        open_in(StoreChoice::File, dir)
    }

    #[test]
    fn a_file_keeps_the_identity_and_memory_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let first = open_file(dir.path()).unwrap();
        let second = open_in(StoreChoice::Auto, dir.path()).unwrap();
        assert_eq!(second.kind, SecretStoreKind::File, "where the keys are");
        assert_eq!(first.keys.link(), second.keys.link());
        let kept = MemoryStore::default();
        let memory = |kept| {
            open(StoreChoice::Memory, dir.path(), kept, NOW)
                .unwrap()
                .keys
        };
        let first = memory(&kept).endpoint_id();
        assert_eq!(memory(&kept).endpoint_id(), first, "as long as the process");
        assert_ne!(memory(&MemoryStore::default()).endpoint_id(), first);
    }

    #[test]
    fn another_store_makes_no_second_identity() {
        let dir = tempfile::tempdir().unwrap();
        open_file(dir.path()).unwrap();
        let error = open_in(StoreChoice::Os, dir.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Elsewhere { .. }), "{error}");
        assert!(error.to_string().contains("identity.store"), "{error}");
    }

    #[test]
    fn a_damaged_identity_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        FileStore::new(dir.path())
            .save(b"kukuri-id\x01junk")
            .unwrap();
        let error = open_in(StoreChoice::Auto, dir.path()).unwrap_err();
        let damaged = matches!(error, IdentityError::Store(KeyStoreError::Damaged { .. }));
        assert!(damaged, "{error}");
        assert!(FileStore::new(dir.path()).load().unwrap().is_some());
    }

    #[test]
    fn an_entry_that_is_gone_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("identity.keyring"), "no-such-entry\n").unwrap();
        // Whether there is a keyring here or not: no new identity may come up.
        let error = open_in(StoreChoice::Auto, dir.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Store(_)), "{error}");
    }
}
