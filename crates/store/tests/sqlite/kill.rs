//! SIGKILL at any moment: what was acknowledged is there.
//!
//! Replay a failure with the environment variable `KUKURI_KILL_SEED`, which the test prints.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use kukuri_contract::{LastSeq, Post, SavePost};

use crate::open::{again, raw};
use crate::support::{TOPIC, all, author, open, post};

const CHILD: &str = "KUKURI_TEST_KILL";
const SEED: &str = "KUKURI_KILL_SEED";
/// Times that a process is killed.
const ROUNDS: usize = 200;
/// Times that the same database survives it.
const ROUNDS_PER_DIR: usize = 10;
/// Writes under way in the process.
const WRITERS: usize = 16;

/// SplitMix64: a few numbers that a seed decides.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A post whose number decides its content and its length.
fn sized(seq: u64) -> Post {
    let len = Random(seq).below(4000) as usize;
    Post {
        body: Bytes::from(vec![seq as u8; len]),
        ..post(1, seq)
    }
}

/// Not a test of its own: saves posts until it is killed, and tells each acknowledged number.
#[actix::test]
async fn child_process() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let (port, _log) = open(Path::new(&dir)).await;
    let last = LastSeq {
        topic: TOPIC,
        author: author(1),
    };
    let next = Cell::new(port.last_seq(last).await.unwrap().unwrap_or(0));
    let (port, next) = (&port, &next);
    let writers = (0..WRITERS).map(|_| async move {
        loop {
            next.set(next.get() + 1);
            let seq = next.get();
            assert!(port.save_post(SavePost(sized(seq))).await.unwrap().new);
            // Fails when the parent is gone, and ends the process.
            let mut out = std::io::stdout().lock();
            out.write_all(format!("\nacknowledged {seq}.\n").as_bytes())
                .unwrap();
            out.flush().unwrap();
        }
    });
    join_all(writers).await;
}

/// When to kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the start of the process: while it starts, opens, changes the schema.
    AfterStart(Duration),
    /// So long after the first acknowledged post: while it writes.
    AfterFirst(Duration),
}

/// Runs the process until the moment has come; tells what it had acknowledged.
fn run_and_kill(dir: &Path, moment: Moment) -> BTreeSet<u64> {
    let mut child = again("kill::child_process", CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (tx, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // Without the point it is cut off.
            let number = line
                .strip_prefix("acknowledged ")
                .and_then(|n| n.strip_suffix('.'));
            if let Some(number) = number {
                tx.send(number.parse::<u64>().unwrap()).unwrap();
            }
        }
    });
    let mut acknowledged = BTreeSet::new();
    let mut until = match moment {
        Moment::AfterStart(time) => Instant::now() + time,
        Moment::AfterFirst(_) => Instant::now() + Duration::from_secs(60),
    };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(number) => {
                if let (true, Moment::AfterFirst(time)) = (acknowledged.is_empty(), moment) {
                    until = Instant::now() + time;
                }
                acknowledged.insert(number);
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the process ended by itself"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    acknowledged.extend(lines.try_iter());
    acknowledged
}

async fn check(dir: &Path, acknowledged: &BTreeSet<u64>) {
    let (port, _log) = open(dir).await;
    let posts = all(&port, TOPIC).await;
    let there: BTreeSet<_> = posts.iter().map(|post| post.seq).collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(
        posts.iter().all(|post| *post == sized(post.seq)),
        "a post has changed"
    );
    port.stop().await.unwrap();
    let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let fine = raw(dir)
        .query_row("PRAGMA integrity_check", (), read)
        .unwrap();
    assert_eq!(fine, "ok");
}

#[actix::test]
async fn a_kill_at_any_moment_loses_nothing_acknowledged() {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("replay with {SEED}={seed}");
    let mut random = Random(seed);
    let (mut total, mut early) = (0, 0);
    for _ in 0..ROUNDS / ROUNDS_PER_DIR {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged = BTreeSet::new();
        for round in 0..ROUNDS_PER_DIR {
            let moment = match random.below(4) {
                0 => Moment::AfterStart(Duration::from_micros(random.below(25_000))),
                _ => Moment::AfterFirst(Duration::from_micros(random.below(20_000))),
            };
            let new = run_and_kill(dir.path(), moment);
            println!("round {round}: {moment:?}: {} posts", new.len());
            early += usize::from(new.is_empty());
            acknowledged.extend(new);
            check(dir.path(), &acknowledged).await;
        }
        total += acknowledged.len();
    }
    println!("{ROUNDS} kills, {early} of them before the first post, {total} posts acknowledged");
    assert!(total > ROUNDS, "too few posts to prove anything");
}
