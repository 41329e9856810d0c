//! An own post from its number to the store: signed, sealed, stored.

use bytes::Bytes;
use kukuri_contract::{
    AuthorId, Epoch, KeyBytes, Post, SavePost, Sign, SignRequest, TopicId, TopicKeys, UnixMillis,
};

use crate::compose::Ports;
use crate::core::post;
use crate::error::PostError;

/// A post whose number is taken.
pub(super) struct Begun {
    pub(super) ports: Ports,
    pub(super) draft: Draft,
}

/// What came of it.
pub(super) struct Written {
    pub(super) topic: TopicId,
    pub(super) seq: u64,
    pub(super) result: Result<Outgoing, PostError>,
}

impl Begun {
    pub(super) async fn write(self) -> Written {
        let (topic, seq) = (self.draft.topic, self.draft.seq);
        let result = self.draft.write(self.ports).await;
        Written { topic, seq, result }
    }

    /// Its copy could not be written.
    pub(super) fn given_up(self) -> Written {
        Written {
            topic: self.draft.topic,
            seq: self.draft.seq,
            result: Err(PostError::NotJoined),
        }
    }
}

/// A post on its way out: stored, and ready to be broadcast.
pub(super) struct Outgoing {
    pub(super) payload: Bytes,
    pub(super) epoch: Epoch,
    pub(super) seal_key: Option<KeyBytes>,
}

/// What an own post is made of.
pub(super) struct Draft {
    pub(super) topic: TopicId,
    pub(super) author: AuthorId,
    pub(super) seq: u64,
    pub(super) time: UnixMillis,
    pub(super) body: Bytes,
    pub(super) secret: bool,
    /// The key of the epoch, if it was asked for before.
    pub(super) known_key: Option<Option<KeyBytes>>,
}

impl Draft {
    /// Signs, seals and stores the post.
    async fn write(self, ports: Ports) -> Result<Outgoing, PostError> {
        let topic = self.topic;
        let epoch = Epoch::at(self.time);
        let seal_key = match self.known_key {
            Some(key) => key,
            None if !self.secret => None,
            None => {
                ports
                    .identity
                    .topic_keys(TopicKeys { topic, epoch })
                    .await?
                    .post_seal
            }
        };
        let unsigned = post::unsigned(self.author, self.seq, self.time, &self.body);
        let request = SignRequest::Post {
            topic,
            envelope: unsigned.clone(),
        };
        let signature = ports.identity.sign(Sign(request)).await?;
        let envelope = post::finish(unsigned, &signature);
        let payload = match &seal_key {
            None => post::clear(&envelope),
            Some(key) => {
                let mut nonce = [0; 24];
                getrandom::fill(&mut nonce).map_err(PostError::NoRandomness)?;
                post::seal(&envelope, topic, epoch, key, nonce)
            }
        };
        let post = Post {
            topic,
            author: self.author,
            seq: self.seq,
            time: self.time,
            body: self.body,
            envelope,
        };
        if !ports.store.save_post(SavePost(post)).await?.new {
            return Err(PostError::NumberTaken(self.seq));
        }
        Ok(Outgoing {
            payload,
            epoch,
            seal_key,
        })
    }
}
