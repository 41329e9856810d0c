//! The bounds of a port, on a small service.

use actix::{Actor, Addr, Context, Handler, ResponseFuture};

use super::*;
use crate::Drill;

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

crate::supervised!(Waiter);

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
    assert_eq!(port.probe().await, Ok(()), "busy is not dead");
    drop(slow);
    assert_eq!(port.wait(Wait(Duration::ZERO)).await, Ok(1));
    assert_eq!(port.probe().await, Ok(()));
}

#[actix::test]
async fn a_drill_kills_the_actor_and_who_watches_is_told() {
    let (_addr, port) = port(HOUR);
    let mut gone = Box::pin(port.gone());
    assert!(futures_poll_once(gone.as_mut()).await.is_none());
    let panicked = port.drill(Drill::Panic).await;
    assert_eq!(panicked, Err(CallError::Unavailable { service: "wait" }));
    gone.await;
}

#[actix::test]
async fn a_hanging_service_times_out() {
    let (_addr, port) = port(Duration::from_millis(10));
    let late = port.wait(Wait(HOUR)).await;
    assert!(matches!(late, Err(CallError::TimedOut { .. })));
    assert_eq!(port.in_flight(), 0);
}

#[actix::test]
async fn a_dead_service_is_unavailable_until_its_port_adopts_another() {
    let (_addr, port) = port(HOUR);
    let clone = port.clone();
    assert_eq!(port.stop().await, Ok(()));
    while port.wait(Wait(Duration::ZERO)).await.is_ok() {}
    let dead = clone.wait(Wait(Duration::ZERO)).await;
    assert_eq!(dead, Err(CallError::Unavailable { service: "wait" }));
    port.adopt(&WaitPort::new(&Waiter(2).start(), Limits::default()));
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
