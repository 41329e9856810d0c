//! Stored posts without a node: nothing is started but the store.

use std::thread;

use actix::System;
use kukuri_contract::{
    CallError, Outlet, Post, Posts, StoreDeps, StoreError, StorePort, TopicId, TopicName,
    TopicSecret, UnixMillis, WallClock,
};
use kukuri_identity::core::derive::TopicKey;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::core::copies::merge;
use crate::error::HistoryError;
use crate::kinds;
use crate::node::PostEvent;

/// The newest `limit` stored posts of a topic written at `since` or later, oldest first. Needs no
/// network and no identity, and works while a node runs on the same data directory.
///
/// A topic that was never joined here has no posts, and neither has a secret topic without its
/// secret: that is another topic. The posts of `earlier` topics, those of earlier secrets, are told with
/// them.
///
/// # Errors
/// See [`HistoryError`]: each says what to do.
pub async fn stored_posts(
    config: Config,
    name: &TopicName,
    secret: Option<&TopicSecret>,
    earlier: &[TopicId],
    since: UnixMillis,
    limit: usize,
) -> Result<Vec<PostEvent>, HistoryError> {
    let mut topics = vec![TopicKey::new(name, secret).topic_id()];
    topics.extend(earlier);
    let (told_tx, told_rx) = oneshot::channel();
    thread::Builder::new()
        .name("kukuri-posts".into())
        .spawn(move || {
            let read = read(config, topics, since, limit);
            // Nobody waits any more: fine.
            let _waiting = told_tx.send(System::new().block_on(read));
        })
        .map_err(HistoryError::Thread)?;
    told_rx.await.map_err(|_| HistoryError::Ended)?
}

async fn read(
    config: Config,
    topics: Vec<TopicId>,
    since: UnixMillis,
    limit: usize,
) -> Result<Vec<PostEvent>, HistoryError> {
    let (store, file) = kinds::stored(&config, limit)?;
    let data_dir = config.data_dir()?;
    if !data_dir.is_dir() {
        return Err(HistoryError::NoDataDir(data_dir));
    }
    if !data_dir.join(file).exists() {
        return Ok(Vec::new());
    }
    let deps = StoreDeps {
        data_dir,
        clock: WallClock::system(),
        events: Outlet::new([]),
    };
    let store = store.spawn(deps).await.map_err(HistoryError::Open)?.port;
    let posts = read_all(&store, topics, since, limit).await;
    close(&store).await;
    let posts = merge(posts?, limit);
    Ok(posts.into_iter().map(PostEvent::from).collect())
}

async fn read_all(
    store: &StorePort,
    topics: Vec<TopicId>,
    since: UnixMillis,
    limit: usize,
) -> Result<Vec<Post>, CallError<StoreError>> {
    let mut all = Vec::new();
    for topic in topics {
        let request = Posts {
            topic,
            since,
            limit,
        };
        all.extend(store.posts(request).await?);
    }
    Ok(all)
}

/// Closes the database: who closes it last moves its log into it.
async fn close(store: &StorePort) {
    if let Err(error) = store.stop().await {
        tracing::debug!(%error, "while closing the store");
    }
}
