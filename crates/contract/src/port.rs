//! Requests from one actor to another: time limit, in-flight bound, and a handle that survives a
//! restart.
//!
//! Back-pressure belongs at the sender: an actix mailbox bounds neither `send` nor clones of an
//! address. So a port holds permits, and a request that finds none fails at once with
//! [`CallError::Busy`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
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
macro_rules! request {
    ($($name:ty => $reply:ty, $error:ty;)+) => {$(
        impl actix::Message for $name {
            type Result = Result<$reply, $error>;
        }
        impl $crate::port::Request for $name {
            type Reply = $reply;
            type Error = $error;
        }
    )+};
}
pub(crate) use request;

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

/// The permits of one port, shared by the lines of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    service: &'static str,
    limits: Limits,
    permits: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(service: &'static str, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.in_flight));
        Self {
            service,
            limits,
            permits,
        }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.limits.in_flight - self.permits.available_permits()
    }
}

/// One request type of a port: where it goes now.
pub(crate) struct Line<M: Request>(Arc<Mutex<Recipient<M>>>)
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
    pub(crate) fn new(to: Recipient<M>) -> Self {
        Self(Arc::new(Mutex::new(to)))
    }

    pub(crate) fn repoint(&self, to: Recipient<M>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    pub(crate) async fn call(
        &self,
        gate: &Gate,
        request: M,
    ) -> Result<M::Reply, CallError<M::Error>> {
        let service = gate.service;
        let busy = CallError::Busy {
            service,
            limit: gate.limits.in_flight,
        };
        let _permit = gate.permits.try_acquire().map_err(|_| busy)?;
        let reply = {
            let to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Declares a service: the trait that lists what an implementation handles, and the port.
macro_rules! service {
    (
        $(#[$doc:meta])*
        $service:ident, $port:ident, $name:literal {
            $($(#[$method_doc:meta])* $method:ident: $request:ty,)+
        }
        $(events { $($event:ty,)+ })?
    ) => {
        $(#[$doc])*
        ///
        /// Implemented by every actor that handles all of these messages, so that a missing
        /// handler is a compile error where the actor is put behind its port.
        pub trait $service:
            actix::Actor<Context = actix::Context<Self>>
            $(+ actix::Handler<$request>)+
            + actix::Handler<$crate::port::Probe>
            + actix::Handler<$crate::port::Stop>
            $($(+ actix::Handler<$event>)+)?
        {
        }

        impl<A> $service for A where
            A: actix::Actor<Context = actix::Context<Self>>
                $(+ actix::Handler<$request>)+
                + actix::Handler<$crate::port::Probe>
                + actix::Handler<$crate::port::Stop>
                $($(+ actix::Handler<$event>)+)?
        {
        }

        #[doc = concat!("The way to the ", $name, " service. Clones share their bounds.")]
        #[derive(Clone)]
        pub struct $port {
            gate: $crate::port::Gate,
            probe: $crate::port::Line<$crate::port::Probe>,
            stop: $crate::port::Line<$crate::port::Stop>,
            $($method: $crate::port::Line<$request>,)+
        }

        impl $port {
            /// Name of the service in errors, logs and labels.
            pub const SERVICE: &'static str = $name;

            /// Points a new port at an actor.
            pub fn new<A: $service>(to: &actix::Addr<A>, limits: $crate::port::Limits) -> Self {
                Self {
                    gate: $crate::port::Gate::new(Self::SERVICE, limits),
                    probe: $crate::port::Line::new(to.clone().recipient()),
                    stop: $crate::port::Line::new(to.clone().recipient()),
                    $($method: $crate::port::Line::new(to.clone().recipient()),)+
                }
            }

            /// Points this port and all its clones at another actor, after a restart.
            pub fn repoint<A: $service>(&self, to: &actix::Addr<A>) {
                self.probe.repoint(to.clone().recipient());
                self.stop.repoint(to.clone().recipient());
                $(self.$method.repoint(to.clone().recipient());)+
            }

            /// Requests under way now.
            pub fn in_flight(&self) -> usize {
                self.gate.in_use()
            }

            /// Asks whether the service still works.
            pub async fn probe(
                &self,
            ) -> Result<(), $crate::port::CallError<$crate::port::Never>> {
                self.probe.call(&self.gate, $crate::port::Probe).await
            }

            /// Asks the service to end in good order.
            pub async fn stop(
                &self,
            ) -> Result<(), $crate::port::CallError<$crate::port::Never>> {
                self.stop.call(&self.gate, $crate::port::Stop).await
            }

            $(
                $(#[$method_doc])*
                pub async fn $method(
                    &self,
                    request: $request,
                ) -> Result<
                    <$request as $crate::port::Request>::Reply,
                    $crate::port::CallError<<$request as $crate::port::Request>::Error>,
                > {
                    self.$method.call(&self.gate, request).await
                }
            )+
        }

        impl std::fmt::Debug for $port {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($port)).finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use service;

#[cfg(test)]
mod tests {
    use actix::{Actor, Addr, Context, Handler, ResponseFuture};

    use super::*;

    #[derive(Debug)]
    pub struct Wait(Duration);
    request! { Wait => u32, Never; }

    service! {
        /// Answers after a while.
        WaitService, WaitPort, "wait" {
            /// Waits.
            wait: Wait,
        }
    }

    struct Waiter(u32);

    impl Actor for Waiter {
        type Context = Context<Self>;
    }
    impl Handler<Wait> for Waiter {
        type Result = ResponseFuture<Result<u32, Never>>;
        fn handle(&mut self, wait: Wait, _: &mut Self::Context) -> Self::Result {
            let id = self.0;
            Box::pin(async move {
                tokio::time::sleep(wait.0).await;
                Ok(id)
            })
        }
    }
    impl Handler<Probe> for Waiter {
        type Result = Result<(), Never>;
        fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
            Ok(())
        }
    }
    impl Handler<Stop> for Waiter {
        type Result = Result<(), Never>;
        fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
            actix::ActorContext::stop(ctx);
            Ok(())
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn port(timeout: Duration) -> (Addr<Waiter>, WaitPort) {
        let addr = Waiter(1).start();
        let limits = Limits {
            in_flight: 1,
            timeout,
        };
        (addr.clone(), WaitPort::new(&addr, limits))
    }

    #[actix::test]
    async fn busy_at_the_bound_and_free_after_it() {
        let (_addr, port) = port(HOUR);
        let mut slow = Box::pin(port.wait(Wait(HOUR)));
        assert!(futures_poll_once(slow.as_mut()).await.is_none());
        assert_eq!(port.in_flight(), 1);
        let busy = port.wait(Wait(Duration::ZERO)).await;
        assert!(matches!(busy, Err(CallError::Busy { limit: 1, .. })));
        drop(slow);
        assert_eq!(port.wait(Wait(Duration::ZERO)).await, Ok(1));
        assert_eq!(port.probe().await, Ok(()));
    }

    #[actix::test]
    async fn a_hanging_service_times_out() {
        let (_addr, port) = port(Duration::from_millis(10));
        let late = port.wait(Wait(HOUR)).await;
        assert!(matches!(late, Err(CallError::TimedOut { .. })));
        assert_eq!(port.in_flight(), 0);
    }

    #[actix::test]
    async fn a_dead_service_is_unavailable_until_repointed() {
        let (_addr, port) = port(HOUR);
        let clone = port.clone();
        assert_eq!(port.stop().await, Ok(()));
        while port.wait(Wait(Duration::ZERO)).await.is_ok() {}
        let dead = clone.wait(Wait(Duration::ZERO)).await;
        assert_eq!(dead, Err(CallError::Unavailable { service: "wait" }));
        port.repoint(&Waiter(2).start());
        assert_eq!(clone.wait(Wait(Duration::ZERO)).await, Ok(2));
    }

    async fn futures_poll_once<F: Future + Unpin>(future: F) -> Option<F::Output> {
        let mut future = Some(future);
        std::future::poll_fn(|cx| {
            let mut pinned = std::pin::Pin::new(future.as_mut().expect("polled once"));
            match pinned.as_mut().poll(cx) {
                std::task::Poll::Ready(out) => std::task::Poll::Ready(Some(out)),
                std::task::Poll::Pending => std::task::Poll::Ready(None),
            }
        })
        .await
    }
}
