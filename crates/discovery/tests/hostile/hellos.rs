//! What comes in at the hello socket: garbage, floods, replays, and packets that are passed on.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{Epoch, EpochKeys, HelloDrop, UnixMillis};
use kukuri_discovery::LocalDht;
use kukuri_discovery::core::hello::{HelloReply, HelloRequest, PACKET_BYTES};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::krpc::Client;
use crate::support::{LOOPBACK, Node, Start, config};
use crate::tools::{Clock, Insider, Random, SECRET, Tally};

async fn socket(ip: [u8; 4]) -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::from(ip), 0)).await.unwrap()
}

/// Pause before a hello that brought nothing is repeated.
const A_WHILE: Duration = Duration::from_millis(200);

fn address(socket: &UdpSocket) -> SocketAddrV4 {
    match socket.local_addr().unwrap() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => panic!("an IPv4 socket"),
    }
}

/// Packets that have come to a socket. What was sent to it before is there: this is loopback.
async fn received(socket: &UdpSocket) -> usize {
    let mut count = 0;
    // A packet that is there is read at once, whatever the time.
    while timeout(A_WHILE, socket.recv(&mut [0; 2048])).await.is_ok() {
        count += 1;
    }
    count
}

/// A member on loopback without a DHT, at this hello port (0: any), whose clock is off by so much.
async fn alone(n: u64, port: u16, clock: Clock, off: i64) -> (Node, Tally) {
    let mut settings = config(&[SocketAddrV4::new(*LOOPBACK.ip(), 9)]);
    settings.hello_bind.set_port(port);
    let mut start = Start::new(settings);
    start.secret = Some(SECRET);
    start.clock = clock.off_by(off);
    let node = start.node(n).await;
    node.discover().await;
    (node, Tally::default())
}

/// A hello to `to` by a member that the test plays.
async fn hello(insider: &Insider, to: SocketAddrV4, now: UnixMillis, nonce: [u8; 24]) -> Vec<u8> {
    let keys = insider.keys(Epoch::at(now)).await;
    let request = HelloRequest {
        id: [5; 16],
        time: now,
        recipient: to,
        record: insider
            .record(&[([127, 0, 0, 1], 20_099).into()], now)
            .await,
        dial_back: None,
    };
    request.seal(&keys, nonce)
}

/// Sends and waits for the answer.
async fn answered(node: &mut Node, tally: &mut Tally, from: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    let served = tally.served;
    from.send_to(packet, node.hello).await.unwrap();
    tally
        .until(node, "an answered hello", |t| t.served > served)
        .await;
    let mut buffer = [0; 2048];
    let len = from.recv(&mut buffer).await.unwrap();
    buffer[..len].to_vec()
}

/// Sends and waits until it was dropped, for this reason.
async fn refused(
    node: &mut Node,
    tally: &mut Tally,
    from: &UdpSocket,
    packet: &[u8],
    reason: HelloDrop,
) {
    tally.catch_up(node);
    let before = tally.dropped(reason);
    from.send_to(packet, node.hello).await.unwrap();
    let so = |t: &Tally| t.dropped(reason) > before;
    tally.until(node, reason.as_str(), so).await;
}

/// Waits until the member can answer: its keys and its record are there.
async fn ready(node: &mut Node, tally: &mut Tally, insider: &Insider, clock: Clock) {
    let asker = socket([127, 0, 0, 3]).await;
    for n in 100..200 {
        let packet = hello(insider, node.hello, clock.now(), [n; 24]).await;
        asker.send_to(&packet, node.hello).await.unwrap();
        if timeout(A_WHILE, asker.recv(&mut [0; 2048])).await.is_ok() {
            tally.until(node, "an answer", |t| t.served > 0).await;
            *tally = Tally::default();
            return;
        }
    }
    panic!("never ready");
}

fn noise(random: &mut Random, len: usize, start: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; len];
    random.fill(&mut packet);
    packet[..start.len().min(len)].copy_from_slice(&start[..start.len().min(len)]);
    packet
}

