//! Gap repair: which numbers are settled, and which posts somebody lacks.

use super::posts::Post;
use crate::ids::{AuthorId, TopicId};

/// Asks which numbers of a topic are settled, by *writer*: each that has any, also one that has nothing but a
/// floor or numbers of revoked posts.
#[derive(Debug, Clone, Copy)]
pub struct Holdings {
    /// The topic.
    pub topic: TopicId,
    /// Only writers from this one on, in the order of their ids.
    pub from: AuthorId,
    /// Most writers to tell.
    pub limit: usize,
}

/// Which numbers of one writer are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The *writer*.
    pub author: AuthorId,
    /// Settled numbers as ranges, both ends included, ascending, with gaps between; what is up to a floor
    /// begins with 1.
    ///
    /// In an answer of the store at most [`MAX_RANGES`]. Where there are more, the store tells some gaps as
    /// settled: no settled number is left out, for its post would be sent again and again; what is above the
    /// highest is never told; and other gaps are closed each time, so that each is open in some answer.
    pub ranges: Vec<(u64, u64)>,
}

/// Most ranges of settled numbers that a store tells of one writer. 64: as many as a question of gap repair
/// takes.
pub const MAX_RANGES: usize = 64;

impl Holding {
    /// Whether a number is settled.
    pub fn has(&self, seq: u64) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&seq))
    }
}

/// Asks for the posts of a topic that somebody lacks, in the order of writer and number: those that are here,
/// texts and revocations, and in no range of `have`.
#[derive(Debug, Clone)]
pub struct PostsBeyond {
    /// The topic.
    pub topic: TopicId,
    /// Only *writers* from this one on.
    pub from: AuthorId,
    /// Only *writers* up to this one, itself included. Below `from`: none.
    pub to: AuthorId,
    /// What the asker has of them. It comes from the network and may say anything: writers and ranges in any
    /// order, several of one writer, overlapping, ending before they begin, of any number; all of them count.
    pub have: Vec<Holding>,
    /// Most posts to give; but the first one is always given, if there is one, so that there is progress.
    pub max_posts: usize,
    /// Most bytes of their envelopes together; but the first post is given whatever its size.
    pub max_bytes: usize,
}

/// Answer to [`PostsBeyond`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// The posts: as many from the first one on as fit.
    pub posts: Vec<Post>,
    /// There is another one that did not fit.
    pub more: bool,
}
