//! Facts that an actor tells others: an emitter never waits for a listener.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Message, Recipient};

/// A fact in the past tense.
pub trait Event: Message<Result = ()> + Clone + fmt::Debug + Send + 'static {
    /// The event that tells a listener how many events it missed.
    fn lagged(missed: u64) -> Self;
}

/// Where an actor's events go.
///
/// Each listener has one long-lived [`Recipient`], because only on such a one does the capacity of
/// its mailbox bound `try_send`. A listener whose mailbox is full misses the event; before the next
/// one that fits it gets [`Event::lagged`] with the number missed.
pub struct Outlet<E: Event>(Arc<[Mutex<Listener<E>>]>);

struct Listener<E: Event> {
    to: Recipient<E>,
    missed: u64,
}

impl<E: Event> Outlet<E> {
    /// An outlet to these listeners.
    pub fn new(listeners: impl IntoIterator<Item = Recipient<E>>) -> Self {
        let listeners = listeners
            .into_iter()
            .map(|to| Mutex::new(Listener { to, missed: 0 }));
        Self(listeners.collect())
    }

    /// Gives listener number `at` (in the order of [`new`](Self::new)) another recipient, after a
    /// restart of the actor behind it. What it missed meanwhile, it is told as missed.
    pub fn repoint(&self, at: usize, to: Recipient<E>) {
        if let Some(listener) = self.0.get(at) {
            listener.lock().unwrap_or_else(PoisonError::into_inner).to = to;
        }
    }

    /// Tells all listeners. Never waits.
    pub fn emit(&self, event: E) {
        for listener in self.0.iter() {
            let mut listener = listener.lock().unwrap_or_else(PoisonError::into_inner);
            listener.offer(event.clone());
        }
    }
}

impl<E: Event> Listener<E> {
    fn offer(&mut self, event: E) {
        if self.missed > 0 && self.to.try_send(E::lagged(self.missed)).is_ok() {
            self.missed = 0;
        }
        if self.missed > 0 || self.to.try_send(event).is_err() {
            self.missed += 1;
        }
    }
}

impl<E: Event> Clone for Outlet<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Event> fmt::Debug for Outlet<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outlet({} listeners)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, actix::Message)]
    #[rtype(result = "()")]
    enum Tick {
        At(u64),
        Lagged(u64),
    }

    impl Event for Tick {
        fn lagged(missed: u64) -> Self {
            Self::Lagged(missed)
        }
    }

    struct Slow(tokio::sync::mpsc::UnboundedSender<Tick>);

    impl Actor for Slow {
        type Context = Context<Self>;
    }
    impl Handler<Tick> for Slow {
        type Result = ();
        fn handle(&mut self, tick: Tick, _: &mut Self::Context) {
            self.0.send(tick).expect("the test listens");
        }
    }

    /// The test owns the thread, so the listener handles nothing while the burst goes out: its
    /// mailbox must overflow, and every event must be either delivered or accounted for.
    #[actix::test]
    async fn a_full_mailbox_loses_events_and_says_how_many() {
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
        let listener = Slow::create(|ctx| {
            ctx.set_mailbox_capacity(4);
            Slow(tx)
        });
        let outlet = Outlet::new([listener.recipient()]);
        for i in 0..100 {
            outlet.emit(Tick::At(i));
        }
        let (mut seen, mut missed) = (0, 0);
        while seen + missed < 100 {
            match tokio::time::timeout(std::time::Duration::from_millis(20), rx.recv()).await {
                Ok(tick) => match tick.expect("the outlet is open") {
                    Tick::At(i) if i < 100 => seen += 1,
                    Tick::At(_) => {}
                    Tick::Lagged(n) => missed += n,
                },
                // The listener has caught up: one more event carries the count of the missed.
                Err(_) => outlet.emit(Tick::At(1000)),
            }
        }
        assert!(missed > 0, "100 events fit a mailbox of 4");
        assert!(seen >= 4);
    }
}
