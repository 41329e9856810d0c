//! The actor: hands requests to the thread that has the database.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use kukuri_contract::{
    Ban, Bans, Beyond, Contacts, Factory, Holding, Holdings, KnownPeer, KnownPeers, LastSeq,
    Limits, Never, Outlet, Post, Posts, PostsBeyond, Probe, Remember, RememberContacts, Revocation,
    RevocationsDue, SaveBan, SavePost, Saved, Stop, StoreDeps, StoreError, StoreEvent, StorePort,
    StoreRunning, WallClock,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use crate::config::Config;
use crate::error::OpenError;
use crate::sqlite::Database;
use crate::writer::{self, Answer, Job, QUEUE, Write};

/// Name of the database in the data directory.
const FILE: &str = "kukuri.db";
/// How often the thread looks at the clock when nobody asks anything. 10 minutes, well below the
/// hour between two runs of the retention.
const TICK: Duration = Duration::from_secs(10 * 60);

/// The implementation `sqlite` of the store.
#[derive(Debug, Clone, Copy)]
pub struct SqliteStore;

impl Factory for SqliteStore {
    const SERVICE: &'static str = StorePort::SERVICE;
    const NAME: &'static str = "sqlite";
    const CONTRACT: u32 = 1;
    type Config = Config;
    type Deps = StoreDeps;
    type Running = StoreRunning;
    type Error = OpenError;

    fn check(config: &Config) -> Result<(), OpenError> {
        OpenError::check(&[("max_batch", config.max_batch)], &config.limits())
    }

    async fn spawn(config: Config, deps: StoreDeps) -> Result<StoreRunning, OpenError> {
        Self::check(&config)?;
        let StoreDeps {
            data_dir,
            clock,
            events,
        } = deps;
        let file = data_dir.join(FILE);
        let jobs = spawn_blocking(move || start(&file, config, clock, events)).await;
        let jobs = jobs.expect("opening a database does not panic")?;
        let actor = StoreActor { jobs }.start();
        Ok(StoreRunning {
            port: StorePort::new(&actor, Limits::default()),
        })
    }
}

fn start(
    file: &Path,
    config: Config,
    clock: WallClock,
    events: Outlet<StoreEvent>,
) -> Result<mpsc::Sender<Job>, OpenError> {
    let max_batch = config.max_batch;
    let database = Database::open(file, config.limits())?;
    writer::start(database, max_batch, clock, events).map_err(|error| OpenError::Open {
        file: file.to_owned(),
        source: StoreError::Failed(error.to_string()),
    })
}

/// The actor behind [`SqliteStore`].
struct StoreActor {
    jobs: mpsc::Sender<Job>,
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, |actor, _| {
            // Where it fails, the thread has enough to do to look at the clock, or has ended.
            let _busy = actor.jobs.try_send(Job::Tick);
        });
    }
}

impl StoreActor {
    fn ask<T: 'static>(
        &self,
        job: impl FnOnce(Answer<T>) -> Job,
    ) -> ResponseFuture<Result<T, StoreError>> {
        let (tx, rx) = oneshot::channel();
        // It fails only when the thread has ended; then the answer is dropped, and says so below.
        let queued = self.jobs.try_send(job(tx));
        Box::pin(async move {
            if let Err(mpsc::error::TrySendError::Full(_)) = queued {
                return Err(StoreError::Busy { limit: QUEUE });
            }
            rx.await.unwrap_or(Err(StoreError::Stopping))
        })
    }
}

impl Handler<Remember> for StoreActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, request: Remember, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Write(Write::Remember(request, answer)))
    }
}

impl Handler<SavePost> for StoreActor {
    type Result = ResponseFuture<Result<Saved, StoreError>>;

    fn handle(&mut self, request: SavePost, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Write(Write::SavePost(request, answer)))
    }
}

impl Handler<KnownPeers> for StoreActor {
    type Result = ResponseFuture<Result<Vec<KnownPeer>, StoreError>>;

    fn handle(&mut self, request: KnownPeers, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::KnownPeers(request, answer))
    }
}

impl Handler<Posts> for StoreActor {
    type Result = ResponseFuture<Result<Vec<Post>, StoreError>>;

    fn handle(&mut self, request: Posts, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Posts(request, answer))
    }
}

impl Handler<LastSeq> for StoreActor {
    type Result = ResponseFuture<Result<Option<u64>, StoreError>>;

    fn handle(&mut self, request: LastSeq, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::LastSeq(request, answer))
    }
}

impl Handler<Probe> for StoreActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<Holdings> for StoreActor {
    type Result = ResponseFuture<Result<Vec<Holding>, StoreError>>;

    fn handle(&mut self, request: Holdings, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Holdings(request, answer))
    }
}

impl Handler<PostsBeyond> for StoreActor {
    type Result = ResponseFuture<Result<Beyond, StoreError>>;

    fn handle(&mut self, request: PostsBeyond, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::PostsBeyond(request, answer))
    }
}

impl Handler<RevocationsDue> for StoreActor {
    type Result = ResponseFuture<Result<Vec<Revocation>, StoreError>>;

    fn handle(&mut self, request: RevocationsDue, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::RevocationsDue(request, answer))
    }
}

impl Handler<RememberContacts> for StoreActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, request: RememberContacts, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Write(Write::RememberContacts(request, answer)))
    }
}

impl Handler<Contacts> for StoreActor {
    type Result = ResponseFuture<Result<Vec<SocketAddr>, StoreError>>;

    fn handle(&mut self, request: Contacts, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Contacts(request, answer))
    }
}

impl Handler<SaveBan> for StoreActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, request: SaveBan, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Write(Write::SaveBan(request, answer)))
    }
}

impl Handler<Bans> for StoreActor {
    type Result = ResponseFuture<Result<Vec<Ban>, StoreError>>;

    fn handle(&mut self, request: Bans, _: &mut Self::Context) -> Self::Result {
        self.ask(|answer| Job::Bans(request, answer))
    }
}

kukuri_contract::supervised!(StoreActor);

impl Handler<Stop> for StoreActor {
    type Result = ResponseActFuture<Self, Result<(), Never>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let (tx, rx) = oneshot::channel();
        let jobs = self.jobs.clone();
        let stopped = async move {
            // An error on either side means that the thread has ended already.
            if jobs.send(Job::Stop(tx)).await.is_ok() {
                let _ended = rx.await;
            }
        };
        let then = stopped.into_actor(self).map(|(), _, ctx| {
            ctx.stop();
            Ok(())
        });
        Box::pin(then)
    }
}
