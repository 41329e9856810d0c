//! What is done with the keys of a data directory while no node runs on it: they are replaced, handed
//! out as a backup, and taken in from one. Everything here blocks, and may ask a user.

use std::path::{Path, PathBuf};

use kukuri_contract::{IdentityDeps, IdentityInfo};
use zeroize::Zeroizing;

use crate::actor::{Setup, info};
use crate::book::TopicBook;
use crate::config::StoreChoice;
use crate::core::keys::Keys;
use crate::core::links::Links;
use crate::core::sealed::{self, Cost};
use crate::error::{IdentityError, KeyStoreError};
use crate::file;
use crate::links::{read_links, write_links};
use crate::random::{generate_keys, generate_nonce, generate_salt};
use crate::store::{KeyStore, Loaded, Place, stores};
use crate::unlock::{Given, Prompt, Question, Sources};

/// Where the passphrase of a backup comes from; it is another one than that of the node's own file.
#[derive(Debug, Clone, Default)]
pub struct BackupLock {
    /// A file with it.
    pub passphrase_file: Option<PathBuf>,
    /// A user who types it, where no file is named.
    pub prompt: Option<Prompt>,
}

impl BackupLock {
    fn ask(&self, question: &Question) -> Result<Given, IdentityError> {
        let sources = Sources::of_passphrase(self.passphrase_file.clone(), self.prompt.clone());
        let given = sources.ask(question)?;
        given.ok_or(IdentityError::NoBackupPassphrase)
    }
}

/// Keys that were replaced.
#[derive(Debug)]
pub struct Rotated {
    /// Who the node was.
    pub before: IdentityInfo,
    /// Who it is from now on.
    pub after: IdentityInfo,
    /// One sentence on where the keys are kept.
    pub store_note: String,
}

/// Makes a new endpoint key and, if `author` says so, a new author key. Those before are gone; the
/// topics that were added stay.
///
/// # Errors
/// There are no keys yet, they can't be opened, or the new ones can't be kept: then those before stay.
pub fn rotate(setup: &Setup, deps: &IdentityDeps, author: bool) -> Result<Rotated, IdentityError> {
    let now = deps.clock.now();
    with_keys(setup, deps, |store, old, place| {
        let new = old.rotated(&generate_keys(now)?, author);
        // The topics first: until the keys are replaced, these count for nothing.
        let _held = TopicBook::in_dir(&deps.data_dir, &old).prepare_for(&new)?;
        let links = read_links(&deps.data_dir)?;
        let kept = store.replace(&new.to_stored())?;
        if author {
            // They are the author's before.
            write_links(&deps.data_dir, &Links::default())?;
        }
        // Moves the topics to their place.
        TopicBook::in_dir(&deps.data_dir, &new).topics(now)?;
        Ok(Rotated {
            before: info(&old, &place, links),
            after: info(&new, &kept, read_links(&deps.data_dir)?),
            store_note: kept.note,
        })
    })
}

/// The keys as an encrypted backup: the form of a file of keys, under a passphrase of its own. `out`
/// is where it will go, to be named in questions.
///
/// # Errors
/// There are no keys yet, they can't be opened, or no passphrase is given.
pub fn export(
    setup: &Setup,
    deps: &IdentityDeps,
    lock: &BackupLock,
    out: &Path,
) -> Result<Vec<u8>, IdentityError> {
    with_keys(setup, deps, |_, keys, _| {
        let given = lock.ask(&Question::New(out.to_owned()))?;
        let (salt, nonce) = (generate_salt()?, generate_nonce()?);
        let stored = keys.to_stored();
        sealed::seal(&stored, &given.unlock, Cost::NEW, &salt, &nonce).map_err(|source| {
            let file = out.to_owned();
            KeyStoreError::Unusable { file, source }.into()
        })
    })
}

