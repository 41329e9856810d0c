//! The clauses of the contract, on the implementations `keyring`, `file` and `memory`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::{Path, PathBuf};

use kukuri_conformance::{Identity, Made, conforms};
use kukuri_contract::{
    AddTopic, AddTopicError, AuthorId, CallError, Epoch, Factory, IdentityDeps, IdentityMaker,
    IdentityRunning, RemoveTopic, Sign, SignRequest, TopicKeys, TopicKeysError, TopicSecret,
    UnixMillis, WallClock, Whoami,
};
use kukuri_identity::{
    Config, FileConfig, FileIdentity, IdentityError, KeyringIdentity, MemoryConfig, MemoryIdentity,
    Setup, StoreChoice,
};

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

/// `setup` is called once for each instance: what it opens is one node's.
async fn all_clauses<F, C>(setup: impl Fn() -> C + 'static)
where
    F: Factory<
            Config = Setup<C>,
            Deps = IdentityDeps,
            Running = IdentityRunning,
            Error = IdentityError,
        > + 'static,
    Setup<C>: Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let maker = move |_| IdentityMaker::of::<F>(setup().into());
    conforms::<Identity>(&Made::each(maker)).await;
}

#[actix::test]
async fn the_clauses_of_the_contract_by_keyring_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let key = key_file(dir.path());
    all_clauses::<KeyringIdentity, _>(move || Config {
        store: StoreChoice::File,
        key_file: Some(key.clone()),
        ..Config::default()
    })
    .await;
}

#[actix::test]
async fn the_clauses_of_the_contract_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let key = key_file(dir.path());
    all_clauses::<FileIdentity, _>(move || FileConfig {
        key_file: Some(key.clone()),
        ..FileConfig::default()
    })
    .await;
}

#[actix::test]
async fn the_clauses_of_the_contract_by_memory() {
    all_clauses::<MemoryIdentity, _>(MemoryConfig::default).await;
}

/// Whoever changes `identity.kind` from one to the other stays who it is, or is told.
#[actix::test]
async fn the_kinds_keyring_and_file_share_the_file_and_none_makes_a_second_identity() {
    let dir = tempfile::tempdir().unwrap();
    let deps = || IdentityDeps {
        data_dir: dir.path().to_owned(),
        clock: WallClock::system(),
    };
    let by_keyring = spawn(dir.path(), 8).await;
    let config = FileConfig {
        key_file: Some(key_file(dir.path())),
        ..FileConfig::default()
    };
    let by_file = FileIdentity::spawn(config.clone().into(), deps()).await;
    assert_eq!(by_file.unwrap().info, by_keyring.info);
    let memory = MemoryIdentity::spawn(MemoryConfig::default().into(), deps()).await;
    assert_ne!(memory.unwrap().info.endpoint, by_keyring.info.endpoint);

    std::fs::remove_file(dir.path().join("identity.key")).unwrap();
    std::fs::write(dir.path().join("identity.keyring"), "entry").unwrap();
    let elsewhere = FileIdentity::spawn(config.into(), deps())
        .await
        .unwrap_err();
    let says = elsewhere.to_string();
    assert!(
        matches!(elsewhere, IdentityError::Elsewhere { .. }),
        "{says}"
    );
    assert!(says.contains("identity.kind to \"keyring\""), "{says}");
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
    let error = MemoryIdentity::check(&MemoryConfig { max_topics: 0 }.into()).unwrap_err();
    assert!(error.to_string().contains("identity.max_topics"), "{error}");
    let both = FileConfig {
        key_file: Some("key".into()),
        passphrase_file: Some("passphrase".into()),
        ..FileConfig::default()
    };
    let error = FileIdentity::check(&both.into()).unwrap_err();
    assert!(error.to_string().contains("identity.key_file"), "{error}");
}
