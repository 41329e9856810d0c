//! The node's thread: an actix `System` that starts the services, watches over them, and ends them.

use actix::System;
use tokio::sync::{oneshot, watch};

use super::handle::{NodeBuilder, NodeInfo};
use super::service::NodePort;
use super::wanted::Wanted;
use super::{http, lock};
use crate::TopicBook;
use crate::compose::{Parts, Ports};
use crate::error::{GaveUp, StartError};
use crate::supervise::{self, Tally};

/// What the node's thread hands out once everything runs.
#[derive(Debug)]
pub struct Started {
    /// The node's actor.
    pub port: NodePort,
    /// The services.
    pub ports: Ports,
    /// The topics that are wanted.
    pub wanted: Wanted,
    /// The topics that the user has added.
    pub topics: TopicBook,
    /// Who and where the node is.
    pub info: NodeInfo,
    /// Events of a topic that wait for a slow reader.
    pub event_buffer: usize,
    /// How often services were started again.
    pub restarts: Tally,
}

/// Runs the node until it is asked to stop, its last handle is dropped, or it gives up.
pub fn run(
    builder: NodeBuilder,
    started: oneshot::Sender<Result<Started, StartError>>,
    stop: oneshot::Receiver<()>,
    gave_up: watch::Sender<Option<GaveUp>>,
) {
    System::new().block_on(async move {
        match start(builder).await {
            Err(error) => _ = started.send(Err(error)),
            Ok((node, parts, lock)) => {
                if started.send(Ok(node)).is_ok() {
                    let given_up = supervise::until_stopped(&parts, stop).await;
                    parts.stop().await;
                    drop(lock);
                    if let Some(reason) = given_up {
                        gave_up.send_replace(Some(reason));
                    }
                } else {
                    parts.stop().await;
                }
            }
        }
    });
}

async fn start(builder: NodeBuilder) -> Result<(Started, Parts, lock::DataDirLock), StartError> {
    let NodeBuilder {
        config,
        clock,
        prompt,
        given,
    } = builder;
    let data_dir = config.data_dir()?;
    let lock = lock::lock(&data_dir)?;
    let makers = config.makers(prompt, given)?;
    let node = config.node;
    let (http_address, event_buffer) = (node.http, node.event_buffer);
    let wanted = Wanted::default();
    let parts = Parts::compose(node, makers, data_dir.clone(), clock, wanted.clone()).await?;
    let http = match http_address {
        Some(address) => Some(http::serve(
            address,
            parts.ports.clone(),
            parts.node.clone(),
        )?),
        None => None,
    };
    let writer = parts.identity.author;
    let link = parts.identity.links.used.as_ref();
    let addresses = parts.addresses.borrow().clone();
    let info = NodeInfo {
        endpoint: parts.identity.endpoint,
        author: link.map_or(writer, |link| link.author),
        writer,
        secret_store: parts.identity.store,
        secret_store_note: parts.store_note.clone(),
        data_dir,
        bound: addresses.bound,
        advertised: addresses.advertised,
        hello: parts.hello,
        http,
    };
    let started = Started {
        port: parts.node.clone(),
        ports: parts.ports.clone(),
        wanted,
        topics: parts.topics.clone(),
        info,
        event_buffer,
        restarts: parts.restarts.clone(),
    };
    Ok((started, parts, lock))
}
