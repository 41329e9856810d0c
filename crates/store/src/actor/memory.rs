//! The actor of the store in memory: a request is a look into the maps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actix::{Actor, ActorContext, Context, Handler, Message};
use kukuri_contract::{
    Bans, Contacts, Factory, Holdings, KnownPeers, LastSeq, Limits as PortLimits, Never, Outlet,
    Posts, PostsBeyond, Probe, Remember, RememberContacts, RevocationsDue, SaveBan, SavePost, Stop,
    StoreDeps, StoreError, StoreEvent, StorePort, StoreRunning, UnixMillis, WallClock,
};

use crate::config::MemoryConfig;
use crate::core::memory::Memory;
use crate::error::OpenError;

/// The implementation `memory` of the store: nothing is ever on a disk, and all is gone with the
/// process.
///
/// What is lost then: the posts, so a node starts with those that its neighbors still have; the peers
/// and the contacts of the DHT, so it finds its topics as if for the first time; the bans; what was
/// revoked, until a neighbor tells it. And the *numbers* of this node's own posts: a node that comes
/// back with the same keys would count from 1 again, and whoever has its posts of these numbers would
/// take the new ones for the old. So this store goes with an identity that is in memory, too.
#[derive(Debug, Clone, Copy)]
pub struct InMemoryStore;

/// What an [`InMemoryStore`] is made from. Clones share what is kept, as one that is started again
/// has to find it: a node of its own gets one of its own, by `MemorySetup::from(config)`.
#[derive(Debug, Clone, Default)]
pub struct MemorySetup {
    /// The settings.
    pub config: MemoryConfig,
    kept: Kept,
}

impl From<MemoryConfig> for MemorySetup {
    fn from(config: MemoryConfig) -> Self {
        Self {
            config,
            kept: Kept::default(),
        }
    }
}

/// Outlives the actor. Nobody holds the lock for longer than one request takes, so an actor that hangs
/// is in nobody's way.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Memory>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept(..)")
    }
}

impl Factory for InMemoryStore {
    const SERVICE: &'static str = StorePort::SERVICE;
    const NAME: &'static str = "memory";
    const CONTRACT: u32 = 1;
    type Config = MemorySetup;
    type Deps = StoreDeps;
    type Running = StoreRunning;
    type Error = OpenError;

    fn check(setup: &MemorySetup) -> Result<(), OpenError> {
        OpenError::check(&[], &setup.config.limits())
    }

    async fn spawn(setup: MemorySetup, deps: StoreDeps) -> Result<StoreRunning, OpenError> {
        Self::check(&setup)?;
        let StoreDeps {
            data_dir: _,
            clock,
            events,
        } = deps;
        setup.kept.lock().keep_to(setup.config.limits());
        let actor = MemoryActor {
            kept: setup.kept,
            clock,
            events,
        };
        Ok(StoreRunning {
            port: StorePort::new(&actor.start(), PortLimits::default()),
        })
    }
}

/// The actor behind [`InMemoryStore`].
struct MemoryActor {
    kept: Kept,
    clock: WallClock,
    events: Outlet<StoreEvent>,
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

impl MemoryActor {
    /// Looks at what is kept, after the retention if it is due. Nobody sees what it leaves behind
    /// before somebody asks, so it needs no clock of its own.
    fn look<T>(&self, look: impl FnOnce(&mut Memory, UnixMillis) -> T) -> T {
        let now = self.clock.now();
        let mut memory = self.kept.lock();
        let (posts, peers) = memory.prune_if_due(now);
        let seen = look(&mut memory, now);
        drop(memory);
        if posts + peers > 0 {
            self.events.emit(StoreEvent::Pruned { posts, peers });
        }
        seen
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&mut Memory, UnixMillis) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let written = self.look(write);
        let (requests, took) = (1, started.elapsed());
        self.events.emit(match &written {
            Ok(_) => StoreEvent::Committed { requests, took },
            Err(error) => StoreEvent::Failed {
                requests,
                error: error.clone(),
            },
        });
        written
    }
}

/// A handler each: `how` to get from the actor and a request to the reply.
macro_rules! handlers {
    ($($request:ty: $how:expr;)+) => {$(
        impl Handler<$request> for MemoryActor {
            type Result = <$request as Message>::Result;

            fn handle(&mut self, request: $request, _: &mut Self::Context) -> Self::Result {
                let how: fn(&Self, $request) -> Self::Result = $how;
                how(self, request)
            }
        }
    )+};
}

handlers! {
    Remember: |actor, request| actor.write(|memory, _| {
        memory.remember(request);
        Ok(())
    });
    RememberContacts: |actor, request| actor.write(|memory, _| {
        memory.remember_contacts(&request);
        Ok(())
    });
    SaveBan: |actor, request| actor.write(|memory, _| {
        memory.save_ban(request);
        Ok(())
    });
    SavePost: |actor, request| actor.write(|memory, now| {
        let saved = memory.save_post(request, now);
        saved.map_err(|error| StoreError::Failed(error.to_string()))
    });
    KnownPeers: |actor, request| Ok(actor.look(|memory, now| memory.known_peers(&request, now)));
    Posts: |actor, request| Ok(actor.look(|memory, _| memory.posts(&request)));
    LastSeq: |actor, request| Ok(actor.look(|memory, _| memory.last_seq(&request)));
    Holdings: |actor, request| Ok(actor.look(|memory, _| memory.holdings(&request)));
    PostsBeyond: |actor, request| Ok(actor.look(|memory, _| memory.posts_beyond(&request)));
    RevocationsDue: |actor, request| {
        Ok(actor.look(|memory, now| memory.revocations_due(&request, now)))
    };
    Contacts: |actor, request| Ok(actor.look(|memory, _| memory.contacts(&request)));
    Bans: |actor, request| Ok(actor.look(|memory, _| memory.bans(request)));
    Probe: |_, _| Ok(());
}

kukuri_contract::supervised!(MemoryActor);

impl Handler<Stop> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Ok(())
    }
}
