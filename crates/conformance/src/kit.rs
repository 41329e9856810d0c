//! What a clause is, what it is tried on, and what tries it.

mod subject;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use kukuri_contract::{CallError, Drill, Never};

pub use subject::{Made, Subject};

/// A future that stays on its thread, as all of a test does.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How long a clause waits for something before it says that it does not come: generous, because
/// that costs time only where a clause is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why a clause does not hold.
#[derive(Debug)]
pub struct Broken(pub String);

/// A request that had to be granted was not.
impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(format!("a request failed: {error}"))
    }
}

/// What trying a clause brings.
pub type Held = Result<(), Broken>;

/// Ends a clause as broken where a condition does not hold.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::kit::Broken(format!($($text)+)));
        }
    };
}
pub(crate) use ensure;

/// Ends a clause as broken where something is not what it should be.
macro_rules! ensure_eq {
    ($got:expr, $expected:expr, $what:expr) => {
        match (&$got, &$expected) {
            (got, expected) => {
                $crate::kit::ensure!(
                    got == expected,
                    "{}: {got:?} instead of {expected:?}",
                    $what
                );
            }
        }
    };
}
pub(crate) use ensure_eq;

/// What an implementation may be without, as the docs of its service in the contract say. It has to
/// say so: the clauses that need it are then named as left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// What was taken in is there again after a restart.
    Durable,
    /// What was taken in is in files of its directory, so that it outlives the process.
    OnDisk,
    /// It finds others that nobody has named.
    Finds,
    /// It tells others of this node where and when it is asked to, and looks for them when it is asked to.
    Announces,
    /// It takes part in healing a swarm by beacons.
    Beacons,
    /// It makes series of events.
    Renders,
}

/// A service as the kit knows it.
pub trait Service: Sized + 'static {
    /// The way to it.
    type Port: ServicePort;
    /// What it is given.
    type Deps: 'static;
    /// What it gives back.
    type Running: 'static;
    /// The clauses of this service alone.
    const CLAUSES: &'static [Clause<Self>];

    /// What instance number `n` with this directory is given where a clause hears no events.
    fn deps(n: u64, dir: PathBuf) -> Self::Deps;
    /// The port of an instance.
    fn port(running: &Self::Running) -> &Self::Port;
}

/// How a plain request ended, whatever the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Granted.
    Fine,
    /// As many as this are under way.
    Busy(usize),
    /// No reply in time.
    TimedOut,
    /// The actor is gone.
    Unavailable,
    /// The service said no.
    Refused(String),
}

impl<T, E: std::error::Error> From<Result<T, CallError<E>>> for Reply {
    fn from(reply: Result<T, CallError<E>>) -> Self {
        match reply {
            Ok(_) => Self::Fine,
            Err(CallError::Busy { limit, .. }) => Self::Busy(limit),
            Err(CallError::TimedOut { .. }) => Self::TimedOut,
            Err(CallError::Unavailable { .. }) => Self::Unavailable,
            Err(refused) => Self::Refused(refused.to_string()),
        }
    }
}

/// What every port can do, and one request of it that takes a place and changes nothing.
#[allow(async_fn_in_trait, reason = "only used by tests, on one thread")]
pub trait ServicePort: Clone + 'static {
    /// Asks whether the service still works.
    async fn probe(&self) -> Result<(), CallError<Never>>;
    /// Asks the service to end.
    async fn stop(&self) -> Result<(), CallError<Never>>;
    /// Causes a fault in it.
    async fn drill(&self, drill: Drill) -> Result<(), CallError<Never>>;
    /// Returns when it is gone.
    async fn gone(&self);
    /// Goes where another port goes.
    fn adopt(&self, fresh: &Self);
    /// Requests under way.
    fn in_flight(&self) -> usize;
    /// A request that is always granted and changes nothing.
    async fn plain(&self) -> Reply;
}

/// Lets a port be a [`ServicePort`]; its plain request is the one given.
macro_rules! service_port {
    ($port:ty, $method:ident, $request:expr) => {
        impl $crate::kit::ServicePort for $port {
            async fn probe(
                &self,
            ) -> Result<(), kukuri_contract::CallError<kukuri_contract::Never>> {
                <$port>::probe(self).await
            }
            async fn stop(&self) -> Result<(), kukuri_contract::CallError<kukuri_contract::Never>> {
                <$port>::stop(self).await
            }
            async fn drill(
                &self,
                drill: kukuri_contract::Drill,
            ) -> Result<(), kukuri_contract::CallError<kukuri_contract::Never>> {
                <$port>::drill(self, drill).await
            }
            async fn gone(&self) {
                <$port>::gone(self).await
            }
            fn adopt(&self, fresh: &Self) {
                <$port>::adopt(self, fresh)
            }
            fn in_flight(&self) -> usize {
                <$port>::in_flight(self)
            }
            async fn plain(&self) -> $crate::kit::Reply {
                self.$method($request).await.into()
            }
        }
    };
}
pub(crate) use service_port;

