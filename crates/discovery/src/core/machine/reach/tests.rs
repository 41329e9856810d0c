//! One or two cores with public addresses, on a virtual clock.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use kukuri_contract::{
    AnnounceResult, EndpointAddr, Epoch, Signature, TopicId, UnixMillis, Verdict,
};

use super::super::super::{DhtState, Input, Me, QueryId};
use super::*;
use crate::config::Config;
use crate::core::reach::{BACK_WINDOW, BACKS, BACKS_PER_IP};
use crate::core::testing::{NOW, Seeded, TOPIC, keys, peer, sign, signed_record};

const S: Duration = Duration::from_secs(1);
/// Where the cores' hello sockets are, behind routers that keep the port.
const PORT: u16 = 4000;

fn at(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// Endpoint number n at a public address of its own.
fn public(n: u8) -> EndpointAddr {
    EndpointAddr {
        direct: vec![([8, 8, 4, n], 20_000).into()],
        ..peer(n)
    }
}

fn epoch_keys(epoch: Epoch) -> EpochKeys {
    keys((epoch.0 % 97) as u8)
}

fn now_keys() -> EpochKeys {
    epoch_keys(Epoch::at(NOW))
}

/// Endpoint number n with its core, and the time.
struct Bench {
    core: Core,
    n: u8,
    now: Duration,
    rng: Seeded,
}

impl Bench {
    fn new(n: u8, config: Config) -> Self {
        let me = Me {
            endpoint: peer(n).id,
            hello: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT),
        };
        let mut bench = Self {
            core: Core::new(config, me),
            n,
            now: Duration::ZERO,
            rng: Seeded(n.into()),
        };
        bench.feed(Input::Address(public(n)));
        bench.feed(Input::Dht(DhtState::Up { routing_table: 20 }));
        bench
    }

    /// One that is in the topic; its first look-ups are under way.
    fn joined(n: u8) -> (Self, Vec<Effect>) {
        let mut bench = Self::new(n, Config::default());
        let (peers, cached) = (vec![], vec![]);
        let effects = bench.feed(Input::Discover {
            topic: TOPIC,
            peers,
            cached,
        });
        (bench, effects)
    }

    fn unix(&self) -> UnixMillis {
        UnixMillis(NOW.0 + self.now.as_millis() as u64)
    }

    /// One step; keys and signatures are there at once.
    fn feed(&mut self, input: Input) -> Vec<Effect> {
        let now = Now {
            mono: self.now,
            unix: self.unix(),
        };
        let mut out = Vec::new();
        for effect in self.core.handle(input, now, &mut self.rng) {
            match effect {
                Effect::FetchKeys(topic, epoch) => {
                    out.extend(self.feed(Input::Keys(topic, epoch, epoch_keys(epoch))));
                }
                Effect::SignRecord { topic, epoch, body } => {
                    let signature = Signature::from_bytes(sign(self.n, topic, epoch, body.clone()));
                    let signed = Input::Signed {
                        topic,
                        body,
                        signature,
                    };
                    out.extend(self.feed(signed));
                }
                other => out.push(other),
            }
        }
        out
    }

    fn datagram(&mut self, from: SocketAddrV4, packet: Vec<u8>) -> Vec<Effect> {
        self.feed(Input::Datagram(from, packet))
    }

    /// A request of endpoint number n that asks to reach this port.
    fn request(&mut self, n: u8, dial_back: Option<u16>) -> Vec<u8> {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        let request = HelloRequest {
            id,
            time: self.unix(),
            recipient: SocketAddrV4::new([8, 8, 8, 8].into(), PORT),
            record: signed_record(n, TOPIC, &public(n), self.unix()),
            dial_back,
        };
        request.seal(&now_keys(), self.rng.nonce())
    }
}

fn sent(effects: &[Effect]) -> Vec<(SocketAddrV4, Vec<u8>)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send(to, packet) => Some((*to, packet.clone())),
        _ => None,
    });
    sent.collect()
}

fn dial_backs(effects: &[Effect]) -> Vec<(SocketAddrV4, Vec<u8>)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::DialBack(to, packet) => Some((*to, packet.clone())),
        _ => None,
    });
    sent.collect()
}

fn drops(effects: &[Effect]) -> Vec<HelloDrop> {
    let drops = effects.iter().filter_map(|effect| match effect {
        Effect::Emit(DiscoveryEvent::Dropped { reason }) => Some(*reason),
        _ => None,
    });
    drops.collect()
}

fn reachability(effects: &[Effect]) -> Option<Reachability> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Emit(DiscoveryEvent::ReachabilityChanged(now)) => Some(*now),
        _ => None,
    })
}

fn first_look_up(effects: &[Effect]) -> QueryId {
    let started = effects.iter().find_map(|effect| match effect {
        Effect::StartLookup(query, _) => Some(*query),
        _ => None,
    });
    started.unwrap()
}

