//! A run of the retention on the store's thread: when it begins, its steps, what it dropped.

use kukuri_contract::{Outlet, StoreError, StoreEvent, UnixMillis};

use crate::core::schedule::Schedule;
use crate::sqlite::{Cursor, Database};

/// The retention's place in the thread.
#[derive(Debug, Default)]
pub struct Pruning {
    schedule: Schedule,
    run: Option<Run>,
}

/// A run under way.
#[derive(Debug)]
struct Run {
    at: Cursor,
    posts: u64,
    peers: u64,
}

impl Pruning {
    /// New posts were saved.
    pub fn saved(&mut self, posts: usize) {
        self.schedule.saved(posts as u64);
    }

    /// Begins a run if one is due.
    pub fn begin_if_due(&mut self, now: UnixMillis) {
        if self.run.is_none() && self.schedule.begin(now) {
            self.run = Some(Run {
                at: Cursor::Posts(None),
                posts: 0,
                peers: 0,
            });
        }
    }

    /// Whether there are steps to do.
    pub fn at_work(&self) -> bool {
        self.run.is_some()
    }

    /// Does one step, in a transaction of its own.
    pub fn step(&mut self, database: &mut Database, now: UnixMillis, events: &Outlet<StoreEvent>) {
        let Some(run) = &mut self.run else { return };
        match database.transaction(|database| database.prune(run.at, now)) {
            Ok((at, posts, peers)) => {
                run.at = at;
                run.posts += posts;
                run.peers += peers;
                if at == Cursor::Done {
                    self.end(events);
                }
            }
            Err(error) => {
                let error = StoreError::from(&error);
                tracing::debug!(%error, "the retention failed; it tries again when it is due");
                events.emit(StoreEvent::Failed { requests: 1, error });
                self.end(events);
            }
        }
    }

    /// Ends the run, where it is, and tells what it dropped.
    pub fn end(&mut self, events: &Outlet<StoreEvent>) {
        if let Some(Run { posts, peers, .. }) = self.run.take()
            && posts + peers > 0
        {
            events.emit(StoreEvent::Pruned { posts, peers });
        }
    }
}
