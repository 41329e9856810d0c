//! Nodes as processes, which are killed, left alone, cut off.

use std::net::TcpListener;

use kukuri_tests::{Dht, Process};
use nix::sys::signal::Signal;
use rusqlite::Connection;
use tempfile::TempDir;

use super::Broken;

/// A node announces its topics, and looks there, every 15 s instead of every 5 min: `FACTOR` times as often.
const OFTEN: [(&str, &str); 2] = [
    ("KUKURI_DISCOVERY__REANNOUNCE_S", "15"),
    ("KUKURI_DISCOVERY__REANNOUNCE_PER_MEMBER_S", "1"),
];
/// The nodes are no DHT to each other.
const NO_SERVER: (&str, &str) = ("KUKURI_DISCOVERY__SERVE", "never");

/// A port of this machine that is free now, and the same after a restart.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A node that is scraped, and can be started again.
struct Member<'a> {
    broken: &'a Broken<'a>,
    metrics: String,
    dir: TempDir,
    settings: Vec<(&'static str, &'static str)>,
    flags: Vec<&'static str>,
}

impl<'a> Member<'a> {
    fn new(broken: &'a Broken<'a>) -> Self {
        Self {
            broken,
            metrics: format!("127.0.0.1:{}", free_port()),
            dir: TempDir::with_prefix("kukuri-test-").unwrap(),
            settings: OFTEN.to_vec(),
            flags: Vec::new(),
        }
    }

    /// The first start.
    fn begin(&self, dht: &Dht) -> Process {
        let process = self.start(dht);
        self.broken.scrape(&self.metrics);
        process
    }

    fn start(&self, dht: &Dht) -> Process {
        let flags = [&["--metrics", self.metrics.as_str()], &self.flags[..]].concat();
        let data = self.dir.path().join("data");
        let mut process = dht.join_with(self.broken.job, &data, &flags, &self.settings);
        process.next("started");
        process
    }
}

/// Starts them, and waits until they are neighbors.
fn meet<const N: usize>(members: &[Member<'_>; N], dht: &Dht) -> [Process; N] {
    let mut processes = members.each_ref().map(|member| member.begin(dht));
    for process in &mut processes {
        process.next("joined");
    }
    let broken = members[0].broken;
    broken.wait_for(&format!("count(kukuri_gossip_neighbors{{JOB}} > 0) == {N}"));
    processes
}

pub fn a_node_is_killed_then_restarted_too_often(broken: &Broken<'_>) {
    let members = [(); 3].map(|()| Member::new(broken));
    let mut nodes = meet(&members, broken.dht);
    broken.wait_for("count(up{JOB} == 1) == 3");

    nodes[2].signal(Signal::SIGKILL);
    broken.fires("KukuriTargetDown", || ());
    nodes[2] = members[2].start(broken.dht);
    broken.resolves("KukuriTargetDown", || ());

    // The start after the kill was the first one. Prometheus has to see each.
    for starts in 2..=3 {
        nodes[2].next("joined");
        nodes[2].signal(Signal::SIGTERM);
        assert!(nodes[2].ended().success());
        nodes[2] = members[2].start(broken.dht);
        let seen = "sum(changes(process_start_time_seconds{JOB}[10m])) >=";
        broken.wait_for(&format!("{seen} {starts}"));
    }
    broken.fires("KukuriNodeRestarting", || ());
    broken.resolves("KukuriNodeRestarting", || ());
}

pub fn a_node_has_nobody(broken: &Broken<'_>) {
    let members = [(); 2].map(|()| Member::new(broken));
    let _one = members[0].begin(broken.dht);
    broken.fires("KukuriNoNeighbors", || ());
    let _other = members[1].begin(broken.dht);
    broken.resolves("KukuriNoNeighbors", || ());
}

pub fn the_dht_is_gone(broken: &Broken<'_>) {
    let port = free_port();
    let dht = Dht::start_at(5, port);
    let members = [(); 2].map(|()| {
        let mut member = Member::new(broken);
        member.settings.push(NO_SERVER);
        member
    });
    let _nodes = meet(&members, &dht);
    let stored = "sum(kukuri_discovery_announces_total{JOB,result=\"stored\"}) >= 2";
    broken.wait_for(stored);
    drop(dht);
    broken.fires("KukuriDhtUnreachable", || ());
    let _dht = Dht::start_at(5, port);
    broken.resolves("KukuriDhtUnreachable", || ());
}

pub fn keys_are_in_the_clear(broken: &Broken<'_>) {
    let mut members = [(); 2].map(|()| Member::new(broken));
    members[1].flags.push("--insecure-plaintext-store");
    members[1].settings.push(("KUKURI_IDENTITY__KEY_FILE", ""));
    let [_one, mut other] = meet(&members, broken.dht);
    broken.fires("KukuriSecretsInPlaintext", || ());
    // With a key they are encrypted in place.
    other.signal(Signal::SIGTERM);
    assert!(other.ended().success());
    members[1].flags.pop();
    members[1].settings.pop();
    let _other = members[1].start(broken.dht);
    broken.resolves("KukuriSecretsInPlaintext", || ());
}

/// As by a tool that copies it and does not let go.
pub fn the_database_is_locked(broken: &Broken<'_>) {
    let members = [(); 2].map(|()| Member::new(broken));
    let [_one, mut other] = meet(&members, broken.dht);
    let file = members[1].dir.path().join("data/kukuri.db");
    let database = Connection::open(file).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    broken.fires("KukuriStoreFailing", || other.say("can't be stored"));
    database.execute_batch("COMMIT").unwrap();
    broken.resolves("KukuriStoreFailing", || ());
    other.say("can be stored");
    other.next("posted");
}
