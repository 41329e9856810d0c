//! The clauses of the contract, on the implementation `iroh`.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use iroh::SecretKey;
use kukuri_conformance::EventLog;
use kukuri_contract::{EndpointId, EndpointKey, Factory, GossipDeps, Lease, Outlet};
use kukuri_gossip::{Config, IrohGossip};

#[actix::test]
async fn clauses_of_every_service() {
    let (_log, listener) = EventLog::new();
    let config = Config {
        bind: (Ipv4Addr::LOCALHOST, 0).into(),
        ..Config::default()
    };
    let deps = GossipDeps {
        endpoint: EndpointId::from_bytes(*SecretKey::from_bytes(&[1; 32]).public().as_bytes()),
        key: EndpointKey::new([1; 32]),
        events: Outlet::new([listener]),
        lease: Lease::endless(),
    };
    let running = IrohGossip::spawn(config, deps).await.unwrap();
    running.port.probe().await.unwrap();
    running.port.stop().await.unwrap();
    // The port is free again, once the actor is gone.
    let free = async {
        while UdpSocket::bind(running.addresses.bound[0]).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), free)
        .await
        .unwrap();
}
