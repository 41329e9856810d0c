//! Clauses that hold for every service.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Instant;

use kukuri_contract::{CallError, Drill};

use crate::kit::{
    Broken, Clause, Held, Local, Reply, Service, ServicePort, Stage, clauses, ensure, ensure_eq,
    until, within,
};

/// Most requests that a port may let under way: four times the contract's own bound.
const MOST: usize = 1024;
/// Requests under way when a service is ended.
const SOME: usize = 8;

/// The clauses.
pub fn clauses<S: Service>() -> [Clause<S>; 6] {
    clauses![
        the_probe_answers_under_load:
            "A probe is answered, also while as many requests are under way as may be.",
        busy_at_the_bound_and_free_after_it:
            "A request beyond the bound fails at once with Busy; those under way are granted, and \
             then there is room again.",
        a_caller_that_goes_away_wedges_nothing:
            "Callers that do not wait for their replies take no places, and the service goes on.",
        shutdown_is_idempotent:
            "Stop is answered when nothing is left to do; another one does no harm.",
        a_service_is_unavailable_after_shutdown:
            "After Stop the service is gone, requests are Unavailable, and none waits in vain.",
        a_restart_in_the_middle_of_a_request_loses_only_that:
            "When an actor ends by a panic, its requests break off, and the port works again once it \
             has adopted a fresh one.",
    ]
}

/// Looks once whether something is there by now.
pub async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Puts as many requests under way as the port lets, and tells its bound if there is one.
async fn fill<P: ServicePort>(port: &P) -> Result<(Vec<Local<'_, Reply>>, Option<usize>), Broken> {
    let mut under_way = Vec::new();
    for _ in 0..=MOST {
        let mut request: Local<'_, Reply> = Box::pin(port.plain());
        match poll_once(&mut request).await {
            None => under_way.push(request),
            Some(Reply::Fine) => {}
            Some(Reply::Busy(limit)) => return Ok((under_way, Some(limit))),
            Some(other) => return Err(Broken(format!("a plain request brought {other:?}"))),
        }
    }
    Ok((under_way, None))
}

async fn is_fine<P: ServicePort>(port: &P) -> Held {
    ensure_eq!(port.plain().await, Reply::Fine, "a plain request");
    Ok(())
}

async fn the_probe_answers_under_load<S: Service>(on: &Stage<'_, S>) -> Held {
    let running = on.begin(1).await;
    let port = S::port(&running);
    ensure_eq!(port.probe().await, Ok(()), "a probe");
    let (under_way, _) = fill(port).await?;
    ensure_eq!(port.probe().await, Ok(()), "a probe under load");
    drop(under_way);
    end(on, port).await
}

async fn busy_at_the_bound_and_free_after_it<S: Service>(on: &Stage<'_, S>) -> Held {
    let running = on.begin(1).await;
    let port = S::port(&running);
    let (under_way, limit) = fill(port).await?;
    let under_way_now = Some(port.in_flight());
    ensure_eq!(limit, under_way_now, "the bound that Busy tells");
    for request in under_way {
        let reply = within(on.patience(), "the reply of a request", request).await?;
        ensure_eq!(reply, Reply::Fine, "a request below the bound");
    }
    ensure_eq!(port.in_flight(), 0, "requests under way after all replies");
    is_fine(port).await?;
    end(on, port).await
}

async fn a_caller_that_goes_away_wedges_nothing<S: Service>(on: &Stage<'_, S>) -> Held {
    let running = on.begin(1).await;
    let port = S::port(&running);
    let (under_way, _) = fill(port).await?;
    // By now the service is at work on some of them.
    tokio::task::yield_now().await;
    drop(under_way);
    ensure_eq!(port.in_flight(), 0, "places of callers that are gone");
    is_fine(port).await?;
    is_fine(port).await?;
    end(on, port).await
}

async fn shutdown_is_idempotent<S: Service>(on: &Stage<'_, S>) -> Held {
    let running = on.begin(1).await;
    let port = S::port(&running);
    let started = Instant::now();
    let (first, second) = tokio::join!(port.stop(), port.stop());
    println!(
        "    stopped within {:?}; a node wants 2 s",
        started.elapsed()
    );
    ensure_eq!(first, Ok(()), "the first Stop");
    let third = port.stop().await;
    for again in [second, third] {
        ensure!(
            matches!(again, Ok(()) | Err(CallError::Unavailable { .. })),
            "another Stop brought {again:?}"
        );
    }
    Ok(())
}

async fn a_service_is_unavailable_after_shutdown<S: Service>(on: &Stage<'_, S>) -> Held {
    let running = on.begin(1).await;
    let port = S::port(&running);
    let mut gone: Local<'_, ()> = Box::pin(port.gone());
    let watched = poll_once(&mut gone).await;
    ensure!(watched.is_none(), "it is gone before it was stopped");
    let under_way = some(port).await;
    ensure_eq!(port.stop().await, Ok(()), "Stop");
    within(on.patience(), "the end after Stop", gone).await?;
    for request in under_way {
        let reply = within(on.patience(), "the reply of a request", request).await?;
        ensure!(
            reply != Reply::TimedOut,
            "a request from before Stop timed out"
        );
    }
    ensure_eq!(
        port.plain().await,
        Reply::Unavailable,
        "a request after Stop"
    );
    ensure!(
        port.probe().await.is_err(),
        "a probe is answered after Stop"
    );
    Ok(())
}

async fn a_restart_in_the_middle_of_a_request_loses_only_that<S: Service>(
    on: &Stage<'_, S>,
) -> Held {
    let running = on.begin(1).await;
    let port = S::port(&running).clone();
    let under_way = some(&port).await;
    let drilled = port.drill(Drill::Panic).await;
    ensure!(drilled.is_err(), "a drill that panics was answered");
    within(on.patience(), "the end after a panic", port.gone()).await?;
    for request in under_way {
        let reply = within(on.patience(), "the reply of a request", request).await?;
        ensure!(
            matches!(reply, Reply::Fine | Reply::Unavailable),
            "a request from before the panic brought {reply:?}"
        );
    }
    ensure_eq!(
        port.plain().await,
        Reply::Unavailable,
        "a request without an actor"
    );
    let clone = port.clone();
    drop(running);
    let fresh = on.begin(1).await;
    port.adopt(S::port(&fresh));
    is_fine(&clone).await?;
    ensure_eq!(clone.probe().await, Ok(()), "a probe after a restart");
    end(on, &port).await
}

/// A few requests that are on their way.
async fn some<P: ServicePort>(port: &P) -> Vec<Local<'_, Reply>> {
    let mut under_way = Vec::new();
    for _ in 0..SOME {
        let mut request: Local<'_, Reply> = Box::pin(port.plain());
        if poll_once(&mut request).await.is_none() {
            under_way.push(request);
        }
    }
    under_way
}

/// Ends an instance, so that the next clause can have its place. How it ends is for clauses of its
/// own to judge: here only its end counts, and not even that where it does not come.
pub async fn end<S: Service>(on: &Stage<'_, S>, port: &S::Port) -> Held {
    let _judged_elsewhere = port.stop().await;
    let gone = async || {
        let mut gone: Local<'_, ()> = Box::pin(port.gone());
        Ok(poll_once(&mut gone).await)
    };
    let patience = on.patience() / 16;
    let _judged_elsewhere = until(patience, "the end", gone).await;
    Ok(())
}
