//! The requests of the reference store, each with what can be wrong with it.

use std::net::SocketAddr;

use actix::Handler;
use kukuri_contract::{
    AuthorId, Ban, Bans, Beyond, Contacts, Holding, Holdings, KnownPeer, KnownPeers, LastSeq, Post,
    Posts, PostsBeyond, Remember, RememberContacts, Revocation, RevocationsDue, SaveBan, SavePost,
    Saved, StoreError,
};

use super::{Fault, MemoryActor};
use crate::reference::flaw::Later;

impl Handler<Bans> for MemoryActor {
    type Result = Later<Result<Vec<Ban>, StoreError>>;

    fn handle(&mut self, request: Bans, _: &mut Self::Context) -> Self::Result {
        let mut bans: Vec<Ban> = self.disk.borrow().bans.values().copied().collect();
        bans.sort_by_key(|ban| std::cmp::Reverse(ban.until));
        bans.truncate(request.limit);
        self.conduct.later(Ok(bans))
    }
}

impl Handler<SaveBan> for MemoryActor {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, SaveBan(ban): SaveBan, _: &mut Self::Context) -> Self::Result {
        let mut disk = self.disk.borrow_mut();
        if !(self.has(Fault::FirstBanStays) && disk.bans.contains_key(&ban.peer)) {
            disk.bans.insert(ban.peer, ban);
        }
        Ok(())
    }
}

impl Handler<Remember> for MemoryActor {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, request: Remember, _: &mut Self::Context) -> Self::Result {
        let known = KnownPeer {
            peer: request.peer,
            source: request.source,
            seen_at: request.seen_at,
        };
        let key = (request.topic, known.peer.id);
        let mut disk = self.disk.borrow_mut();
        let before = disk.peers.get(&key).map(|before| before.seen_at);
        if before <= Some(known.seen_at) || self.has(Fault::OlderWins) {
            disk.peers.insert(key, known);
        }
        Ok(())
    }
}

impl Handler<KnownPeers> for MemoryActor {
    type Result = Result<Vec<KnownPeer>, StoreError>;

    fn handle(&mut self, request: KnownPeers, _: &mut Self::Context) -> Self::Result {
        let disk = self.disk.borrow();
        let here = disk
            .peers
            .iter()
            .filter(|((topic, _), _)| *topic == request.topic);
        let mut peers: Vec<KnownPeer> = here.map(|(_, peer)| peer.clone()).collect();
        if !self.has(Fault::PeersById) {
            peers.sort_by_key(|peer| std::cmp::Reverse(peer.seen_at));
        }
        peers.truncate(request.limit);
        Ok(peers)
    }
}

impl Handler<RememberContacts> for MemoryActor {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, request: RememberContacts, _: &mut Self::Context) -> Self::Result {
        let mut disk = self.disk.borrow_mut();
        if self.has(Fault::ForgetsContacts) {
            disk.contacts.clear();
        }
        for contact in request.contacts {
            let seen = disk.contacts.entry(contact).or_default();
            *seen = request.seen_at.max(*seen);
        }
        Ok(())
    }
}

impl Handler<Contacts> for MemoryActor {
    type Result = Result<Vec<SocketAddr>, StoreError>;

    fn handle(&mut self, request: Contacts, _: &mut Self::Context) -> Self::Result {
        let disk = self.disk.borrow();
        let mut contacts: Vec<_> = disk.contacts.iter().collect();
        contacts.sort_by_key(|(_, seen)| std::cmp::Reverse(**seen));
        contacts.truncate(request.limit);
        Ok(contacts.into_iter().map(|(contact, _)| *contact).collect())
    }
}

impl Handler<SavePost> for MemoryActor {
    type Result = Result<Saved, StoreError>;

    fn handle(&mut self, SavePost(post): SavePost, _: &mut Self::Context) -> Self::Result {
        if post.seq > i64::MAX as u64 {
            self.failed = self.has(Fault::FailsTogether);
            return Err(StoreError::Failed("the number is too high".to_owned()));
        }
        if self.failed {
            return Err(StoreError::Failed("another one failed".to_owned()));
        }
        let saved = self.save(post);
        self.committed();
        Ok(saved)
    }
}

impl Handler<Posts> for MemoryActor {
    type Result = Result<Vec<Post>, StoreError>;

    fn handle(&mut self, request: Posts, _: &mut Self::Context) -> Self::Result {
        let here = |post: &Post| post.topic == request.topic || self.has(Fault::MixesTopics);
        let disk = self.disk.borrow();
        let texts = disk.posts.values().filter(|(post, settled)| {
            here(post) && !settled && post.revokes.is_none() && post.time >= request.since
        });
        let mut texts: Vec<Post> = texts.map(|(post, _)| post.clone()).collect();
        if texts.is_empty() && self.has(Fault::UnknownIsAnError) {
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
        let posts = self.of(request.topic);
        let own = posts.iter().map(|(post, _)| post);
        let own = own.filter(|post| post.writer == request.author);
        let last = match self.has(Fault::NewestNumber) {
            true => own.max_by_key(|post| post.time),
            false => own.max_by_key(|post| post.seq),
        };
        Ok(last.map(|post| post.seq))
    }
}

impl Handler<Holdings> for MemoryActor {
    type Result = Result<Vec<Holding>, StoreError>;

    fn handle(&mut self, request: Holdings, _: &mut Self::Context) -> Self::Result {
        let mut holdings = self.settled(request.topic);
        holdings.retain(|held| held.author >= request.from);
        holdings.truncate(request.limit);
        for held in &mut holdings {
            if let (true, [first, .., last]) = (self.has(Fault::ClosesGaps), &held.ranges[..]) {
                held.ranges = vec![(first.0, last.1)];
            }
        }
        Ok(holdings)
    }
}

impl Handler<PostsBeyond> for MemoryActor {
    type Result = Result<Beyond, StoreError>;

    fn handle(&mut self, request: PostsBeyond, _: &mut Self::Context) -> Self::Result {
        let has = |post: &Post| {
            let mut have = request.have.iter();
            let has = have.any(|held| held.author == post.writer && held.has(post.seq));
            has && !self.has(Fault::SendsAll)
        };
        let among = request.from..=request.to;
        let mut beyond = Beyond {
            posts: Vec::new(),
            more: false,
        };
        let mut bytes = 0;
        for (post, settled) in self.of(request.topic) {
            if settled || has(&post) || !among.contains(&post.writer) {
                continue;
            }
            bytes += post.envelope.len();
            if beyond.posts.len() == request.max_posts || bytes > request.max_bytes {
                beyond.more = !self.has(Fault::HidesMore);
                break;
            }
            beyond.posts.push(post);
        }
        Ok(beyond)
    }
}

impl Handler<RevocationsDue> for MemoryActor {
    type Result = Result<Vec<Revocation>, StoreError>;

    fn handle(&mut self, request: RevocationsDue, _: &mut Self::Context) -> Self::Result {
        let said = |writer: &AuthorId| {
            let key = (request.topic, request.author, *writer);
            self.disk.borrow().revoked.contains_key(&key) && !self.has(Fault::AlwaysDue)
        };
        let settled = self.settled(request.topic);
        let due = request.writers.iter().filter(|writer| !said(writer));
        let due = due.map(|writer| {
            let held = settled.iter().find(|held| held.author == *writer);
            Revocation {
                writer: *writer,
                kept: held.map_or_else(Vec::new, |held| held.ranges.clone()),
            }
        });
        Ok(due.collect())
    }
}
