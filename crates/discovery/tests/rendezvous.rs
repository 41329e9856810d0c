//! Two and more discovery services on a real Mainline DHT of their own, on loopback.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use kukuri_conformance::{EventLog, MemoryIdentity};
use kukuri_contract::{
    AddTopic, Announce, Discover, DiscoveryEvent, DiscoveryPort, EndpointAddr, EndpointId, Factory,
    Forget, HelloDrop, Lookup, LookupError, Outlet, SetAddress, Source, TopicId, TopicSecret,
    Verdict, WallClock,
};
use kukuri_discovery::{Config, Deps, DiscoveryError, LocalDht, Mainline};

const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

struct Node {
    id: EndpointId,
    topic: TopicId,
    port: DiscoveryPort,
    hello: SocketAddrV4,
    log: EventLog<DiscoveryEvent>,
}

/// Starts discovery service number n, with an iroh endpoint that it says is at port 20000 + n.
async fn node(n: u64, dht: &LocalDht, secret: Option<u8>, tweak: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config {
        bootstrap: vec![dht.bootstrap().to_string()],
        dht_bind: LOOPBACK,
        hello_bind: LOOPBACK,
        ..Config::default()
    };
    tweak(&mut config);
    let (id, identity) = MemoryIdentity::spawn(n);
    let add = AddTopic {
        name: "test".parse().unwrap(),
        secret: secret.map(|s| TopicSecret::from_bytes([s; 32])),
    };
    let topic = identity.add_topic(add).await.unwrap();
    let (log, listener) = EventLog::new();
    let deps = Deps {
        endpoint: id,
        identity,
        events: Outlet::new([listener]),
        clock: WallClock::system(),
        contacts: Vec::new(),
    };
    let running = Mainline::spawn(config, deps).await.unwrap();
    let port = running.port;
    let address = address_of(n, id);
    port.set_address(SetAddress { address }).await.unwrap();
    Node {
        id,
        topic,
        port,
        hello: running.hello_address,
        log,
    }
}

fn address_of(n: u64, id: EndpointId) -> EndpointAddr {
    EndpointAddr {
        id,
        direct: vec![([127, 0, 0, 1], 20_000 + n as u16).into()],
        relay: None,
    }
}

impl Node {
    async fn discover(&self) {
        let topic = self.topic;
        let peers = Vec::new();
        let cached = Vec::new();
        let discover = Discover {
            topic,
            peers,
            cached,
        };
        self.port.discover(discover).await.unwrap();
    }

    async fn finds(&mut self, who: EndpointId) -> (EndpointAddr, Source) {
        let found = |event| match event {
            DiscoveryEvent::PeerFound { peer, source, .. } if peer.id == who => {
                Some((peer, source))
            }
            _ => None,
        };
        self.log.wait_for("the other node", found).await
    }

    async fn verdict(&mut self) -> Verdict {
        let said = |event| match event {
            DiscoveryEvent::VerdictChanged { verdict, .. } => Some(verdict),
            _ => None,
        };
        self.log.wait_for("a verdict", said).await
    }

    async fn drops(&mut self, wanted: HelloDrop) {
        let dropped = |event| match event {
            DiscoveryEvent::Dropped { reason } if reason == wanted => Some(()),
            _ => None,
        };
        self.log.wait_for(wanted.as_str(), dropped).await;
    }
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
async fn nobody_to_ask_has_a_verdict() {
    let dht = LocalDht::start(1, 0).unwrap();
    let mut blocked = node(1, &dht, None, |config| {
        // A socket that nobody reads.
        let silent = UdpSocket::bind(LOOPBACK).unwrap();
        config.bootstrap = vec![silent.local_addr().unwrap().to_string()];
        std::mem::forget(silent);
        config.first_contact_ms = 500;
    })
    .await;
    blocked.discover().await;
    assert_eq!(blocked.verdict().await, Verdict::DhtBlocked);
    let mut unresolved = node(2, &dht, None, |config| {
        config.bootstrap = vec!["no-such-host.invalid:6881".into()];
        config.first_contact_ms = 500;
    })
    .await;
    unresolved.discover().await;
    assert_eq!(unresolved.verdict().await, Verdict::DhtEmptyTable);
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
    let deps = Deps {
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
