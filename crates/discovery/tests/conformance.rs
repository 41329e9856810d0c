//! The clauses of the contract, on the implementation `mainline` and a DHT on loopback, and on those without one.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_conformance::{Capability, Discovery, Made, conforms};
use kukuri_contract::DiscoveryMaker;
use kukuri_discovery::{
    Config, DirectorySetup, LocalDht, Mainline, SharedDirectory, Sources, StaticConfig, StaticPeers,
};

const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

fn config(dht: &LocalDht) -> Config {
    Config {
        bootstrap: vec![dht.bootstrap().to_string()],
        dht_bind: LOOPBACK,
        hello_bind: LOOPBACK,
        ..Config::default()
    }
}

async fn all_clauses(config: Config) {
    conforms::<Discovery>(&Made::by(DiscoveryMaker::of::<Mainline>(config))).await;
}

#[actix::test]
async fn the_clauses_of_the_contract() {
    all_clauses(config(&LocalDht::start(10, 0).unwrap())).await;
}

#[actix::test]
async fn the_clauses_with_topics_kept_apart() {
    all_clauses(Config {
        separate_topics: true,
        // Each has a DHT node of its own, of which there are many at the bound.
        max_topics: 4,
        ..config(&LocalDht::start(10, 0).unwrap())
    })
    .await;
}

#[actix::test]
async fn the_clauses_without_a_dht() {
    let config = Config {
        dht_bind: LOOPBACK,
        hello_bind: LOOPBACK,
        sources: Sources {
            rendezvous: false,
            board: false,
            ..Sources::default()
        },
        ..Config::default()
    };
    let maker = DiscoveryMaker::of::<Mainline>(config);
    let lonely = Made::by(maker).without(Capability::Finds);
    let lonely = lonely.without(Capability::Announces);
    conforms::<Discovery>(&lonely).await;
}

/// One shared directory, as all nodes of a process have it. Who is in it is there for all at once, as on a local
/// network: there is nothing to announce again.
#[actix::test]
async fn the_clauses_in_memory() {
    let maker = DiscoveryMaker::of::<SharedDirectory>(DirectorySetup::default());
    let directory = Made::by(maker).without(Capability::Announces);
    conforms::<Discovery>(&directory).await;
}

#[actix::test]
async fn the_clauses_with_static_peers() {
    let maker = DiscoveryMaker::of::<StaticPeers>(StaticConfig::default());
    let named_only = Made::by(maker).without(Capability::Finds);
    let named_only = named_only.without(Capability::Announces);
    conforms::<Discovery>(&named_only).await;
}
