use super::*;

const T: TopicId = TopicId::from_bytes([1; 32]);
const MS: Duration = Duration::from_millis(1);

fn address() -> SocketAddrV4 {
    "192.0.2.1:4000".parse().unwrap()
}

#[test]
fn three_tries_then_a_growing_rest() {
    let config = Config::default();
    let mut exchange = Exchange::new(&config);
    let mut now = Duration::ZERO;
    let mut rests = Vec::new();
    for _ in 0..8 {
        assert!(exchange.may_ask(T, address(), now));
        exchange.begin(T, Epoch(1), Source::Lan, address(), [7; 16], now);
        let mut sent = 1;
        loop {
            now = exchange.next_wake().unwrap();
            match &exchange.late(now)[..] {
                [Late::Again(_)] => sent += 1,
                [Late::GaveUp(_)] => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent, config.hello_tries);
        assert!(!exchange.may_ask(T, address(), now));
        let start = now;
        while !exchange.may_ask(T, address(), now) {
            now += 1000 * MS;
        }
        rests.push((now - start).as_secs());
    }
    assert_eq!(rests, [60, 120, 240, 300, 300, 300, 300, 300]);
}

#[test]
fn an_answer_ends_it_and_clears_failures() {
    let mut exchange = Exchange::new(&Config::default());
    exchange.begin(T, Epoch(1), Source::Lan, address(), [7; 16], MS);
    assert!(!exchange.may_ask(T, address(), MS));
    exchange.answered(&[7; 16], 2 * MS);
    assert_eq!(exchange.next_wake(), None);
    assert!(!exchange.may_ask(T, address(), 3 * MS));
    assert!(exchange.may_ask(T, address(), Duration::from_secs(31)));
}

/// Has an address asked in vain, at its time; how many packets it got.
fn ask_in_vain(exchange: &mut Exchange, to: SocketAddrV4, now: &mut Duration) -> usize {
    exchange.begin(T, Epoch(1), Source::Lan, to, [7; 16], *now);
    let mut sent = 1;
    loop {
        *now = exchange.next_wake().unwrap();
        match &exchange.late(*now)[..] {
            [Late::Again(_)] => sent += 1,
            [Late::GaveUp(_)] => return sent,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_host_whose_addresses_do_not_answer_rests_at_all_ports() {
    let config = Config::default();
    let mut exchange = Exchange::new(&config);
    let (mut now, mut sent, mut rests) = (Duration::ZERO, 0, Vec::new());
    let host = |port| SocketAddrV4::new([192, 0, 2, 1].into(), port);
    for port in 4000..4020 {
        let start = now;
        while !exchange.may_ask(T, host(port), now) {
            now += 1000 * MS;
        }
        rests.extend((now > start).then(|| (now - start).as_secs()));
        sent += ask_in_vain(&mut exchange, host(port), &mut now);
    }
    assert_eq!(rests, [60, 120, 240, 300]);
    assert_eq!(sent, 20 * 3);
    let elsewhere = "192.0.2.2:4000".parse().unwrap();
    assert!(exchange.may_ask(T, elsewhere, now));
    // A member there asks: the host is no victim.
    assert!(!exchange.may_ask(T, host(5000), now));
    exchange.met(T, host(4999), now);
    assert!(exchange.may_ask(T, host(5000), now));
}

#[test]
fn a_host_is_asked_at_few_ports_at_once() {
    let mut exchange = Exchange::new(&Config::default());
    let host = |port| SocketAddrV4::new([192, 0, 2, 1].into(), port);
    for port in 4000..4004 {
        assert!(exchange.may_ask(T, host(port), MS));
        exchange.begin(T, Epoch(1), Source::Lan, host(port), [7; 16], MS);
    }
    assert!(!exchange.may_ask(T, host(4004), MS));
}

#[test]
fn later_tries_leave_room_up_to_a_bound() {
    let config = Config::default();
    let mut exchange = Exchange::new(&config);
    let (mut now, mut host) = (Duration::ZERO, 0);
    let mut most = 0;
    for _ in 0..100 {
        while exchange.has_room() {
            host += 1;
            let to = SocketAddrV4::new((0x0900_0000 + host).into(), 4000);
            exchange.begin(T, Epoch(1), Source::Lan, to, [7; 16], now);
        }
        most = most.max(exchange.pending.len());
        now = exchange.next_wake().unwrap();
        exchange.late(now);
    }
    assert!(most <= config.hello_in_flight * ALL_TRIES, "{most}");
    // 16 new ones every 300 ms, where 16 every 2.1 s had room.
    let asked_per_s = u64::from(host) * 1000 / now.as_millis() as u64;
    assert!((50..60).contains(&asked_per_s), "{asked_per_s}");
}

#[test]
fn an_own_address_is_not_asked_for_a_while() {
    let mut exchange = Exchange::new(&Config::default());
    exchange.is_own(address(), MS);
    assert!(!exchange.may_ask(T, address(), OWN_FOR));
    assert!(exchange.may_ask(T, address(), MS + OWN_FOR));
}

#[test]
fn memory_is_bounded() {
    let mut exchange = Exchange::new(&Config::default());
    for n in 0..5_000u32 {
        exchange.met(T, SocketAddrV4::new(n.into(), 4000), MS);
        exchange.host_failed(T, n.into(), MS);
    }
    assert_eq!(exchange.rests.len(), MAX_RESTING);
    assert!(exchange.hosts.len() <= MAX_RESTING);
}
