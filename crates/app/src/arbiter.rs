//! A thread of its own for each actor.

use std::cell::RefCell;
use std::collections::BTreeMap;

use actix::Arbiter;
use tokio::sync::oneshot;

use crate::error::{Cause, StartError};
use crate::supervise::Service;

/// The arbiters of a node's actors. They are stopped with this value, so that a node that does not
/// start leaves none behind.
#[derive(Debug, Default)]
pub struct Arbiters(RefCell<BTreeMap<Service, Arbiter>>);

impl Arbiters {
    /// Keeps the arbiter of a service, and stops the one before it: its thread ends, and with it all
    /// tasks of the old actor. One that hangs stays behind.
    pub fn keep(&self, service: Service, arbiter: Arbiter) {
        let old = self.0.borrow_mut().insert(service, arbiter);
        old.map(|arbiter| arbiter.stop());
    }

    /// Stops all of them.
    pub fn stop(&self) {
        for arbiter in self.0.borrow().values() {
            arbiter.stop();
        }
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs what starts an actor in an arbiter of its own, with so many threads for tasks that must go
/// on while the actor is busy, or hangs. 0 where there are none: what is not the actor's runs on its
/// thread then, and a timer wakes one thread instead of two.
pub async fn in_arbiter<T: Send + 'static>(
    service: &'static str,
    workers: usize,
    start: impl AsyncFnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<(T, Arbiter), StartError> {
    let failed = |source| StartError::Service { service, source };
    let arbiter = Unkept(Some(Arbiter::with_tokio_rt(move || {
        let mut builder = match workers {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder
            .worker_threads(workers.max(1))
            .thread_name(format!("kk-{service}"))
            .enable_all()
            .build()
            .expect("the operating system gives a process its threads and an event queue")
    })));
    let (tx, rx) = oneshot::channel();
    arbiter.spawn_fn(move || {
        actix::spawn(async move {
            // Nobody waits any more: the actor ends with its arbiter.
            let _waiting = tx.send(start().await);
        });
    });
    match rx.await {
        Ok(Ok(running)) => Ok((running, arbiter.keep())),
        Ok(Err(cause)) => Err(failed(cause)),
        Err(_) => Err(failed(
            "it panicked while it started; the log says where".into(),
        )),
    }
}

/// An arbiter whose actor does not run yet. It ends with this value, so that a start that fails, or that
/// nobody waits for any more, leaves no thread and no actor behind.
struct Unkept(Option<Arbiter>);

impl Unkept {
    fn spawn_fn(&self, f: impl FnOnce() + Send + 'static) {
        self.0.as_ref().map(|arbiter| arbiter.spawn_fn(f));
    }

    fn keep(mut self) -> Arbiter {
        self.0.take().expect("it is given away once, here")
    }
}

impl Drop for Unkept {
    fn drop(&mut self) {
        self.0.as_ref().map(Arbiter::stop);
    }
}
