//! What the process uses.

use std::fmt;
use std::fs;

use kukuri::Service;
use kukuri_tests::variants::until;

use crate::schedule::Caused;

/// What a hanging actor keeps for good, at most: threads, and files with sockets.
const LEFT_BY_A_HANG: [(Service, u64, u64); 6] = [
    (Service::Identity, 1, 3),
    // Its thread and that of its tasks, those of the DHT node, and their sockets.
    (Service::Discovery, 6, 16),
    // Its thread and two of its tasks; the lease takes its sockets.
    (Service::Gossip, 4, 10),
    // Its thread, that of the database, and the files of that.
    (Service::Store, 2, 8),
    (Service::Metrics, 1, 3),
    (Service::Node, 1, 3),
];
/// What may come and go: threads of pools, connections to peers, requests.
const THREADS: u64 = 16;
const FILES: u64 = 24;
/// Memory that may be kept in MiB: what was posted meanwhile, in all stores, and what the allocator does
/// not give back; and what each hanging actor keeps.
const MEMORY: u64 = 160;
const MEMORY_OF_A_HANG: u64 = 8;

/// What the process uses now.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    threads: u64,
    files: u64,
    sockets: u64,
    memory: u64,
}

impl Usage {
    /// As the operating system counts it.
    pub fn now() -> Self {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        // One that is closed meanwhile is none.
        let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let links: Vec<_> = links
            .map(|link| link.to_string_lossy().into_owned())
            .collect();
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            threads: fs::read_dir("/proc/self/task").unwrap().count() as u64,
            files: links.len() as u64,
            sockets: links
                .iter()
                .filter(|link| link.starts_with("socket:"))
                .count() as u64,
            memory: pages * 4 / 1024,
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            threads,
            files,
            sockets,
            memory,
        } = self;
        write!(
            f,
            "{threads} threads, {files} files, {sockets} of them sockets, {memory} MiB"
        )
    }
}

/// Waits until no more is used than before, but for what hanging actors keep.
pub async fn stays_within(before: &Usage, caused: &Caused, when: &str) {
    let (mut threads, mut files) = (THREADS, FILES);
    for (service, its_threads, its_files) in LEFT_BY_A_HANG {
        let hangs = caused.hangs_of(service);
        threads += hangs * its_threads;
        files += hangs * its_files;
    }
    let memory = MEMORY + MEMORY_OF_A_HANG * caused.hangs();
    until(
        &format!("{when}, no more than {before} is used"),
        async || {
            let now = Usage::now();
            let within = now.threads <= before.threads + threads
                && now.files <= before.files + files
                && now.sockets <= before.sockets + files
                && now.memory <= before.memory + memory;
            within
                .then_some(())
                .ok_or(format!("{now}; may be {threads} {files} {memory} more"))
        },
    )
    .await;
    println!("{when}: {}; before: {before}", Usage::now());
}
