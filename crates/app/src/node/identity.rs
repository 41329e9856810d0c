//! A node's identity without starting the node: who it is, and what is done with its keys.

use std::path::{Path, PathBuf};
use std::thread;

use actix::System;
use kukuri_contract::{IdentityDeps, IdentityInfo, IdentityPort, IdentityRunning, WallClock};
use kukuri_identity::{
    BackupLock, IdentityError, Prompt, Rotated, Setup, TopicBook, export, import, rotate,
};
use tokio::sync::oneshot;

use super::lock;
use crate::config::Config;
use crate::error::{Cause, ConfigError, StartError};
use crate::kinds;

/// Who a node is.
#[derive(Debug)]
pub struct WhoIs {
    /// Its keys' public halves.
    pub info: IdentityInfo,
    /// One sentence on where the secrets are kept, and why there.
    pub store_note: String,
    /// The topics that were added.
    pub topics: TopicBook,
}

/// Who the node of a config is, without starting it: reads its identity, or makes it on first use.
/// `prompt` asks a user for the passphrase, where no other source has it.
///
/// # Errors
/// See [`StartError`].
pub async fn who_is(config: Config, prompt: Option<Prompt>) -> Result<WhoIs, StartError> {
    with_identity(config, prompt, async |data_dir, running| WhoIs {
        topics: TopicBook::of(&running, &data_dir),
        info: running.info,
        store_note: running.store_note,
    })
    .await
}

/// Starts the identity of a config alone, and does something with it, on a thread of its own. `then`
/// is told the data directory.
///
/// # Errors
/// See [`StartError`].
pub(super) async fn with_identity<T: Send + 'static>(
    config: Config,
    prompt: Option<Prompt>,
    then: impl AsyncFnOnce(PathBuf, IdentityRunning) -> T + Send + 'static,
) -> Result<T, StartError> {
    let read = async move || {
        let data_dir = config.data_dir()?;
        let _lock = match lock::lock(&data_dir) {
            // Its node runs, so the identity is there and need not be made.
            Err(StartError::DataDirInUse(_)) => None,
            lock => Some(lock?),
        };
        let identity = config.identity.maker(prompt).map_err(ConfigError::from)?;
        let identity = identity.spawn(deps(&data_dir)).await.map_err(unmade)?;
        Ok(then(data_dir, identity).await)
    };
    on_a_thread(move || System::new().block_on(read())).await
}

/// Replaces the endpoint key of a node that does not run and, if `author` says so, its author key.
///
/// # Errors
/// See [`StartError`]; the keys before stay then.
pub async fn rotate_identity(
    config: Config,
    prompt: Option<Prompt>,
    author: bool,
) -> Result<Rotated, StartError> {
    on_a_thread(move || {
        let data_dir = config.data_dir()?;
        let _lock = lock::lock(&data_dir)?;
        rotate(&setup(config, prompt)?, &deps(&data_dir), author).map_err(failed)
    })
    .await
}

/// The keys of a node as an encrypted backup, to be written to `out`.
///
/// # Errors
/// See [`StartError`].
pub async fn export_identity(
    config: Config,
    prompt: Option<Prompt>,
    lock: BackupLock,
    out: PathBuf,
) -> Result<Vec<u8>, StartError> {
    on_a_thread(move || {
        let data_dir = config.data_dir()?;
        let setup = setup(config, prompt)?;
        export(&setup, &deps(&data_dir), &lock, &out).map_err(failed)
    })
    .await
}

/// Takes in the keys of a backup, for a data directory that has none.
///
/// # Errors
/// See [`StartError`]; nothing is changed then.
pub async fn import_identity(
    config: Config,
    prompt: Option<Prompt>,
    lock: BackupLock,
    backup: PathBuf,
) -> Result<(IdentityInfo, String), StartError> {
    on_a_thread(move || {
        let data_dir = config.data_dir()?;
        let _lock = lock::lock(&data_dir)?;
        let setup = setup(config, prompt)?;
        import(&setup, &deps(&data_dir), &lock, &backup).map_err(failed)
    })
    .await
}

/// Keys are changed in our own kinds only: of another one we do not know where it has them.
fn setup(config: Config, prompt: Option<Prompt>) -> Result<Setup, StartError> {
    let kind = config.identity.kind.clone();
    kinds::keys(config.identity, prompt).ok_or(StartError::NotByKind(kind))
}

fn deps(data_dir: &Path) -> IdentityDeps {
    IdentityDeps {
        data_dir: data_dir.to_owned(),
        clock: WallClock::system(),
    }
}

fn failed(error: IdentityError) -> StartError {
    unmade(Box::new(error))
}

fn unmade(source: Cause) -> StartError {
    let service = IdentityPort::SERVICE;
    StartError::Service { service, source }
}

/// Files, keyrings and users block.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    let (done_tx, done_rx) = oneshot::channel();
    thread::Builder::new()
        .name("kukuri-id".into())
        .spawn(move || {
            // Nobody waits any more: fine.
            let _waiting = done_tx.send(work());
        })
        .map_err(StartError::Thread)?;
    done_rx.await.map_err(|_| StartError::Ended)?
}
