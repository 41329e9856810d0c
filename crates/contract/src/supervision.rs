//! What supervision needs of every actor: to tell of its end, and to fail on purpose.

use std::time::Duration;

use crate::port::{Never, request};

/// Causes a fault on purpose, so that supervision can be practiced on a running service. Every
/// service has it, by [`supervised!`](crate::supervised).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drill {
    /// The handler panics.
    Panic,
    /// The handler blocks its thread for good.
    Hang,
    /// The handler blocks its thread for a while.
    Slow(Duration),
}

impl Drill {
    /// Does it.
    ///
    /// # Panics
    /// When that is what was asked for.
    pub fn perform(self) {
        match self {
            Self::Panic => panic!("a drill"),
            Self::Hang => loop {
                std::thread::park();
            },
            Self::Slow(time) => std::thread::sleep(time),
        }
    }
}

/// Waits for the end of a service: it is never answered, so its reply breaks off when the actor is
/// gone, be it by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch;

request! {
    Drill => (), Never;
    Watch => (), Never;
}

/// Lets an actor handle [`Drill`] and [`Watch`].
#[macro_export]
macro_rules! supervised {
    ($actor:ty) => {
        impl actix::Handler<$crate::Watch> for $actor {
            // Tied to the actor's context: a plain future would live on without it.
            type Result = actix::ResponseActFuture<Self, Result<(), $crate::Never>>;

            fn handle(&mut self, _: $crate::Watch, _: &mut Self::Context) -> Self::Result {
                Box::pin(actix::fut::wrap_future(std::future::pending()))
            }
        }

        impl actix::Handler<$crate::Drill> for $actor {
            type Result = Result<(), $crate::Never>;

            fn handle(&mut self, drill: $crate::Drill, _: &mut Self::Context) -> Self::Result {
                drill.perform();
                Ok(())
            }
        }
    };
}
