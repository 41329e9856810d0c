//! Whether the hello port can be reached, on real sockets of the loopback network.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{
    Announce, DhtHealthQuery, DiscoveryEvent, HelloDrop, InfoHash, Reachability,
};
use kukuri_discovery::core::dialback::DialBack;
use kukuri_discovery::core::hello::{HelloReply, HelloRequest, Kind, PACKET_BYTES, kind};
use kukuri_discovery::core::reach::BACKS_PER_IP;
use kukuri_discovery::{Config, LocalDht, Sources};
use support::hello::ByHand;
use support::{LOOPBACK, Node, Start, config};
use tokio::net::UdpSocket;
use tokio::time::timeout;

async fn socket() -> (UdpSocket, SocketAddrV4) {
    let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
    let SocketAddr::V4(address) = socket.local_addr().unwrap() else {
        panic!("an IPv4 socket");
    };
    (socket, address)
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let received = timeout(Duration::from_secs(60), socket.recv_from(&mut buffer)).await;
    let (len, from) = received.expect("a packet in time").unwrap();
    (buffer[..len].to_vec(), from)
}

/// Puts a port of this machine under an infohash.
async fn announce(dht: &LocalDht, infohash: InfoHash, port: u16) {
    let id = mainline::Id::from_bytes(infohash.as_bytes()).unwrap();
    let client = mainline::Dht::builder()
        .bootstrap(&[dht.bootstrap()])
        .bind_address(*LOOPBACK.ip())
        .build();
    let client = client.unwrap().as_async();
    client.announce_peer(id, Some(port)).await.unwrap();
}

async fn with_dht(n: u64, dht: &LocalDht) -> Node {
    Start::new(config(&[dht.bootstrap()])).node(n).await
}

/// Nobody to be found: only who is told where it is can talk to it.
async fn hermit() -> Node {
    let sources = Sources {
        rendezvous: false,
        ..Sources::default()
    };
    let node = Start::new(Config {
        sources,
        ..config(&[])
    });
    let node = node.node(1).await;
    node.discover().await;
    node
}

/// The one that is found has its port proven by the hello that it did not ask for, the one that
/// finds by the dial-back that it asked for.
#[actix::test]
async fn both_sides_of_a_hello_learn_that_their_ports_are_open() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut found = with_dht(1, &dht).await;
    found.discover().await;
    let topic = found.topic;
    found.port.announce(Announce { topic }).await.unwrap();
    let mut finder = with_dht(2, &dht).await;
    finder.discover().await;
    found.reachability(Reachability::Proven).await;
    finder.reachability(Reachability::Proven).await;
    for node in [&found, &finder] {
        let health = node.port.health(DhtHealthQuery).await.unwrap();
        assert_eq!(health.reachability, Reachability::Proven);
        assert_eq!(health.mapped_address, None);
    }
}

#[actix::test]
async fn a_dial_back_comes_from_another_socket() {
    let node = hermit().await;
    let member = ByHand::new(2, None).await;
    let ((asker, at), (port, port_at)) = (socket().await, socket().await);
    let dial_back = Some(port_at.port());
    let request = member.request([7; 16], node.hello, at.into(), dial_back);
    asker.send_to(&request.await, node.hello).await.unwrap();
    let (reply, from) = receive(&asker).await;
    assert_eq!(from, node.hello.into());
    let keys = member.keys().await;
    let reply = HelloReply::open(&reply, &keys).unwrap();
    assert!(reply.dialed_back);
    assert_eq!(reply.observed, at);
    let (back, from) = receive(&port).await;
    assert_ne!(from, node.hello.into());
    assert_eq!(
        (back.len(), kind(&back)),
        (PACKET_BYTES, Ok(Kind::DialBack))
    );
    let back = DialBack::open(&back, &keys).unwrap();
    assert_eq!((back.id, back.to), ([7; 16], port_at));
}

/// The node asks a member that is a socket of this test, which then tries everything.
#[actix::test]
async fn only_the_asked_member_can_prove_it_and_only_once() {
    let dht = LocalDht::start(10, 0).unwrap();
    let mut node = with_dht(1, &dht).await;
    let member = ByHand::new(2, None).await;
    let ((asked, at), (other, _)) = (socket().await, socket().await);
    // It says no hello itself: that would prove the port.
    announce(&dht, member.keys().await.infohash, at.port()).await;
    node.discover().await;
    let (request, from) = receive(&asked).await;
    assert_eq!(from, node.hello.into());
    let keys = member.keys().await;
    let request = HelloRequest::open(&request, &keys).unwrap();
    assert_eq!(request.dial_back, Some(node.hello.port()));
    let back = DialBack {
        id: request.id,
        time: request.time,
        to: node.hello,
    };
    let hello = node.hello;
    let say = |from: &UdpSocket, packet: &[u8]| from.try_send_to(packet, hello.into()).unwrap();
    let mut garbage = [0x5a; PACKET_BYTES];
    garbage[..2].copy_from_slice(&[1, 2]);
    let mut foreign = keys.clone();
    foreign.hello_tag = foreign.hello_reply.clone();
    let invented = DialBack {
        id: [9; 16],
        ..back.clone()
    };
    let good = back.seal(&keys, [5; 24]);
    say(&other, &garbage);
    node.drops(HelloDrop::UnknownTag).await;
    say(&other, &back.seal(&foreign, [1; 24]));
    node.drops(HelloDrop::UnknownTag).await;
    say(&other, &invented.seal(&keys, [2; 24]));
    node.drops(HelloDrop::Unasked).await;
    say(&asked, &good);
    node.drops(HelloDrop::Unasked).await;
    let health = node.port.health(DhtHealthQuery).await.unwrap();
    assert_eq!(health.reachability, Reachability::Unknown);
    say(&other, &good);
    node.reachability(Reachability::Proven).await;
    say(&other, &good);
    node.drops(HelloDrop::Unasked).await;
}

/// Every request names another member, and all name the victim's port.
#[actix::test]
async fn a_victim_gets_one_packet_whatever_an_attacker_sends() {
    const REQUESTS: u8 = 100;
    let mut node = hermit().await;
    let ((attacker, at), (victim, victim_at)) = (socket().await, socket().await);
    let mut replies = 0;
    for n in 0..REQUESTS {
        let member = ByHand::new(100 + u64::from(n), None).await;
        let port = Some(victim_at.port());
        let request = member.request([n; 16], node.hello, at.into(), port);
        attacker.send_to(&request.await, node.hello).await.unwrap();
        let (reply, _) = receive(&attacker).await;
        let reply = HelloReply::open(&reply, &member.keys().await).unwrap();
        assert_eq!(reply.dialed_back, n == 0);
        replies += 1;
    }
    assert_eq!(replies, REQUESTS);
    // All that was sent is there by now: the last reply was sent after it.
    let victim = victim.into_std().unwrap();
    let mut buffer = [0; 2048];
    let got: Vec<usize> = std::iter::from_fn(|| victim.recv(&mut buffer).ok()).collect();
    println!("{REQUESTS} requests: the victim got packets of {got:?} bytes");
    assert_eq!(got, vec![PACKET_BYTES; BACKS_PER_IP as usize]);
    node.log
        .wait_for("a hello", |event| {
            matches!(event, DiscoveryEvent::HelloServed).then_some(())
        })
        .await;
}
