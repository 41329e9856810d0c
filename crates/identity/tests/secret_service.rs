//! The store `os` against a real Secret Service: gnome-keyring on a D-Bus session of its own.
//!
//! Needs Debian's packages `dbus` and `gnome-keyring`; without them each test says that it is
//! skipped. Each starts itself again inside of a D-Bus session, as `child_process`, with the name of
//! what to do there.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use kukuri_contract::{Factory, IdentityDeps, IdentityRunning, SecretStoreKind, WallClock};
use kukuri_identity::{Config, IdentityError, KeyStoreError, KeyringIdentity, StoreChoice};

const HOME: &str = "KUKURI_TEST_SECRET_SERVICE";
const PLAY: &str = "KUKURI_TEST_PLAY";
/// Of a keyring that does not answer; those that do take milliseconds.
const LIMIT_MS: u64 = 2_000;

/// The daemon unlocks its keyring with the password on its standard input.
const UNLOCKED: &str =
    "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null";
/// The same keyring, and nobody has typed its password.
const LOCKED: &str = "gnome-keyring-daemon --start --components=secrets >/dev/null";
/// After both: the daemon has its name on the bus. Before, the bus would start another one.
const READY: &str = "tries=0; until dbus-send --session --print-reply=literal \
                     --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
                     string:org.freedesktop.secrets | grep -q true; \
                     do tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 1; sleep 0.01; done";
/// After that: the daemon is there, and hangs.
const STOP: &str = "pid=$(dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
                    org.freedesktop.DBus.GetConnectionUnixProcessID \
                    string:org.freedesktop.secrets | awk '{print $2}'); kill -STOP \"$pid\"";
/// As on a machine without a desktop.
const NO_BUS: &str = "export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent";

fn config(store: StoreChoice, key_file: Option<PathBuf>) -> Config {
    Config {
        store,
        key_file,
        keyring_timeout_ms: LIMIT_MS,
        ..Config::default()
    }
}

async fn spawn_with(dir: &Path, config: Config) -> Result<IdentityRunning, IdentityError> {
    let deps = IdentityDeps {
        data_dir: dir.to_owned(),
        clock: WallClock::system(),
    };
    KeyringIdentity::spawn(config.into(), deps).await
}

async fn spawn(dir: &Path, store: StoreChoice) -> Result<IdentityRunning, IdentityError> {
    spawn_with(dir, config(store, None)).await
}

fn installed(program: &str) -> bool {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).any(|dir: PathBuf| dir.join(program).is_file())
}

/// Plays a scene after the command `daemon` in a D-Bus session of its own; says whether it could.
fn play(scene: &str, daemon: &str, home: &Path) -> bool {
    if !installed("dbus-run-session") || !installed("gnome-keyring-daemon") {
        println!("SKIPPED: needs the packages dbus and gnome-keyring");
        return false;
    }
    // A daemon that hangs would not end with its bus.
    let script = format!(
        "{daemon} && \"$0\" --exact child_process --nocapture; code=$?; \
         [ -z \"$pid\" ] || kill -KILL \"$pid\"; exit $code"
    );
    let child = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(HOME, home)
        .env(PLAY, scene)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_RUNTIME_DIR", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}\n{errors}");
    assert!(
        text.contains(&format!("played {scene}")),
        "{text}\n{errors}"
    );
    true
}

#[test]
fn a_real_secret_service_keeps_the_identity() {
    let home = tempfile::tempdir().unwrap();
    let unlocked = format!("{UNLOCKED} && {READY}");
    if play("first start", &unlocked, home.path()) {
        // Another session, another daemon: as after the next log-in.
        play("after a restart", &unlocked, home.path());
    }
}

