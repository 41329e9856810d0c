//! The kinds of identity on the command line: each says who it is, and lets its keys be changed, or says why
//! not.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// The exit code, and the JSON line or the error.
fn kukuri(dir: &Path, config: &str, args: &[&str]) -> (Option<i32>, Value, String) {
    let file = dir.join("test.toml");
    std::fs::write(&file, config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kukuri"))
        .args(args)
        .arg("--json")
        .arg("--config")
        .arg(file)
        .env("KUKURI_NODE__DATA_DIR", dir.join("node"))
        .output()
        .unwrap();
    let line = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), line, errors)
}

fn done(dir: &Path, config: &str, args: &[&str]) -> Value {
    let (code, line, errors) = kukuri(dir, config, args);
    assert_eq!(code, Some(0), "{args:?}: {errors}");
    line
}

fn refused(dir: &Path, config: &str, args: &[&str]) -> String {
    let (code, _, errors) = kukuri(dir, config, args);
    assert_eq!(code, Some(1), "{args:?}: {errors}");
    errors
}

/// A config of the kind `file` with a key file.
fn by_file(dir: &Path) -> String {
    let key = dir.join("key");
    if !key.exists() {
        done(
            dir,
            "",
            &["identity", "new-key", "--out", key.to_str().unwrap()],
        );
    }
    format!(
        "[identity]\nkind = 'file'\nkey_file = '{}'\n",
        key.display()
    )
}

#[test]
fn keys_of_the_kind_file_are_replaced_and_moved() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let config = by_file(here.path());
    let first = done(here.path(), &config, &["identity"]);
    assert_eq!(first["store"], "file");
    assert!(here.path().join("node/identity.key").exists());
    let after = done(here.path(), &config, &["identity", "rotate"]);
    assert_ne!(after["endpoint_id"], first["endpoint_id"]);
    assert_eq!(after["author"], first["author"]);

    let (backup, passphrase) = (here.path().join("backup"), here.path().join("passphrase"));
    let secret = ["topic", "new-secret", "--out", passphrase.to_str().unwrap()];
    done(here.path(), &config, &secret);
    let lock = ["--backup-passphrase-file", passphrase.to_str().unwrap()];
    let export = ["identity", "export", "--out", backup.to_str().unwrap()];
    done(here.path(), &config, &[&export[..], &lock].concat());
    let import = ["identity", "import", backup.to_str().unwrap()];
    let moved = done(
        there.path(),
        &by_file(there.path()),
        &[&import[..], &lock].concat(),
    );
    assert_eq!(moved["endpoint_id"], after["endpoint_id"]);
}

#[test]
fn keys_in_memory_are_new_each_time_and_are_neither_replaced_nor_moved() {
    let dir = TempDir::new().unwrap();
    let config = "[identity]\nkind = 'memory'\n";
    let (one, other) = (
        done(dir.path(), config, &["identity"]),
        done(dir.path(), config, &["identity"]),
    );
    assert_eq!(one["store"], "memory");
    assert_ne!(one["endpoint_id"], other["endpoint_id"]);
    for args in [
        &["identity", "rotate"][..],
        &["identity", "export", "--out", "backup"],
        &["identity", "import", "backup"],
    ] {
        let error = refused(dir.path(), config, args);
        assert!(error.contains("the keys are in memory"), "{error}");
        assert!(error.contains("identity.kind"), "{error}");
    }
    let error = refused(dir.path(), config, &["identity", "--key-file", "key"]);
    assert!(
        error.contains("key_file"),
        "it is for another kind: {error}"
    );
}

#[test]
fn a_store_that_forgets_goes_with_an_identity_that_does_only() {
    let dir = TempDir::new().unwrap();
    let store = "[store]\nkind = 'memory'\n";
    for identity in ["kind = 'memory'", "store = 'memory'"] {
        let config = format!("{store}[identity]\n{identity}\n");
        done(dir.path(), &config, &["config", "check"]);
    }
    let file = format!("{store}{}", by_file(dir.path()));
    for config in [&file, store] {
        let error = refused(dir.path(), config, &["config", "check"]);
        assert!(error.contains("identity.kind to \"memory\""), "{error}");
    }
}

#[test]
fn the_kinds_are_listed() {
    let dir = TempDir::new().unwrap();
    let all = done(dir.path(), "", &["config", "kinds"]);
    let identity = all["kinds"]["identity"].as_array().unwrap();
    let names: Vec<_> = identity.iter().map(|kind| &kind["kind"]).collect();
    assert_eq!(names, ["keyring", "file", "memory"]);
    assert_eq!(identity[0]["default"], true);
    assert_eq!(identity[1]["feature"], "identity-file");
}

#[test]
fn a_header_of_metrics_is_shown_without_its_value() {
    let dir = TempDir::new().unwrap();
    let config = "[metrics]\nkind = 'otlp'\n[metrics.headers]\nx-api-key = 'tell-nobody'\n";
    let shown = done(dir.path(), config, &["config", "show"]);
    assert_eq!(
        shown["config"]["metrics"]["headers"]["x-api-key"],
        "(hidden)"
    );
    assert_eq!(shown["config"]["metrics"]["every_s"], 15);
}
