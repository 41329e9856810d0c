//! Stores in memory. What was opened in a directory is found again there, as after a restart of the
//! actor; nothing is written into it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kukuri_conformance::EventLog;
use kukuri_contract::{Factory, Outlet, StoreDeps, StoreEvent, StorePort, WallClock};
use kukuri_store::{Config, InMemoryStore, MemoryConfig, MemorySetup, OpenError};

thread_local! {
    static OPENED: RefCell<BTreeMap<PathBuf, MemorySetup>> = RefCell::default();
}

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
    let mut setup =
        OPENED.with_borrow_mut(|opened| opened.entry(dir.to_owned()).or_default().clone());
    setup.config = MemoryConfig {
        max_peers_per_topic: config.max_peers_per_topic,
        max_posts_per_query: config.max_posts_per_query,
        retention_days: config.retention_days,
        max_posts_per_topic: config.max_posts_per_topic,
        max_peer_age_days: config.max_peer_age_days,
    };
    let running = InMemoryStore::spawn(setup, deps).await?;
    assert_eq!(std::fs::read_dir(dir).map(Iterator::count).unwrap_or(0), 0);
    Ok((running.port, log))
}