#[test]
fn a_keyring_that_fails_is_a_typed_error_and_makes_no_second_identity() {
    let home = tempfile::tempdir().unwrap();
    let unlocked = format!("{UNLOCKED} && {READY}");
    if play("first start", &unlocked, home.path()) {
        play("locked", &format!("{LOCKED} && {READY}"), home.path());
        play("stopped", &format!("{unlocked} && {STOP}"), home.path());
        play("no bus", NO_BUS, home.path());
        // None of this has harmed what is kept.
        play("after a restart", &unlocked, home.path());
    }
}

/// Not a test of its own: what runs inside the D-Bus session.
#[actix::test]
async fn child_process() {
    let (Some(home), Ok(scene)) = (std::env::var_os(HOME), std::env::var(PLAY)) else {
        return;
    };
    let home = Path::new(&home);
    match scene.as_str() {
        "first start" => first_start(home).await,
        "after a restart" => {
            let running = spawn(&home.join("node"), StoreChoice::Os).await.unwrap();
            assert_eq!(running.info.endpoint.to_string(), remembered(home));
        }
        _ => failing(home, &scene).await,
    }
    println!("played {scene}");
}

fn remembered(home: &Path) -> String {
    std::fs::read_to_string(home.join("endpoint")).unwrap()
}

async fn first_start(home: &Path) {
    let dir = home.join("node");
    let first = spawn(&dir, StoreChoice::Os).await.unwrap();
    assert_eq!(first.info.store, SecretStoreKind::Os);
    std::fs::write(home.join("endpoint"), first.info.endpoint.to_string()).unwrap();
    let second = spawn(&dir, StoreChoice::Auto).await.unwrap();
    assert_eq!(second.info, first.info);
    assert!(
        second.store_note.contains("keys are there"),
        "{}",
        second.store_note
    );
    assert!(!dir.join("identity.key").exists(), "no key is in a file");
    // A new directory is a new node; `auto` takes the keyring that works, and says so.
    let other = spawn(&home.join("other"), StoreChoice::Auto).await.unwrap();
    assert_eq!(other.info.store, SecretStoreKind::Os);
    let note = "the keyring of the operating system, because it works here";
    assert_eq!(other.store_note, note);
    assert_ne!(other.info.endpoint, first.info.endpoint);
    // The file store must not make a second identity of the same directory.
    let elsewhere = spawn(&dir, StoreChoice::File).await.unwrap_err();
    assert!(
        matches!(elsewhere, IdentityError::Elsewhere { .. }),
        "{elsewhere}"
    );
}

/// A keyring that is there and can't be used, with keys in it.
async fn failing(home: &Path, scene: &str) {
    let dir = home.join("node");
    for choice in [StoreChoice::Os, StoreChoice::Auto] {
        let error = spawn(&dir, choice).await.unwrap_err();
        let fits = match (&error, scene) {
            // gnome-keyring asks its user through a program that is not there: it may say so, or
            // never answer.
            (IdentityError::Store(KeyStoreError::KeyringLocked(_)), "locked") => true,
            (IdentityError::Store(KeyStoreError::KeyringSilent(_)), "locked" | "stopped") => true,
            (IdentityError::Store(KeyStoreError::NoKeyring(_)), "no bus") => true,
            _ => false,
        };
        assert!(fits, "{scene}: {error} {:?}", error.source());
        assert!(!dir.join("identity.key").exists(), "no second identity");
    }
    // A new node is made in the encrypted file, and says why; or not at all.
    let new = home.join(scene);
    let error = spawn(&new, StoreChoice::Auto).await.unwrap_err();
    assert!(
        matches!(error, IdentityError::NoSafePlace { .. }),
        "{error}"
    );
    assert!(!new.join("identity.key").exists());
    let key = home.join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    let config = config(StoreChoice::Auto, Some(key));
    let running = spawn_with(&new, config).await.unwrap();
    assert_eq!(running.info.store, SecretStoreKind::File);
    let note = running.store_note;
    assert!(note.contains("because no keyring can be used"), "{note}");
    println!("{scene}: {note}");
}
