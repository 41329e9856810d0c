//! What every reference actor does the same way, and what can be wrong with that.

use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, AsyncContext, Context, Message};
use kukuri_contract::Limits;

/// What can be wrong with any service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It has no time for probes once it has got many requests.
    DeafUnderLoad,
    /// Its port has no bound worth the name.
    Unbounded,
    /// It panics where a caller did not wait for its reply.
    Brittle,
    /// It panics when it is told twice to stop.
    StopsOnce,
    /// It says that it has stopped, and goes on.
    OutlivesStop,
    /// It does not end when it should by a drill.
    IgnoresDrills,
}

/// Each flaw with the clause that it breaks.
pub const FLAWS: [(Flaw, &str); 6] = [
    (Flaw::DeafUnderLoad, "the_probe_answers_under_load"),
    (Flaw::Unbounded, "busy_at_the_bound_and_free_after_it"),
    (Flaw::Brittle, "a_caller_that_goes_away_wedges_nothing"),
    (Flaw::StopsOnce, "shutdown_is_idempotent"),
    (
        Flaw::OutlivesStop,
        "a_service_is_unavailable_after_shutdown",
    ),
    (
        Flaw::IgnoresDrills,
        "a_restart_in_the_middle_of_a_request_loses_only_that",
    ),
];

/// Requests that a port of the reference actors lets under way: few, so that tests are fast.
const IN_FLIGHT: usize = 32;

/// The state of an actor that its flaws need.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    pub flaw: Option<Flaw>,
    pub handled: usize,
    pub stops: usize,
}

impl Conduct {
    pub fn new(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            ..Self::default()
        }
    }

    pub fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// The bounds of the port.
    pub fn limits(&self) -> Limits {
        let in_flight = match self.has(Flaw::Unbounded) {
            true => 1 << 20,
            false => IN_FLIGHT,
        };
        Limits {
            in_flight,
            timeout: Duration::from_secs(10),
        }
    }

    /// The reply of a plain request.
    pub fn later<T>(&mut self, reply: T) -> Later<T> {
        self.handled += 1;
        Later {
            reply,
            brittle: self.has(Flaw::Brittle),
        }
    }

    pub fn is_deaf(&self) -> bool {
        self.has(Flaw::DeafUnderLoad) && self.handled >= IN_FLIGHT
    }
}

/// A reply that takes a few turns of the runtime, so that something can come between.
pub(super) struct Later<T> {
    reply: T,
    brittle: bool,
}

/// A few turns of the runtime.
pub(super) async fn turns() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

impl<A, M> MessageResponse<A, M> for Later<M::Result>
where
    A: Actor<Context = Context<A>>,
    M: Message,
    M::Result: Send + 'static,
{
    fn handle(self, ctx: &mut Context<A>, to: Option<OneshotSender<M::Result>>) {
        let reply = async move {
            turns().await;
            let waited_for = to.is_some_and(|to| to.send(self.reply).is_ok());
            assert!(waited_for || !self.brittle, "nobody waits for a reply");
        };
        ctx.spawn(actix::fut::wrap_future::<_, A>(reply));
    }
}

/// Lets a reference actor with a field `conduct` handle what every service does.
macro_rules! conduct {
    ($actor:ty) => {
        impl actix::Handler<kukuri_contract::Probe> for $actor {
            type Result = actix::ResponseFuture<Result<(), kukuri_contract::Never>>;

            fn handle(&mut self, _: kukuri_contract::Probe, _: &mut Self::Context) -> Self::Result {
                let deaf = self.conduct.is_deaf();
                Box::pin(async move {
                    if deaf {
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                })
            }
        }

        impl actix::Handler<kukuri_contract::Stop> for $actor {
            type Result = actix::ResponseActFuture<Self, Result<(), kukuri_contract::Never>>;

            fn handle(&mut self, _: kukuri_contract::Stop, _: &mut Self::Context) -> Self::Result {
                use actix::{ActorContext, ActorFutureExt};
                self.conduct.stops += 1;
                let twice = self.conduct.stops == 2;
                assert!(
                    !(twice && self.conduct.has(Flaw::StopsOnce)),
                    "stopped twice"
                );
                let turns = actix::fut::wrap_future::<_, Self>($crate::reference::flaw::turns());
                Box::pin(turns.map(|(), actor, ctx| {
                    if !actor.conduct.has(Flaw::OutlivesStop) {
                        ctx.stop();
                    }
                    Ok(())
                }))
            }
        }

        impl actix::Handler<kukuri_contract::Drill> for $actor {
            type Result = Result<(), kukuri_contract::Never>;

            fn handle(
                &mut self,
                drill: kukuri_contract::Drill,
                _: &mut Self::Context,
            ) -> Self::Result {
                if !self.conduct.has(Flaw::IgnoresDrills) {
                    drill.perform();
                }
                Ok(())
            }
        }

        impl actix::Handler<kukuri_contract::Watch> for $actor {
            type Result = actix::ResponseActFuture<Self, Result<(), kukuri_contract::Never>>;

            fn handle(&mut self, _: kukuri_contract::Watch, _: &mut Self::Context) -> Self::Result {
                Box::pin(actix::fut::wrap_future(std::future::pending()))
            }
        }
    };
}
pub(super) use conduct;
