//! Posts: saved once, read newest first, and not believed of a writer that was revoked.

use std::cmp::Reverse;

use bytes::Bytes;
use kukuri_contract::{
    AuthorId, LastSeq, MAX_KEPT, MAX_REVOKED, Post, Posts, Revocation, RevocationsDue, SavePost,
    Saved, UnixMillis,
};

use super::{Kept, Log, Memory, Topic};
use crate::core::ranges::{self, Range};
use crate::core::row::{RowError, seq_to_column};

impl Memory {
    /// Saves a post. One of the same topic, writer and number stays as it is, and one that the
    /// retention has dropped, or would have, does not come back. Of a post whose author has revoked
    /// its writer only the number is kept.
    ///
    /// # Errors
    /// Its number is 0, or above the last one that there is.
    pub fn save_post(
        &mut self,
        SavePost(post): SavePost,
        now: UnixMillis,
    ) -> Result<Saved, RowError> {
        seq_to_column(post.seq)?;
        let topic = self.topics.entry(post.topic).or_default();
        let revoked = topic.is_revoked(&post);
        // Of a post that is here already, too, as in the database.
        if let Some(revocation) = &post.revokes {
            topic.revoke(post.author, revocation);
        }
        let log = topic.logs.entry(post.writer).or_default();
        if log.settled(post.seq) {
            return Ok(Saved {
                new: false,
                revoked: false,
            });
        }
        let kept = Kept {
            received_at: now,
            dropped: revoked,
            post: match revoked {
                false => post,
                true => Post {
                    body: Bytes::new(),
                    envelope: Bytes::new(),
                    ..post
                },
            },
        };
        log.posts.insert(kept.post.seq, kept);
        self.schedule.saved(1);
        Ok(Saved {
            new: !revoked,
            revoked,
        })
    }

    /// The newest posts of a topic, oldest first.
    pub fn posts(&self, request: &Posts) -> Vec<Post> {
        let Posts {
            topic,
            since,
            limit,
        } = *request;
        let logs = self.topics.get(&topic).map(|topic| &topic.logs);
        let kept = logs.into_iter().flat_map(|logs| logs.values());
        let kept = kept.flat_map(|log| log.posts.values());
        let texts = kept.filter(|kept| !kept.dropped && kept.post.revokes.is_none());
        let mut texts: Vec<_> = texts
            .map(|kept| &kept.post)
            .filter(|post| post.time >= since)
            .collect();
        texts.sort_by_key(|post| (post.time, Reverse(post.writer), post.seq));
        let limit = limit.min(self.limits.max_posts_per_query);
        let newest = texts.split_off(texts.len().saturating_sub(limit));
        newest.into_iter().cloned().collect()
    }

    /// The highest number of a writer's posts in a topic. A dropped post counts: its number is never
    /// used again.
    pub fn last_seq(&self, request: &LastSeq) -> Option<u64> {
        let log = self.topics.get(&request.topic)?.logs.get(&request.author)?;
        let last = log.posts.last_key_value().map(|(seq, _)| *seq);
        last.max(log.floor)
    }

    /// What an author has to say again: the retention of those who heard it last is half over, or
    /// it was never said here, or it is gone. It says the same each time.
    pub fn revocations_due(&self, request: &RevocationsDue, now: UnixMillis) -> Vec<Revocation> {
        let since = self.limits.half_a_retention_ago(now);
        let topic = self.topics.get(&request.topic);
        let log = topic.and_then(|topic| topic.logs.get(&request.author));
        let said = log.into_iter().flat_map(|log| log.posts.values());
        let said = said.filter(|kept| kept.received_at >= since);
        let said: Vec<_> = said
            .filter_map(|kept| Some(kept.post.revokes.as_ref()?.writer))
            .collect();
        let due = request.writers.iter().filter(|w| !said.contains(w));
        let due = due.map(|writer| {
            let known = topic.and_then(|topic| topic.revoked.get(&request.author)?.get(writer));
            known.cloned().unwrap_or_else(|| {
                let log = topic.and_then(|topic| topic.logs.get(writer));
                let settled = log.map(Log::ranges).unwrap_or_default();
                Revocation {
                    writer: *writer,
                    kept: ranges::longest(settled, MAX_KEPT),
                }
            })
        });
        due.collect()
    }
}

impl Topic {
    /// Whether a post is of a writer that its author has revoked, and none of those that stay good.
    fn is_revoked(&self, post: &Post) -> bool {
        let by = self.revoked.get(&post.author);
        let known = by.and_then(|by| by.get(&post.writer));
        post.author != post.writer && known.is_some_and(|known| !known.keeps(post.seq))
    }

    /// Takes in a revocation. The first one of a writer by an author stays: later ones repeat it.
    fn revoke(&mut self, author: AuthorId, revocation: &Revocation) {
        let by = self.revoked.entry(author).or_default();
        if by.len() < MAX_REVOKED {
            by.entry(revocation.writer)
                .or_insert_with(|| revocation.clone());
        }
    }
}

impl Log {
    fn settled(&self, seq: u64) -> bool {
        self.floor.is_some_and(|floor| seq <= floor) || self.posts.contains_key(&seq)
    }

    /// The settled numbers.
    pub(super) fn ranges(&self) -> Vec<Range> {
        let floor = self.floor.filter(|floor| *floor > 0);
        let floor = floor.map(|floor| (1, floor));
        let posts = self.posts.keys().map(|seq| (*seq, *seq));
        ranges::normal(floor.into_iter().chain(posts).collect())
    }
}
