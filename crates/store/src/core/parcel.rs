//! Posts for somebody who lacks them, within bounds.

use std::collections::BTreeMap;

use kukuri_contract::{AuthorId, Beyond, Holding, Post, PostsBeyond};

use super::limits::Limits;
use super::ranges::{self, Range};

/// Posts to hand on. The first one always fits, so that there is progress.
#[derive(Debug)]
pub struct Parcel {
    posts: Vec<Post>,
    bytes: usize,
    max_posts: usize,
    max_bytes: usize,
}

impl Parcel {
    /// An empty one, with the bounds of a request.
    pub fn new(request: &PostsBeyond, limits: &Limits) -> Self {
        Self {
            posts: Vec::new(),
            bytes: 0,
            max_posts: request.max_posts.min(limits.max_posts_per_query),
            max_bytes: request.max_bytes,
        }
    }

    /// Adds a post, if it fits.
    pub fn put(&mut self, post: Post) -> bool {
        let bytes = self.bytes.saturating_add(post.envelope.len());
        let fits = self.posts.len() < self.max_posts && bytes <= self.max_bytes;
        if fits || self.posts.is_empty() {
            self.bytes = bytes;
            self.posts.push(post);
            return true;
        }
        false
    }

    /// The answer.
    pub fn sealed(self, more: bool) -> Beyond {
        Beyond {
            posts: self.posts,
            more,
        }
    }
}

/// What somebody has, by writer, as it came.
#[derive(Debug)]
pub struct Have(BTreeMap<AuthorId, Vec<Range>>);

impl Have {
    /// From the holdings of a request. They come from the network and may say anything.
    pub fn new(holdings: &[Holding]) -> Self {
        let mut have: BTreeMap<AuthorId, Vec<Range>> = BTreeMap::new();
        for Holding { author, ranges } in holdings {
            have.entry(*author).or_default().extend(ranges);
        }
        Self(have)
    }

    /// The numbers of a writer that it lacks. To be asked once for each.
    pub fn gaps(&mut self, writer: AuthorId) -> Vec<Range> {
        let settled = ranges::normal(self.0.remove(&writer).unwrap_or_default());
        ranges::gaps(&settled)
    }
}
