//! The file with the topics that a user has added, in the node's data directory.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use kukuri_contract::{
    IdentityRunning, KeyBytes, SecretStoreKind, TopicName, TopicSecret, UnixMillis,
};

use crate::core::book::{Book, BookError, ChangeError, SavedTopic};
use crate::core::keys::Keys;
use crate::error::KeyStoreError;
use crate::file;
use crate::random::generate_nonce;

/// Name of the file in the data directory.
const FILE: &str = "topics.sealed";
/// The same under the keys that are about to replace the present ones.
const NEXT: &str = "topics.next";
/// Taken while the file is changed: a node and commands may want to at the same time.
const LOCK: &str = "topics.lock";
/// Longest file that is read, in bytes: above 64 topics with all that they may have.
const MAX_BYTES: usize = 512 * 1024;

/// Why the topics are not read, or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopicBookError {
    /// The change makes no sense.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] KeyStoreError),
    /// The file can't be used.
    #[error("the list of topics in {file} can't be used")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: BookError,
    },
}

/// The topics that a user has added, with their secrets: in a file that only the node's keys open, or
/// in memory, where the keys are. Clones are the same book. All methods block on small files.
#[derive(Clone)]
pub struct TopicBook(Arc<Inner>);

struct Inner {
    key: KeyBytes,
    place: Place,
}

enum Place {
    /// The data directory.
    Dir(PathBuf),
    Memory(Mutex<Book>),
}

impl std::fmt::Debug for TopicBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicBook(..)")
    }
}

impl TopicBook {
    /// The book of a running node: beside its keys, wherever they are.
    pub fn of(running: &IdentityRunning, dir: &Path) -> Self {
        let place = match running.info.store {
            SecretStoreKind::Memory => Place::Memory(Mutex::default()),
            _ => Place::Dir(dir.to_owned()),
        };
        let key = running.book_key.clone();
        Self(Arc::new(Inner { key, place }))
    }

    /// The book of a data directory, as these keys open it.
    pub(crate) fn in_dir(dir: &Path, keys: &Keys) -> Self {
        Self(Arc::new(Inner {
            key: keys.book_key(),
            place: Place::Dir(dir.to_owned()),
        }))
    }

    /// Whether a topic was ever added in a data directory, as far as can be seen without its keys.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// The topics at this moment, in the order of their names.
    ///
    /// # Errors
    /// The file can't be read, or not be used.
    pub fn topics(&self, now: UnixMillis) -> Result<Vec<SavedTopic>, TopicBookError> {
        let mut book = match &self.0.place {
            Place::Dir(dir) => self.load(dir)?,
            Place::Memory(book) => book.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        book.expire(now);
        Ok(book.topics().to_vec())
    }

    /// A topic of this name.
    ///
    /// # Errors
    /// See [`TopicBook::topics`].
    pub fn get(
        &self,
        name: &TopicName,
        now: UnixMillis,
    ) -> Result<Option<SavedTopic>, TopicBookError> {
        let topics = self.topics(now)?;
        Ok(topics.into_iter().find(|topic| topic.name == *name))
    }

    /// Adds a topic, on disk when this returns; false if it is there already, with the same secret.
    ///
    /// # Errors
    /// It is there with another secret, there are too many, or the file can't be written.
    pub fn add(&self, topic: SavedTopic, now: UnixMillis) -> Result<bool, TopicBookError> {
        self.change(now, |book| book.add(topic))
    }

    /// Takes a topic out, with its secret.
    ///
    /// # Errors
    /// It is not there, or the file can't be written.
    pub fn remove(&self, name: &TopicName, now: UnixMillis) -> Result<(), TopicBookError> {
        self.change(now, |book| book.remove(name))
    }

    /// Gives a topic another secret, and keeps the present one beside it until `until`.
    ///
    /// # Errors
    /// The topic is not there or has this secret, or the file can't be written.
    pub fn rotate(
        &self,
        name: &TopicName,
        secret: Option<TopicSecret>,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), TopicBookError> {
        self.change(now, |book| {
            book.rotate(name, secret, until)?;
            // An overlap that has ended already leaves nothing of the old secret.
            book.expire(now);
            Ok(())
        })
    }

    /// Wipes the former secrets whose overlap has ended from the file; says whether there was one.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn expire(&self, now: UnixMillis) -> Result<bool, TopicBookError> {
        let mut ended = false;
        self.change(now, |book| {
            ended = book.expire(now);
            Ok(())
        })?;
        Ok(ended)
    }

    /// When the file was written last: another value means that somebody has changed it.
    pub fn written_at(&self) -> Option<SystemTime> {
        match &self.0.place {
            Place::Dir(dir) => dir.join(FILE).metadata().and_then(|m| m.modified()).ok(),
            Place::Memory(_) => None,
        }
    }

    /// Writes the same topics under the keys that are about to replace the present ones; they count
    /// once those do. Nobody else changes them as long as what this gives is held.
    pub(crate) fn prepare_for(&self, next: &Keys) -> Result<Option<File>, TopicBookError> {
        let Place::Dir(dir) = &self.0.place else {
            return Ok(None);
        };
        let locked = lock(dir)?;
        let book = self.load(dir)?;
        let sealed = book.seal(&next.book_key(), &nonce()?);
        file::replace(&dir.join(NEXT), &sealed)?;
        Ok(Some(locked))
    }

