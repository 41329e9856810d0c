//! The thread that has the database: takes requests off the queue and answers them.

use std::thread;
use std::time::Instant;

use kukuri_contract::{
    KnownPeer, KnownPeers, LastSeq, Outlet, Post, Posts, Remember, SavePost, Saved, StoreError,
    StoreEvent,
};
use tokio::sync::{mpsc, oneshot};

use crate::sqlite::{Database, DbError};

/// Requests that wait for the thread: more than the port admits, so that it is never full.
pub const QUEUE: usize = 1024;

/// Where an answer goes. A caller that went away wants none.
pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request on its way to the thread.
#[derive(Debug)]
pub enum Job {
    /// Change something.
    Write(Write),
    /// The peers of a topic.
    KnownPeers(KnownPeers, Answer<Vec<KnownPeer>>),
    /// The posts of a topic.
    Posts(Posts, Answer<Vec<Post>>),
    /// The highest number of an author.
    LastSeq(LastSeq, Answer<Option<u64>>),
    /// Finish what is queued, close the database, end.
    Stop(Answer<()>),
}

/// A request that changes something.
#[derive(Debug)]
pub enum Write {
    /// Remember a peer.
    Remember(Remember, Answer<()>),
    /// Save a post.
    SavePost(SavePost, Answer<Saved>),
}

/// What a write brought, before it is committed.
enum Written {
    Remembered,
    Saved(Saved),
}

/// Starts the thread. It ends with [`Job::Stop`] or with the last sender.
pub fn start(
    database: Database,
    max_batch: usize,
    events: Outlet<StoreEvent>,
) -> std::io::Result<mpsc::Sender<Job>> {
    let (tx, rx) = mpsc::channel(QUEUE);
    let writer = Writer {
        database,
        max_batch,
        events,
        queue: rx,
    };
    thread::Builder::new()
        .name("kukuri-store".into())
        .spawn(move || writer.run())?;
    Ok(tx)
}

struct Writer {
    database: Database,
    max_batch: usize,
    events: Outlet<StoreEvent>,
    queue: mpsc::Receiver<Job>,
}

impl Writer {
    fn run(mut self) {
        let mut next = self.queue.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Write(first) => next = self.write_with(first),
                Job::KnownPeers(request, answer) => {
                    self.read(answer, |database| database.known_peers(&request));
                }
                Job::Posts(request, answer) => {
                    self.read(answer, |database| database.posts(&request));
                }
                Job::LastSeq(request, answer) => {
                    self.read(answer, |database| database.last_seq(&request));
                }
                Job::Stop(answer) => {
                    // Closing moves the log into the database and removes it.
                    drop(self.database);
                    let _gone = answer.send(Ok(()));
                    return;
                }
            }
            next = next.or_else(|| self.queue.blocking_recv());
        }
    }

    /// Writes together with all writes that wait by now. Gives back the first job that is none.
    fn write_with(&mut self, first: Write) -> Option<Job> {
        let mut batch = vec![first];
        let mut other = None;
        while batch.len() < self.max_batch && other.is_none() {
            match self.queue.try_recv() {
                Ok(Job::Write(write)) => batch.push(write),
                Ok(job) => other = Some(job),
                Err(_) => break,
            }
        }
        match self.commit(&batch) {
            Ok(written) => {
                for (write, written) in batch.into_iter().zip(written) {
                    answer(write, Ok(written));
                }
            }
            // One bad write must not fail the others: each gets its own transaction.
            Err(_) if batch.len() > 1 => {
                for write in batch {
                    let alone = self.commit(std::slice::from_ref(&write));
                    let written = alone.map(|mut written| written.remove(0));
                    answer(write, written);
                }
            }
            Err(error) => {
                for write in batch {
                    answer(write, Err(error.clone()));
                }
            }
        }
        other
    }

    fn commit(&mut self, batch: &[Write]) -> Result<Vec<Written>, StoreError> {
        let started = Instant::now();
        let committed = self.database.transaction(|database| {
            let writes = batch.iter().map(|write| match write {
                Write::Remember(request, _) => {
                    database.remember(request).map(|()| Written::Remembered)
                }
                Write::SavePost(request, _) => database.save_post(request).map(Written::Saved),
            });
            writes.collect::<Result<Vec<_>, DbError>>()
        });
        let (requests, took) = (batch.len(), started.elapsed());
        match committed {
            Ok(written) => {
                self.events.emit(StoreEvent::Committed { requests, took });
                Ok(written)
            }
            Err(error) => {
                let error = StoreError::from(error);
                tracing::debug!(%error, requests, "transaction failed");
                let event = StoreEvent::Failed {
                    requests,
                    error: error.clone(),
                };
                self.events.emit(event);
                Err(error)
            }
        }
    }

    fn read<T>(&self, answer: Answer<T>, read: impl FnOnce(&Database) -> Result<T, DbError>) {
        let read = read(&self.database).map_err(StoreError::from);
        if let Err(error) = &read {
            let event = StoreEvent::Failed {
                requests: 1,
                error: error.clone(),
            };
            self.events.emit(event);
        }
        let _gone = answer.send(read);
    }
}

fn answer(write: Write, written: Result<Written, StoreError>) {
    match (write, written) {
        (Write::Remember(_, to), written) => _ = to.send(written.map(|_| ())),
        (Write::SavePost(_, to), Ok(Written::Saved(saved))) => _ = to.send(Ok(saved)),
        (Write::SavePost(_, to), Err(error)) => _ = to.send(Err(error)),
        (Write::SavePost(..), Ok(Written::Remembered)) => {
            unreachable!("each write is zipped with its own result")
        }
    }
}
