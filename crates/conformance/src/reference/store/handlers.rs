//! The requests of the reference store, each with what can be wrong with it.

use std::cmp::Reverse;
use std::net::SocketAddr;

use actix::{ActorFutureExt, Handler, ResponseActFuture};
use kukuri_contract::{
    Ban, Bans, Beyond, Contacts, Holding, Holdings, KnownPeer, KnownPeers, LastSeq, MAX_KEPT, Post,
    Posts, PostsBeyond, Remember, RememberContacts, Revocation, RevocationsDue, SaveBan, SavePost,
    Saved, StoreError,
};

use super::disk::Disk;
use super::{Fault, MemoryActor};
use crate::reference::flaw::Later;

impl Handler<Bans> for MemoryActor {
    type Result = Later<Result<Vec<Ban>, StoreError>>;

    fn handle(&mut self, request: Bans, _: &mut Self::Context) -> Self::Result {
        let mut bans: Vec<Ban> = self.look().0.bans.values().copied().collect();
        bans.sort_by_key(|ban| Reverse(ban.until));
        bans.truncate(request.limit);
        self.conduct.later(Ok(bans))
    }
}

impl Handler<SaveBan> for MemoryActor {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, SaveBan(ban): SaveBan, _: &mut Self::Context) -> Self::Result {
        let (fault, first_stays) = (self.fault, self.has(Fault::FirstBanStays));
        let (mut disk, _) = self.look();
        if !(first_stays && disk.bans.contains_key(&ban.peer)) {
            disk.bans.insert(ban.peer, ban);
        }
        disk.bound(None, fault);
        drop(disk);
        self.committed(true);
        Ok(())
    }
}

impl Handler<Remember> for MemoryActor {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, request: Remember, _: &mut Self::Context) -> Self::Result {
        let mut known = KnownPeer {
            peer: request.peer,
            source: request.source,
            seen_at: request.seen_at,
        };
        if self.has(Fault::OneAddress) {
            known.peer.direct.truncate(1);
        }
        let key = (request.topic, known.peer.id);
        let (fault, older_wins) = (self.fault, self.has(Fault::OlderWins));
        let (mut disk, _) = self.look();
        let before = disk.peers.get(&key).map(|before| before.seen_at);
        let newer = before <= Some(known.seen_at) || older_wins;
        if newer {
            disk.peers.insert(key, known);
        }
        disk.bound(Some(request.topic), fault);
        drop(disk);
        self.committed(newer);
        Ok(())
    }
}

impl Handler<KnownPeers> for MemoryActor {
    type Result = Result<Vec<KnownPeer>, StoreError>;

    fn handle(&mut self, request: KnownPeers, _: &mut Self::Context) -> Self::Result {
        let (by_id, old_too) = (self.has(Fault::PeersById), self.has(Fault::KeepsOldPeers));
        let (disk, now) = self.look();
        let here = disk.peers.iter();
        let here = here.filter(|((topic, _), _)| *topic == request.topic);
        let young = here.filter(|(_, known)| !Disk::is_too_old(known, now) || old_too);
        let mut peers: Vec<KnownPeer> = young.map(|(_, peer)| peer.clone()).collect();
        if !by_id {
            peers.sort_by_key(|peer| Reverse(peer.seen_at));
        }
        peers.truncate(request.limit);
        Ok(peers)
    }
}

impl Handler<RememberContacts> for MemoryActor {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, request: RememberContacts, _: &mut Self::Context) -> Self::Result {
        let forgets = self.has(Fault::ForgetsContacts) && request.contacts.len() > 1;
        let fault = self.fault;
        let (mut disk, _) = self.look();
        if forgets {
            disk.contacts.clear();
        }
        for contact in request.contacts {
            let seen = disk.contacts.entry(contact).or_default();
            *seen = request.seen_at.max(*seen);
        }
        disk.bound(None, fault);
        drop(disk);
        self.committed(true);
        Ok(())
    }
}

impl Handler<Contacts> for MemoryActor {
    type Result = Result<Vec<SocketAddr>, StoreError>;

