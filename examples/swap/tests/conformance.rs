//! The clauses of the contract, on the implementation `folder`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_conformance::{EventLog, MemoryIdentity, probe, shutdown};
use kukuri_contract::{DiscoveryDeps, Factory, Outlet, WallClock};
use kukuri_folder::{Config, Folder};

#[actix::test]
async fn clauses_of_every_service() {
    let shared = tempfile::tempdir().unwrap();
    let (endpoint, identity) = MemoryIdentity::spawn(1);
    let (_log, listener) = EventLog::new();
    let config = Config {
        dir: shared.path().to_owned(),
        ..Config::default()
    };
    let deps = DiscoveryDeps {
        endpoint,
        identity,
        events: Outlet::new([listener]),
        clock: WallClock::system(),
        contacts: Vec::new(),
    };
    let running = Folder::spawn(config, deps).await.unwrap();
    probe(&running.port).await;
    shutdown(&running.port).await;
}

#[test]
fn what_is_wrong_with_a_config_is_named() {
    let error = Folder::check(&Config::default()).unwrap_err();
    assert!(error.to_string().starts_with("dir of"), "{error}");
}
