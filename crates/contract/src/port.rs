//! Requests from one actor to another: time limit, in-flight bound, and a handle that survives a
//! restart.
//!
//! Back-pressure belongs at the sender: an actix mailbox bounds neither `send` nor clones of an
//! address. So a port holds permits, and a request that finds none fails at once with
//! [`CallError::Busy`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::Semaphore;

/// A message that asks for something and gets a typed reply.
pub trait Request:
    Message<Result = Result<<Self as Request>::Reply, <Self as Request>::Error>>
    + fmt::Debug
    + Send
    + 'static
{
    /// What a granted request brings.
    type Reply: Send + 'static;
    /// Why the service refused.
    type Error: std::error::Error + Send + Sync + 'static;
}

/// Declares `Message` and [`Request`] for request types: `request!(Sign => Signature, SignError)`.
#[macro_export]
macro_rules! request {
    ($($name:ty => $reply:ty, $error:ty;)+) => {$(
        impl actix::Message for $name {
            type Result = Result<$reply, $error>;
        }
        impl $crate::Request for $name {
            type Reply = $reply;
            type Error = $error;
        }
    )+};
}
pub use request;

/// The error of requests that a service never refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Never {}

/// Asks a service whether it still works. A reply within the port's time limit means yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe;

/// Asks a service to end in good order: flush, close, free its ports. Idempotent. The reply comes
/// when nothing is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

request! {
    Probe => (), Never;
    Stop => (), Never;
}

/// Why a request brought no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E: std::error::Error + 'static> {
    /// As many requests as allowed are under way; try again later.
    #[error("{service} is busy: {limit} requests are under way; try again later")]
    Busy {
        /// Name of the service.
        service: &'static str,
        /// Requests that may be under way at once.
        limit: usize,
    },
    /// No reply within the time limit. The request may still take effect.
    #[error("{service} did not answer within {after:?}")]
    TimedOut {
        /// Name of the service.
        service: &'static str,
        /// The time limit.
        after: Duration,
    },
    /// The actor behind the port is gone.
    #[error("{service} is not running")]
    Unavailable {
        /// Name of the service.
        service: &'static str,
    },
    /// The service answered no.
    #[error(transparent)]
    Refused(#[from] E),
}

/// Bounds that a port puts on its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way at once, over all clones of the port.
    pub in_flight: usize,
    /// Longest wait for a reply.
    pub timeout: Duration,
}

