//! Who a node is, without starting it.

use std::thread;

use actix::System;
use kukuri_contract::{Factory, IdentityInfo, IdentityPort, WallClock};
use kukuri_identity::{MemoryStore, Prompt};
use tokio::sync::oneshot;

use super::lock;
use crate::compose::Identity;
use crate::config::Config;
use crate::error::StartError;

/// Who the node of a config is, without starting it: reads its identity, or makes it on first use.
/// With it comes one sentence on where the secrets are kept, and why there. `prompt` asks a user for
/// the passphrase, where no other source has it.
///
/// # Errors
/// See [`StartError`].
pub async fn identity(
    config: Config,
    prompt: Option<Prompt>,
) -> Result<(IdentityInfo, String), StartError> {
    let (told_tx, told_rx) = oneshot::channel();
    let read = async move {
        let data_dir = config.data_dir()?;
        let _lock = match lock::lock(&data_dir) {
            // Its node runs, so the identity is there and need not be made.
            Err(StartError::DataDirInUse(_)) => None,
            lock => Some(lock?),
        };
        let deps = kukuri_identity::Deps {
            data_dir,
            memory: MemoryStore::default(),
            prompt,
            clock: WallClock::system(),
        };
        let spawned = Identity::spawn(config.identity, deps).await;
        let identity = spawned.map_err(|error| StartError::Service {
            service: IdentityPort::SERVICE,
            source: Box::new(error),
        })?;
        Ok((identity.info, identity.store_note))
    };
    thread::Builder::new()
        .name("kukuri-id".into())
        .spawn(move || {
            // Nobody waits any more: fine.
            let _waiting = told_tx.send(System::new().block_on(read));
        })
        .map_err(StartError::Thread)?;
    told_rx.await.map_err(|_| StartError::Ended)?
}