    fn change<T>(
        &self,
        now: UnixMillis,
        change: impl FnOnce(&mut Book) -> Result<T, ChangeError>,
    ) -> Result<T, TopicBookError> {
        match &self.0.place {
            Place::Memory(book) => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(change(&mut book)?)
            }
            Place::Dir(dir) => {
                let _locked = lock(dir)?;
                let before = self.load(dir)?;
                let mut book = before.clone();
                let done = change(&mut book)?;
                book.expire(now);
                if book != before {
                    file::replace(&dir.join(FILE), &book.seal(&self.0.key, &nonce()?))?;
                }
                Ok(done)
            }
        }
    }

    /// What is in the file. Where keys were replaced and the program ended before the list was, it is
    /// in the other one.
    fn load(&self, dir: &Path) -> Result<Book, TopicBookError> {
        let (file, next) = (dir.join(FILE), dir.join(NEXT));
        let open = |file: &Path| -> Result<Option<Book>, TopicBookError> {
            let Some(bytes) = file::read_secret_up_to(file, MAX_BYTES)? else {
                return Ok(None);
            };
            let book = Book::open(&bytes, &self.0.key);
            let book = book.map_err(|source| TopicBookError::Unusable {
                file: file.to_owned(),
                source,
            })?;
            Ok(Some(book))
        };
        let book = open(&file);
        match book {
            Ok(Some(book)) => Ok(book),
            not_there => match open(&next) {
                Ok(Some(book)) => {
                    file::rename(&next, &file)?;
                    Ok(book)
                }
                _ => Ok(not_there?.unwrap_or_default()),
            },
        }
    }
}

fn nonce() -> Result<[u8; crate::core::sealed::NONCE_BYTES], KeyStoreError> {
    Ok(generate_nonce()?)
}

/// Held as long as the file is changed.
fn lock(dir: &Path) -> Result<File, KeyStoreError> {
    let file = dir.join(LOCK);
    let mut open = OpenOptions::new();
    open.create(true).truncate(false).write(true);
    let lock = std::fs::create_dir_all(dir).and_then(|()| {
        let lock = open.open(&file)?;
        lock.lock()?;
        Ok(lock)
    });
    lock.map_err(|source| KeyStoreError::Write { file, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
    const LATER: UnixMillis = UnixMillis(NOW.0 + 1000);

    fn keys(byte: u8) -> Keys {
        Keys::new(&[byte; 32], &[2; 32], NOW)
    }

    fn in_memory(keys: &Keys) -> TopicBook {
        TopicBook(Arc::new(Inner {
            key: keys.book_key(),
            place: Place::Memory(Mutex::default()),
        }))
    }

    fn secret(byte: u8) -> Option<TopicSecret> {
        Some(TopicSecret::from_bytes([byte; 32]))
    }

    fn tea() -> SavedTopic {
        SavedTopic {
            name: "tea".parse().unwrap(),
            secret: secret(1),
            former: None,
            earlier: Vec::new(),
            peers: Vec::new(),
        }
    }

    #[test]
    fn what_was_added_is_there_again_and_others_do_not_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let book = TopicBook::in_dir(dir.path(), &keys(1));
        assert!(book.topics(NOW).unwrap().is_empty() && book.written_at().is_none());
        assert!(!TopicBook::is_in(dir.path()));
        assert!(book.add(tea(), NOW).unwrap());
        assert!(TopicBook::is_in(dir.path()));
        assert!(book.written_at().is_some());
        let again = TopicBook::in_dir(dir.path(), &keys(1));
        assert_eq!(again.topics(NOW).unwrap(), [tea()]);
        let other = TopicBook::in_dir(dir.path(), &keys(3));
        let error = other.add(tea(), NOW).unwrap_err();
        assert!(matches!(error, TopicBookError::Unusable { .. }), "{error}");
        assert_eq!(again.topics(NOW).unwrap(), [tea()], "it is left as it is");
    }

    #[test]
    fn a_former_secret_is_gone_from_the_file_when_its_overlap_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let name = tea().name;
        for book in [TopicBook::in_dir(dir.path(), &keys(1)), in_memory(&keys(1))] {
            book.add(tea(), NOW).unwrap();
            book.rotate(&name, secret(2), LATER, NOW).unwrap();
            let former = |at| book.get(&name, at).unwrap().unwrap().former;
            assert_eq!(former(NOW).unwrap().secret, secret(1));
            assert_eq!(former(LATER), None);
            assert!(former(NOW).is_some(), "reading changes nothing");
            assert!(book.expire(LATER).unwrap());
            assert_eq!(former(NOW), None);
            assert!(!book.expire(LATER).unwrap());
            book.rotate(&name, secret(3), NOW, NOW).unwrap();
            assert_eq!(former(UnixMillis(0)), None, "without an overlap");
        }
    }

    #[test]
    fn it_goes_along_when_the_keys_are_replaced_whenever_that_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (keys(1), keys(3));
        let book = TopicBook::in_dir(dir.path(), &old);
        book.add(tea(), NOW).unwrap();
        drop(book.prepare_for(&new).unwrap());
        // The keys were not replaced after all.
        assert_eq!(book.topics(NOW).unwrap(), [tea()]);
        // They were.
        let next = TopicBook::in_dir(dir.path(), &new);
        assert_eq!(next.topics(NOW).unwrap(), [tea()]);
        assert_eq!(next.topics(NOW).unwrap(), [tea()], "and it is in its place");
        assert!(book.topics(NOW).is_err(), "the old keys open nothing");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        file::replace(&file, b"something else").unwrap();
        let book = TopicBook::in_dir(dir.path(), &keys(1));
        for error in [
            book.topics(NOW).unwrap_err(),
            book.add(tea(), NOW).unwrap_err(),
        ] {
            assert!(matches!(error, TopicBookError::Unusable { .. }), "{error}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"something else");
    }
}
