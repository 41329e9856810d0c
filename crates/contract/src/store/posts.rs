//! Posts of topics, and what revokes the writers of some.

use std::fmt;

use bytes::Bytes;

use crate::ids::{AuthorId, TopicId, UnixMillis};

/// A post whose signature was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// The topic.
    pub topic: TopicId,
    /// In whose name: the writer itself, or who has let it write by a link.
    pub author: AuthorId,
    /// Which key wrote it. It has a log of its own in each topic, and no two nodes have the same.
    pub writer: AuthorId,
    /// Its number among the writer's posts in this topic, from 1 to 2^63 - 1.
    pub seq: u64,
    /// When, by the writer's clock.
    pub time: UnixMillis,
    /// What it says.
    pub body: Bytes,
    /// It is no text, but says that another writer may no longer write in the author's name. It has a
    /// number in the author's own log like any post.
    pub revokes: Option<Revocation>,
    /// The signed envelope without seal, so that the post can be handed on.
    pub envelope: Bytes,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic, author, seq, ..
        } = self;
        write!(
            f,
            "Post({topic:?}, {author:?}, {seq}, {} bytes)",
            self.body.len()
        )
    }
}

/// What an author says when it no longer lets a writer write in its name, in one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The writer.
    pub writer: AuthorId,
    /// The numbers of the writer's posts that stay good: ranges, both ends included, ascending,
    /// with gaps between; at most [`MAX_KEPT`].
    pub kept: Vec<(u64, u64)>,
}

/// Most ranges of posts that a revocation keeps. 16: a writer leaves out no numbers, so one is the
/// rule; whoever makes many gaps has stolen its key.
pub const MAX_KEPT: usize = 16;

impl Revocation {
    /// Whether a post of the writer in the author's name stays good.
    pub fn keeps(&self, seq: u64) -> bool {
        let mut kept = self.kept.iter();
        kept.any(|(first, last)| (*first..=*last).contains(&seq))
    }
}

/// Saves a post, unless its number is settled. Of several that come at once with one number, one alone is
/// new. A number out of bounds is refused as `Failed`.
#[derive(Debug, Clone)]
pub struct SavePost(pub Post);

/// Answer to [`SavePost`]. Neither: its number was settled before, whatever settled it; nothing has changed,
/// but a revocation in it may be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The post was not there before.
    pub new: bool,
    /// Its author has revoked its writer. It was not saved; its number is settled by now.
    pub revoked: bool,
}

/// Asks for the posts of a topic by `time`, oldest first; of one time the order is any, but always the same.
#[derive(Debug, Clone, Copy)]
pub struct Posts {
    /// The topic.
    pub topic: TopicId,
    /// Only posts written at this time or later.
    pub since: UnixMillis,
    /// The newest so many.
    pub limit: usize,
}

/// Asks which revocations an author should send to a topic: those of whose posts here, in the author's own
/// log, none has come within half of the time that posts stay. So it was never sent, or will soon be dropped
/// by those who got it then, or is gone already.
///
/// One that is remembered is told as it is, so an author says the same each time. Of a writer of whom nothing
/// is remembered, the kept numbers are those that are settled in its log, floor included: of more than
/// [`MAX_KEPT`] ranges the longest, of equal ones the lower. So a thief's scattered numbers can't
/// displace what was written before.
#[derive(Debug, Clone)]
pub struct RevocationsDue {
    /// The topic.
    pub topic: TopicId,
    /// The author.
    pub author: AuthorId,
    /// Whom it no longer lets write. The answer has those that are due, in this order.
    pub writers: Vec<AuthorId>,
}

/// Asks for the highest settled number of a writer in a topic: be its post here, a text or a revocation,
/// dropped, or not saved because it was revoked. `None`: none is settled. A number is never used twice.
#[derive(Debug, Clone, Copy)]
pub struct LastSeq {
    /// The topic.
    pub topic: TopicId,
    /// The *writer*.
    pub author: AuthorId,
}