const A: &str = "9.9.9.9:4000";
const B: &str = "8.8.8.8:4000";
const B_BACK: &str = "8.8.8.8:5123";

/// A asks B; what comes back: the reply and the dial-back.
fn a_asks_b() -> (Bench, Vec<u8>, Vec<u8>) {
    let ((mut a, joined), (mut b, _)) = (Bench::joined(1), Bench::joined(2));
    let query = first_look_up(&joined);
    let asked = a.feed(Input::Entries(query, vec![at(B)]));
    let (to, packet) = sent(&asked).remove(0);
    assert_eq!(to, at(B));
    let answered = b.datagram(at(A), packet);
    assert_eq!(reachability(&answered), Some(Reachability::Proven));
    assert!(b.core.reach.proven(b.now), "A was not asked for its hello");
    let (to, back) = dial_backs(&answered).remove(0);
    assert_eq!(to, at(A));
    let (to, reply) = sent(&answered).remove(0);
    assert_eq!(to, at(A));
    (a, reply, back)
}

#[test]
fn a_dial_back_proves_the_port_and_its_reply_does_not() {
    let (mut a, reply, back) = a_asks_b();
    let effects = a.datagram(at(B), reply);
    assert_eq!(drops(&effects), []);
    assert_eq!(reachability(&effects), None);
    assert_eq!(a.core.votes.hello(), Some(at(A)));
    let effects = a.datagram(at(B), back.clone());
    assert_eq!(drops(&effects), [HelloDrop::Unasked], "it was written to");
    let effects = a.datagram(at(B_BACK), back.clone());
    assert_eq!(drops(&effects), []);
    assert_eq!(reachability(&effects), Some(Reachability::Proven));
    assert!(a.core.reach.proven(a.now));
    let effects = a.datagram(at(B_BACK), back);
    assert_eq!(drops(&effects), [HelloDrop::Unasked], "used up");
    // It holds for a while.
    a.now = 31 * 60 * S;
    let effects = a.feed(Input::Tick);
    assert_eq!(reachability(&effects), Some(Reachability::Unknown));
}

#[test]
fn what_is_no_dial_back_of_an_asked_member_is_a_counted_drop() {
    let (mut a, reply, back) = a_asks_b();
    let good = DialBack::open(&back, &now_keys()).unwrap();
    let forged = |keys: &EpochKeys, change: &dyn Fn(&mut DialBack)| {
        let mut forged = good.clone();
        change(&mut forged);
        forged.seal(keys, [9; 24])
    };
    let mut garbage = [0x5a; 1200];
    garbage[..2].copy_from_slice(&[1, 2]);
    let mut turned = reply;
    turned[1] = 2;
    let mut broken = back.clone();
    broken[600] ^= 1;
    let mut to = good.to;
    to.set_port(4001);
    let long_ago = UnixMillis(NOW.0 - 16 * 60 * 1000);
    let cases = [
        (garbage.to_vec(), HelloDrop::UnknownTag),
        (turned, HelloDrop::UnknownTag),
        (broken, HelloDrop::Seal),
        (back[..1199].to_vec(), HelloDrop::Length),
        (forged(&keys(99), &|_| ()), HelloDrop::UnknownTag),
        (forged(&now_keys(), &|f| f.id = [7; 16]), HelloDrop::Unasked),
        (
            forged(&now_keys(), &|f| f.time = long_ago),
            HelloDrop::Stale,
        ),
        (
            forged(&now_keys(), &|f| f.to = to),
            HelloDrop::WrongRecipient,
        ),
    ];
    for (packet, why) in cases {
        let effects = a.datagram(at(B_BACK), packet);
        assert_eq!(drops(&effects), [why]);
        assert!(!a.core.reach.proven(a.now));
    }
    let effects = a.datagram(at("192.168.1.7:5123"), back.clone());
    assert_eq!(drops(&effects), [HelloDrop::WrongRecipient], "no outsider");
    // Nobody who has asked for nothing looks into it.
    let (mut c, _) = Bench::joined(3);
    assert_eq!(drops(&c.datagram(at(B_BACK), back)), [HelloDrop::Unasked]);
}

#[test]
fn a_port_that_two_members_do_not_reach_is_closed() {
    let (mut a, joined) = Bench::joined(1);
    let query = first_look_up(&joined);
    let mut said = None;
    for n in 2..=3 {
        let (mut member, _) = Bench::joined(n);
        let address = SocketAddrV4::new([8, 8, 8, n].into(), PORT);
        let asked = a.feed(Input::Entries(query, vec![address]));
        let answered = member.datagram(at(A), sent(&asked).remove(0).1);
        assert_eq!(dial_backs(&answered).len(), 1, "the router drops it");
        a.datagram(address, sent(&answered).remove(0).1);
        a.now += 4 * S;
        said = reachability(&a.feed(Input::Tick));
        assert_eq!(said.is_some(), n == 3);
    }
    assert_eq!(said, Some(Reachability::Unproven));
    // From somebody that was never written to: the router has been set up meanwhile.
    let hello = a.request(4, None);
    let effects = a.datagram(at("8.8.9.9:4000"), hello);
    assert_eq!(reachability(&effects), Some(Reachability::Proven));
}

