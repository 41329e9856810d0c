//! Waiting for an actor's events.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Recipient, WrapFuture};
use kukuri_contract::Event;
use tokio::sync::{mpsc, oneshot};

use crate::kit::{Broken, ensure, until, within};

/// Longest wait for an event: generous, because a test that waits for a condition costs its time
/// only when it fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Hears the events of an actor and keeps them until a test asks.
#[derive(Debug)]
pub struct EventLog<E> {
    events: mpsc::UnboundedReceiver<E>,
}

struct Listener<E>(mpsc::UnboundedSender<E>);

impl<E: Event> EventLog<E> {
    /// A log, and the recipient to put into an `Outlet`.
    pub fn new() -> (Self, Recipient<E>) {
        let (tx, events) = mpsc::unbounded_channel();
        let listener = Listener::create(|ctx: &mut Context<Listener<E>>| {
            ctx.set_mailbox_capacity(65_536);
            Listener(tx)
        });
        (Self { events }, listener.recipient())
    }

    /// Waits for an event that `pick` makes something of. Events before it are dropped.
    ///
    /// # Panics
    /// When none has come within a minute; `what` says in the message what was waited for.
    pub async fn wait_for<T>(&mut self, what: &str, pick: impl FnMut(E) -> Option<T>) -> T {
        match self.find(DEADLINE, what, pick).await {
            Ok(found) => found,
            Err(Broken(why)) => panic!("{why}"),
        }
    }

    /// The same for a clause.
    pub(crate) async fn find<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut pick: impl FnMut(E) -> Option<T>,
    ) -> Result<T, Broken> {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the listener lives on");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        within(patience, what, search).await
    }

    /// The events that have come until now.
    pub fn drain(&mut self) -> Vec<E> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

impl<E: Event> Actor for Listener<E> {
    type Context = Context<Self>;
}

impl<E: Event> Handler<E> for Listener<E> {
    type Result = ();

    fn handle(&mut self, event: E, _: &mut Self::Context) {
        // A test that has seen enough drops its log.
        let _dropped = self.0.send(event);
    }
}

/// Hears nothing until it is let, so that its small mailbox is full soon.
pub(crate) struct SlowListener<E> {
    heard: mpsc::UnboundedReceiver<E>,
    go: Option<oneshot::Sender<()>>,
}

struct Waits<E> {
    go: Option<oneshot::Receiver<()>>,
    hears: mpsc::UnboundedSender<E>,
}

impl<E: Event> Actor for Waits<E> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(go) = self.go.take() {
            ctx.wait(async move { _ = go.await }.into_actor(self));
        }
    }
}

impl<E: Event> Handler<E> for Waits<E> {
    type Result = ();

    fn handle(&mut self, event: E, _: &mut Self::Context) {
        let _dropped = self.hears.send(event);
    }
}

impl<E: Event> SlowListener<E> {
    pub fn new() -> (Self, Recipient<E>) {
        let (hears, heard) = mpsc::unbounded_channel();
        let (go, wait) = oneshot::channel();
        let listener = Waits::create(|ctx: &mut Context<Waits<E>>| {
            ctx.set_mailbox_capacity(2);
            Waits {
                go: Some(wait),
                hears,
            }
        });
        (
            Self {
                heard,
                go: Some(go),
            },
            listener.recipient(),
        )
    }
}

/// Two listeners of one outlet: one that hears all, and a slow one.
pub(crate) struct FastAndSlow<E> {
    log: EventLog<E>,
    slow: SlowListener<E>,
}

impl<E: Event> FastAndSlow<E> {
    pub fn new() -> (Self, [Recipient<E>; 2]) {
        let (log, fast_to) = EventLog::new();
        let (slow, slow_to) = SlowListener::new();
        (Self { log, slow }, [fast_to, slow_to])
    }

    /// Tells what was heard by now, and goes on hearing.
    pub fn drain(&mut self) -> Vec<E> {
        self.log.drain()
    }

    /// Lets the slow one hear again, and checks that it is told of as many events as the other one,
    /// be it as heard or as missed; `one_more` makes the service tell another event.
    pub async fn account(
        mut self,
        patience: Duration,
        told_before: usize,
        missed: impl Fn(&E) -> Option<u64>,
        mut one_more: impl AsyncFnMut() -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let (mut told, mut heard, mut lost) = (told_before as u64, 0, 0);
        self.slow.go = None;
        let accounted = async || {
            one_more().await?;
            told += self.log.drain().len() as u64;
            while let Ok(event) = self.slow.heard.try_recv() {
                match missed(&event) {
                    Some(n) => lost += n,
                    None => heard += 1,
                }
            }
            Ok((lost > 0 && told == heard + lost).then_some(lost))
        };
        let what = "a slow listener being told of as many events as there were";
        let lost = until(patience, what, accounted).await?;
        ensure!(lost < told, "the slow listener has heard nothing");
        Ok(())
    }
}
