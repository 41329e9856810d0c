//! Sending and receiving posts.
//!
//! Out: sign, store, seal, broadcast; the post is acknowledged once it is in the store. In: open,
//! verify, store, deliver; each drop is counted by its reason.

pub(super) mod incoming;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, WrapFuture};
use bytes::Bytes;
use kukuri_contract::{
    BEACON, Broadcast, Epoch, NodeEvent, Offense, Post, PostDrop, Revocation, TopicId,
};

use self::incoming::{Incoming, Stored, accept, save, unseal};
use super::actor::NodeActor;
use super::draft::{Begun, Content, Draft, Written};
use super::service::SendPost;
use super::topic::{PostEvent, TopicEvent};
use crate::core::inbox::Waiting;
use crate::core::post::{MAX_BODY_BYTES, Packet};
use crate::error::PostError;

/// Broadcasts that wait to be verified; beyond, one of the neighbor that has brought most is dropped and
/// counted.
pub(super) const INBOX: usize = 4096;
/// Broadcasts that are verified and stored at once: fewer than the store's port admits, so that
/// own posts always find room.
const RECEIVING: usize = 128;
/// A post so old that a neighbor broadcasts anew, and that is here, was recorded. 10 min: no queue and
/// no repair is so late. (iroh-gossip itself drops what it has seen in the last 90 s.)
const LONG_AGO_MS: u64 = 10 * 60 * 1000;

impl Handler<SendPost> for NodeActor {
    type Result = ResponseActFuture<Self, Result<u64, PostError>>;

    fn handle(&mut self, request: SendPost, _: &mut Self::Context) -> Self::Result {
        let SendPost { topic, body } = request;
        self.send(self.current(topic), Content::Text(body))
    }
}

impl NodeActor {
    // --- out ---

