//! The public handle of a topic, and what is heard of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use kukuri_contract::{
    AuthorId, CallError, EndpointId, KnownPeer, KnownPeers, Post, Posts, Source, TopicId,
    TopicName, TopicSecret, UnixMillis, Verdict,
};
use tokio::sync::broadcast;

use super::handle::{JoinOptions, Node};
use super::service::{LeaveTopic, SendPost};
use crate::Former;
use crate::core::copies;
use crate::error::{PostError, ReadError, TopicError};

/// A topic that a node has joined. Clones are handles to the same topic.
#[derive(Debug, Clone)]
pub struct Topic {
    id: TopicId,
    name: TopicName,
    node: Node,
    heard: Arc<Mutex<broadcast::Receiver<TopicEvent>>>,
}

impl Topic {
    pub(super) fn new(
        id: TopicId,
        name: TopicName,
        node: Node,
        heard: broadcast::Receiver<TopicEvent>,
    ) -> Self {
        let heard = Arc::new(Mutex::new(heard));
        Self {
            id,
            name,
            node,
            heard,
        }
    }

    /// Its id, as iroh-gossip knows it.
    pub fn id(&self) -> TopicId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Posts to the topic. The reply is the post's number among this node's posts here, and
    /// means that the post is on disk; it is sent as soon as there is a neighbor.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn post(&self, body: impl Into<Bytes>) -> Result<u64, PostError> {
        let body = body.into();
        let topic = self.id;
        let sent = self.node.port().post(SendPost { topic, body }).await;
        sent.map_err(|error| match error {
            CallError::Refused(refused) => refused,
            CallError::Busy { limit, .. } => PostError::Busy(limit),
            CallError::TimedOut { after, .. } => PostError::TimedOut(after),
            _ => PostError::Stopping,
        })
    }

    /// What happened since the join, or since the last call of this method, and all that will
    /// happen. A reader that is too slow gets [`TopicEvent::Lagged`] instead of the oldest events.
    /// Ends when the topic is left, or with the node.
    pub fn events(&self) -> TopicEvents {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let later = heard.resubscribe();
        let ended = self.node.ended();
        TopicEvents::new(std::mem::replace(&mut *heard, later), ended)
    }

    /// The newest `limit` posts in the store written at `since` or later, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn posts(
        &self,
        since: UnixMillis,
        limit: usize,
    ) -> Result<Vec<PostEvent>, ReadError> {
        let former = self.node.wanted().get(self.id).and_then(|w| w.former);
        let mut all = Vec::new();
        for topic in [Some(self.id), former].into_iter().flatten() {
            let request = Posts {
                topic,
                since,
                limit,
            };
            all.extend(self.node.ports().store.posts(request).await?);
        }
        let posts = copies::merge(all, limit);
        Ok(posts.into_iter().map(PostEvent::from).collect())
    }

    /// Takes another secret for this topic (`None` makes it public). Until the overlap ends, by this
    /// node's clock, the node takes part under both, so that nobody is missed; then whoever has only
    /// the old one is out. The events of this handle end; those of the new one go on.
    ///
    /// # Errors
    /// See [`TopicError`].
    pub async fn rotate(
        &self,
        secret: Option<TopicSecret>,
        until: UnixMillis,
    ) -> Result<Self, TopicError> {
        let wanted = self.node.wanted().get(self.id);
        let wanted = wanted.ok_or(TopicError::NotJoined)?;
        let options = JoinOptions {
            secret,
            former: Some(Former {
                secret: wanted.secret,
                until,
            }),
            peers: wanted.peers,
        };
        let next = self.node.join(self.name.clone(), options).await?;
        let wanted = self.node.wanted().get(self.id);
        if wanted.is_some_and(|wanted| wanted.replaced.is_none()) {
            // There is no overlap, or it has ended already.
            self.leave().await;
        }
        Ok(next)
    }

    /// The peers of this topic that the store remembers, last seen first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn known_peers(&self, limit: usize) -> Result<Vec<KnownPeer>, ReadError> {
        let topic = self.id;
        let request = KnownPeers { topic, limit };
        Ok(self.node.ports().store.known_peers(request).await?)
    }

    /// Leaves the topic. Its posts stay in the store.
    pub async fn leave(&self) {
        // Where the node's actor does not hear it, it must not join the topic again either.
        self.node.wanted().remove(self.id);
        // An error means that the node is down, and with it the topic left.
        let _gone = self.node.port().leave(LeaveTopic(self.id)).await;
    }
}

/// Something that happened in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicEvent {
    /// The first neighbor since the join.
    Joined {
        /// How it was found.
        source: Source,
        /// Since the join.
        after: Duration,
    },
    /// A peer is a neighbor now.
    NeighborUp {
        /// Who.
        endpoint: EndpointId,
        /// Neighbors now.
        neighbors: usize,
    },
    /// A peer is no neighbor any more.
    NeighborDown {
        /// Who.
        endpoint: EndpointId,
        /// Neighbors now.
        neighbors: usize,
    },
    /// Another author's post: verified, stored, and new.
    Post(PostEvent),
    /// An author no longer lets a writer write in its name.
    Revoked {
        /// The author.
        author: AuthorId,
        /// The writer.
        writer: AuthorId,
    },
    /// What is known of the swarm as a whole has changed.
    Swarm {
        /// Its root: whose heartbeats name this part of the swarm. `None` until one is known.
        root: Option<EndpointId>,
        /// Members, this node included; an estimate in a large swarm.
        members: u64,
    },
    /// What came of looking for peers has changed.
    Verdict(Verdict),
    /// The secret before is not used any more: whoever has only that one is out.
    OverlapEnded,
    /// So many events were missed because this reader, or this node, was too slow.
    Lagged(u64),
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostEvent {
    /// Who wrote it: the person, by the key of one of its nodes.
    pub author: AuthorId,
    /// The key of the node that it was written on; that of the author itself, unless that has let
    /// another node write.
    pub writer: AuthorId,
    /// Its number among the writer's posts in this topic, from 1 on.
    pub seq: u64,
    /// When, by the writer's clock.
    pub time: UnixMillis,
    /// What it says.
    pub body: Bytes,
}

impl From<Post> for PostEvent {
    fn from(post: Post) -> Self {
        Self {
            author: post.author,
            writer: post.writer,
            seq: post.seq,
            time: post.time,
            body: post.body,
        }
    }
}

/// The events of a topic as a stream.
pub struct TopicEvents(Pin<Box<dyn Stream<Item = TopicEvent> + Send>>);

impl TopicEvents {
    fn new(
        heard: broadcast::Receiver<TopicEvent>,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let events = stream::unfold(heard, |mut heard| async move {
            match heard.recv().await {
                Ok(event) => Some((event, heard)),
                Err(broadcast::error::RecvError::Lagged(n)) => Some((TopicEvent::Lagged(n), heard)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        // An actor that hangs never lets go of the sending side.
        let events = events.take_until(ended);
        Self(Box::pin(events))
    }

    /// The next event; `None` once the topic is left.
    pub async fn next(&mut self) -> Option<TopicEvent> {
        self.0.next().await
    }
}

impl Stream for TopicEvents {
    type Item = TopicEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<TopicEvent>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for TopicEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicEvents(..)")
    }
}
