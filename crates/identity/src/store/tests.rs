use zeroize::Zeroizing;

use super::*;
use crate::unlock::Prompt;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

/// Sources with a key file in the data directory: no passphrase, so that the tests are quick.
fn sources(config: &mut Config, dir: &Path) -> Sources {
    let key = dir.join("key");
    crate::file::replace(&key, &[7; 32]).unwrap();
    config.key_file = Some(key);
    Sources::new(config, None, None)
}

fn config(store: StoreChoice) -> Config {
    Config {
        store,
        // A keyring that hangs must not hold up these tests.
        keyring_timeout_ms: 2_000,
        ..Config::default()
    }
}

fn open_in(choice: StoreChoice, dir: &Path) -> Result<Opened, IdentityError> {
    let mut config = config(choice);
    let sources = sources(&mut config, dir);
    open(&config, dir, &MemoryStore::default(), sources, NOW)
}

#[test]
fn a_file_keeps_the_identity_and_memory_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_in(StoreChoice::File, dir.path()).unwrap();
    assert_eq!(first.place.kind, SecretStoreKind::File);
    let second = open_in(StoreChoice::Auto, dir.path()).unwrap();
    assert_eq!(
        second.place.kind,
        SecretStoreKind::File,
        "where the keys are"
    );
    assert!(second.place.note.contains("encrypted with the key in"));
    assert!(second.place.note.ends_with("keys are there"), "{second:?}");
    assert_eq!(first.keys.to_stored(), second.keys.to_stored());
    let memory = || open_in(StoreChoice::Memory, dir.path()).unwrap();
    assert_eq!(memory().place.kind, SecretStoreKind::Memory);
    assert_ne!(memory().keys.endpoint_id(), memory().keys.endpoint_id());
}

#[test]
fn a_running_node_needs_no_store_and_no_passphrase_again() {
    let dir = tempfile::tempdir().unwrap();
    for choice in [StoreChoice::File, StoreChoice::Memory] {
        let memory = MemoryStore::default();
        let mut config = config(choice);
        let key = sources(&mut config, dir.path());
        let first = open(&config, dir.path(), &memory, key, NOW).unwrap();
        // Its key is gone, and nobody may be asked.
        let asked = Prompt::new(|question| panic!("{question:?}"));
        let nothing = Sources::new(&Config::default(), None, Some(asked));
        let again = open(&config, dir.path(), &memory, nothing, NOW).unwrap();
        assert_eq!(again.keys.to_stored(), first.keys.to_stored());
        assert_eq!(again.place, first.place);
    }
}

#[test]
fn another_store_makes_no_second_identity() {
    let dir = tempfile::tempdir().unwrap();
    open_in(StoreChoice::File, dir.path()).unwrap();
    let error = open_in(StoreChoice::Os, dir.path()).unwrap_err();
    assert!(matches!(error, IdentityError::Elsewhere { .. }), "{error}");
    assert!(error.to_string().contains("identity.store"), "{error}");
}

#[test]
fn a_damaged_identity_is_an_error_and_stays_as_it_is() {
    for damaged in [
        &b"kukuri-id\x01junk"[..],
        b"kukuri-id\x02junk",
        b"",
        b"junk",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("identity.key");
        crate::file::write_new(&file, damaged).unwrap();
        for choice in [StoreChoice::Auto, StoreChoice::File] {
            let error = open_in(choice, dir.path()).unwrap_err();
            let typed = matches!(
                error,
                IdentityError::Store(
                    KeyStoreError::Damaged { .. } | KeyStoreError::Unusable { .. }
                )
            );
            assert!(typed, "{error}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), damaged);
    }
}

#[test]
fn an_entry_that_is_gone_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("identity.keyring"), "no-such-entry\n").unwrap();
    // Whether there is a keyring here or not: no new identity may come up.
    let error = open_in(StoreChoice::Auto, dir.path()).unwrap_err();
    assert!(matches!(error, IdentityError::Store(_)), "{error}");
    assert!(!dir.path().join("identity.key").exists());
}

#[test]
fn debug_of_what_was_loaded_prints_no_key() {
    let memory = MemoryStore::default();
    let place = memory.save(&[201, 202, 203]).unwrap();
    let loaded = Loaded {
        keys: Zeroizing::new(vec![201, 202, 203]),
        place,
    };
    let text = format!("{loaded:?} {memory:?}");
    assert!(!text.contains("201"), "{text}");
}
