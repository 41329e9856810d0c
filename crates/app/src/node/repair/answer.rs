//! Answering a neighbor's question.

use bytes::Bytes;
use kukuri_contract::{Epoch, Holdings, PostsBeyond};

use super::{random_nonce, repair_key};
use crate::compose::Ports;
use crate::core::repair::{
    Between, Delivery, EPOCHS_ACCEPTED, MAX_AUTHORS, MAX_BYTES, MAX_POSTS, RepairError, Summary,
    is_lacking,
};

/// Authors of a neighbor's question that are compared with what is here: four times as many as one
/// question lists, since others may stand between them. The rest is compared in later questions.
const MAX_COMPARED: usize = 4 * MAX_AUTHORS;

/// Why a neighbor's question is not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFailure {
    /// There is no room.
    #[error("others are being answered, or this one was often enough")]
    Busy,
    /// It is no question.
    #[error("it can't be used: {0}")]
    Invalid(#[from] RepairError),
    /// Not the neighbor's fault.
    #[error("a service failed: {0}")]
    Service(String),
}

/// What came of a neighbor's question.
pub struct Served {
    /// Posts that it got.
    pub posts: u64,
    /// It has posts that are not here.
    pub lacking: bool,
}

/// Answers one question.
///
/// # Errors
/// It is refused, and why.
pub async fn answer(
    ports: &Ports,
    between: Between,
    question: &[u8],
    now: Epoch,
) -> Result<(Bytes, Served), AnswerFailure> {
    let service = |error: &dyn std::fmt::Display| AnswerFailure::Service(error.to_string());
    let (epoch, asked) = Summary::peek(question, now)?;
    debug_assert!(epoch.0.abs_diff(now.0) <= EPOCHS_ACCEPTED);
    let topic = between.topic;
    let key = repair_key(ports, topic, epoch)
        .await
        .map_err(|e| service(&e))?;
    let Summary { from, to, have } = Summary::open(question, between, epoch, &key)?;
    let limit = MAX_COMPARED;
    let ours = ports.store.holdings(Holdings { topic, from, limit });
    let ours = ours.await.map_err(|e| service(&e))?;
    let compared = match ours.last() {
        Some(last) if ours.len() >= limit => last.author,
        _ => to,
    };
    let in_reach = have.iter().take_while(|theirs| theirs.author <= compared);
    let lacking = is_lacking(&ours, in_reach);
    let beyond = PostsBeyond {
        topic,
        from,
        to,
        have,
        max_posts: MAX_POSTS,
        max_bytes: MAX_BYTES,
    };
    let beyond = ports
        .store
        .posts_beyond(beyond)
        .await
        .map_err(|e| service(&e))?;
    let delivery = Delivery {
        envelopes: beyond.posts.into_iter().map(|post| post.envelope).collect(),
        more: beyond.more,
    };
    let posts = delivery.envelopes.len() as u64;
    let nonce = random_nonce().map_err(|e| service(&e))?;
    let payload = delivery.seal(between, (epoch, asked), &key, nonce);
    Ok((payload, Served { posts, lacking }))
}