#[test]
fn an_attacker_gets_few_dial_backs_sent() {
    let (mut b, _) = Bench::joined(1);
    let victim = |port| SocketAddrV4::new([9, 9, 9, 9].into(), port);
    for minute in 1..=2 {
        let (mut replies, mut backs) = (0, Vec::new());
        for n in 2..=60 {
            let flagged = b.request(n, Some(6000 + u16::from(n)));
            let effects = b.datagram(victim(5000 + u16::from(n)), flagged);
            replies += sent(&effects).len();
            backs.extend(dial_backs(&effects));
        }
        println!("minute {minute}: 59 requests, {replies} replies, {backs:?}");
        assert!(replies <= 59, "as ever: one each at most");
        assert_eq!(backs.len() as u32, BACKS_PER_IP);
        assert!(
            backs
                .iter()
                .all(|(to, packet)| to.ip() == victim(0).ip() && packet.len() == 1200)
        );
        // Whoever has many addresses to name gets no more out of it than this.
        let mut others = HashSet::new();
        for n in 2..=60 {
            let flagged = b.request(n, Some(PORT));
            let from = SocketAddrV4::new([9, 9, n, 1].into(), PORT);
            let effects = b.datagram(from, flagged);
            others.extend(dial_backs(&effects).into_iter().map(|(to, _)| to));
        }
        assert_eq!(others.len() as u32, BACKS - BACKS_PER_IP);
        b.now += BACK_WINDOW + S;
    }
}

#[test]
fn dial_backs_are_for_good_requests_to_good_ports_only() {
    let (mut b, _) = Bench::joined(1);
    let from = at("9.9.9.9:5000");
    let unasked = b.request(2, None);
    let low = b.request(3, Some(53));
    let mut broken = b.request(4, Some(PORT));
    broken[700] ^= 1;
    for packet in [unasked, low, broken] {
        assert!(dial_backs(&b.datagram(from, packet)).is_empty());
    }
    let good = b.request(5, Some(PORT));
    assert_eq!(dial_backs(&b.datagram(from, good.clone())).len(), 1);
    b.now += BACK_WINDOW + S;
    let effects = b.datagram(from, good);
    assert!(dial_backs(&effects).is_empty());
    assert_eq!(drops(&effects), [HelloDrop::Replay]);
}

fn published(bench: &Bench) -> Vec<SocketAddr> {
    bench.core.address.as_ref().unwrap().direct.clone()
}

#[test]
fn the_public_ip_address_is_the_last_one_of_the_own_record() {
    let (mut a, _) = Bench::joined(1);
    let own: SocketAddr = ([8, 8, 4, 1], 20_000).into();
    a.feed(Input::PublicIp(Some([9, 9, 9, 9].into())));
    assert_eq!(published(&a), [own], "the endpoint's port is not known");
    a.feed(Input::EndpointPort(Some(4433)));
    assert_eq!(published(&a), [own, ([9, 9, 9, 9], 4433).into()]);
    let record = a.core.topics[&TOPIC].own.bytes().unwrap();
    let read = a.core.topics[&TOPIC].read_record(record, a.unix()).unwrap();
    assert_eq!(read.peer.direct, published(&a), "it is signed anew");
    for nowhere in [
        [10, 0, 0, 1],
        [127, 0, 0, 1],
        [100, 64, 0, 1],
        [0, 0, 0, 0],
        [8, 8, 4, 1],
    ] {
        a.feed(Input::PublicIp(Some(nowhere.into())));
        assert_eq!(published(&a), [own], "{nowhere:?}");
    }
    a.feed(Input::PublicIp(Some([9, 9, 9, 9].into())));
    let mut full = public(1);
    full.direct = (1..=4).map(|n| ([8, 8, 4, n], 20_000).into()).collect();
    a.feed(Input::Address(full.clone()));
    assert_eq!(published(&a), full.direct, "there is no room");
    a.feed(Input::Address(EndpointAddr {
        direct: vec![],
        ..public(1)
    }));
    assert_eq!(published(&a), [([9, 9, 9, 9], 4433).into()]);
    a.feed(Input::PublicIp(None));
    assert!(published(&a).is_empty());
    let mapped = Some(at("9.9.9.8:7000"));
    a.feed(Input::Mapped(mapped));
    assert_eq!(
        published(&a),
        [([9, 9, 9, 8], 4433).into()],
        "the router's word"
    );
}

