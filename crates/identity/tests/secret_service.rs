//! The store `os` against a real Secret Service: gnome-keyring on a D-Bus session of its own.
//!
//! Needs Debian's packages `dbus` and `gnome-keyring`; without them it says that it is skipped.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use kukuri_contract::{Factory, SecretStoreKind, WallClock};
use kukuri_identity::{
    Config, Deps, IdentityError, KeyringIdentity, MemoryStore, Running, StoreChoice,
};

const CHILD: &str = "KUKURI_TEST_SECRET_SERVICE";

async fn spawn(dir: &Path, store: StoreChoice) -> Result<Running, IdentityError> {
    let config = Config {
        store,
        ..Config::default()
    };
    let deps = Deps {
        data_dir: dir.to_owned(),
        memory: MemoryStore::default(),
        clock: WallClock::system(),
    };
    KeyringIdentity::spawn(config, deps).await
}

fn installed(program: &str) -> bool {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).any(|dir: PathBuf| dir.join(program).is_file())
}

#[test]
fn a_real_secret_service_keeps_the_identity() {
    if !installed("dbus-run-session") || !installed("gnome-keyring-daemon") {
        println!("SKIPPED: needs the packages dbus and gnome-keyring");
        return;
    }
    // The daemon unlocks its keyring with the password on its standard input, and keeps it here.
    let home = tempfile::tempdir().unwrap();
    let script = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null \
                  && exec \"$0\" --exact child_process --nocapture";
    let child = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, home.path())
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("XDG_RUNTIME_DIR", home.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("kept by a real Secret Service"),
        "{text}\n{errors}"
    );
}

/// Not a test of its own: what runs inside the D-Bus session.
#[actix::test]
async fn child_process() {
    let Some(home) = std::env::var_os(CHILD) else {
        return;
    };
    let dir = Path::new(&home).join("node");
    let first = spawn(&dir, StoreChoice::Os).await.unwrap();
    assert_eq!(first.info.store, SecretStoreKind::Os);
    let second = spawn(&dir, StoreChoice::Auto).await.unwrap();
    assert_eq!(second.info, first.info);
    assert!(!dir.join("identity.key").exists(), "no key is in a file");
    // A new directory is a new node; `auto` takes the keyring that works.
    let other = spawn(&Path::new(&home).join("other"), StoreChoice::Auto)
        .await
        .unwrap();
    assert_eq!(other.info.store, SecretStoreKind::Os);
    assert_ne!(other.info.endpoint, first.info.endpoint);
    // The file store must not make a second identity of the same directory.
    let elsewhere = spawn(&dir, StoreChoice::File).await.unwrap_err();
    assert!(
        matches!(elsewhere, IdentityError::Elsewhere { .. }),
        "{elsewhere}"
    );
    println!("kept by a real Secret Service");
}
