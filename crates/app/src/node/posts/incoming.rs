//! A broadcast on its way to become a post: checked, opened, verified, stored.

use bytes::Bytes;
use kukuri_contract::{
    Epoch, KeyBytes, Post, PostDrop, SavePost, StorePort, TopicId, TopicKeys, UnixMillis,
};

use crate::compose::Ports;
use crate::core::post::{self, Packet};

/// Posts sealed for an epoch further ahead than this are not from our time.
const MAX_EPOCHS_AHEAD: u64 = 2;

/// A post that was verified.
pub struct Incoming {
    /// The post.
    pub post: Post,
    /// The key that opened it, to be kept.
    pub seal_key: Option<(Epoch, KeyBytes)>,
}

/// Checks what can be checked without keys.
pub fn accept(payload: &Bytes, secret: bool, now: UnixMillis) -> Result<Packet, PostDrop> {
    let packet = Packet::parse(payload)?;
    match &packet {
        Packet::Clear(_) if secret => Err(PostDrop::WrongKind),
        Packet::Sealed { .. } if !secret => Err(PostDrop::WrongKind),
        Packet::Sealed { epoch, .. } if epoch.0 > Epoch::at(now).0 + MAX_EPOCHS_AHEAD => {
            Err(PostDrop::Future)
        }
        _ => Ok(packet),
    }
}

/// A post that is in the store.
pub struct Stored {
    /// It.
    pub incoming: Incoming,
    /// It was not there before.
    pub new: bool,
}

/// Opens and verifies a post.
pub async fn unseal(
    ports: Ports,
    topic: TopicId,
    packet: Packet,
    known_key: Option<KeyBytes>,
    now: UnixMillis,
) -> Result<Incoming, PostDrop> {
    let (envelope, seal_key) = match packet {
        Packet::Clear(envelope) => (envelope, None),
        Packet::Sealed {
            epoch,
            nonce,
            sealed,
        } => {
            let key = match known_key {
                Some(key) => key,
                None => {
                    let keys = ports.identity.topic_keys(TopicKeys { topic, epoch }).await;
                    let key = keys.map_err(|_| PostDrop::NoKey)?.post_seal;
                    key.ok_or(PostDrop::WrongKind)?
                }
            };
            let envelope = post::open(&sealed, nonce, topic, epoch, &key)?;
            (envelope, Some((epoch, key)))
        }
    };
    let post = post::verify(topic, &envelope, now)?;
    Ok(Incoming { post, seal_key })
}

/// Stores a post of a broadcast.
pub async fn save(port: StorePort, incoming: Incoming) -> Result<Stored, PostDrop> {
    let new = match store(&port, &incoming.post).await {
        Ok(()) => true,
        Err(PostDrop::Duplicate) => false,
        Err(reason) => return Err(reason),
    };
    Ok(Stored { incoming, new })
}

/// Stores a post that was verified.
///
/// # Errors
/// It is not new, its writer was revoked, or the store failed.
pub async fn store(port: &StorePort, post: &Post) -> Result<(), PostDrop> {
    match port.save_post(SavePost(post.clone())).await {
        Ok(saved) if saved.new => Ok(()),
        Ok(saved) if saved.revoked => Err(PostDrop::Revoked),
        Ok(_) => Err(PostDrop::Duplicate),
        Err(error) => {
            tracing::debug!(%error, "post not stored");
            Err(PostDrop::NotStored)
        }
    }
}
