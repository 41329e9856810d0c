//! Two and more discovery services on a real Mainline DHT of their own, on loopback.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::net::UdpSocket;

use kukuri_conformance::{EventLog, MemoryIdentity};
use kukuri_contract::{
    Announce, DiscoveryDeps, DiscoveryEvent, Factory, Forget, HelloDrop, Lookup, LookupError,
    Outlet, Source, Verdict, WallClock,
};
use kukuri_discovery::{Config, DiscoveryError, LocalDht, Mainline};
use support::{LOOPBACK, Node, Start, address_of, config};

async fn node(n: u64, dht: &LocalDht, secret: Option<u8>, tweak: impl FnOnce(&mut Config)) -> Node {
    let mut start = Start::new(config(&[dht.bootstrap()]));
    tweak(&mut start.config);
    start.secret = secret;
    start.node(n).await
}

#[actix::test]
async fn nodes_that_start_together_find_each_other() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut nodes = Vec::new();
    for n in 1..=4 {
        nodes.push(node(n, &dht, Some(7), |_| {}).await);
    }
    for node in &nodes {
        node.discover().await;
    }
    let ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
    for node in &mut nodes {
        let mut missing: Vec<_> = ids.iter().copied().filter(|id| *id != node.id).collect();
        let found_all = |event| {
            if let DiscoveryEvent::PeerFound { peer, .. } = event {
                missing.retain(|id| *id != peer.id);
            }
            missing.is_empty().then_some(())
        };
        node.log.wait_for("all other nodes", found_all).await;
    }
}

#[actix::test]
async fn a_late_joiner_finds_and_is_found() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut early = node(1, &dht, None, |_| {}).await;
    early.discover().await;
    let announced = early.port.announce(Announce { topic: early.topic }).await;
    println!("announced: {:?}", announced.unwrap().took);
    let mut late = node(2, &dht, None, |_| {}).await;
    late.discover().await;
    let (address, source) = late.finds(early.id).await;
    assert_eq!(source, Source::Rendezvous);
    assert_eq!(address, address_of(1, early.id));
    let (address, source) = early.finds(late.id).await;
    assert_eq!(source, Source::Inbound);
    assert_eq!(address, address_of(2, late.id));
    let stats = late
        .port
        .lookup(Lookup { topic: late.topic })
        .await
        .unwrap();
    assert!(stats.entries >= 1 && stats.answers >= 1, "{stats:?}");
}

#[actix::test]
async fn a_secret_keeps_others_away() {
    let dht = LocalDht::start(10, 0).unwrap();
    let quick = |config: &mut Config| config.first_contact_ms = 2_000;
    let mut public = node(1, &dht, None, quick).await;
    let mut secret = node(2, &dht, Some(7), quick).await;
    assert_ne!(public.topic, secret.topic);
    public.discover().await;
    secret.discover().await;
    assert_eq!(public.verdict().await, Verdict::Alone);
    assert_eq!(secret.verdict().await, Verdict::Alone);
    // Noise at the hello port is counted and not answered.
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    let mut noise = vec![0; 1200];
    noise[0] = 1;
    socket.send_to(&noise, secret.hello).unwrap();
    secret.drops(HelloDrop::UnknownTag).await;
    socket.send_to(&noise[..500], secret.hello).unwrap();
    secret.drops(HelloDrop::Length).await;
    socket.set_nonblocking(true).unwrap();
    assert!(
        socket.recv(&mut noise).is_err(),
        "silence to whoever lacks the key"
    );
    let found = |e: &DiscoveryEvent| matches!(e, DiscoveryEvent::PeerFound { .. });
    assert!(!public.log.drain().iter().any(found));
    assert!(!secret.log.drain().iter().any(found));
}

#[actix::test]
async fn unknown_topics_and_taken_ports_are_typed_errors() {
    let dht = LocalDht::start(2, 0).unwrap();
    let node = node(1, &dht, None, |_| {}).await;
    let topic = node.topic;
    let unknown = node.port.lookup(Lookup { topic }).await.unwrap_err();
    assert_eq!(
        unknown.to_string(),
        LookupError::UnknownTopic(topic).to_string()
    );
    node.port.announce(Announce { topic }).await.unwrap_err();
    node.port.forget(Forget { topic }).await.unwrap();

    let (endpoint, identity) = MemoryIdentity::spawn(9);
    let (_log, listener) = EventLog::new();
    let config = Config {
        hello_bind: node.hello,
        dht_bind: LOOPBACK,
        ..Config::default()
    };
    let deps = DiscoveryDeps {
        endpoint,
        identity,
        events: Outlet::new([listener]),
        clock: WallClock::system(),
        contacts: Vec::new(),
    };
    let taken = Mainline::spawn(config, deps).await.unwrap_err();
    assert!(matches!(taken, DiscoveryError::HelloBind { .. }), "{taken}");
    let bad = Config {
        bootstrap: vec!["no port".into()],
        ..Config::default()
    };
    let error = Mainline::check(&bad).unwrap_err().to_string();
    assert!(error.contains("HOST:PORT"), "{error}");
}