/// Garbage of all kinds, then a flood of it: counted, not answered, and members are still heard.
#[actix::test]
async fn garbage() {
    let clock = Clock::seconds_into_epoch(60);
    let insider = Insider::new(99, SECRET).await;
    let (mut node, mut tally) = alone(1, 0, clock, 0).await;
    ready(&mut node, &mut tally, &insider, clock).await;
    let attacker = socket([127, 0, 0, 2]).await;
    let mut random = Random(4);
    let mut broken = hello(&insider, node.hello, clock.now(), [1; 24]).await;
    broken[PACKET_BYTES - 1] ^= 1;
    let mut sent = 0;
    for (packet, reason, times) in [
        (noise(&mut random, 0, &[]), HelloDrop::Length, 4),
        (
            noise(&mut random, PACKET_BYTES - 1, &[1, 0]),
            HelloDrop::Length,
            4,
        ),
        (
            noise(&mut random, PACKET_BYTES + 1, &[1, 0]),
            HelloDrop::Length,
            4,
        ),
        (
            noise(&mut random, PACKET_BYTES, &[9]),
            HelloDrop::Version,
            8,
        ),
        (
            noise(&mut random, PACKET_BYTES, &[1, 7]),
            HelloDrop::Malformed,
            8,
        ),
        (
            noise(&mut random, PACKET_BYTES, &[1, 0]),
            HelloDrop::UnknownTag,
            8,
        ),
        (
            noise(&mut random, PACKET_BYTES, &[1, 1]),
            HelloDrop::Unasked,
            8,
        ),
        (broken, HelloDrop::Seal, 4),
    ] {
        for _ in 0..times {
            refused(&mut node, &mut tally, &attacker, &packet, reason).await;
            sent += 1;
        }
    }
    let dropped: usize = tally.drops.values().sum();
    assert_eq!(dropped, sent);
    println!(
        "tried: {sent} packets of garbage of 8 kinds\ngot through: none; {:?}",
        tally.drops
    );

    // The flood comes in portions that fit the socket's buffer, so that all of it is counted.
    const PORTION: usize = 32;
    const FLOOD: usize = 220 * PORTION;
    let packet = noise(&mut random, PACKET_BYTES, &[1, 0]);
    for n in 1..=FLOOD {
        attacker.send_to(&packet, node.hello).await.unwrap();
        if n % PORTION == 0 {
            let so = |t: &Tally| t.drops.values().sum::<usize>() >= sent + n;
            tally.until(&mut node, "a portion", so).await;
        }
    }
    let member = socket([127, 0, 0, 3]).await;
    let packet = hello(&insider, node.hello, clock.now(), [2; 24]).await;
    let reply = answered(&mut node, &mut tally, &member, &packet).await;
    let packet = hello(&insider, node.hello, clock.now(), [3; 24]).await;
    refused(
        &mut node,
        &mut tally,
        &attacker,
        &packet,
        HelloDrop::RateLimited,
    )
    .await;
    println!(
        "tried: {FLOOD} packets of noise from one IP address\n\
         got through: none, {} not even looked at; a member elsewhere was answered ({} bytes), one \
         at the flood's address was not; {} packets to the attacker",
        tally.dropped(HelloDrop::RateLimited),
        reply.len(),
        received(&attacker).await,
    );
    assert!(tally.dropped(HelloDrop::RateLimited) > FLOOD - 6000 - 64);
    assert!(
        tally.dropped(HelloDrop::UnknownTag) >= 6000,
        "up to there all is looked at"
    );
    assert_eq!((tally.served, received(&attacker).await), (1, 0));
}

/// A request that somebody has recorded, sent again: to the same member, to another one, after a
/// restart, and too late.
#[actix::test]
async fn replayed_requests() {
    let clock = Clock::seconds_into_epoch(60);
    let insider = Insider::new(99, SECRET).await;
    let (mut node, mut tally) = alone(1, 0, clock, 0).await;
    let (mut other, mut of_other) = alone(2, 0, clock, 0).await;
    ready(&mut node, &mut tally, &insider, clock).await;
    ready(&mut other, &mut of_other, &insider, clock).await;
    let (member, replayer) = (socket([127, 0, 0, 3]).await, socket([127, 0, 0, 9]).await);
    let request = hello(&insider, node.hello, clock.now(), [1; 24]).await;
    let reply = answered(&mut node, &mut tally, &member, &request).await;
    assert_eq!(reply.len(), request.len());

    refused(&mut node, &mut tally, &member, &request, HelloDrop::Replay).await;
    refused(
        &mut node,
        &mut tally,
        &replayer,
        &request,
        HelloDrop::Replay,
    )
    .await;
    refused(
        &mut other,
        &mut of_other,
        &replayer,
        &request,
        HelloDrop::WrongRecipient,
    )
    .await;
    refused(&mut node, &mut tally, &replayer, &reply, HelloDrop::Unasked).await;
    assert_eq!(received(&replayer).await, 0);

    // The replay cache is in memory. The same port again, and a fresh process.
    let port = node.hello.port();
    node.port.stop().await.unwrap();
    node.port.gone().await;
    drop(node);
    let (mut node, mut tally) = again(1, port, clock, 0).await;
    ready(&mut node, &mut tally, &insider, clock).await;
    let once = answered(&mut node, &mut tally, &replayer, &request).await;
    refused(
        &mut node,
        &mut tally,
        &replayer,
        &request,
        HelloDrop::Replay,
    )
    .await;
    let after_restart = tally.served;

    // Sixteen minutes later, after another restart.
    node.port.stop().await.unwrap();
    node.port.gone().await;
    drop(node);
    let (mut node, mut tally) = again(1, port, clock, 16 * 60).await;
    stale_when_ready(&mut node, &mut tally, &replayer, &request).await;
    println!(
        "tried: a recorded request again to the same member (from two addresses), to another one, \
         after a restart (until it was answered, and once more), and 16 min later; a recorded reply\n\
         got through: {after_restart} after the restart, {} bytes to whoever sent it; nothing else",
        once.len()
    );
    assert_eq!(
        (after_restart, once.len(), received(&replayer).await),
        (1, PACKET_BYTES, 0)
    );
    assert_eq!(tally.served, 0);
}

