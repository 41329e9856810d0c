use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use kukuri_contract::UnixMillis;

use super::*;
use crate::config::Config;
use crate::core::keys::STORED_BYTES;
use crate::unlock::Prompt;

const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn keys() -> Zeroizing<Vec<u8>> {
    Keys::new(&[1; 32], &[2; 32], UnixMillis(1)).to_stored()
}

fn store(dir: &Path, sources: Sources) -> FileStore {
    FileStore {
        cost: CHEAP,
        ..FileStore::new(dir, sources, false)
    }
}

fn nothing() -> Sources {
    Sources::default()
}

fn passphrase(dir: &Path, text: &str) -> Sources {
    let file = dir.join("passphrase");
    file::replace(&file, text.as_bytes()).unwrap();
    let config = Config {
        passphrase_file: Some(file),
        ..Config::default()
    };
    Sources::new(&config, None, None)
}

fn key(dir: &Path, byte: u8) -> Sources {
    let file = dir.join("key");
    file::replace(&file, &[byte; 32]).unwrap();
    let config = Config {
        key_file: Some(file),
        ..Config::default()
    };
    Sources::new(&config, None, None)
}

/// A user who types these, one after the other.
fn typed(answers: &'static [&'static str]) -> Sources {
    let at = AtomicUsize::new(0);
    let prompt = Prompt::new(move |_| {
        let answer = answers.get(at.fetch_add(1, Ordering::Relaxed));
        let answer = answer.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        Ok(Zeroizing::new((*answer).to_owned()))
    });
    Sources::new(&Config::default(), None, Some(prompt))
}

fn content(dir: &Path) -> Vec<u8> {
    fs::read(dir.join(FILE)).unwrap()
}

fn loads(store: &FileStore) -> bool {
    store.load().unwrap().unwrap().keys == keys()
}

#[test]
fn what_was_saved_is_loaded_and_is_not_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    for sources in [passphrase, |dir: &Path, _: &str| key(dir, 3)] {
        let dir = tempfile::tempdir_in(dir.path()).unwrap();
        let store = store(dir.path(), sources(dir.path(), "tea"));
        assert!(store.load().unwrap().is_none());
        let place = store.save(&keys()).unwrap();
        assert_eq!(place.kind, SecretStoreKind::File);
        assert!(place.note.contains("encrypted with the"), "{place:?}");
        assert!(loads(&store));
        let on_disk = content(dir.path());
        assert!(
            !on_disk
                .windows(16)
                .any(|part| part == [1; 16] || part == [2; 16])
        );
        let again = store.save(&keys()).unwrap_err();
        assert!(matches!(again, KeyStoreError::Write { .. }), "{again}");
    }
}

#[test]
fn the_wrong_secret_changes_nothing_and_says_which_it_was() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), passphrase(dir.path(), "tea"))
        .save(&keys())
        .unwrap();
    let before = content(dir.path());
    let load = |sources: Sources| store(dir.path(), sources).load().unwrap_err();
    let wrong = load(passphrase(dir.path(), "coffee"));
    assert!(matches!(wrong, KeyStoreError::Wrong { .. }), "{wrong}");
    assert!(
        !format!("{wrong} {wrong:?}").contains("coffee"),
        "{wrong:?}"
    );
    let none = load(nothing());
    assert!(matches!(none, KeyStoreError::NoPassphrase(_)), "{none}");
    let other = load(key(dir.path(), 3));
    assert!(
        matches!(other, KeyStoreError::NeedsPassphrase(_)),
        "{other}"
    );
    assert_eq!(content(dir.path()), before);

    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), key(dir.path(), 3)).save(&keys()).unwrap();
    let load = |sources: Sources| store(dir.path(), sources).load().unwrap_err();
    let wrong = load(key(dir.path(), 4));
    assert!(matches!(wrong, KeyStoreError::Wrong { .. }), "{wrong}");
    let other = load(passphrase(dir.path(), "tea"));
    assert!(matches!(other, KeyStoreError::NeedsKeyFile(_)), "{other}");
}

#[test]
fn a_user_may_be_mistaken_twice() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), typed(&["tea"])).save(&keys()).unwrap();
    assert!(loads(&store(dir.path(), typed(&["a", "b", "tea"]))));
    let error = store(dir.path(), typed(&["a", "b", "c", "tea"])).load();
    let error = error.unwrap_err();
    assert!(matches!(error, KeyStoreError::Wrong { .. }), "{error}");
    let silent = store(dir.path(), typed(&[])).load().unwrap_err();
    assert!(matches!(silent, KeyStoreError::Prompt(_)), "{silent}");
    let empty = store(dir.path(), typed(&[""])).load().unwrap_err();
    assert!(
        matches!(empty, KeyStoreError::EmptyPassphrase(_)),
        "{empty}"
    );
}

#[test]
fn nothing_is_ever_in_the_clear_but_by_the_users_will() {
    let dir = tempfile::tempdir().unwrap();
    let error = store(dir.path(), nothing()).save(&keys()).unwrap_err();
    let typed = matches!(error, KeyStoreError::NothingToEncryptWith(_));
    assert!(typed, "{error}");
    assert!(!dir.path().join(FILE).exists());
    let insecure = FileStore::new(dir.path(), nothing(), true);
    let place = insecure.save(&keys()).unwrap();
    assert_eq!(place.kind, SecretStoreKind::Plaintext);
    assert!(place.note.contains("NOT encrypted"), "{place:?}");
    assert_eq!(content(dir.path()), *keys());
    let loaded = insecure.load().unwrap().unwrap();
    assert_eq!(loaded.place.kind, SecretStoreKind::Plaintext);
}

#[test]
fn a_file_in_the_clear_is_encrypted_in_place_once_there_is_something_to_do_it_with() {
    let dir = tempfile::tempdir().unwrap();
    FileStore::new(dir.path(), nothing(), true)
        .save(&keys())
        .unwrap();
    let error = store(dir.path(), nothing()).load().unwrap_err();
    assert!(matches!(error, KeyStoreError::InTheClear(_)), "{error}");
    for word in [
        "--passphrase-file",
        "--key-file",
        "--insecure-plaintext-store",
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(content(dir.path()), *keys(), "nothing was changed");
    let loaded = store(dir.path(), key(dir.path(), 3)).load();
    let loaded = loaded.unwrap().unwrap();
    assert_eq!(loaded.keys, keys());
    assert_eq!(loaded.place.kind, SecretStoreKind::File);
    assert!(sealed::is_sealed(&content(dir.path())));
    assert!(loads(&store(dir.path(), key(dir.path(), 3))));
    // The setting for files in the clear makes none out of an encrypted one.
    let insecure = FileStore::new(dir.path(), key(dir.path(), 3), true);
    let loaded = insecure.load().unwrap().unwrap();
    assert_eq!(loaded.place.kind, SecretStoreKind::File);
    assert!(sealed::is_sealed(&content(dir.path())));
}

#[test]
fn a_damaged_file_is_an_error_whatever_byte_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), key(dir.path(), 3));
    store.save(&keys()).unwrap();
    let good = content(dir.path());
    assert_eq!(good.len(), 67 + 16 + STORED_BYTES);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        file::replace(&dir.path().join(FILE), &bad).unwrap();
        match store.load() {
            Err(KeyStoreError::Unusable { .. }) => assert!(at > 8, "{at}"),
            // No kukuri file at all: told when the keys are read, and left as it is.
            Ok(Some(loaded)) => assert!(at < 10 && *loaded.keys == bad, "{at}"),
            other => panic!("{at}: {other:?}"),
        }
        assert_eq!(content(dir.path()), bad);
    }
}
