//! Keys in a file: encrypted, or in the clear where the user insists.

use std::path::{Path, PathBuf};

use kukuri_contract::SecretStoreKind;
use zeroize::Zeroizing;

use crate::core::keys::Keys;
use crate::core::sealed::{self, Cost, Lock, SealedError};
use crate::error::KeyStoreError;
use crate::file;
use crate::random::{generate_nonce, generate_salt};
use crate::store::{KeyStore, Loaded, Place};
use crate::unlock::{Given, Question, Sources};

/// Name of the file in the data directory.
const FILE: &str = "identity.key";
/// How often a user at a terminal may be mistaken.
const TRIES: usize = 3;

/// A file of keys.
#[derive(Debug)]
pub struct FileStore {
    file: PathBuf,
    sources: Sources,
    /// The user wants it in the clear.
    plaintext: bool,
    cost: Cost,
}

impl FileStore {
    /// The store of a data directory. `plaintext`: a new file is not encrypted, and one that is not
    /// may stay so.
    pub fn new(data_dir: &Path, sources: Sources, plaintext: bool) -> Self {
        Self {
            file: data_dir.join(FILE),
            sources,
            plaintext,
            cost: Cost::NEW,
        }
    }

    fn sealed_place(&self, from: &str) -> Place {
        Place {
            kind: SecretStoreKind::File,
            note: format!("the file {}, encrypted with {from}", self.file.display()),
        }
    }

    fn plain_place(&self) -> Place {
        let file = self.file.display();
        Place {
            kind: SecretStoreKind::Plaintext,
            note: format!("the file {file}, NOT encrypted (--insecure-plaintext-store)"),
        }
    }

    /// The keys under what is given for a new file, and where that is from.
    fn seal(&self, keys: &[u8]) -> Result<Option<(Vec<u8>, Given)>, KeyStoreError> {
        let question = Question::New(self.file.clone());
        let Some(given) = self.sources.ask(&question)? else {
            return Ok(None);
        };
        let (salt, nonce) = (generate_salt()?, generate_nonce()?);
        let sealed = sealed::seal(keys, &given.unlock, self.cost, &salt, &nonce);
        let sealed = sealed.map_err(|source| self.sealed_error(source, &given.from))?;
        Ok(Some((sealed, given)))
    }

    /// Opens an encrypted file; a user at a terminal may be mistaken.
    fn open(&self, bytes: &[u8]) -> Result<Loaded, KeyStoreError> {
        let file = || self.file.clone();
        let lock = sealed::lock(bytes).map_err(|source| self.sealed_error(source, ""))?;
        match (lock, self.sources.has_key_file()) {
            (Lock::Key, false) => return Err(KeyStoreError::NeedsKeyFile(file())),
            (Lock::Passphrase(_), true) => return Err(KeyStoreError::NeedsPassphrase(file())),
            _ => {}
        }
        let tries = if self.sources.is_typed() { TRIES } else { 1 };
        let mut question = Question::Open(file());
        for left in (0..tries).rev() {
            let given = self.sources.ask(&question)?;
            let Given { unlock, from } =
                given.ok_or_else(|| KeyStoreError::NoPassphrase(file()))?;
            match sealed::open(bytes, &unlock) {
                Ok(keys) => {
                    let place = self.sealed_place(&from);
                    return Ok(Loaded { keys, place });
                }
                Err(SealedError::Wrong) if left > 0 => question = Question::Again(file()),
                Err(error) => return Err(self.sealed_error(error, &from)),
            }
        }
        Err(KeyStoreError::NoPassphrase(file()))
    }

    /// A file of an earlier version, or of a user who wanted it so.
    fn open_plain(&self, keys: Zeroizing<Vec<u8>>) -> Result<Loaded, KeyStoreError> {
        // Nothing that can't be used is encrypted.
        let usable = Keys::from_stored(&keys).is_ok();
        let place = match self.plaintext || !usable {
            true => self.plain_place(),
            false => {
                let file = || self.file.clone();
                let sealed = self.seal(&keys)?;
                let (sealed, given) = sealed.ok_or_else(|| KeyStoreError::InTheClear(file()))?;
                file::replace(&self.file, &sealed)?;
                tracing::warn!(
                    file = %self.file.display(),
                    "the node's keys were not encrypted until now and are from now on; copies of \
                     the old file, such as backups, still hold them in the clear"
                );
                self.sealed_place(&given.from)
            }
        };
        Ok(Loaded { keys, place })
    }

    fn sealed_error(&self, source: SealedError, from: &str) -> KeyStoreError {
        let (file, from) = (self.file.clone(), from.to_owned());
        match source {
            SealedError::Wrong => KeyStoreError::Wrong { file, from },
            source => KeyStoreError::Unusable { file, source },
        }
    }
}

impl KeyStore for FileStore {
    fn name(&self) -> &'static str {
        "file"
    }

    fn holds_keys(&self) -> bool {
        self.file.exists()
    }

    fn load(&self) -> Result<Option<Loaded>, KeyStoreError> {
        let Some(bytes) = file::read_secret(&self.file)? else {
            return Ok(None);
        };
        let loaded = match sealed::is_sealed(&bytes) {
            true => self.open(&bytes),
            false => self.open_plain(bytes),
        };
        loaded.map(Some)
    }

    fn save(&self, keys: &[u8]) -> Result<Place, KeyStoreError> {
        if self.plaintext {
            file::write_new(&self.file, keys)?;
            return Ok(self.plain_place());
        }
        let sealed = self.seal(keys)?;
        let nothing = || KeyStoreError::NothingToEncryptWith(self.file.clone());
        let (sealed, given) = sealed.ok_or_else(nothing)?;
        file::write_new(&self.file, &sealed)?;
        Ok(self.sealed_place(&given.from))
    }

    fn replace(&self, keys: &[u8]) -> Result<Place, KeyStoreError> {
        let before = file::read_secret(&self.file)?;
        let sealed_before = before.is_some_and(|bytes| sealed::is_sealed(&bytes));
        if self.plaintext && !sealed_before {
            file::replace(&self.file, keys)?;
            return Ok(self.plain_place());
        }
        let sealed = self.seal(keys)?;
        let nothing = || KeyStoreError::NothingToEncryptWith(self.file.clone());
        let (sealed, given) = sealed.ok_or_else(nothing)?;
        file::replace(&self.file, &sealed)?;
        Ok(self.sealed_place(&given.from))
    }
}

#[cfg(test)]
mod tests;
