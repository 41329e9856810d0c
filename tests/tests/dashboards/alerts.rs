//! Each alert, brought about by breaking something for real: it fires, no other does, and it resolves when
//! the thing is mended. That of a split and those of a lost network are in `live.rs`.
//!
//! The times of the rules are [`FACTOR`] times shorter here, so that five minutes are 15 s. A node's own
//! times (6 s until a dead neighbor is noticed, 10 s for a first contact) stay, so the factor can't be
//! much larger; announcements come more often. What is printed is the time from breaking to firing, and what
//! of it is the alert's own `for`.

mod services;
mod swarms;

use std::thread;

use kukuri_tests::Dht;
use kukuri_tests::prometheus::{Prometheus, has};

/// How many times shorter the times of the rules are.
pub const FACTOR: u64 = 20;
/// DHT nodes that all swarms share.
const DHT_NODES: usize = 10;

/// What a break has: a swarm that is a job of its own.
struct Broken<'a> {
    job: &'static str,
    dht: &'a Dht,
    prometheus: &'a Prometheus,
}

impl Broken<'_> {
    fn scrape(&self, target: &str) {
        self.prometheus.add_to(self.job, target);
    }

    fn wait_for(&self, query: &str) {
        let job = format!("job=\"{}\"", self.job);
        self.prometheus.wait_for(&query.replace("JOB", &job));
    }

    /// Waits until this alert fires, and none but this. Meanwhile it does something again and again.
    fn fires(&self, alert: &str, meanwhile: impl FnMut()) {
        self.prometheus
            .wait_for_alerts(self.job, &[alert], &[], meanwhile);
    }

    /// Waits until this alert has resolved; no other one came.
    fn resolves(&self, alert: &str, meanwhile: impl FnMut()) {
        self.prometheus
            .wait_for_alerts(self.job, &[], &[alert], meanwhile);
    }
}

type Break = fn(&Broken<'_>);

const BREAKS: [(&str, Break); 10] = [
    (
        "kukuri-down",
        swarms::a_node_is_killed_then_restarted_too_often,
    ),
    ("kukuri-alone", swarms::a_node_has_nobody),
    ("kukuri-dht", swarms::the_dht_is_gone),
    ("kukuri-plain", swarms::keys_are_in_the_clear),
    ("kukuri-store", swarms::the_database_is_locked),
    ("kukuri-actors", services::a_service_ends_again_and_again),
    ("kukuri-keys", services::the_secret_store_hangs),
    ("kukuri-flood", services::a_member_floods),
    ("kukuri-late", services::searches_fail),
    ("kukuri-slow", services::searches_are_slow),
];

/// All at once, each with a swarm of its own: most of it is waiting.
#[test]
fn each_alert_fires_for_its_trouble_alone_and_resolves() {
    if !has("prometheus") {
        return;
    }
    let dht = Dht::start(DHT_NODES);
    let prometheus = Prometheus::start_faster(FACTOR);
    thread::scope(|scope| {
        for (job, trouble) in BREAKS {
            let broken = Broken {
                job,
                dht: &dht,
                prometheus: &prometheus,
            };
            scope.spawn(move || trouble(&broken));
        }
    });
}
