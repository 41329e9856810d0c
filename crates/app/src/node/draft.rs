//! An own post from its number to the store: signed, sealed, stored.

use bytes::Bytes;
use kukuri_contract::{
    AuthorId, AuthorLink, Epoch, KeyBytes, Post, Revocation, SavePost, Sign, SignRequest, TopicId,
    TopicKeys, UnixMillis,
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
pub struct Outgoing {
    /// What is broadcast.
    pub payload: Bytes,
    /// The epoch that it was written in.
    pub epoch: Epoch,
    /// The key of that epoch, in a secret topic.
    pub seal_key: Option<KeyBytes>,
}

/// What an own post says.
#[derive(Debug, Clone)]
pub enum Content {
    /// A text of the user's.
    Text(Bytes),
    /// That a writer may no longer write in this node's own name.
    Revokes(Revocation),
}

/// What an own post is made of.
pub struct Draft {
    /// Where.
    pub topic: TopicId,
    /// This node's own key.
    pub writer: AuthorId,
    /// In whose name it writes, if not in its own.
    pub link: Option<AuthorLink>,
    /// Its number.
    pub seq: u64,
    /// When.
    pub time: UnixMillis,
    /// What it says.
    pub content: Content,
    /// The topic is a secret one.
    pub secret: bool,
    /// The key of the epoch, if it was asked for before.
    pub known_key: Option<Option<KeyBytes>>,
}

impl Draft {
    /// Signs, seals and stores the post.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn write(self, ports: Ports) -> Result<Outgoing, PostError> {
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
        let Self {
            writer, seq, time, ..
        } = self;
        let (unsigned, author, body, revokes) = match (self.content, self.link) {
            (Content::Text(body), None) => {
                let unsigned = post::unsigned(writer, seq, time, &body);
                (unsigned, writer, body, None)
            }
            (Content::Text(body), Some(link)) => {
                let unsigned = post::unsigned_linked(&link, seq, time, &body);
                (unsigned, link.author, body, None)
            }
            (Content::Revokes(revocation), _) => {
                let unsigned = post::unsigned_revocation(writer, seq, time, &revocation);
                (unsigned, writer, Bytes::new(), Some(revocation))
            }
        };
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
            author,
            writer,
            seq,
            time,
            body,
            revokes,
            envelope,
        };
        let saved = ports.store.save_post(SavePost(post)).await?;
        if saved.revoked {
            return Err(PostError::Revoked(author));
        }
        if !saved.new {
            return Err(PostError::NumberTaken(seq));
        }
        Ok(Outgoing {
            payload,
            epoch,
            seal_key,
        })
    }
}
