//! Waiting for an actor's events.

use std::time::Duration;

use actix::{Actor, Context, Handler, Recipient};
use kukuri_contract::Event;
use tokio::sync::mpsc;

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
    pub async fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(E) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the listener lives on");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(DEADLINE, search).await {
            Ok(found) => found,
            Err(_) => panic!("waited {DEADLINE:?} in vain for: {what}"),
        }
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
