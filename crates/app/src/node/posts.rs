//! Sending and receiving posts.
//!
//! Out: sign, store, seal, broadcast; the post is acknowledged once it is in the store. In: open,
//! verify, store, deliver; each drop is counted by its reason.

use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, WrapFuture};
use bytes::Bytes;
use kukuri_contract::{
    BEACON, Broadcast, EndpointId, Epoch, KeyBytes, NodeEvent, Post, PostDrop, SavePost, TopicId,
    TopicKeys, UnixMillis,
};

use super::actor::NodeActor;
use super::draft::{Begun, Draft, Written};
use super::service::SendPost;
use super::topic::{PostEvent, TopicEvent};
use crate::compose::Ports;
use crate::core::post::{self, MAX_BODY_BYTES, Packet};
use crate::error::PostError;

/// Broadcasts that wait to be verified; beyond, one of the neighbor that has brought most is dropped and
/// counted.
pub(super) const INBOX: usize = 4096;
/// Broadcasts that are verified and stored at once: fewer than the store's port admits, so that
/// own posts always find room.
const RECEIVING: usize = 128;
/// Posts sealed for an epoch further ahead than this are not from our time.
const MAX_EPOCHS_AHEAD: u64 = 2;

impl Handler<SendPost> for NodeActor {
    type Result = ResponseActFuture<Self, Result<u64, PostError>>;

    fn handle(&mut self, request: SendPost, _: &mut Self::Context) -> Self::Result {
        let SendPost { topic, body } = request;
        let begun = match self.begin_post(self.current(topic), &body) {
            Ok(begun) => begun,
            Err(error) => return Box::pin(async { Err(error) }.into_actor(self)),
        };
        let write = async move {
            let mut written = Vec::<Written>::new();
            for begun in begun {
                let failed = written.last().is_some_and(|last| last.result.is_err());
                written.push(match failed {
                    true => begun.given_up(),
                    false => begun.write().await,
                });
            }
            written
        };
        let then = write.into_actor(self).map(|written, actor, ctx| {
            let done = written.into_iter().map(|written| actor.sent(written, ctx));
            // All of them, whatever came of the first.
            let done: Vec<_> = done.collect();
            done.into_iter()
                .reduce(|first, next| first.and(next))
                .unwrap_or(Err(PostError::NotJoined))
        });
        Box::pin(then)
    }
}

impl NodeActor {
    // --- out ---

