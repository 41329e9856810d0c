//! The retention works in steps: what they cost, and who waits for them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use futures_util::future::Either;
use kukuri_contract::{Bans, CallError, StoreError, StoreEvent, UnixMillis, WallClock};
use kukuri_store::Config;

use crate::open::raw;
use crate::retention::{last_seq, pruned};
use crate::support::{Hands, NOW, TOPIC, open, post, save, seqs, try_open};

/// What the fair share costs: a topic at its bound, with many authors or few. Prints the time of a run
/// that drops a thousand posts.
#[actix::test]
async fn the_fair_share_is_cheap() {
    for authors in [1, 10, 1000] {
        let dir = tempfile::tempdir().unwrap();
        let (port, _log) = open(dir.path()).await;
        port.stop().await.unwrap();
        let mut connection = raw(dir.path());
        let rows = connection.transaction().unwrap();
        for n in 0..21_000_u64 {
            let mut author = [0; 32];
            author[..8].copy_from_slice(&(n % authors).to_be_bytes());
            let values = rusqlite::params![
                TOPIC.as_bytes(),
                author,
                (n / authors + 1) as i64,
                NOW as i64
            ];
            let insert = "INSERT INTO posts (topic, author, seq, time, body, envelope, received_at)
                 VALUES (?1, ?2, ?3, ?4, x'00', x'00', ?4)";
            rows.prepare_cached(insert)
                .unwrap()
                .execute(values)
                .unwrap();
        }
        rows.commit().unwrap();
        drop(connection);
        let config = Config {
            max_posts_per_topic: 20_000,
            ..Config::default()
        };
        let started = Instant::now();
        let opened = try_open(dir.path(), config, Hands::at(NOW).clock()).await;
        let (_port, mut log) = opened.unwrap();
        let (posts, _) = pruned(&mut log).await;
        println!(
            "{posts} of 21000 posts of {authors} authors dropped in {:?}",
            started.elapsed()
        );
        assert_eq!(posts, 1000);
    }
}

/// A clock that stands still, and lets nobody go on before the test says so.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        let (open, changed) = &*self.0;
        *open.lock().unwrap() = true;
        changed.notify_all();
    }

    fn clock(&self) -> WallClock {
        let gate = self.0.clone();
        WallClock::new(move || {
            let (open, changed) = &*gate;
            let shut = changed.wait_while(open.lock().unwrap(), |open| !*open);
            drop(shut.unwrap());
            UnixMillis(NOW)
        })
    }
}

#[actix::test]
async fn requests_do_not_wait_for_the_end_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    save(&port, (1..=3000).map(|seq| post(1, seq))).await;
    port.stop().await.unwrap();

    let config = Config {
        max_posts_per_topic: 10,
        ..Config::default()
    };
    let gate = Gate::default();
    let (port, mut log) = try_open(dir.path(), config, gate.clock()).await.unwrap();
    // All wait in the queue when the run of 12 steps begins: it takes turns with them.
    let write = save(&port, [post(2, 1)]);
    let reads = futures_util::future::join_all((0..40).map(|_| last_seq(&port)));
    let open = async {
        // The mailbox is in order: with its answer, all others are in the thread's queue.
        port.probe().await.unwrap();
        gate.open();
    };
    let (new, last, ()) = futures_util::join!(write, reads, open);
    assert_eq!(new, 1);
    assert!(last.iter().all(|last| *last == Some(3000)));
    let order = log.wait_for("a write before the end of the run", |event| match event {
        StoreEvent::Committed { .. } => Some(true),
        StoreEvent::Pruned { .. } => Some(false),
        _ => None,
    });
    assert!(order.await, "the write waited for the end of the run");
    assert_eq!(pruned(&mut log).await.0, 2991);
    assert_eq!(seqs(&port).await.len(), 10);
}

/// Callers that went away leave their requests behind: the queue is full then, though the port has room.
#[actix::test]
async fn a_store_with_too_much_to_do_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let opened = try_open(dir.path(), Config::default(), gate.clock()).await;
    let (port, _log) = opened.unwrap();
    let refused = loop {
        let asked = (0..200).map(|_| Box::pin(port.bans(Bans { limit: 1 })));
        let asked = futures_util::future::select_all(asked);
        // With the answer of the probe, some more are in the queue. The thread waits for its clock: who has
        // an answer was refused.
        match futures_util::future::select(asked, Box::pin(port.probe())).await {
            Either::Left(((answer, ..), _)) => break answer.unwrap_err(),
            Either::Right((probed, _go_away)) => probed.unwrap(),
        }
    };
    let busy = CallError::Refused(StoreError::Busy { limit: 1024 });
    assert_eq!(refused, busy);
    gate.open();
    // What was left behind is done with, and there is room again.
    while port.bans(Bans { limit: 1 }).await.is_err() {
        tokio::task::yield_now().await;
    }
}
