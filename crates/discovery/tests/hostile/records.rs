//! What a member with bad intent can say: it has the secret, so its hellos open.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use kukuri_contract::{EpochKeys, HelloDrop, UnixMillis};
use kukuri_discovery::LocalDht;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::hellos::reply;
use crate::krpc::Client;
use crate::support::Node;
use crate::tools::{Clock, Insider, SECRET, Tally, at_large, member};

const MINUTE: u64 = 60_000;

/// An insider that is announced, and answers hellos with what it likes.
struct Mouth {
    socket: UdpSocket,
    keys: EpochKeys,
}

impl Mouth {
    /// At a host of its own, number n of the attackers'.
    async fn open(n: u8, insider: &Insider, dht: &LocalDht, clock: Clock) -> Self {
        let ip = Ipv4Addr::new(11, 220, n, 1);
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let keys = insider.keys(clock.epoch()).await;
        let mut client = Client::at(ip);
        let tokens = client.crawl(dht.bootstrap(), keys.infohash);
        let port = socket.local_addr().unwrap().port();
        assert!(client.announce(&tokens, keys.infohash, port, [n; 20]) > 0);
        Self { socket, keys }
    }

    /// Answers every hello so, until the test ends.
    fn says(self, time: UnixMillis, record: Vec<u8>, members: Vec<Vec<u8>>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = self.socket.recv_from(&mut buffer).await {
                let members = members.clone();
                let packet = reply(&buffer[..len], &self.keys, time, &record, members);
                if let Some(packet) = packet {
                    self.socket.send_to(&packet, from).await.unwrap();
                }
            }
        })
    }
}

fn at(n: u8) -> SocketAddr {
    SocketAddrV4::new(Ipv4Addr::new(11, 220, n, 1), 30_000).into()
}

async fn node(dht: &LocalDht, clock: Clock) -> (Node, Tally) {
    let node = member(1, &[dht.bootstrap()], clock).await;
    (node, Tally::default())
}

/// Records that are stale, from the future, of another topic, forged, or at addresses that nobody
/// may be sent to, handed on in the reply of a member.
#[actix::test]
async fn bad_records_handed_on() {
    if !at_large("records::bad_records_handed_on", &[]) {
        return;
    }
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(10, 0).unwrap();
    let (now, ago) = (clock.now(), |m: u64| UnixMillis(clock.now().0 - m * MINUTE));
    let liar = Insider::new(90, SECRET).await;
    let others: Vec<_> = {
        let mut others = Vec::new();
        for n in 91..=98 {
            others.push(Insider::new(n, SECRET).await);
        }
        others
    };
    let stale = others[0].record(&[at(1)], ago(16)).await;
    let future = others[1]
        .record(&[at(2)], UnixMillis(now.0 + 17 * MINUTE))
        .await;
    let mut forged = others[2].record(&[at(3)], now).await;
    forged[70] ^= 1;
    let elsewhere = Insider::new(94, SECRET + 1)
        .await
        .record(&[at(4)], now)
        .await;
    let low: SocketAddr = ([11, 66, 6, 6], 53).into();
    let low = others[4].record(&[low], now).await;
    let private: SocketAddr = ([192, 168, 1, 1], 30_000).into();
    let private = others[5]
        .record(&[private, ([127, 0, 0, 1], 30_000).into()], now)
        .await;
    let old = others[6].record(&[at(7)], ago(14)).await;
    let good = others[7].record(&[at(8)], now).await;
    let mut garbage = good.clone();
    garbage[57] = 9;

    let own = liar.record(&[at(9)], now).await;
    let first = Mouth::open(1, &liar, &dht, clock).await;
    first.says(
        now,
        own.clone(),
        vec![stale, future, forged, elsewhere, garbage],
    );
    let second = Mouth::open(2, &liar, &dht, clock).await;
    second.says(now, own, vec![low, private, old, good]);

    let (mut node, mut tally) = node(&dht, clock).await;
    let wanted = [
        (HelloDrop::StaleRecord, 2),
        (HelloDrop::BadSignature, 2),
        (HelloDrop::Malformed, 1),
        (HelloDrop::RefusedAddress, 2),
    ];
    let so = |t: &Tally| {
        wanted
            .iter()
            .all(|(reason, count)| t.dropped(*reason) >= *count)
            && t.found.len() >= 3
    };
    tally.until(&mut node, "all records", so).await;
    println!(
        "tried: 9 records handed on by a member: 16 min old, 17 min ahead, forged, of another topic, \
         malformed, at a low port, at private addresses, 14 min old, good\n\
         got through: {} peers told (the member itself, 14 min old, good); dropped {:?}",
        tally.found.len(),
        tally.drops
    );
    let told: Vec<_> = tally.found.keys().copied().collect();
    let mut expected = vec![liar.id, others[6].id, others[7].id];
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!(tally.found[&others[7].id].0.direct, [at(8)]);
}

/// A member whose own record is 16 min old, one whose clock is 16 min behind, and one that shows
/// the record of another endpoint.
#[actix::test]
async fn stale_members() {
    if !at_large("records::stale_members", &[]) {
        return;
    }
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(10, 0).unwrap();
    let (now, then) = (clock.now(), UnixMillis(clock.now().0 - 16 * MINUTE));
    let old = Insider::new(91, SECRET).await;
    let record = old.record(&[at(1)], then).await;
    Mouth::open(1, &old, &dht, clock)
        .await
        .says(now, record, Vec::new());
    let slow = Insider::new(92, SECRET).await;
    let record = slow.record(&[at(2)], now).await;
    Mouth::open(2, &slow, &dht, clock)
        .await
        .says(then, record, Vec::new());
    // Its record is true; who shows it does not matter, for the transport proves who is dialed.
    let shown = Insider::new(93, SECRET).await;
    let record = shown.record(&[at(3)], now).await;
    Mouth::open(3, &old, &dht, clock)
        .await
        .says(now, record, Vec::new());

    let (mut node, mut tally) = node(&dht, clock).await;
    let so = |t: &Tally| {
        let both = [HelloDrop::StaleRecord, HelloDrop::Stale];
        both.iter().all(|reason| t.dropped(*reason) >= 1) && !t.found.is_empty()
    };
    tally.until(&mut node, "all three", so).await;
    println!(
        "tried: replies with a record 16 min old, with a clock 16 min behind, and with the record of \
         another member\n\
         got through: {} peer told, the one of the shown record at its own address; dropped {:?}",
        tally.found.len(),
        tally.drops
    );
    assert_eq!(tally.found.keys().copied().collect::<Vec<_>>(), [shown.id]);
    assert_eq!(tally.found[&shown.id].0.direct, [at(3)]);
}
