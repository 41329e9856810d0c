//! The clauses of the contract, on the implementation `mainline`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_conformance::{EventLog, MemoryIdentity, probe, shutdown};
use kukuri_contract::{DiscoveryDeps, DiscoveryRunning, Factory, Outlet, WallClock};
use kukuri_discovery::{
    Config, DirectorySetup, LanConfig, LocalNetwork, Mainline, SharedDirectory, Sources,
    StaticConfig, StaticPeers,
};

#[actix::test]
async fn clauses_of_every_service() {
    all_clauses(false).await;
}

#[actix::test]
async fn clauses_of_every_service_with_topics_kept_apart() {
    all_clauses(true).await;
}

#[actix::test]
async fn clauses_of_every_service_without_a_dht() {
    try_out::<StaticPeers>(StaticConfig::default()).await;
    try_out::<SharedDirectory>(DirectorySetup::default()).await;
    let hello_bind = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    try_out::<LocalNetwork>(LanConfig {
        hello_bind,
        ..LanConfig::default()
    })
    .await;
}

async fn all_clauses(separate_topics: bool) {
    let config = Config {
        sources: Sources {
            rendezvous: false,
            board: false,
            ..Sources::default()
        },
        separate_topics,
        ..Config::default()
    };
    try_out::<Mainline>(config).await;
}

async fn try_out<F>(config: F::Config)
where
    F: Factory<Deps = DiscoveryDeps, Running = DiscoveryRunning>,
{
    let (endpoint, identity) = MemoryIdentity::spawn(1);
    let (_log, listener) = EventLog::new();
    let deps = DiscoveryDeps {
        endpoint,
        identity,
        events: Outlet::new([listener]),
        clock: WallClock::system(),
        contacts: Vec::new(),
    };
    let running = F::spawn(config, deps).await.unwrap();
    probe(&running.port).await;
    shutdown(&running.port).await;
}