/// Takes in the keys of a backup, for a data directory that has none.
///
/// # Errors
/// There are keys already, or the backup does not open; nothing is changed then.
pub fn import(
    setup: &Setup,
    deps: &IdentityDeps,
    lock: &BackupLock,
    backup: &Path,
) -> Result<(IdentityInfo, String), IdentityError> {
    let choice = setup.config.store;
    let stores = stores(&setup.config, &deps.data_dir, setup.sources())?;
    if choice == StoreChoice::Memory {
        return Err(IdentityError::KeptInMemory);
    }
    if stores.os.holds_keys() || stores.file.holds_keys() {
        return Err(IdentityError::Exists(deps.data_dir.clone()));
    }
    let missing = || KeyStoreError::NoBackup(backup.to_owned());
    let bytes = file::read(backup)?.ok_or_else(missing)?;
    let unusable = |source| KeyStoreError::Unusable {
        file: backup.to_owned(),
        source,
    };
    // Before anybody is asked for a passphrase.
    sealed::lock(&bytes).map_err(unusable)?;
    let given = lock.ask(&Question::Open(backup.to_owned()))?;
    let stored = sealed::open(&bytes, &given.unlock).map_err(|source| match source {
        sealed::SealedError::Wrong => KeyStoreError::Wrong {
            file: backup.to_owned(),
            from: given.from.clone(),
        },
        source => unusable(source),
    })?;
    let keys = read(&stored, backup.display().to_string())?;
    let place = match choice {
        StoreChoice::Auto => match stores.os.save(&stored) {
            Ok(place) => place,
            Err(error) => {
                tracing::debug!(%error, "no keyring can be used");
                stores.file.save(&stored)?
            }
        },
        choice => stores.of(choice, &deps.data_dir)?.save(&stored)?,
    };
    let links = read_links(&deps.data_dir)?;
    Ok((info(&keys, &place, links), place.note))
}

/// Does something with the keys that a data directory has, in the store that has them.
fn with_keys<T>(
    setup: &Setup,
    deps: &IdentityDeps,
    work: impl FnOnce(&dyn KeyStore, Keys, Place) -> Result<T, IdentityError>,
) -> Result<T, IdentityError> {
    let stores = stores(&setup.config, &deps.data_dir, setup.sources())?;
    let store = stores.of(setup.config.store, &deps.data_dir)?;
    let nothing = || IdentityError::NoKeys(deps.data_dir.clone());
    let Loaded { keys, place } = store.load()?.ok_or_else(nothing)?;
    let keys = read(&keys, place.note.clone())?;
    work(store, keys, place)
}

fn read(stored: &Zeroizing<Vec<u8>>, place: String) -> Result<Keys, IdentityError> {
    let keys = Keys::from_stored(stored);
    Ok(keys.map_err(|source| KeyStoreError::Damaged { place, source })?)
}

#[cfg(test)]
mod tests {
    use kukuri_contract::{UnixMillis, WallClock};

    use super::*;
    use crate::config::{Config, FileConfig, MemoryConfig};
    use crate::core::book::SavedTopic;

    const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

    fn deps(dir: &Path) -> IdentityDeps {
        IdentityDeps {
            data_dir: dir.to_owned(),
            clock: WallClock::new(|| NOW),
        }
    }

    /// Keys in a file that a key file opens: cheap.
    fn setup(dir: &Path) -> Setup {
        let key = dir.join("key");
        file::replace(&key, &[5; 32]).unwrap();
        Setup::from(Config {
            store: StoreChoice::File,
            key_file: Some(key),
            ..Config::default()
        })
    }

    /// After another start, which remembers nothing.
    fn whoami(setup: &Setup, deps: &IdentityDeps) -> IdentityInfo {
        let setup = Setup::from(setup.config.clone());
        let (config, memory, sources) = (&setup.config, &setup.memory, setup.sources());
        let opened = crate::store::open(config, &deps.data_dir, memory, sources, NOW).unwrap();
        info(&opened.keys, &opened.place, Links::default())
    }

    fn lock(dir: &Path, passphrase: &str) -> BackupLock {
        let file = dir.join("backup passphrase");
        file::replace(&file, passphrase.as_bytes()).unwrap();
        BackupLock {
            passphrase_file: Some(file),
            prompt: None,
        }
    }

