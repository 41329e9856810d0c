//! All that a store keeps, in memory: the same rules as in the database, on maps.

mod posts;
mod prune;
mod repair;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use kukuri_contract::{
    AuthorId, Ban, Bans, Contacts, EndpointId, KnownPeer, KnownPeers, Post, Remember,
    RememberContacts, Revocation, SaveBan, TopicId, UnixMillis,
};

use super::limits::{Limits, MAX_BANS, MAX_CONTACTS};
use super::schedule::Schedule;

/// What is kept.
#[derive(Debug, Default)]
pub struct Memory {
    limits: Limits,
    topics: BTreeMap<TopicId, Topic>,
    contacts: BTreeMap<SocketAddr, UnixMillis>,
    bans: BTreeMap<EndpointId, Ban>,
    schedule: Schedule,
    /// Which gaps the next answer to `Holdings` shows, see `core::ranges::bound`.
    turn: u64,
}

/// What is kept of a topic.
#[derive(Debug, Default)]
struct Topic {
    /// By writer.
    logs: BTreeMap<AuthorId, Log>,
    peers: BTreeMap<EndpointId, KnownPeer>,
    /// By author, then writer.
    revoked: BTreeMap<AuthorId, BTreeMap<AuthorId, Revocation>>,
}

/// The posts of one writer in a topic.
#[derive(Debug, Default)]
struct Log {
    /// Up to this number, all are settled; `None`: none was dropped yet.
    floor: Option<u64>,
    posts: BTreeMap<u64, Kept>,
}

/// A post that came.
#[derive(Debug)]
struct Kept {
    post: Post,
    received_at: UnixMillis,
    /// Its author had revoked its writer: only the number is kept.
    dropped: bool,
}

impl Memory {
    /// Keeps to these bounds from now on: the retention is due.
    pub fn keep_to(&mut self, limits: Limits) {
        self.limits = limits;
        self.schedule = Schedule::default();
    }

    /// Remembers a peer. What was seen later wins.
    pub fn remember(&mut self, request: Remember) {
        let Remember {
            topic,
            peer,
            source,
            seen_at,
        } = request;
        let peers = &mut self.topics.entry(topic).or_default().peers;
        if peers.get(&peer.id).is_some_and(|at| at.seen_at > seen_at) {
            return;
        }
        let known = KnownPeer {
            peer,
            source,
            seen_at,
        };
        peers.insert(known.peer.id, known);
        if peers.len() > self.limits.max_peers_per_topic {
            let first = peers.values().min_by_key(|known| known.seen_at);
            if let Some(id) = first.map(|known| known.peer.id) {
                peers.remove(&id);
            }
        }
    }

    /// The peers of a topic that are not too old, last seen first.
    pub fn known_peers(&self, request: &KnownPeers, now: UnixMillis) -> Vec<KnownPeer> {
        let oldest = self.limits.oldest_peer(now);
        let peers = self.topics.get(&request.topic).map(|topic| &topic.peers);
        let peers = peers.into_iter().flat_map(BTreeMap::values);
        let young = peers.filter(|known| known.seen_at >= oldest);
        let mut young: Vec<_> = young.cloned().collect();
        young.sort_by_key(|known| Reverse(known.seen_at));
        young.truncate(request.limit);
        young
    }

    /// Keeps contacts of the DHT, up to [`MAX_CONTACTS`] of them.
    pub fn remember_contacts(&mut self, request: &RememberContacts) {
        for contact in request.contacts.iter().take(MAX_CONTACTS) {
            let seen_at = self.contacts.entry(*contact).or_insert(request.seen_at);
            *seen_at = request.seen_at.max(*seen_at);
        }
        let newest = self.newest_contacts(MAX_CONTACTS);
        self.contacts = newest.into_iter().collect();
    }

    /// Contacts of the DHT, last seen first.
    pub fn contacts(&self, request: &Contacts) -> Vec<SocketAddr> {
        let newest = self.newest_contacts(request.limit);
        newest.into_iter().map(|(contact, _)| contact).collect()
    }

    fn newest_contacts(&self, most: usize) -> Vec<(SocketAddr, UnixMillis)> {
        let all = self.contacts.iter().map(|(contact, at)| (*contact, *at));
        let mut newest: Vec<_> = all.collect();
        newest.sort_by_key(|(_, seen_at)| Reverse(*seen_at));
        newest.truncate(most);
        newest
    }

    /// Keeps a ban in place of an earlier one of the same peer.
    pub fn save_ban(&mut self, SaveBan(ban): SaveBan) {
        self.bans.insert(ban.peer, ban);
        if self.bans.len() > MAX_BANS {
            let ends_first = |ban: &&Ban| (ban.until, Reverse(ban.peer));
            let first = self.bans.values().min_by_key(ends_first);
            if let Some(peer) = first.map(|ban| ban.peer) {
                self.bans.remove(&peer);
            }
        }
    }

    /// The bans, those that end last first.
    pub fn bans(&self, request: Bans) -> Vec<Ban> {
        let mut bans: Vec<_> = self.bans.values().copied().collect();
        bans.sort_by_key(|ban| Reverse(ban.until));
        bans.truncate(request.limit);
        bans
    }
}