fn announcements(effects: &[Effect]) -> Vec<QueryId> {
    let started = effects.iter().filter_map(|effect| match effect {
        Effect::StartAnnounce(query, _) => Some(*query),
        _ => None,
    });
    started.collect()
}

#[test]
fn a_mapped_port_is_announced_instead_and_hellos_to_it_are_taken() {
    let (mut a, joined) = Bench::joined(1);
    a.now = S;
    let first = announcements(&a.feed(Input::Tick));
    let stored = |query| Input::AnnounceTryEnded(query, AnnounceResult::Stored);
    let mapped = at("9.9.9.9:7000");
    // While one is under way: it is repeated when that has ended.
    let effects = a.feed(Input::Mapped(Some(mapped)));
    assert!(matches!(
        &effects[..],
        [Effect::Emit(DiscoveryEvent::PortMapped(Some(_)))]
    ));
    assert_eq!(a.core.announced_port(), 7000);
    let second = announcements(&a.feed(stored(first[0])));
    assert_eq!(second.len(), 1);
    assert!(announcements(&a.feed(stored(second[0]))).is_empty());
    // Its own entry is not asked; who comes through the router is answered.
    let query = first_look_up(&joined);
    assert!(sent(&a.feed(Input::Entries(query, vec![mapped]))).is_empty());
    let through = HelloRequest {
        id: [7; 16],
        time: a.unix(),
        recipient: mapped,
        record: signed_record(2, TOPIC, &public(2), a.unix()),
        dial_back: None,
    };
    let packet = through.seal(&now_keys(), [1; 24]);
    let effects = a.datagram(at(B), packet);
    assert_eq!(sent(&effects).len(), 1);
    assert_eq!(reachability(&effects), Some(Reachability::Proven));
    // The router forwards another port, then none: each is announced, once.
    for (address, port) in [(Some(at("9.9.9.9:7001")), 7001), (None, PORT)] {
        let effects = a.feed(Input::Mapped(address));
        assert_eq!(a.core.announced_port(), port);
        let again = announcements(&effects);
        assert_eq!(again.len(), 1);
        a.feed(stored(again[0]));
        assert_eq!(a.core.reachability, Reachability::Unknown);
    }
    let effects = a.datagram(at(B), through.seal(&now_keys(), [2; 24]));
    assert_eq!(drops(&effects), [HelloDrop::WrongRecipient]);
}

fn verdict(effects: &[Effect]) -> Option<Verdict> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Emit(DiscoveryEvent::VerdictChanged { verdict, .. }) => Some(*verdict),
        _ => None,
    })
}

/// However a member was found, be there a way to it or not.
#[test]
fn found_by_whatever_way_is_not_alone() {
    const T: TopicId = TOPIC;
    let nowhere = |n| EndpointAddr {
        direct: vec![([192, 168, 0, n], 20_000).into()],
        ..peer(n)
    };
    // Nobody.
    let (mut a, _) = Bench::joined(1);
    a.now = 11 * S;
    assert_eq!(verdict(&a.feed(Input::Tick)), Some(Verdict::Alone));
    // Inbound: it asked us, and its record has no address that can be dialed.
    for record in [nowhere(2), public(2)] {
        let (mut a, _) = Bench::joined(1);
        let request = HelloRequest {
            id: [7; 16],
            time: NOW,
            recipient: at(A),
            record: signed_record(2, T, &record, NOW),
            dial_back: None,
        };
        a.datagram(at(B), request.seal(&now_keys(), [1; 24]));
        a.now = 11 * S;
        let said = verdict(&a.feed(Input::Tick));
        assert_eq!(said, Some(Verdict::FoundButUnreachable));
        // It is not heard of any more.
        a.now = 16 * 60 * S;
        assert_eq!(verdict(&a.feed(Input::Tick)), Some(Verdict::Alone));
    }
    // By another member's word.
    let (mut a, joined) = Bench::joined(1);
    let asked = a.feed(Input::Entries(first_look_up(&joined), vec![at(B)]));
    let request = HelloRequest::open(&sent(&asked)[0].1, &now_keys()).unwrap();
    let reply = HelloReply {
        id: request.id,
        time: NOW,
        observed: at(A),
        record: signed_record(2, T, &nowhere(2), NOW),
        members: vec![signed_record(3, T, &nowhere(3), NOW)],
        dialed_back: false,
    };
    a.datagram(at(B), reply.seal(&now_keys(), [1; 24]));
    assert_eq!(a.core.topics[&T].evidence.found, 2);
    a.now = 11 * S;
    let said = verdict(&a.feed(Input::Tick));
    assert_eq!(said, Some(Verdict::FoundButUnreachable));
}