/// The port is free again a moment after the actor is gone.
async fn again(n: u64, port: u16, clock: Clock, off: i64) -> (Node, Tally) {
    loop {
        if UdpSocket::bind((*LOOPBACK.ip(), port)).await.is_ok() {
            return alone(n, port, clock, off).await;
        }
        tokio::task::yield_now().await;
    }
}

/// A fresh member without its keys knows no tag yet.
async fn stale_when_ready(node: &mut Node, tally: &mut Tally, from: &UdpSocket, packet: &[u8]) {
    while tally.dropped(HelloDrop::Stale) == 0 {
        let before = tally.drops.values().sum::<usize>();
        from.send_to(packet, node.hello).await.unwrap();
        let so = |t: &Tally| t.drops.values().sum::<usize>() > before;
        tally.until(node, "a drop", so).await;
    }
}

/// An outsider announces its own socket, gets hellos of members, and passes them on.
#[actix::test]
async fn hellos_that_are_passed_on() {
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(10, 0).unwrap();
    let insider = Insider::new(99, SECRET).await;
    let (middle, bootstrap) = (socket([127, 0, 0, 4]).await, dht.bootstrap());
    let target = insider.infohash(clock.epoch()).await;
    let mut client = Client::at(Ipv4Addr::new(127, 0, 0, 4));
    let tokens = client.crawl(bootstrap, target);
    let port = address(&middle).port();
    assert!(client.announce(&tokens, target, port, [3; 20]) > 0);

    let mut members = Vec::new();
    for n in 1..=2 {
        let mut start = Start::new(config(&[bootstrap]));
        start.secret = Some(SECRET);
        start.clock = clock.off_by(0);
        let node = start.node(n).await;
        node.discover().await;
        members.push((node, Tally::default()));
    }
    let mut passed_on = 0;
    let mut buffer = [0; 2048];
    let mut refused = 0;
    while passed_on < 6 || refused < 2 * passed_on {
        if passed_on < 6
            && let Ok(Ok(len)) = timeout(A_WHILE, middle.recv(&mut buffer)).await
        {
            assert_eq!(len, PACKET_BYTES);
            passed_on += 1;
            for (member, _) in &members {
                middle.send_to(&buffer[..len], member.hello).await.unwrap();
            }
        }
        tokio::task::yield_now().await;
        for (member, tally) in &mut members {
            tally.catch_up(member);
        }
        let wrong = |t: &Tally| t.dropped(HelloDrop::WrongRecipient);
        refused = members.iter().map(|(_, tally)| wrong(tally)).sum();
    }
    let mut replies = 0;
    while let Ok(Ok(len)) = timeout(A_WHILE, middle.recv(&mut buffer)).await {
        // Tries of its own members' hellos may still come in; a reply has another kind.
        replies += usize::from(len == PACKET_BYTES && buffer[1] == 1);
    }
    println!(
        "tried: an outsider's socket as an entry passes {passed_on} hellos on to both members\n\
         got through: none, {refused} refused as wrong_recipient, {replies} replies"
    );
    assert_eq!(replies, 0);
}

/// The reply to a hello, by a member that the test plays.
pub fn reply(
    packet: &[u8],
    keys: &EpochKeys,
    now: UnixMillis,
    record: &[u8],
    members: Vec<Vec<u8>>,
) -> Option<Vec<u8>> {
    let request = HelloRequest::open(packet, keys).ok()?;
    let reply = HelloReply {
        id: request.id,
        time: now,
        observed: request.recipient,
        record: record.to_vec(),
        members,
        dialed_back: false,
    };
    Some(reply.seal(keys, [packet[2]; 24]))
}
