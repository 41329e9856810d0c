//! A full disk and a read-only one, for real: small file systems in a mount namespace of a child
//! process. Needs root; without it the tests say that they are skipped.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use futures_util::future::join_all;
use kukuri_contract::{CallError, Post, SavePost, StoreError, StorePort};
use kukuri_store::{Config, OpenError};

use crate::open::{again, file};
use crate::support::{Hands, NOW, TOPIC, all, open, post, seqs, try_open};

const FULL: &str = "KUKURI_TEST_FULL_DISK";
const READ_ONLY: &str = "KUKURI_TEST_READ_ONLY";

/// Runs a test of this binary in a mount namespace, where `dir` is a file system of 1 MiB.
fn in_small_disk(test: &str, env: &str) {
    let may = Command::new("unshare")
        .args(["-m", "mount", "--version"])
        .output();
    if !may.is_ok_and(|may| may.status.success()) {
        println!("SKIPPED: needs root, and the commands unshare and mount");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let child = again(test, env, dir.path());
    let script = "mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(dir.path());
    command.arg(child.get_program()).args(child.get_args());
    let output = command.env(env, dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "{text}\n{errors}");
    assert!(text.contains("done on a small disk"), "{text}\n{errors}");
}

#[test]
fn a_full_disk_loses_nothing_and_is_told() {
    in_small_disk("mounts::full_disk_child", FULL);
}

#[test]
fn a_read_only_disk_is_told_at_the_start() {
    in_small_disk("mounts::read_only_child", READ_ONLY);
}

fn long(seq: u64) -> Post {
    Post {
        body: Bytes::from(vec![b'x'; 3000]),
        ..post(1, seq)
    }
}

/// Saves posts, eight at a time, until none of eight fits. Gives the next number.
async fn fill(port: &StorePort, mut next: u64, acknowledged: &mut BTreeSet<u64>) -> u64 {
    loop {
        let writes = (next..next + 8).map(|seq| {
            let write = port.save_post(SavePost(long(seq)));
            async move { (seq, write.await) }
        });
        next += 8;
        assert!(next < 1000, "1 MiB is never full");
        let mut full = 0;
        for (seq, result) in join_all(writes).await {
            match result {
                Ok(saved) => assert!(saved.new && acknowledged.insert(seq)),
                Err(CallError::Refused(error @ StoreError::DiskFull(_))) => {
                    assert!(error.to_string().contains("free some space"), "{error}");
                    full += 1;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        if full == 8 {
            return next;
        }
    }
}

async fn check(port: &StorePort, acknowledged: &BTreeSet<u64>) {
    let there: Vec<_> = acknowledged.iter().map(|seq| long(*seq)).collect();
    assert!(
        all(port, TOPIC).await == there,
        "all that was acknowledged, and no more"
    );
}

/// Not a test of its own.
#[actix::test]
async fn full_disk_child() {
    let Some(dir) = std::env::var_os(FULL) else {
        return;
    };
    let dir = Path::new(&dir);
    let [new, closed] = ["new", "closed"].map(|name| dir.join(name));
    fs::create_dir(&new).unwrap();
    fs::create_dir(&closed).unwrap();
    open(&closed).await.0.stop().await.unwrap();
    let others = ["something", "else"].map(|name| dir.join(name));
    for other in &others {
        fs::write(other, vec![1; 200_000]).unwrap();
    }
    let (port, _log) = open(dir).await;
    let mut acknowledged = BTreeSet::new();
    let next = fill(&port, 1, &mut acknowledged).await;
    let first = acknowledged.len();
    assert!(first > 10, "{first}");
    check(&port, &acknowledged).await;

    // The same store goes on when there is room again.
    fs::remove_file(&others[0]).unwrap();
    let next = fill(&port, next, &mut acknowledged).await;
    let second = acknowledged.len() - first;
    assert!(second > 3, "{second}");
    // Closing loses nothing, though there is no room to tidy up.
    port.stop().await.unwrap();

    // Not a byte left: neither a new store starts nor one that was closed well; they say why.
    let rest = dir.join("rest");
    let mut file = fs::File::create(&rest).unwrap();
    while file.write(&[1; 512]).is_ok_and(|written| written > 0) {}
    drop(file);
    for dir in [&new, &closed] {
        let clock = Hands::at(NOW).clock();
        let error = try_open(dir, Config::default(), clock).await.unwrap_err();
        let full = |source: &StoreError| matches!(source, StoreError::DiskFull(_));
        let is_full = matches!(&error, OpenError::Open { source, .. } if full(source));
        assert!(is_full, "{error}");
    }

    fs::remove_file(&rest).unwrap();
    fs::remove_file(&others[1]).unwrap();
    let (port, _log) = open(dir).await;
    check(&port, &acknowledged).await;
    fill(&port, next, &mut acknowledged).await;
    let third = acknowledged.len() - first - second;
    assert!(third > 3, "{third}");
    check(&port, &acknowledged).await;
    port.stop().await.unwrap();
    println!("{first}, {second}, {third} posts: done on a small disk");
}

/// Not a test of its own.
#[actix::test]
async fn read_only_child() {
    let Some(dir) = std::env::var_os(READ_ONLY) else {
        return;
    };
    let dir = Path::new(&dir);
    let empty = dir.join("empty");
    fs::create_dir(&empty).unwrap();
    let (port, _log) = open(dir).await;
    port.save_post(SavePost(post(1, 1))).await.unwrap();
    port.stop().await.unwrap();
    // The file system.
    mount(&["-o", "remount,ro"], &[dir]);
    assert_read_only(dir).await;
    assert_read_only(&empty).await;
    mount(&["-o", "remount,rw"], &[dir]);
    // The file alone: SQLite opens it, and would fail with the first post.
    let database = file(dir);
    mount(&["--bind"], &[&database, &database]);
    mount(&["-o", "remount,ro,bind"], &[&database]);
    assert_read_only(dir).await;
    mount(&["-o", "remount,rw,bind"], &[&database]);

    let (port, _log) = open(dir).await;
    assert_eq!(seqs(&port).await, [1]);
    port.stop().await.unwrap();
    println!("done on a small disk");
}

fn mount(options: &[&str], paths: &[&Path]) {
    let mut mount = Command::new("mount");
    let status = mount.args(options).args(paths).status().unwrap();
    assert!(status.success(), "{options:?}");
}

async fn assert_read_only(dir: &Path) {
    let clock = Hands::at(NOW).clock();
    let error = try_open(dir, Config::default(), clock).await.unwrap_err();
    let text = error.to_string();
    let OpenError::Open {
        file: named,
        source,
    } = error
    else {
        panic!("{text}");
    };
    assert!(matches!(source, StoreError::ReadOnly(_)), "{text}");
    assert_eq!(named, file(dir));
    assert!(
        text.contains("kukuri.db") && text.contains("permissions"),
        "{text}"
    );
}