    /// The post and, before it, its copy under the secret before: what is acknowledged went to both.
    fn begin_post(&mut self, topic: TopicId, body: &Bytes) -> Result<Vec<Begun>, PostError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(PostError::TooLong(body.len()));
        }
        let now = self.clock.now();
        let wires = self.wires.as_ref().ok_or(PostError::Stopping)?;
        let (ports, author) = (wires.ports.clone(), wires.identity.author);
        let open = self.topics.get_mut(&topic).ok_or(PostError::NotJoined)?;
        let time = open.state.post_time(now);
        let topics: Vec<_> = open.former.into_iter().chain([topic]).collect();
        if topics.iter().any(|topic| !self.topics.contains_key(topic)) {
            return Err(PostError::NotJoined);
        }
        if let Some(copies) = self.copies.get_mut(&topic) {
            copies.is_first(topic, author, time, body);
        }
        let epoch = Epoch::at(time);
        let begun = topics.into_iter().filter_map(|topic| {
            let open = self.topics.get_mut(&topic)?;
            Some(Begun {
                ports: ports.clone(),
                draft: Draft {
                    topic,
                    author,
                    seq: open.state.take_seq(),
                    time,
                    body: body.clone(),
                    secret: open.secret,
                    known_key: open.state.seal_key(epoch).map(|key| key.cloned()),
                },
            })
        });
        Ok(begun.collect())
    }

    fn sent(&mut self, written: Written, ctx: &mut Context<Self>) -> Result<u64, PostError> {
        let Written { topic, seq, result } = written;
        let Some(open) = self.topics.get_mut(&topic) else {
            return result.map(|_| seq);
        };
        match result {
            Ok(outgoing) => {
                open.state.put_seal_key(outgoing.epoch, outgoing.seal_key);
                if open.replaced.is_none() {
                    self.emit(NodeEvent::PostSent);
                }
                self.broadcast(topic, outgoing.payload, ctx);
                Ok(seq)
            }
            Err(error) => {
                if error.is_unwritten() {
                    open.state.return_seq(seq);
                }
                Err(error)
            }
        }
    }

    /// Sends now, or keeps it until there is a neighbor.
    fn broadcast(&mut self, topic: TopicId, payload: Bytes, ctx: &mut Context<Self>) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get_mut(&topic)) else {
            return;
        };
        if open.state.neighbors().is_empty() {
            self.keep_unsent(topic, payload);
            return;
        }
        let request = Broadcast {
            topic,
            payload: payload.clone(),
        };
        let sent = async move { ports.gossip.broadcast(request).await };
        let then = sent.into_actor(self).map(move |sent, actor, ctx| {
            if let Err(error) = sent {
                tracing::debug!(?topic, %error, "post not sent yet");
                actor.keep_unsent(topic, payload);
                actor.send_later(topic, ctx);
            }
        });
        ctx.spawn(then);
    }

    /// Where there is no room, gap repair brings it to the first neighbor: it is in the store.
    fn keep_unsent(&mut self, topic: TopicId, payload: Bytes) {
        if let Some(open) = self.topics.get_mut(&topic) {
            let _kept = open.state.keep_unsent(payload);
        }
    }

    pub(super) fn send_unsent(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        let open = self.topics.get_mut(&topic);
        let unsent = open
            .map(|open| open.state.take_unsent())
            .unwrap_or_default();
        for payload in unsent {
            self.broadcast(topic, payload, ctx);
        }
    }

    // --- in ---

    pub(super) fn received(
        &mut self,
        topic: TopicId,
        payload: Bytes,
        from: EndpointId,
        ctx: &mut Context<Self>,
    ) {
        if payload.first() == Some(&BEACON) {
            return self.hear_beacon(topic, payload, ctx);
        }
        if self.inbox.put(from, topic, payload) {
            self.drop_post(PostDrop::Overload);
        }
        self.work_off_inbox(ctx);
    }

    fn work_off_inbox(&mut self, ctx: &mut Context<Self>) {
        while self.receiving < RECEIVING {
            let Some((topic, payload)) = self.inbox.take_next() else {
                return;
            };
            let (Some(ports), Some(open)) = (self.ports(), self.topics.get(&topic)) else {
                self.drop_post(PostDrop::NotJoined);
                continue;
            };
            let now = self.clock.now();
            let packet = match accept(&payload, open.secret, now) {
                Ok(packet) => packet,
                Err(reason) => {
                    self.drop_post(reason);
                    continue;
                }
            };
            let known_key = match &packet {
                Packet::Clear(_) => None,
                Packet::Sealed { epoch, .. } => open.state.seal_key(*epoch).flatten().cloned(),
            };
            self.receiving += 1;
            let stored = receive(ports, topic, packet, known_key, now);
            let then = stored.into_actor(self).map(move |stored, actor, ctx| {
                actor.receiving -= 1;
                match stored {
                    Ok(incoming) => actor.deliver(incoming),
                    Err(reason) => actor.drop_post(reason),
                }
                actor.work_off_inbox(ctx);
            });
            ctx.spawn(then);
        }
    }

    fn deliver(&mut self, incoming: Incoming) {
        let Incoming { post, seal_key } = incoming;
        let now = self.now();
        if let Some(open) = self.topics.get_mut(&post.topic) {
            if let Some((epoch, key)) = seal_key {
                open.state.put_seal_key(epoch, Some(key));
            }
            if open.state.seq_seen(post.author, post.seq) {
                open.state.repairs.gap(now);
            }
        }
        let after = self.clock.now().0.saturating_sub(post.time.0);
        if self.tell_post(post) {
            let after = std::time::Duration::from_millis(after);
            self.emit(NodeEvent::PostReceived { after });
        }
    }

    /// A post that gap repair brought: it is late by nature, so it does not count as a delivery.
    pub(super) fn deliver_post(&mut self, post: Post) {
        if let Some(open) = self.topics.get_mut(&post.topic) {
            open.state.seq_seen(post.author, post.seq);
        }
        self.tell_post(post);
    }

    /// Tells a post, unless it is the copy of one that was told.
    fn tell_post(&mut self, post: Post) -> bool {
        let topic = post.topic;
        let me = self.wires.as_ref().map(|wires| wires.identity.author);
        if let Some(open) = self.topics.get_mut(&topic)
            && Some(post.author) == me
        {
            open.state.own_seq_seen(post.seq);
        }
        let first = self.is_first(&post);
        if first {
            self.tell(topic, TopicEvent::Post(PostEvent::from(post)));
        }
        first
    }
}

/// A post that was verified and stored.
struct Incoming {
    post: Post,
    /// The key that opened it, to be kept.
    seal_key: Option<(Epoch, KeyBytes)>,
}

/// Checks what can be checked without keys.
fn accept(payload: &Bytes, secret: bool, now: UnixMillis) -> Result<Packet, PostDrop> {
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

/// Opens, verifies and stores a post.
async fn receive(
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
    let saved = ports.store.save_post(SavePost(post.clone())).await;
    match saved {
        Ok(saved) if saved.new => Ok(Incoming { post, seal_key }),
        Ok(_) => Err(PostDrop::Duplicate),
        Err(error) => {
            tracing::debug!(%error, "post not stored");
            Err(PostDrop::NotStored)
        }
    }
}