impl Default for Limits {
    /// 256 requests, so that a burst of posts fits, and 10 s, twice the longest DHT operation.
    fn default() -> Self {
        Self {
            in_flight: 256,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The permits of one port, shared by the lines of its requests. For [`service!`](crate::service).
#[derive(Debug, Clone)]
pub struct Gate {
    service: &'static str,
    limits: Limits,
    permits: Arc<Semaphore>,
}

impl Gate {
    /// The bounds of a service's port.
    pub fn new(service: &'static str, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.in_flight));
        Self {
            service,
            limits,
            permits,
        }
    }

    /// Requests under way now.
    pub fn in_use(&self) -> usize {
        self.limits.in_flight - self.permits.available_permits()
    }
}

/// One request type of a port: where it goes now. For [`service!`](crate::service).
pub struct Line<M: Request>(Arc<Mutex<Recipient<M>>>)
where
    M::Result: Send;

impl<M: Request> Clone for Line<M>
where
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Request> Line<M>
where
    M::Result: Send,
{
    /// A line to an actor.
    pub fn new(to: Recipient<M>) -> Self {
        Self(Arc::new(Mutex::new(to)))
    }

    /// Goes where another line goes, from now on.
    pub fn adopt(&self, fresh: &Self) {
        let to = fresh.lock().clone();
        *self.lock() = to;
    }

    fn lock(&self) -> MutexGuard<'_, Recipient<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits until its reply breaks off, without any bound.
    pub async fn ended(&self, request: M) {
        let reply = self.lock().send(request);
        // The actor is gone, whatever came of it.
        let _ended = reply.await;
    }

    /// Sends a request and waits for the reply, within the bounds of the gate.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, gate: &Gate, request: M) -> Result<M::Reply, CallError<M::Error>> {
        let service = gate.service;
        let busy = CallError::Busy {
            service,
            limit: gate.limits.in_flight,
        };
        let _permit = gate.permits.try_acquire().map_err(|_| busy)?;
        self.call_ungated(gate, request).await
    }

    /// The same without a permit: for the few requests that must get through when a service is busy.
    ///
    /// # Errors
    /// See [`CallError`]; never `Busy`.
    pub async fn call_ungated(
        &self,
        gate: &Gate,
        request: M,
    ) -> Result<M::Reply, CallError<M::Error>> {
        let service = gate.service;
        let reply = {
            let to = self.lock();
            to.send(request)
        };
        match tokio::time::timeout(gate.limits.timeout, reply).await {
            Ok(Ok(reply)) => reply.map_err(CallError::Refused),
            Ok(Err(_closed)) => Err(CallError::Unavailable { service }),
            Err(_elapsed) => Err(CallError::TimedOut {
                service,
                after: gate.limits.timeout,
            }),
        }
    }
}

/// Declares a service: the trait that lists what an implementation handles, and the port. What is listed
/// under `without_permit` gets through however busy the service is.
#[macro_export]
macro_rules! service {
    (
        $(#[$doc:meta])*
        $service:ident, $port:ident, $name:literal {
            $($(#[$method_doc:meta])* $method:ident: $request:ty,)+
        }
        $(without_permit {
            $($(#[$always_doc:meta])* $always:ident: $told:ty,)+
        })?
        $(events { $($event:ty,)+ })?
    ) => {
        $(#[$doc])*
        ///
        /// Implemented by every actor that handles all of these messages, so that a missing
        /// handler is a compile error where the actor is put behind its port.
        pub trait $service:
            actix::Actor<Context = actix::Context<Self>>
            $(+ actix::Handler<$request>)+
            $($(+ actix::Handler<$told>)+)?
            + actix::Handler<$crate::Probe>
            + actix::Handler<$crate::Stop>
            + actix::Handler<$crate::Drill>
            + actix::Handler<$crate::Watch>
            $($(+ actix::Handler<$event>)+)?
        {
        }

        impl<A> $service for A where
            A: actix::Actor<Context = actix::Context<Self>>
                $(+ actix::Handler<$request>)+
                $($(+ actix::Handler<$told>)+)?
                + actix::Handler<$crate::Probe>
                + actix::Handler<$crate::Stop>
                + actix::Handler<$crate::Drill>
                + actix::Handler<$crate::Watch>
                $($(+ actix::Handler<$event>)+)?
        {
        }

        #[doc = concat!("The way to the ", $name, " service. Clones share their bounds.")]
        #[derive(Clone)]
        pub struct $port {
            gate: $crate::Gate,
            probe: $crate::Line<$crate::Probe>,
            stop: $crate::Line<$crate::Stop>,
            drill: $crate::Line<$crate::Drill>,
            watch: $crate::Line<$crate::Watch>,
            $($method: $crate::Line<$request>,)+
            $($($always: $crate::Line<$told>,)+)?
        }

        impl $port {
            /// Name of the service in errors, logs and labels.
            pub const SERVICE: &'static str = $name;

            /// Points a new port at an actor.
            pub fn new<A: $service>(to: &actix::Addr<A>, limits: $crate::Limits) -> Self {
                Self {
                    gate: $crate::Gate::new(Self::SERVICE, limits),
                    probe: $crate::Line::new(to.clone().recipient()),
                    stop: $crate::Line::new(to.clone().recipient()),
                    drill: $crate::Line::new(to.clone().recipient()),
                    watch: $crate::Line::new(to.clone().recipient()),
                    $($method: $crate::Line::new(to.clone().recipient()),)+
                    $($($always: $crate::Line::new(to.clone().recipient()),)+)?
                }
            }

            /// Points this port and all its clones where another port points: at the fresh actor,
            /// after a restart.
            pub fn adopt(&self, fresh: &Self) {
                self.probe.adopt(&fresh.probe);
                self.stop.adopt(&fresh.stop);
                self.drill.adopt(&fresh.drill);
                self.watch.adopt(&fresh.watch);
                $(self.$method.adopt(&fresh.$method);)+
                $($(self.$always.adopt(&fresh.$always);)+)?
            }

            /// Requests under way now.
            pub fn in_flight(&self) -> usize {
                self.gate.in_use()
            }

            /// Asks whether the service still works. Takes no permit: busy is not dead.
            pub async fn probe(
                &self,
            ) -> Result<(), $crate::CallError<$crate::Never>> {
                self.probe.call_ungated(&self.gate, $crate::Probe).await
            }

            /// Asks the service to end in good order. Takes no permit.
            pub async fn stop(
                &self,
            ) -> Result<(), $crate::CallError<$crate::Never>> {
                self.stop.call_ungated(&self.gate, $crate::Stop).await
            }

            /// Returns when the actor behind this port is gone. Takes no permit, and as long as it
            /// takes.
            pub async fn gone(&self) {
                self.watch.ended($crate::Watch).await;
            }

            /// Causes a fault in the service on purpose.
            pub async fn drill(
                &self,
                drill: $crate::Drill,
            ) -> Result<(), $crate::CallError<$crate::Never>> {
                self.drill.call_ungated(&self.gate, drill).await
            }

            $(
                $(#[$method_doc])*
                pub async fn $method(
                    &self,
                    request: $request,
                ) -> Result<
                    <$request as $crate::Request>::Reply,
                    $crate::CallError<<$request as $crate::Request>::Error>,
                > {
                    self.$method.call(&self.gate, request).await
                }
            )+

            $($(
                $(#[$always_doc])*
                pub async fn $always(
                    &self,
                    request: $told,
                ) -> Result<
                    <$told as $crate::Request>::Reply,
                    $crate::CallError<<$told as $crate::Request>::Error>,
                > {
                    self.$always.call_ungated(&self.gate, request).await
                }
            )+)?
        }

        impl std::fmt::Debug for $port {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($port)).finish_non_exhaustive()
            }
        }
    };
}
pub use service;

#[cfg(test)]
mod tests;
