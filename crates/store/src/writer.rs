//! The thread that has the database: takes requests off the queue and answers them.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use kukuri_contract::{
    Ban, Bans, Beyond, Contacts, Holding, Holdings, KnownPeer, KnownPeers, LastSeq, Outlet, Post,
    Posts, PostsBeyond, Remember, RememberContacts, Revocation, RevocationsDue, SaveBan, SavePost,
    Saved, StoreError, StoreEvent, WallClock,
};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::pruning::Pruning;
use crate::sqlite::{Database, DbError};

/// Requests that wait for the thread. 1024, more than the port admits: it is full only where the disk is so
/// slow that many callers went away, who leave theirs behind.
pub const QUEUE: usize = 1024;
/// Requests served between two steps of the retention, if so many wait. 16: the retention gets on
/// under load, and no request waits for more than a few of its steps.
const JOBS_PER_STEP: usize = 16;

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
    /// Which posts are here.
    Holdings(Holdings, Answer<Vec<Holding>>),
    /// The posts that somebody lacks.
    PostsBeyond(PostsBeyond, Answer<Beyond>),
    /// The revocations to be sent.
    RevocationsDue(RevocationsDue, Answer<Vec<Revocation>>),
    /// Contacts of the DHT.
    Contacts(Contacts, Answer<Vec<SocketAddr>>),
    /// Peers that are banned, or were.
    Bans(Bans, Answer<Vec<Ban>>),
    /// Look at the clock, the retention may be due.
    Tick,
    /// Finish what is queued, close the database, end.
    Stop(Answer<()>),
}

/// A request that changes something.
#[derive(Debug)]
pub enum Write {
    /// Remember a peer.
    Remember(Remember, Answer<()>),
    /// Remember contacts of the DHT.
    RememberContacts(RememberContacts, Answer<()>),
    /// Save a post.
    SavePost(SavePost, Answer<Saved>),
    /// Keep a ban.
    SaveBan(SaveBan, Answer<()>),
}

/// What a write brought, before it is committed.
enum Written {
    /// A peer, a contact or a ban.
    Remembered,
    Saved(Saved),
}

/// Starts the thread. It ends with [`Job::Stop`] or with the last sender.
pub fn start(
    database: Database,
    max_batch: usize,
    clock: WallClock,
    events: Outlet<StoreEvent>,
) -> std::io::Result<mpsc::Sender<Job>> {
    let (tx, rx) = mpsc::channel(QUEUE);
    let writer = Writer {
        database,
        max_batch,
        pruning: Pruning::default(),
        jobs_since_step: 0,
        clock,
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
    pruning: Pruning,
    jobs_since_step: usize,
    clock: WallClock,
    events: Outlet<StoreEvent>,
    queue: mpsc::Receiver<Job>,
}

impl Writer {
    fn run(mut self) {
        let mut next = self.wait();
        while let Some(job) = next.take() {
            match job {
                Job::Write(first) => next = self.write_with(first),
                Job::KnownPeers(request, answer) => {
                    let now = self.clock.now();
                    self.read(answer, |database| database.known_peers(&request, now));
                }
                Job::Posts(request, answer) => {
                    self.read(answer, |database| database.posts(&request));
                }
                Job::LastSeq(request, answer) => {
                    self.read(answer, |database| database.last_seq(&request));
                }
                Job::Holdings(request, answer) => {
                    self.read(answer, |database| database.holdings(&request));
                }
                Job::PostsBeyond(request, answer) => {
                    self.read(answer, |database| database.posts_beyond(&request));
                }
                Job::RevocationsDue(request, answer) => {
                    let now = self.clock.now();
                    self.read(answer, |database| database.revocations_due(&request, now));
                }
                Job::Contacts(request, answer) => {
                    self.read(answer, |database| database.contacts(&request));
                }
                Job::Bans(request, answer) => {
                    self.read(answer, |database| database.bans(&request));
                }
                Job::Tick => {}
                Job::Stop(answer) => {
                    self.pruning.end(&self.events);
                    // Closing moves the log into the database and removes it.
                    drop(self.database);
                    let _gone = answer.send(Ok(()));
                    return;
                }
            }
            next = next.or_else(|| self.wait());
        }
        self.pruning.end(&self.events);
    }

    /// The next request. The steps of the retention fill the time between.
    fn wait(&mut self) -> Option<Job> {
        loop {
            // Anew after each step: the next run may be due when this one ends.
            let now = self.clock.now();
            self.pruning.begin_if_due(now);
            if !self.pruning.at_work() {
                return self.queue.blocking_recv();
            }
            let job = match self.queue.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return None,
            };
            if job.is_none() || self.jobs_since_step >= JOBS_PER_STEP {
                self.jobs_since_step = 0;
                self.pruning.step(&mut self.database, now, &self.events);
            }
            if job.is_some() {
                self.jobs_since_step += 1;
                return job;
            }
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
            // One bad write must not fail the others: each gets its own transaction. Not where
            // another process has the file: each would wait for it anew.
            Err(error) if batch.len() > 1 && !error.is_busy() => {
                for write in batch {
                    let alone = self.commit(std::slice::from_ref(&write));
                    let written = alone.map(|mut written| written.remove(0));
                    answer(write, written.map_err(|error| StoreError::from(&error)));
                }
            }
            Err(error) => {
                let error = StoreError::from(&error);
                for write in batch {
                    answer(write, Err(error.clone()));
                }
            }
        }
        other
    }

    fn commit(&mut self, batch: &[Write]) -> Result<Vec<Written>, DbError> {
        let started = Instant::now();
        let now = self.clock.now();
        let committed = self.database.transaction(|database| {
            let writes = batch.iter().map(|write| match write {
                Write::Remember(request, _) => {
                    database.remember(request).map(|()| Written::Remembered)
                }
                Write::RememberContacts(request, _) => {
                    let remembered = database.remember_contacts(request);
                    remembered.map(|()| Written::Remembered)
                }
                Write::SaveBan(request, _) => {
                    database.save_ban(request).map(|()| Written::Remembered)
                }
                Write::SavePost(request, _) => database.save_post(request, now).map(Written::Saved),
            });
            writes.collect::<Result<Vec<_>, DbError>>()
        });
        let (requests, took) = (batch.len(), started.elapsed());
        match &committed {
            Ok(written) => {
                let new =
                    |written: &&Written| matches!(written, Written::Saved(s) if s.new || s.revoked);
                self.pruning.saved(written.iter().filter(new).count());
                self.events.emit(StoreEvent::Committed { requests, took });
            }
            Err(error) => {
                let error = StoreError::from(error);
                tracing::debug!(%error, requests, "transaction failed");
                self.events.emit(StoreEvent::Failed { requests, error });
            }
        }
        committed
    }

    fn read<T>(&self, answer: Answer<T>, read: impl FnOnce(&Database) -> Result<T, DbError>) {
        let read = read(&self.database).map_err(|error| StoreError::from(&error));
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
        (
            Write::Remember(_, to) | Write::RememberContacts(_, to) | Write::SaveBan(_, to),
            written,
        ) => {
            _ = to.send(written.map(|_| ()));
        }
        (Write::SavePost(_, to), Ok(Written::Saved(saved))) => _ = to.send(Ok(saved)),
        (Write::SavePost(_, to), Err(error)) => _ = to.send(Err(error)),
        (Write::SavePost(..), Ok(Written::Remembered)) => {
            unreachable!("each write is zipped with its own result")
        }
    }
}