    /// Writes a post and broadcasts it. Says its number, once it is in the store.
    pub(super) fn send(
        &mut self,
        topic: TopicId,
        content: Content,
    ) -> ResponseActFuture<Self, Result<u64, PostError>> {
        let begun = match self.begin_post(topic, content) {
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

    /// The post and, before it, its copy under the secret before: what is acknowledged went to both. Each
    /// topic hears of a revocation by itself.
    fn begin_post(&mut self, topic: TopicId, content: Content) -> Result<Vec<Begun>, PostError> {
        if let Content::Text(body) = &content
            && body.len() > MAX_BODY_BYTES
        {
            return Err(PostError::TooLong(body.len()));
        }
        let now = self.clock.now();
        let wires = self.wires.as_ref().ok_or(PostError::Stopping)?;
        let (ports, writer) = (wires.ports.clone(), wires.identity.author);
        let link = self.links.used.clone();
        let open = self.topics.get_mut(&topic).ok_or(PostError::NotJoined)?;
        let time = open.state.post_time(now);
        let former = open.former.filter(|_| matches!(content, Content::Text(_)));
        let topics: Vec<_> = former.into_iter().chain([topic]).collect();
        if topics.iter().any(|topic| !self.topics.contains_key(topic)) {
            return Err(PostError::NotJoined);
        }
        if let (Some(copies), Content::Text(body)) = (self.copies.get_mut(&topic), &content) {
            copies.is_first(topic, writer, time, body);
        }
        let epoch = Epoch::at(time);
        let begun = topics.into_iter().filter_map(|topic| {
            let open = self.topics.get_mut(&topic)?;
            Some(Begun {
                ports: ports.clone(),
                draft: Draft {
                    topic,
                    writer,
                    link: link.clone(),
                    seq: open.state.take_seq(),
                    time,
                    content: content.clone(),
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
        let now = self.start.elapsed();
        if !self.sending.take(now) {
            // Neighbors would not take it.
            self.keep_unsent(topic, payload);
            self.send_later(topic, ctx);
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

    pub(super) fn received(&mut self, heard: Waiting, ctx: &mut Context<Self>) {
        let Waiting {
            topic,
            from,
            first_hand,
            ..
        } = heard;
        if first_hand && !self.scores.sends(from, self.now()) {
            self.offended(from, Offense::Flood, ctx);
            return self.broadcast_dropped(topic, from, false, PostDrop::RateLimited, ctx);
        }
        if heard.payload.first() == Some(&BEACON) {
            return self.hear_beacon(topic, heard.payload, ctx);
        }
        if self.inbox.put(heard) {
            self.drop_post(PostDrop::Overload);
        }
        self.work_off_inbox(ctx);
    }

    fn work_off_inbox(&mut self, ctx: &mut Context<Self>) {
        while self.receiving < RECEIVING {
            let Some(waiting) = self.inbox.take_next() else {
                return;
            };
            let Waiting {
                topic,
                payload,
                from,
                first_hand: own,
            } = waiting;
            let (Some(ports), Some(open)) = (self.ports(), self.topics.get(&topic)) else {
                self.drop_post(PostDrop::NotJoined);
                continue;
            };
            let now = self.clock.now();
            let packet = match accept(&payload, open.secret, now) {
                Ok(packet) => packet,
                Err(reason) => {
                    self.broadcast_dropped(topic, from, own, reason, ctx);
                    continue;
                }
            };
            let known_key = match &packet {
                Packet::Clear(_) => None,
                Packet::Sealed { epoch, .. } => open.state.seal_key(*epoch).flatten().cloned(),
            };
            self.receiving += 1;
            let store = ports.store.clone();
            let opened = unseal(ports, topic, packet, known_key, now);
            let stored = opened.into_actor(self).then(move |opened, actor, _| {
                let taken = opened.and_then(|incoming| actor.within_rate(incoming));
                async move { save(store, taken?).await }.into_actor(actor)
            });
            let then = stored.map(move |stored, actor, ctx| {
                actor.receiving -= 1;
                match stored {
                    Ok(Stored {
                        incoming,
                        new: true,
                    }) => actor.deliver(incoming),
                    Ok(Stored { incoming, .. }) => {
                        actor.drop_post(PostDrop::Duplicate);
                        let time = incoming.post.time;
                        if own && time.0.saturating_add(LONG_AGO_MS) < now.0 {
                            actor.offended(from, Offense::Replay, ctx);
                        }
                    }
                    Err(reason) => actor.broadcast_dropped(topic, from, own, reason, ctx),
                }
                actor.work_off_inbox(ctx);
            });
            ctx.spawn(then);
        }
    }

    /// Only the signature says whose it is, and only what is new counts: nobody can use up what an
    /// author may write.
    fn within_rate(&self, incoming: Incoming) -> Result<Incoming, PostDrop> {
        let Post { topic, writer, .. } = incoming.post;
        let may = self.authors.may_write(topic, writer, self.now());
        may.then_some(incoming).ok_or(PostDrop::RateLimited)
    }

    fn deliver(&mut self, incoming: Incoming) {
        let Incoming { post, seal_key } = incoming;
        let now = self.now();
        self.authors.wrote(post.topic, post.writer, now);
        if let Some(open) = self.topics.get_mut(&post.topic) {
            if let Some((epoch, key)) = seal_key {
                open.state.put_seal_key(epoch, Some(key));
            }
            if open.state.seq_seen(post.writer, post.seq) {
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
            open.state.seq_seen(post.writer, post.seq);
        }
        self.tell_post(post);
    }

    /// Tells a post, unless it is the copy of one that was told.
    fn tell_post(&mut self, post: Post) -> bool {
        let topic = post.topic;
        let me = self.wires.as_ref().map(|wires| wires.identity.author);
        if let Some(open) = self.topics.get_mut(&topic)
            && Some(post.writer) == me
        {
            open.state.own_seq_seen(post.seq);
        }
        if let Some(Revocation { writer, .. }) = post.revokes {
            let author = post.author;
            self.tell(topic, TopicEvent::Revoked { author, writer });
            return true;
        }
        let first = self.is_first(&post);
        if first {
            self.tell(topic, TopicEvent::Post(PostEvent::from(post)));
        }
        first
    }
}
