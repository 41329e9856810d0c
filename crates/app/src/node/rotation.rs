//! A topic under two secrets: for the time of the overlap, the topic of the secret before goes on
//! beside the one in its place. To the services they are two topics, to the user one.

use actix::{AsyncContext, Context, WrapFuture};
use kukuri_contract::{Post, Posts, TopicId, UnixMillis};

use super::actor::NodeActor;
use super::topic::TopicEvent;
use super::topics::{Entered, Prepared};
use super::wanted::WantedTopic;
use crate::compose::Ports;
use crate::error::TopicError;

/// Newest posts of each of the two topics that are read from the store, so that none is told again as
/// the copy of another.
const TOLD_BEFORE: usize = 4096;

/// The newest posts of a topic.
pub(super) async fn told_before(ports: &Ports, topic: TopicId) -> Result<Vec<Post>, TopicError> {
    let request = Posts {
        topic,
        since: UnixMillis(0),
        limit: TOLD_BEFORE,
    };
    Ok(ports.store.posts(request).await?)
}

impl NodeActor {
    /// Enters the topic that is wanted, and after it the one that it replaces.
    pub(super) fn enter_all(
        &mut self,
        prepared: Vec<Prepared>,
        joined_at: std::time::Duration,
        ctx: &mut Context<Self>,
    ) -> Result<Vec<Entered>, TopicError> {
        let mut entered = Vec::new();
        for prepared in prepared {
            // It was the present one of another pair: what it had replaced ends.
            let open = self.topics.get(&prepared.topic);
            let oldest = open.and_then(|open| open.former);
            if let Some(oldest) = oldest.filter(|_| prepared.wanted.replaced.is_some()) {
                self.leave_again(oldest, ctx);
            }
            entered.push(self.enter(prepared, joined_at)?);
        }
        Ok(entered)
    }

    /// Notes which posts of a topic were told in an earlier run.
    pub(super) fn note_told(&mut self, topic: TopicId, wanted: &WantedTopic, posts: &[Post]) {
        let of = match (wanted.replaced, wanted.former) {
            (Some(replaced), _) => replaced.by,
            (None, Some(_)) => topic,
            (None, None) => return,
        };
        let copies = self.copies.entry(of).or_default();
        for post in posts {
            copies.is_first(post.topic, post.writer, post.time, &post.body);
        }
    }

    /// Whether a post is told for the first time, and not as the copy of one that was.
    pub(super) fn is_first(&mut self, post: &Post) -> bool {
        let of = self.current(post.topic);
        let copies = self.copies.get_mut(&of);
        copies.is_none_or(|copies| copies.is_first(post.topic, post.writer, post.time, &post.body))
    }

    /// The topic that is in the place of another one, else the same.
    pub(super) fn current(&self, topic: TopicId) -> TopicId {
        let replaced = self.topics.get(&topic).and_then(|open| open.replaced);
        replaced.map_or(topic, |replaced| replaced.by)
    }

    /// Whether somebody is connected under the secret before.
    pub(super) fn former_has_neighbors(&self, topic: TopicId) -> bool {
        let former = self.topics.get(&topic).and_then(|open| open.former);
        let former = former.and_then(|former| self.topics.get(&former));
        former.is_some_and(|former| !former.state.neighbors().is_empty())
    }

    /// Leaves the topics whose overlap has ended.
    pub(super) fn end_overlaps(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let replaced = self.topics.iter().filter_map(|(topic, open)| {
            let replaced = open.replaced.filter(|replaced| replaced.until <= now)?;
            Some((*topic, replaced.by))
        });
        for (topic, by) in replaced.collect::<Vec<_>>() {
            let left = self.leave(topic);
            ctx.spawn(left.into_actor(self));
            self.tell(by, TopicEvent::OverlapEnded);
        }
    }
}