/// A promise of the contract.
pub struct Clause<S> {
    /// Its name.
    pub name: &'static str,
    /// What it promises.
    pub promise: &'static str,
    /// What an implementation must have for it.
    pub needs: Option<Capability>,
    /// Tries it.
    pub run: for<'a> fn(&'a Stage<'a, S>) -> Local<'a, Held>,
}

/// Where a clause is tried: an implementation, with numbers that no other clause has.
pub struct Stage<'a, S> {
    subject: &'a dyn Subject<S>,
    base: u64,
    dir: &'a Path,
}

/// Numbers of one clause.
const NUMBERS: u64 = 16;

impl<S: Service> Stage<'_, S> {
    /// What is this clause's own number `n`, of all numbers.
    pub fn number(&self, n: u64) -> u64 {
        self.base + n
    }

    /// The directory of this clause's instance number `n`.
    ///
    /// # Panics
    /// When it can't be made.
    pub fn dir(&self, n: u64) -> PathBuf {
        let dir = self.dir.join(self.number(n).to_string());
        std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        dir
    }

    /// Starts this clause's instance number `n`.
    pub async fn start(&self, n: u64, deps: S::Deps) -> S::Running {
        self.subject.start(self.number(n), deps).await
    }

    /// The same where no events are heard.
    pub async fn begin(&self, n: u64) -> S::Running {
        self.start(n, S::deps(self.number(n), self.dir(n))).await
    }

    /// How long to wait for what should come.
    pub fn patience(&self) -> Duration {
        self.subject.patience()
    }

    /// Most posts of a topic that are kept, if a clause can reach it.
    pub fn keeps(&self) -> Option<usize> {
        self.subject.keeps()
    }

    /// Whether the implementation has something.
    pub fn has(&self, capability: Capability) -> bool {
        !self.subject.lacks().contains(&capability)
    }
}

/// A list of clauses: the name of an async function, its promise, and what it needs.
macro_rules! clauses {
    ($($name:ident $([$needs:ident])?: $promise:literal,)+) => {
        [$($crate::kit::Clause {
            name: stringify!($name),
            promise: $promise,
            needs: [$(Some($crate::kit::Capability::$needs),)? None][0],
            run: |on| Box::pin($name(on)),
        },)+]
    };
}
pub(crate) use clauses;

/// Tries all clauses of a service on an implementation and prints how each went. Tells the names of
/// those that are broken.
///
/// # Panics
/// When there is no place for temporary files.
pub async fn broken_clauses<S: Service>(subject: &dyn Subject<S>) -> Vec<&'static str> {
    let name = subject.name();
    let mut broken = Vec::new();
    let every = crate::every::clauses::<S>();
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    for (clause, at) in every.iter().chain(S::CLAUSES).zip(1..) {
        if let Some(needed) = clause
            .needs
            .filter(|needed| subject.lacks().contains(needed))
        {
            println!(
                "{name}: {}: left out, for it is not {needed:?}",
                clause.name
            );
            continue;
        }
        let stage = Stage {
            subject,
            base: at * NUMBERS,
            dir: dir.path(),
        };
        match within(subject.patience() * 4, "its end", (clause.run)(&stage)).await {
            Ok(Ok(())) => println!("{name}: {}: kept", clause.name),
            Ok(Err(Broken(why))) | Err(Broken(why)) => {
                println!("{name}: {}: BROKEN: {why}", clause.name);
                println!("    the promise: {}", clause.promise);
                broken.push(clause.name);
            }
        }
    }
    broken
}

/// Tries all clauses of a service on an implementation.
///
/// # Panics
/// With the names of those that are broken.
pub async fn conforms<S: Service>(subject: &dyn Subject<S>) {
    let broken = broken_clauses(subject).await;
    let name = subject.name();
    assert!(broken.is_empty(), "{name} breaks: {}", broken.join(", "));
}

/// Waits for something that should come.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    wait: impl Future<Output = T>,
) -> Result<T, Broken> {
    let waited = tokio::time::timeout(patience, wait).await;
    waited.map_err(|_| Broken(format!("waited {patience:?} in vain for {what}")))
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, Broken>,
) -> Result<T, Broken> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(patience, what, asking).await?
}
