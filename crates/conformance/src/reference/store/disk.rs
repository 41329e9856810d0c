//! What the reference store keeps, and the rules of the contract for it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use kukuri_contract::{
    AuthorId, Ban, EndpointId, Holding, KnownPeer, MAX_LISTED, MAX_RANGES, MAX_REVOKED, Post,
    Revocation, Saved, TopicId, UnixMillis,
};

use super::Fault;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How long posts stay after they came.
const POSTS_STAY_MS: u64 = 30 * DAY_MS;
/// How long peers are told after they were seen.
const PEERS_STAY_MS: u64 = 14 * DAY_MS;
/// Most posts of a topic.
pub(super) const MAX_POSTS: usize = 300;
/// Most peers of a topic.
const MAX_PEERS: usize = 256;
/// Most contacts.
const MAX_CONTACTS: usize = 128;

/// What there is.
#[derive(Debug, Default, Clone)]
pub(super) struct Disk {
    pub posts: BTreeMap<(TopicId, AuthorId, u64), Kept>,
    /// By topic and writer: all up to it are settled.
    pub floors: BTreeMap<(TopicId, AuthorId), u64>,
    /// By topic, author and writer.
    pub revoked: BTreeMap<(TopicId, AuthorId, AuthorId), Revocation>,
    pub peers: BTreeMap<(TopicId, EndpointId), KnownPeer>,
    pub contacts: BTreeMap<SocketAddr, UnixMillis>,
    pub bans: BTreeMap<EndpointId, Ban>,
    /// Answers so far that could not tell all gaps.
    pub turn: usize,
}

/// A post that came.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub post: Post,
    pub came: UnixMillis,
    /// Its number alone is settled.
    pub settled: bool,
}

impl Disk {
    /// What becomes of a post.
    pub fn decide(&self, post: &Post, fault: Option<Fault>) -> Saved {
        let revoked = self.is_revoked(post, fault);
        let known = self.is_settled(post);
        Saved {
            new: !known && !revoked,
            revoked: revoked && (!known || fault == Some(Fault::RevokesAgain)),
        }
    }

    /// Takes in a post of which it is decided what becomes of it.
    pub fn take(&mut self, post: Post, saved: Saved, came: UnixMillis, fault: Option<Fault>) {
        let has = |one| fault == Some(one);
        let key = (post.topic, post.writer, post.seq);
        let before = self.posts.get(&key).filter(|kept| !kept.settled);
        let overwrites = has(Fault::Overwrites) && before.is_some();
        if !(saved.new || saved.revoked || overwrites) || self.is_settled(&post) && !overwrites {
            return;
        }
        if let Some(revocation) = post.revokes.clone() {
            self.revoke(&post, revocation, fault);
        }
        let settled = saved.revoked && !has(Fault::BelievesThieves);
        let kept = Kept {
            post,
            came,
            settled,
        };
        self.posts.insert(key, kept);
    }

    fn revoke(&mut self, by: &Post, revocation: Revocation, fault: Option<Fault>) {
        let has = |one| fault == Some(one);
        let key = (by.topic, by.author, revocation.writer);
        let others = self.revoked.keys();
        let others = others.filter(|(topic, author, _)| (*topic, *author) == (key.0, key.1));
        if others.count() >= MAX_REVOKED && !has(Fault::RevokesAnyNumber) {
            return;
        }
        if has(Fault::LastRevocationStays) {
            self.revoked.remove(&key);
        }
        self.revoked.entry(key).or_insert(revocation);
    }

    fn is_settled(&self, post: &Post) -> bool {
        let floor = self.floors.get(&(post.topic, post.writer));
        let key = (post.topic, post.writer, post.seq);
        self.posts.contains_key(&key) || floor.is_some_and(|floor| post.seq <= *floor)
    }

