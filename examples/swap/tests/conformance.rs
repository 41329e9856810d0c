//! The clauses of the contract, on the implementation `folder`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_conformance::{Discovery, Made, conforms};
use kukuri_contract::{DiscoveryMaker, Factory};
use kukuri_folder::{Config, Folder};

#[actix::test]
async fn the_clauses_of_the_contract() {
    let shared = tempfile::tempdir().unwrap();
    let config = Config {
        dir: shared.path().to_owned(),
        ..Config::default()
    };
    conforms::<Discovery>(&Made::by(DiscoveryMaker::of::<Folder>(config))).await;
}

#[test]
fn what_is_wrong_with_a_config_is_named() {
    let error = Folder::check(&Config::default()).unwrap_err();
    assert!(error.to_string().starts_with("dir of"), "{error}");
}