    #[test]
    fn a_rotation_changes_what_it_should_and_the_topics_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (setup, deps) = (setup(dir.path()), deps(dir.path()));
        let nothing = rotate(&setup, &deps, false).unwrap_err();
        assert!(matches!(nothing, IdentityError::NoKeys(_)), "{nothing}");
        let first = whoami(&setup, &deps);
        let keys = |setup| {
            let load = |_: &dyn KeyStore, keys, _| Ok(keys);
            with_keys(setup, &deps, load).unwrap()
        };
        let tea = SavedTopic {
            name: "tea".parse().unwrap(),
            secret: None,
            former: None,
            earlier: Vec::new(),
            peers: Vec::new(),
        };
        let book = TopicBook::in_dir(dir.path(), &keys(&setup));
        book.add(tea.clone(), NOW).unwrap();
        let Rotated { before, after, .. } = rotate(&setup, &deps, false).unwrap();
        assert_eq!(before, first);
        assert_ne!(after.endpoint, first.endpoint);
        assert_eq!(after.author, first.author);
        assert_eq!(whoami(&setup, &deps), after, "after the next start too");
        let Rotated { after, .. } = rotate(&setup, &deps, true).unwrap();
        assert_ne!(after.author, first.author);
        let book = TopicBook::in_dir(dir.path(), &keys(&setup));
        assert_eq!(book.topics(NOW).unwrap(), [tea]);
    }

    #[test]
    fn keys_in_memory_or_elsewhere_are_left_alone_and_the_error_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let deps = deps(dir.path());
        let file = setup(dir.path()).config;
        let file = Setup::from(FileConfig {
            key_file: file.key_file,
            ..FileConfig::default()
        });
        let (memory, file) = (Setup::from(MemoryConfig::default()), file.general());
        let out = dir.path().join("backup");
        let lock = lock(dir.path(), "tea");
        let errors = |setup: &Setup| {
            [
                rotate(setup, &deps, true).unwrap_err(),
                export(setup, &deps, &lock, &out).unwrap_err(),
                import(setup, &deps, &lock, &out).unwrap_err(),
            ]
        };
        for error in errors(&memory.general()) {
            assert!(matches!(error, IdentityError::KeptInMemory), "{error}");
            assert!(error.to_string().contains("identity.kind"), "{error}");
        }
        // As if they were in the keyring.
        file::replace(&dir.path().join("identity.keyring"), b"entry").unwrap();
        let [rotated, exported, imported] = errors(&file);
        for error in [rotated, exported] {
            assert!(matches!(error, IdentityError::Elsewhere { .. }), "{error}");
        }
        assert!(matches!(imported, IdentityError::Exists(_)), "{imported}");
    }

    #[test]
    fn a_backup_brings_the_same_node_back_elsewhere() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (setup_here, deps_here) = (setup(here.path()), deps(here.path()));
        let first = whoami(&setup_here, &deps_here);
        let backup = here.path().join("backup");
        let exported = export(&setup_here, &deps_here, &lock(here.path(), "tea"), &backup);
        file::replace(&backup, &exported.unwrap()).unwrap();

        let (setup_there, deps_there) = (setup(there.path()), deps(there.path()));
        let take = |passphrase| {
            let lock = lock(there.path(), passphrase);
            import(&setup_there, &deps_there, &lock, &backup)
        };
        let wrong = take("coffee").unwrap_err();
        let is_wrong = matches!(wrong, IdentityError::Store(KeyStoreError::Wrong { .. }));
        assert!(is_wrong, "{wrong}");
        let (info, _) = take("tea").unwrap();
        assert_eq!(info, first);
        assert_eq!(whoami(&setup_there, &deps_there), first);
        let again = take("tea").unwrap_err();
        assert!(matches!(again, IdentityError::Exists(_)), "{again}");
    }

    #[test]
    fn a_backup_without_a_passphrase_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (setup, deps) = (setup(dir.path()), deps(dir.path()));
        whoami(&setup, &deps);
        let out = dir.path().join("backup");
        let error = export(&setup, &deps, &BackupLock::default(), &out).unwrap_err();
        assert!(
            matches!(error, IdentityError::NoBackupPassphrase),
            "{error}"
        );
        let lock = lock(dir.path(), "tea");
        let missing = import(&setup, &deps, &lock, &out).unwrap_err();
        assert!(matches!(missing, IdentityError::Exists(_)), "{missing}");
    }
}