    fn handle(&mut self, request: Contacts, _: &mut Self::Context) -> Self::Result {
        let (disk, _) = self.look();
        let mut contacts: Vec<_> = disk.contacts.iter().collect();
        contacts.sort_by_key(|(_, seen)| Reverse(**seen));
        contacts.truncate(request.limit);
        Ok(contacts.into_iter().map(|(contact, _)| *contact).collect())
    }
}

impl Handler<SavePost> for MemoryActor {
    type Result = ResponseActFuture<Self, Result<Saved, StoreError>>;

    fn handle(&mut self, SavePost(post): SavePost, _: &mut Self::Context) -> Self::Result {
        let is_number = (1..=i64::MAX as u64).contains(&post.seq);
        let why = match is_number || self.has(Fault::TakesAnyNumber) {
            true if self.failed => Some("another one failed"),
            true => None,
            false => Some("no post has this number"),
        };
        if let Some(why) = why {
            self.failed |= self.has(Fault::FailsTogether);
            let error = self.failed(why);
            return Box::pin(actix::fut::ready(Err(error)));
        }
        let fault = self.fault;
        let turns = match fault {
            Some(Fault::LosesAtStop) => 80,
            Some(Fault::DecidesFirst) => 1,
            _ => 0,
        };
        let decided = match fault {
            Some(Fault::DecidesFirst) => Some(self.look().0.decide(&post, fault)),
            _ => None,
        };
        let later = async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let saving = actix::fut::wrap_future::<_, Self>(later);
        Box::pin(saving.map(move |(), actor, _| {
            let (mut disk, now) = actor.look();
            let saved = decided.unwrap_or_else(|| disk.decide(&post, fault));
            disk.take(post, saved, now, fault);
            drop(disk);
            actor.fresh += 1;
            actor.committed(saved.new || saved.revoked);
            Ok(saved)
        }))
    }
}

impl Handler<Posts> for MemoryActor {
    type Result = Result<Vec<Post>, StoreError>;

    fn handle(&mut self, request: Posts, _: &mut Self::Context) -> Self::Result {
        let mixes = self.has(Fault::MixesTopics);
        let (disk, _) = self.look();
        let here = |post: &Post| post.topic == request.topic || mixes;
        let texts = disk.posts.values().filter(|kept| {
            let post = &kept.post;
            here(post) && !kept.settled && post.revokes.is_none() && post.time >= request.since
        });
        let mut texts: Vec<Post> = texts.map(|kept| kept.post.clone()).collect();
        let unknown = disk.settled(request.topic).is_empty();
        drop(disk);
        if unknown && self.has(Fault::UnknownIsAnError) {
            return Err(StoreError::Failed("no such topic".to_owned()));
        }
        texts.sort_by_key(|post| post.time);
        texts.drain(..texts.len().saturating_sub(request.limit));
        if self.has(Fault::NewestFirst) {
            texts.reverse();
        }
        Ok(texts)
    }
}

impl Handler<LastSeq> for MemoryActor {
    type Result = Result<Option<u64>, StoreError>;

    fn handle(&mut self, request: LastSeq, _: &mut Self::Context) -> Self::Result {
        let (newest, posts_only) = (self.has(Fault::NewestNumber), self.has(Fault::LastOfPosts));
        let (disk, _) = self.look();
        let LastSeq { topic, author } = request;
        let own = disk
            .posts
            .range((topic, author, 0)..=(topic, author, u64::MAX));
        let own = own.map(|(_, kept)| kept);
        let own = own.filter(|kept| !(posts_only && kept.settled));
        let last = match newest {
            true => own.max_by_key(|kept| kept.post.time),
            false => own.max_by_key(|kept| kept.post.seq),
        };
        let floor = disk.floors.get(&(topic, author)).copied();
        Ok(last.map(|kept| kept.post.seq).max(floor))
    }
}

impl Handler<Holdings> for MemoryActor {
    type Result = Result<Vec<Holding>, StoreError>;

