//! The clauses of the contract, on the implementation `iroh` and real endpoints on loopback, and on a network
//! in memory.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use iroh::SecretKey;
use kukuri_conformance::{Gossip, Made, conforms};
use kukuri_contract::{EndpointId, EndpointKey, Factory, GossipDeps, GossipMaker, Lease, Outlet};
use kukuri_gossip::{
    Config, IrohGossip, MemoryConfig, MemoryGossip, MemoryNetwork, NetworkConfig, NetworkSetup,
};

fn config() -> Config {
    Config {
        bind: (Ipv4Addr::LOCALHOST, 0).into(),
        ..Config::default()
    }
}

#[actix::test]
async fn the_clauses_of_the_contract() {
    let maker = GossipMaker::of::<IrohGossip>(config());
    conforms::<Gossip>(&Made::by(maker)).await;
}

#[actix::test]
async fn its_port_is_free_after_its_end() {
    let deps = GossipDeps {
        endpoint: EndpointId::from_bytes(*SecretKey::from_bytes(&[1; 32]).public().as_bytes()),
        key: EndpointKey::new([1; 32]),
        events: Outlet::new([]),
        lease: Lease::endless(),
    };
    let running = IrohGossip::spawn(config(), deps).await.unwrap();
    running.port.stop().await.unwrap();
    // Once the actor is gone.
    let free = async {
        while UdpSocket::bind(running.addresses.bound[0]).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), free)
        .await
        .unwrap();
}

/// With loss, so that what takes its time comes late now and then.
#[actix::test]
async fn the_clauses_in_memory() {
    let lossy = NetworkConfig {
        loss_percent: 10,
        ..NetworkConfig::default()
    };
    let setup = NetworkSetup {
        config: MemoryConfig::default(),
        network: MemoryNetwork::new(lossy).unwrap(),
    };
    let maker = GossipMaker::of::<MemoryGossip>(setup);
    conforms::<Gossip>(&Made::by(maker)).await;
}
