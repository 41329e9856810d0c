//! A store in memory.

mod handlers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Context};
use kukuri_contract::{
    AuthorId, Ban, EndpointId, Holding, KnownPeer, Outlet, Post, Revocation, Saved, StoreDeps,
    StoreEvent, StorePort, StoreRunning, TopicId, UnixMillis,
};

use super::flaw::{Conduct, Flaw, conduct};
use crate::kit::{Local, Subject};
use crate::store::Store;

/// What can be wrong with this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What can be wrong with every service.
    Any(Flaw),
    /// A post of a known number replaces the one before.
    Overwrites,
    /// Posts come newest first.
    NewestFirst,
    /// Posts of an unknown topic are an error.
    UnknownIsAnError,
    /// Posts of all topics are told.
    MixesTopics,
    /// The last number is that of the newest post.
    NewestNumber,
    /// Gaps in holdings are not told.
    ClosesGaps,
    /// What somebody has is sent again.
    SendsAll,
    /// That there is more is not told.
    HidesMore,
    /// Fails for good after a number that is too high.
    FailsTogether,
    /// Posts of revoked writers are saved like others.
    BelievesThieves,
    /// A revocation is due again and again.
    AlwaysDue,
    /// What was saved last about a peer counts.
    OlderWins,
    /// Peers come in the order of their ids.
    PeersById,
    /// Contacts replace those from before.
    ForgetsContacts,
    /// The first ban of a peer stays.
    FirstBanStays,
    /// A restart finds nothing.
    Forgets,
    /// Events beyond some are not told.
    SwallowsEvents,
}

/// Each fault with the clause that it breaks.
pub const FAULTS: [(Fault, &str); 17] = [
    (Fault::Overwrites, "a_post_is_saved_once"),
    (Fault::NewestFirst, "posts_are_told_oldest_first"),
    (Fault::UnknownIsAnError, "an_unknown_topic_is_empty"),
    (Fault::MixesTopics, "topics_are_kept_apart"),
    (
        Fault::NewestNumber,
        "the_last_number_is_the_writers_highest",
    ),
    (Fault::ClosesGaps, "holdings_are_ranges_with_gaps"),
    (Fault::SendsAll, "posts_beyond_are_those_that_are_missing"),
    (Fault::HidesMore, "what_does_not_fit_is_more"),
    (Fault::FailsTogether, "one_bad_write_fails_alone"),
    (Fault::BelievesThieves, "a_revoked_writer_is_not_believed"),
    (Fault::AlwaysDue, "revocations_are_due_until_said"),
    (Fault::OlderWins, "an_older_sight_never_wins"),
    (Fault::PeersById, "the_peers_seen_last_come_first"),
    (Fault::ForgetsContacts, "contacts_seen_last_come_first"),
    (Fault::FirstBanStays, "a_ban_replaces_the_one_before"),
    (Fault::Forgets, "what_was_acknowledged_survives_a_restart"),
    (
        Fault::SwallowsEvents,
        "writes_are_told_and_slow_listeners_what_they_missed",
    ),
];

/// Events that a store tells before it swallows some.
const TOLD: usize = 16;

/// What is kept: in the place of a disk.
#[derive(Debug, Default)]
struct Disk {
    /// By topic, writer and number; whether only the number is settled.
    posts: BTreeMap<(TopicId, AuthorId, u64), (Post, bool)>,
    peers: BTreeMap<(TopicId, EndpointId), KnownPeer>,
    contacts: BTreeMap<SocketAddr, UnixMillis>,
    bans: BTreeMap<EndpointId, Ban>,
    revoked: BTreeMap<(TopicId, AuthorId, AuthorId), Revocation>,
}

/// The reference store. Its disks last as long as this.
#[derive(Debug, Default)]
pub struct MemoryStore {
    fault: Option<Fault>,
    disks: RefCell<BTreeMap<u64, Rc<RefCell<Disk>>>>,
}

impl MemoryStore {
    /// With a fault.
    pub fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }
}

impl Subject<Store> for MemoryStore {
    fn name(&self) -> String {
        format!("store in memory, {:?}", self.fault)
    }

    fn patience(&self) -> Duration {
        super::PATIENCE
    }

    fn start(&self, n: u64, deps: StoreDeps) -> Local<'_, StoreRunning> {
        Box::pin(async move {
            if self.fault == Some(Fault::Forgets) {
                self.disks.borrow_mut().remove(&n);
            }
            let disk = self.disks.borrow_mut().entry(n).or_default().clone();
            let flaw = match self.fault {
                Some(Fault::Any(flaw)) => Some(flaw),
                _ => None,
            };
            let actor = MemoryActor {
                conduct: Conduct::new(flaw),
                fault: self.fault,
                disk,
                events: deps.events,
                told: 0,
                failed: false,
            };
            let limits = actor.conduct.limits();
            let port = StorePort::new(&actor.start(), limits);
            StoreRunning { port }
        })
    }
}

struct MemoryActor {
    conduct: Conduct,
    fault: Option<Fault>,
    disk: Rc<RefCell<Disk>>,
    events: Outlet<StoreEvent>,
    told: usize,
    failed: bool,
}

impl MemoryActor {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn committed(&mut self) {
        self.told += 1;
        if self.has(Fault::SwallowsEvents) && self.told > TOLD {
            return;
        }
        self.events.emit(StoreEvent::Committed {
            requests: 1,
            took: Duration::ZERO,
        });
    }

    fn is_revoked(&self, post: &Post) -> bool {
        let disk = self.disk.borrow();
        let by = disk.revoked.get(&(post.topic, post.author, post.writer));
        let revoked = by.is_some_and(|revocation| !revocation.keeps(post.seq));
        revoked && !self.has(Fault::BelievesThieves)
    }

    fn save(&self, post: Post) -> Saved {
        let revoked = self.is_revoked(&post);
        let mut disk = self.disk.borrow_mut();
        if let Some(revocation) = post.revokes.clone() {
            let key = (post.topic, post.author, revocation.writer);
            disk.revoked.entry(key).or_insert(revocation);
        }
        let key = (post.topic, post.writer, post.seq);
        let known = disk.posts.contains_key(&key);
        if !known || self.has(Fault::Overwrites) {
            disk.posts.insert(key, (post, revoked));
        }
        Saved {
            new: !known && !revoked,
            revoked: !known && revoked,
        }
    }

    /// The posts of a topic, with whether only their number is settled, by writer and number.
    fn of(&self, topic: TopicId) -> Vec<(Post, bool)> {
        let disk = self.disk.borrow();
        let posts = disk.posts.values();
        posts
            .filter(|(post, _)| post.topic == topic)
            .cloned()
            .collect()
    }

    fn settled(&self, topic: TopicId) -> Vec<Holding> {
        let mut holdings: Vec<Holding> = Vec::new();
        for (post, _) in self.of(topic) {
            let one = (post.seq, post.seq);
            match holdings
                .last_mut()
                .filter(|held| held.author == post.writer)
            {
                Some(held) => match held.ranges.last_mut() {
                    Some(last) if last.1 + 1 == post.seq => {
                        last.1 = post.seq;
                    }
                    _ => held.ranges.push(one),
                },
                None => holdings.push(Holding {
                    author: post.writer,
                    ranges: vec![one],
                }),
            }
        }
        holdings
    }
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

conduct!(MemoryActor);
