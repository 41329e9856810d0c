//! Stores on real files.

use std::path::{Path, PathBuf};
use std::process::Command;

use kukuri_conformance::EventLog;
use kukuri_contract::{Factory, Outlet, StoreDeps, StoreEvent, StorePort, WallClock};
use kukuri_store::{Config, OpenError, SqliteStore};
use rusqlite::Connection;

pub async fn try_open(
    dir: &Path,
    config: Config,
    clock: WallClock,
) -> Result<(StorePort, EventLog<StoreEvent>), OpenError> {
    let (log, listener) = EventLog::new();
    let deps = StoreDeps {
        data_dir: dir.to_owned(),
        clock,
        events: Outlet::new([listener]),
    };
    Ok((SqliteStore::spawn(config, deps).await?.port, log))
}

pub fn file(dir: &Path) -> PathBuf {
    dir.join("kukuri.db")
}

/// The database without the store.
pub fn raw(dir: &Path) -> Connection {
    Connection::open(file(dir)).unwrap()
}

/// This test binary again, to run one test in a process of its own.
pub fn again(test: &str, env: &str, value: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(env, value);
    command
}
