//! Which posts of a topic in rotation were told: each comes under both secrets, and is told once.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use kukuri_contract::{AuthorId, Post, TopicId, UnixMillis};

/// Most posts that are remembered, some 6 MiB; beyond, the copy of one so old is told again.
pub const MAX_COPIES: usize = 65_536;

/// What the copies of one post have in common; their topics and numbers differ.
type Key = (AuthorId, UnixMillis, u64);

/// Posts that were told.
#[derive(Debug, Default)]
pub struct Copies {
    /// With the topic that it was told from.
    told: HashMap<Key, TopicId>,
    order: VecDeque<Key>,
}

impl Copies {
    /// Takes in a post of a topic by its writer, time and body; false if it is the copy of one that was
    /// told from another topic. Two of one topic are no copies, whatever they have in common.
    pub fn is_first(
        &mut self,
        topic: TopicId,
        writer: AuthorId,
        time: UnixMillis,
        body: &[u8],
    ) -> bool {
        let key = key(writer, time, body);
        if let Some(told) = self.told.get(&key) {
            return *told == topic;
        }
        self.told.insert(key, topic);
        self.order.push_back(key);
        while self.order.len() > MAX_COPIES {
            let oldest = self.order.pop_front();
            oldest.map(|key| self.told.remove(&key));
        }
        true
    }
}

/// Posts of several topics as one list: each post once, in the order of their times, the newest `limit`.
pub fn merge(mut posts: Vec<Post>, limit: usize) -> Vec<Post> {
    let mut told = HashMap::new();
    posts.retain(|post| {
        let key = key(post.writer, post.time, &post.body);
        *told.entry(key).or_insert(post.topic) == post.topic
    });
    posts.sort_by_key(|post| post.time);
    posts.split_off(posts.len().saturating_sub(limit))
}

fn key(writer: AuthorId, time: UnixMillis, body: &[u8]) -> Key {
    // Whoever makes two posts of one hash hides one of its own.
    let mut hash = DefaultHasher::new();
    body.hash(&mut hash);
    (writer, time, hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(topic: u8, seq: u64, time: u64, body: &'static str) -> Post {
        Post {
            topic: TopicId::from_bytes([topic; 32]),
            author: AuthorId::from_bytes([1; 32]),
            writer: AuthorId::from_bytes([1; 32]),
            seq,
            time: UnixMillis(time),
            body: body.into(),
            revokes: None,
            envelope: body.into(),
        }
    }

    fn is_first(copies: &mut Copies, topic: u8, time: u64, body: &str) -> bool {
        let author = AuthorId::from_bytes([1; 32]);
        let topic = TopicId::from_bytes([topic; 32]);
        copies.is_first(topic, author, UnixMillis(time), body.as_bytes())
    }

    #[test]
    fn a_copy_is_no_first() {
        let mut copies = Copies::default();
        assert!(is_first(&mut copies, 1, 5, "a"));
        assert!(!is_first(&mut copies, 2, 5, "a"));
        assert!(is_first(&mut copies, 2, 5, "b"));
        assert!(is_first(&mut copies, 2, 6, "a"), "said again");
        assert!(
            is_first(&mut copies, 1, 5, "a"),
            "said twice in a millisecond"
        );
    }

    #[test]
    fn it_is_bounded() {
        let mut copies = Copies::default();
        for n in 0..=MAX_COPIES as u64 {
            assert!(is_first(&mut copies, 1, n, ""));
        }
        assert_eq!(copies.told.len(), MAX_COPIES);
        assert!(is_first(&mut copies, 2, 0, ""), "the oldest is forgotten");
        assert!(!is_first(&mut copies, 2, MAX_COPIES as u64, ""));
    }

    #[test]
    fn histories_are_one_list() {
        let posts = vec![
            post(1, 1, 5, "a"),
            post(1, 2, 7, "c"),
            post(2, 1, 6, "b"),
            post(2, 2, 7, "c"),
            post(2, 3, 7, "d"),
            post(2, 4, 7, "d"),
        ];
        let bodies = |limit| -> Vec<_> {
            let merged = merge(posts.clone(), limit);
            merged.into_iter().map(|post| post.body).collect()
        };
        assert_eq!(bodies(9), ["a", "b", "c", "d", "d"]);
        assert_eq!(bodies(2), ["d", "d"]);
    }
}
