//! The actor: translates messages into what the core and the folder do.

mod look;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use kukuri_contract::{
    Announce, AnnounceError, Announced, BeaconDrop, DhtHealth, DhtHealthQuery, Discover,
    DiscoverError, DiscoveryDeps, DiscoveryEvent, DiscoveryPort, DiscoveryRunning, EndpointAddr,
    Factory, Forget, HearBeacon, Limits, Lookup, LookupError, LookupStats, Never, Probe,
    SetAddress, SetAddressError, SetNeighbors, Source, Stop,
};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::core::Core;
use crate::core::entry::{MAX_DIRECT, MAX_RELAY_BYTES};
use crate::error::FolderError;

// doc: factory
/// The implementation `folder` of discovery.
#[derive(Debug, Clone, Copy)]
pub struct Folder;

impl Factory for Folder {
    const SERVICE: &'static str = DiscoveryPort::SERVICE;
    const NAME: &'static str = "folder";
    const CONTRACT: u32 = 1;
    type Config = Config;
    type Deps = DiscoveryDeps;
    type Running = DiscoveryRunning;
    type Error = FolderError;

    fn check(config: &Config) -> Result<(), FolderError> {
        let wrong = |field, problem| Err(FolderError::Config { field, problem });
        match config {
            _ if config.dir.as_os_str().is_empty() => wrong("dir", "name the shared folder"),
            _ if config.every_ms == 0 => wrong("every_ms", "it must be at least 1"),
            _ if config.max_topics == 0 => wrong("max_topics", "it must be at least 1"),
            _ => Ok(()),
        }
    }

    async fn spawn(config: Config, deps: DiscoveryDeps) -> Result<DiscoveryRunning, FolderError> {
        Self::check(&config)?;
        let dir = config.dir.clone();
        let readable = tokio::task::spawn_blocking(move || {
            dir.read_dir()
                .map(drop)
                .map_err(|source| FolderError::Unreadable { dir, source })
        });
        readable.await.expect("reading a folder does not panic")?;
        let actor = FolderActor {
            core: Core::new(deps.endpoint, config.max_topics),
            config,
            deps,
            address: None,
            start: Instant::now(),
            looking: false,
            turn: Arc::default(),
        };
        Ok(DiscoveryRunning {
            port: DiscoveryPort::new(&actor.start(), Limits::default()),
            hello_address: None,
        })
    }
}
// end

/// The actor behind [`Folder`].
struct FolderActor {
    core: Core,
    config: Config,
    deps: DiscoveryDeps,
    /// Where others may dial this node, once that is known.
    address: Option<EndpointAddr>,
    start: Instant,
    /// A folder that hangs is not asked again meanwhile.
    looking: bool,
    /// Whose turn it is with the folder: who leaves comes after a look that has begun.
    turn: Arc<Mutex<()>>,
}

impl Actor for FolderActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let every = Duration::from_millis(self.config.every_ms);
        ctx.run_interval(every, |actor, ctx| {
            actor.tell_verdicts();
            if std::mem::replace(&mut actor.looking, true) {
                return;
            }
            let looks = actor.look(actor.core.topics()).into_actor(actor);
            ctx.spawn(looks.map(|seen, actor, _| {
                actor.looking = false;
                actor.take(seen);
            }));
        });
    }
}

impl FolderActor {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn tell_verdicts(&mut self) {
        for topic in self.core.topics() {
            let verdict = self.core.verdict(topic, self.now());
            verdict
                .into_iter()
                .for_each(|event| self.deps.events.emit(event));
        }
    }
}

// doc: handler
impl Handler<Discover> for FolderActor {
    type Result = Result<(), DiscoverError>;

    fn handle(&mut self, request: Discover, _: &mut Self::Context) -> Self::Result {
        let (topic, now) = (request.topic, self.now());
        self.core.discover(topic, now)?;
        let named = request.peers.into_iter().map(|peer| (peer, Source::Static));
        let cached = request.cached.into_iter().map(|peer| (peer, Source::Cache));
        for (peer, source) in named.chain(cached) {
            if let Some(event) = self.core.found(topic, peer, source, now) {
                self.deps.events.emit(event);
            }
        }
        Ok(())
    }
}
// end

impl Handler<Forget> for FolderActor {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, Forget { topic }: Forget, _: &mut Self::Context) -> Self::Result {
        self.core.forget(topic);
        Box::pin(self.leave(vec![topic]))
    }
}

impl Handler<SetNeighbors> for FolderActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: SetNeighbors, _: &mut Self::Context) -> Self::Result {
        let (any, now) = (!request.neighbors.is_empty(), self.now());
        self.core.set_neighbors(request.topic, any, now);
        Ok(())
    }
}

impl Handler<HearBeacon> for FolderActor {
    type Result = Result<(), Never>;

    /// It sends none, and knows none of other discoveries.
    fn handle(&mut self, _: HearBeacon, _: &mut Self::Context) -> Self::Result {
        let reason = BeaconDrop::Malformed;
        self.deps
            .events
            .emit(DiscoveryEvent::BeaconDropped { reason });
        Ok(())
    }
}

impl Handler<SetAddress> for FolderActor {
    type Result = Result<(), SetAddressError>;

    fn handle(&mut self, request: SetAddress, _: &mut Self::Context) -> Self::Result {
        let mut address = request.address;
        let got = address.relay.as_ref().map_or(0, String::len);
        if got > MAX_RELAY_BYTES {
            let limit = MAX_RELAY_BYTES;
            return Err(SetAddressError::RelayTooLong { got, limit });
        }
        address.direct.truncate(MAX_DIRECT);
        self.address = Some(address);
        Ok(())
    }
}

impl Handler<Announce> for FolderActor {
    type Result = ResponseActFuture<Self, Result<Announced, AnnounceError>>;

    fn handle(&mut self, Announce { topic }: Announce, _: &mut Self::Context) -> Self::Result {
        let known = self.core.knows(topic);
        let seen = self.look(if known { vec![topic] } else { Vec::new() });
        Box::pin(seen.into_actor(self).map(move |seen, actor, _| {
            let told = seen.first().map(|seen| (seen.took, seen.announced.clone()));
            actor.take(seen);
            match told {
                None => Err(AnnounceError::UnknownTopic(topic)),
                Some((took, Ok(()))) => Ok(Announced { took }),
                Some((_, Err(why))) => Err(AnnounceError::NotStored(why)),
            }
        }))
    }
}

impl Handler<Lookup> for FolderActor {
    type Result = ResponseActFuture<Self, Result<LookupStats, LookupError>>;

    fn handle(&mut self, Lookup { topic }: Lookup, _: &mut Self::Context) -> Self::Result {
        let known = self.core.knows(topic);
        let seen = self.look(if known { vec![topic] } else { Vec::new() });
        Box::pin(seen.into_actor(self).map(move |seen, actor, _| {
            let stats = seen.first().map(|seen| seen.stats());
            actor.take(seen);
            stats.ok_or(LookupError::UnknownTopic(topic))
        }))
    }
}

impl Handler<DhtHealthQuery> for FolderActor {
    type Result = Result<DhtHealth, Never>;

    /// There is no DHT here.
    fn handle(&mut self, _: DhtHealthQuery, _: &mut Self::Context) -> Self::Result {
        Ok(DhtHealth::default())
    }
}

impl Handler<Probe> for FolderActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(FolderActor);

impl Handler<Stop> for FolderActor {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Box::pin(self.leave(self.core.topics()))
    }
}
