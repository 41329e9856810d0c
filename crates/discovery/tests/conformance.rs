//! The clauses of the contract, on the implementation `mainline`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use kukuri_conformance::{EventLog, MemoryIdentity};
use kukuri_contract::{DiscoveryDeps, Factory, Outlet, WallClock};
use kukuri_discovery::{Config, Mainline, Sources};

#[actix::test]
async fn clauses_of_every_service() {
    all_clauses(false).await;
}

#[actix::test]
async fn clauses_of_every_service_with_topics_kept_apart() {
    all_clauses(true).await;
}

async fn all_clauses(separate_topics: bool) {
    let (endpoint, identity) = MemoryIdentity::spawn(1);
    let (_log, listener) = EventLog::new();
    let config = Config {
        sources: Sources {
            rendezvous: false,
            board: false,
            ..Sources::default()
        },
        separate_topics,
        ..Config::default()
    };
    let deps = DiscoveryDeps {
        endpoint,
        identity,
        events: Outlet::new([listener]),
        clock: WallClock::system(),
        contacts: Vec::new(),
    };
    let running = Mainline::spawn(config, deps).await.unwrap();
    running.port.probe().await.unwrap();
    running.port.stop().await.unwrap();
}