    fn is_revoked(&self, post: &Post, fault: Option<Fault>) -> bool {
        let has = |one| fault == Some(one);
        let said = self.revoked.iter().filter(|((topic, author, writer), _)| {
            (*topic == post.topic || has(Fault::RevokesInAllTopics))
                && (*author == post.author || has(Fault::AnybodyRevokes))
                && *writer == post.writer
        });
        let mut said = said.filter(|((topic, author, _), said)| {
            !has(Fault::BelievesAgain) || self.said_since(*topic, *author, said, UnixMillis(0))
        });
        post.author != post.writer && said.any(|(_, said)| !said.keeps(post.seq))
    }

    /// Whether a post of the author's that says this is here, and came at a time or later.
    fn said_since(
        &self,
        topic: TopicId,
        author: AuthorId,
        said: &Revocation,
        since: UnixMillis,
    ) -> bool {
        let log = self
            .posts
            .range((topic, author, 0)..=(topic, author, u64::MAX));
        let mut log = log.filter(|(_, kept)| kept.came >= since && !kept.settled);
        log.any(|(_, kept)| {
            let revokes = kept.post.revokes.as_ref();
            revokes.is_some_and(|revokes| revokes.writer == said.writer)
        })
    }

    /// Whether an author need not say yet again what it said of a writer.
    pub fn was_said(
        &self,
        (topic, author, writer): (TopicId, AuthorId, AuthorId),
        now: UnixMillis,
        fault: Option<Fault>,
    ) -> bool {
        let Some(said) = self.revoked.get(&(topic, author, writer)) else {
            return false;
        };
        match fault {
            Some(Fault::AlwaysDue) => false,
            Some(Fault::NeverDueAgain) => true,
            _ => self.said_since(topic, author, said, before(now, POSTS_STAY_MS / 2)),
        }
    }

    /// The settled numbers of each writer.
    pub fn settled(&self, topic: TopicId) -> Vec<Holding> {
        let floors = self.floors.iter().filter(|((at, _), _)| *at == topic);
        let floors = floors.map(|((_, writer), floor)| (*writer, (1, *floor)));
        let posts = self.posts.keys().filter(|(at, ..)| *at == topic);
        let posts = posts.map(|(_, writer, seq)| (*writer, (*seq, *seq)));
        let mut all: Vec<_> = floors.chain(posts).collect();
        all.sort_unstable();
        let mut holdings: Vec<Holding> = Vec::new();
        for (author, (first, last)) in all {
            let same = holdings.last_mut().filter(|held| held.author == author);
            match same.map(|held| &mut held.ranges) {
                Some(ranges) => match ranges.last_mut() {
                    Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                    _ => ranges.push((first, last)),
                },
                None => holdings.push(Holding {
                    author,
                    ranges: vec![(first, last)],
                }),
            }
        }
        holdings
    }

    /// Closes gaps until no more ranges are left than may be told: other ones each time.
    pub fn join(&mut self, ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
        let gaps = ranges.len() - 1;
        if gaps < MAX_RANGES {
            return ranges;
        }
        let first = self.turn % gaps;
        self.turn += MAX_RANGES - 1;
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (at, range) in ranges.into_iter().enumerate() {
            // The gap before this range is number `at - 1`.
            let is_open = at == 0 || (at - 1 + gaps - first) % gaps < MAX_RANGES - 1;
            match joined.last_mut() {
                Some(before) if !is_open => before.1 = range.1,
                _ => joined.push(range),
            }
        }
        joined
    }

    /// Whether a peer was seen so long ago that it is not told.
    pub fn is_too_old(known: &KnownPeer, now: UnixMillis) -> bool {
        known.seen_at < before(now, PEERS_STAY_MS)
    }