    fn handle(&mut self, request: Holdings, _: &mut Self::Context) -> Self::Result {
        let fault = self.fault;
        let (mut disk, _) = self.look();
        let mut holdings = disk.settled(request.topic);
        holdings.retain(|held| held.author >= request.from);
        holdings.truncate(request.limit);
        for held in &mut holdings {
            let ranges = std::mem::take(&mut held.ranges);
            held.ranges = match fault {
                Some(Fault::ClosesGaps) => disk.join(close_small_gaps(ranges)),
                Some(Fault::AnyNumberOfRanges) => ranges,
                _ => disk.join(ranges),
            };
            if fault == Some(Fault::SameGapsOpen) {
                disk.turn = 0;
            }
        }
        Ok(holdings)
    }
}

fn close_small_gaps(ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut closed: Vec<(u64, u64)> = Vec::new();
    for range in ranges {
        match closed.last_mut() {
            Some(before) if before.1 + 2 == range.0 => before.1 = range.1,
            _ => closed.push(range),
        }
    }
    closed
}

impl Handler<PostsBeyond> for MemoryActor {
    type Result = Result<Beyond, StoreError>;

    fn handle(&mut self, mut request: PostsBeyond, _: &mut Self::Context) -> Self::Result {
        let fault = self.fault;
        let has = |one| fault == Some(one);
        let (disk, _) = self.look();
        if has(Fault::LastHoldingCounts) {
            let mut seen = std::collections::BTreeSet::new();
            request.have.reverse();
            request.have.retain(|held| seen.insert(held.author));
        }
        if has(Fault::FirstRangeCounts) {
            request
                .have
                .iter_mut()
                .for_each(|held| held.ranges.truncate(1));
        }
        let is_there = |post: &Post| {
            let mut have = request.have.iter();
            have.any(|held| held.author == post.writer && held.has(post.seq))
        };
        let among = |post: &Post| {
            (post.writer >= request.from || has(Fault::IgnoresFrom))
                && (post.writer <= request.to || has(Fault::IgnoresTo))
                && !(post.writer == request.to && has(Fault::LeavesOutTo))
        };
        let mut beyond = Beyond {
            posts: Vec::new(),
            more: false,
        };
        let mut bytes = 0;
        let here = disk.posts.values().filter(|kept| !kept.settled);
        let here = here.map(|kept| &kept.post);
        for post in here.filter(|post| post.topic == request.topic && among(post)) {
            if is_there(post) && !has(Fault::SendsAll) {
                continue;
            }
            bytes += post.envelope.len();
            let fits = beyond.posts.len() < request.max_posts && bytes <= request.max_bytes;
            if !fits && (!beyond.posts.is_empty() || has(Fault::FirstMustFit)) {
                beyond.more = !has(Fault::HidesMore);
                break;
            }
            beyond.posts.push(post.clone());
        }
        Ok(beyond)
    }
}

impl Handler<RevocationsDue> for MemoryActor {
    type Result = Result<Vec<Revocation>, StoreError>;

    fn handle(&mut self, request: RevocationsDue, _: &mut Self::Context) -> Self::Result {
        let fault = self.fault;
        let (disk, now) = self.look();
        let RevocationsDue {
            topic,
            author,
            writers,
        } = request;
        let settled = disk.settled(topic);
        let due = writers.into_iter();
        let due = due.filter(|writer| !disk.was_said((topic, author, *writer), now, fault));
        let due = due.map(|writer| {
            let known = disk.revoked.get(&(topic, author, writer)).cloned();
            known.unwrap_or_else(|| {
                let held = settled.iter().find(|held| held.author == writer);
                let ranges = held.map_or_else(Vec::new, |held| held.ranges.clone());
                let kept = longest(ranges, fault);
                Revocation { writer, kept }
            })
        });
        Ok(due.collect())
    }
}

fn longest(mut ranges: Vec<(u64, u64)>, fault: Option<Fault>) -> Vec<(u64, u64)> {
    if fault != Some(Fault::KeepsTheFirst) {
        ranges.sort_by_key(|(first, last)| Reverse(last - first));
    }
    if fault != Some(Fault::KeepsAnyNumber) {
        ranges.truncate(MAX_KEPT);
    }
    ranges.sort_unstable();
    ranges
}
