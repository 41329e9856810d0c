//! The clauses of the contract, on the implementation `keyring`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::{Path, PathBuf};

use kukuri_conformance::{Identity, Made, conforms};
use kukuri_contract::{
    AddTopic, AddTopicError, AuthorId, CallError, Epoch, Factory, IdentityDeps, IdentityMaker,
    IdentityRunning, RemoveTopic, Sign, SignRequest, TopicKeys, TopicKeysError, TopicSecret,
    UnixMillis, WallClock, Whoami,
};
use kukuri_identity::{Config, KeyringIdentity, StoreChoice};

fn key_file(dir: &Path) -> PathBuf {
    let key = dir.join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    key
}

async fn spawn(dir: &Path, max_topics: usize) -> IdentityRunning {
    let key = key_file(dir);
    let config = Config {
        store: StoreChoice::File,
        key_file: Some(key),
        max_topics,
        ..Config::default()
    };
    let deps = IdentityDeps {
        data_dir: dir.to_owned(),
        clock: WallClock::system(),
    };
    KeyringIdentity::spawn(config.into(), deps).await.unwrap()
}

async fn all_clauses(config: impl Fn() -> Config + 'static) {
    let maker = move |_| IdentityMaker::of::<KeyringIdentity>(config().into());
    conforms::<Identity>(&Made::each(maker)).await;
}

#[actix::test]
async fn the_clauses_of_the_contract_with_an_encrypted_file() {
    let dir = tempfile::tempdir().unwrap();
    let key = key_file(dir.path());
    all_clauses(move || Config {
        store: StoreChoice::File,
        key_file: Some(key.clone()),
        ..Config::default()
    })
    .await;
}

#[actix::test]
async fn the_clauses_of_the_contract_in_memory() {
    all_clauses(|| Config {
        store: StoreChoice::Memory,
        ..Config::default()
    })
    .await;
}

#[actix::test]
async fn the_same_directory_is_the_same_identity() {
    let dir = tempfile::tempdir().unwrap();
    let first = spawn(dir.path(), 8).await;
    let second = spawn(dir.path(), 8).await;
    assert_eq!(first.info, second.info);
    assert_eq!(second.port.whoami(Whoami).await.unwrap(), first.info);
    assert!(first.store_note.contains("identity.key"));
    let request = SignRequest::Link {
        author: first.info.author,
        writer: AuthorId::from_bytes([9; 32]),
        issued_at: UnixMillis(1),
    };
    let one = first.port.sign(Sign(request.clone())).await.unwrap();
    assert_eq!(second.port.sign(Sign(request)).await.unwrap(), one);
}

#[actix::test]
async fn topics_have_keys_until_they_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let running = spawn(dir.path(), 1).await;
    let add = |name: &str| AddTopic {
        name: name.parse().unwrap(),
        secret: Some(TopicSecret::from_bytes([7; 32])),
    };
    let topic = running.port.add_topic(add("tea")).await.unwrap();
    let full = running.port.add_topic(add("coffee")).await.unwrap_err();
    let limit = CallError::Refused(AddTopicError::TooManyTopics { limit: 1 });
    assert_eq!(full, limit);
    let epoch = Epoch(1);
    let keys = running.port.topic_keys(TopicKeys { topic, epoch }).await;
    assert!(keys.unwrap().post_seal.is_some());
    running
        .port
        .remove_topic(RemoveTopic { topic })
        .await
        .unwrap();
    let gone = running.port.topic_keys(TopicKeys { topic, epoch }).await;
    let unknown = CallError::Refused(TopicKeysError::UnknownTopic(topic));
    assert_eq!(gone.unwrap_err(), unknown);
}

#[test]
fn bad_settings_are_typed_errors() {
    let good = Config::default;
    for (config, field) in [
        (
            Config {
                max_topics: 0,
                ..good()
            },
            "identity.max_topics",
        ),
        (
            Config {
                keyring_timeout_ms: 0,
                ..good()
            },
            "identity.keyring_timeout_ms",
        ),
        (
            Config {
                key_file: Some("key".into()),
                passphrase_file: Some("passphrase".into()),
                ..good()
            },
            "identity.key_file",
        ),
    ] {
        let error = KeyringIdentity::check(&config.into())
            .unwrap_err()
            .to_string();
        assert!(error.contains(field), "{error}");
    }
}