    /// A run of the retention. Tells how many posts and peers were dropped.
    pub fn prune(&mut self, now: UnixMillis, fault: Option<Fault>) -> (u64, u64) {
        let before = (self.posts.len(), self.peers.len());
        let oldest = self::before(now, POSTS_STAY_MS);
        let age = |kept: &Kept| match fault {
            Some(Fault::DropsByTheWritersClock) => kept.came.max(kept.post.time),
            _ => kept.came,
        };
        let old = self.posts.iter().filter(|(_, kept)| age(kept) < oldest);
        let old: Vec<_> = old.map(|(key, _)| *key).collect();
        let dropped = old.len();
        for key in old {
            self.drop(key, fault);
        }
        while let Some(key) = self.one_too_many(fault) {
            self.drop(key, None);
        }
        let keeps_peers = fault == Some(Fault::KeepsOldPeers);
        self.peers
            .retain(|_, known| keeps_peers || !Self::is_too_old(known, now));
        let posts = dropped.max(before.0 - self.posts.len());
        (posts as u64, (before.1 - self.peers.len()) as u64)
    }

    fn drop(&mut self, key: (TopicId, AuthorId, u64), fault: Option<Fault>) {
        let (topic, writer, seq) = key;
        if fault == Some(Fault::SettlesDroppedAlone) {
            if let Some(kept) = self.posts.get_mut(&key) {
                (kept.settled, kept.came) = (true, UnixMillis(u64::MAX));
            }
            return;
        }
        self.posts.remove(&key);
        let floor = self.floors.entry((topic, writer)).or_default();
        *floor = seq.max(*floor);
    }

    /// Of a topic with too many posts, the first one of the writer with the most.
    fn one_too_many(&self, fault: Option<Fault>) -> Option<(TopicId, AuthorId, u64)> {
        if self.posts.len() <= MAX_POSTS || fault == Some(Fault::AnyNumberOfPosts) {
            return None;
        }
        let mut topics: BTreeMap<TopicId, BTreeMap<AuthorId, Vec<u64>>> = BTreeMap::new();
        for (topic, writer, seq) in self.posts.keys() {
            let logs = topics.entry(*topic).or_default();
            logs.entry(*writer).or_default().push(*seq);
        }
        let many = |logs: &BTreeMap<_, Vec<u64>>| logs.values().map(Vec::len).sum::<usize>();
        let (topic, logs) = topics.iter().find(|(_, logs)| many(logs) > MAX_POSTS)?;
        let (writer, log) = match fault {
            Some(Fault::DropsOfAnybody) => logs.first_key_value()?,
            _ => logs.iter().max_by_key(|(_, log)| log.len())?,
        };
        Some((*topic, *writer, *log.first()?))
    }

    /// Lets go of what is beyond the bounds of peers, contacts and bans.
    pub fn bound(&mut self, topic: Option<TopicId>, fault: Option<Fault>) {
        let has = |one| fault == Some(one);
        let peers = self.peers.iter();
        let here = peers.filter(|((at, _), _)| Some(*at) == topic);
        let here: Vec<_> = here.map(|((_, id), known)| (known.seen_at, *id)).collect();
        if let (Some(topic), true) = (topic, here.len() > MAX_PEERS)
            && let Some((_, oldest)) = here.iter().min()
            && !has(Fault::AnyNumberOfPeers)
        {
            self.peers.remove(&(topic, *oldest));
        }
        if self.contacts.len() > MAX_CONTACTS && !has(Fault::AnyNumberOfContacts) {
            let mut newest: Vec<_> = std::mem::take(&mut self.contacts).into_iter().collect();
            newest.sort_by_key(|(_, seen_at)| Reverse(*seen_at));
            newest.truncate(MAX_CONTACTS);
            self.contacts = newest.into_iter().collect();
        }
        if self.bans.len() > MAX_LISTED && !has(Fault::AnyNumberOfBans) {
            let bans = self.bans.values();
            let goes = match has(Fault::FirstBansStay) {
                false => bans.min_by_key(|ban| ban.until),
                true => bans.max_by_key(|ban| ban.until),
            };
            if let Some(peer) = goes.map(|ban| ban.peer) {
                self.bans.remove(&peer);
            }
        }
    }
}

fn before(now: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(ms))
}
