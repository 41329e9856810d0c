//! The way to one neighbor that is asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iroh::EndpointAddr;
use iroh::endpoint::{Connection, ConnectionError, ReadError, ReadToEndError, WriteError};
use kukuri_contract::{AskError, EndpointId, MAX_ANSWER_BYTES, TopicId};
use tokio::time::{Instant, timeout_at};

use super::outgoing::Outgoing;
use super::{ASK_ALPN, TOO_MANY};
use crate::core::ask_wire::{NoAnswer, STATUS_BYTES, read_answer, write_header};
use crate::endpoint::{Kept, Lent};

/// The way to one neighbor that is asked. Clones share the connection; without any it is closed.
#[derive(Debug, Clone)]
pub struct Line {
    endpoint: Lent,
    peer: iroh::EndpointId,
    limit: Duration,
    /// Locked while connecting: questions of several topics share one connection.
    connection: Arc<Kept>,
}

impl Line {
    /// A way that nothing has gone yet. `None` if the id is no Ed25519 key.
    pub fn new(endpoint: Lent, peer: EndpointId, limit: Duration) -> Option<Self> {
        Some(Self {
            peer: iroh::EndpointId::from_bytes(peer.as_bytes()).ok()?,
            limit,
            connection: endpoint.keep(),
            endpoint,
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`AskError::Refused`], [`AskError::OneSided`] and [`AskError::Failed`].
    pub async fn ask(self, topic: TopicId, payload: Bytes) -> Result<Bytes, AskError> {
        // A task of its own lets go of the connection, also while the actor hangs.
        let asked = tokio::spawn(async move { self.ask_now(topic, payload).await });
        asked.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn ask_now(&self, topic: TopicId, payload: Bytes) -> Result<Bytes, AskError> {
        let deadline = Instant::now() + self.limit;
        let late = || AskError::Failed(format!("nothing came within {:?}", self.limit));
        let connection = timeout_at(deadline, self.connect());
        let connection = connection.await.map_err(|_| late())??;
        let result = match timeout_at(deadline, exchange(&connection, topic, payload)).await {
            Ok(result) => result,
            Err(_) => Err(late()),
        };
        if let Err(AskError::Failed(_)) = result {
            // It may be dead: the next question finds out with another one.
            self.forget(&connection).await;
        }
        result
    }

    async fn connect(&self) -> Result<Connection, AskError> {
        let mut kept = self.connection.lock().await;
        if let Some(open) = kept.as_ref().filter(|open| open.close_reason().is_none()) {
            return Ok(open.clone());
        }
        // No address is needed: iroh knows the paths of the connection that gossip has.
        let address = EndpointAddr::new(self.peer);
        let endpoint = self.endpoint.get().ok_or_else(closed)?;
        let connection = endpoint.connect(address, ASK_ALPN).await;
        let connection = connection.map_err(|error| AskError::Failed(format!("{error:#}")))?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    async fn forget(&self, connection: &Connection) {
        let mut kept = self.connection.lock().await;
        let is_it = |kept: &Connection| kept.stable_id() == connection.stable_id();
        if kept.as_ref().is_some_and(is_it) {
            *kept = None;
        }
    }
}

fn closed() -> AskError {
    AskError::Failed("the endpoint is closed".to_owned())
}

/// One question over an open connection.
async fn exchange(
    connection: &Connection,
    topic: TopicId,
    payload: Bytes,
) -> Result<Bytes, AskError> {
    let (send, mut recv) = connection.open_bi().await.map_err(lost)?;
    let mut send = Outgoing::new(send);
    match send.write(&write_header(topic), payload).await {
        // Stopped: it needs no more to answer, perhaps with a refusal.
        Ok(()) | Err(WriteError::Stopped(_)) => {}
        Err(WriteError::ConnectionLost(error)) => return Err(lost(error)),
        Err(error) => return Err(AskError::Failed(error.to_string())),
    }
    let answer = recv.read_to_end(STATUS_BYTES + MAX_ANSWER_BYTES).await;
    let answer = answer.map_err(|error| match error {
        ReadToEndError::Read(ReadError::ConnectionLost(error)) => lost(error),
        ReadToEndError::Read(ReadError::Reset(_)) => {
            AskError::Failed("the neighbor gave up on it".to_owned())
        }
        other => AskError::Failed(other.to_string()),
    })?;
    read_answer(answer.into()).map_err(|none| match none {
        NoAnswer::Empty => AskError::Failed(none.to_string()),
        NoAnswer::Stranger => AskError::OneSided,
        other => AskError::Refused(other.to_string()),
    })
}

fn lost(error: ConnectionError) -> AskError {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == TOO_MANY => {
            AskError::Refused(NoAnswer::Busy.to_string())
        }
        other => AskError::Failed(other.to_string()),
    }
}
