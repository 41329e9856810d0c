//! What proves that the own hello port is open, and for how long.

use super::*;
use crate::core::testing::TOPIC;

const S: Duration = Duration::from_secs(1);
const PORT: u16 = 4000;

fn at(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

fn member(n: u8) -> EndpointId {
    EndpointId::from_bytes([n; 32])
}

fn ask(reach: &mut Reach, id: u8, now: Duration) -> Option<Ask> {
    reach.ask([id; 16], TOPIC, Epoch(1), now)?;
    reach.asks(now).last().copied()
}

#[test]
fn an_unsolicited_hello_proves_the_port_for_half_an_hour() {
    let mut reach = Reach::new(PORT);
    assert_eq!(reach.state(S), State::Unknown);
    reach.sent(at("8.8.4.4:5000"), S);
    reach.heard_request(at("8.8.4.4:5000"), PORT, 2 * S);
    reach.heard_request(at("8.8.4.4:6000"), PORT, 2 * S);
    assert!(!reach.proven(2 * S), "a reply, or let in like one");
    reach.heard_request(at("8.8.8.8:5000"), 4001, 2 * S);
    assert!(!reach.proven(2 * S), "it came in at another port");
    reach.heard_request(at("8.8.8.8:5000"), PORT, 2 * S);
    let how = How::Unsolicited;
    assert_eq!(reach.state(2 * S), State::Proven { how, at: 2 * S });
    assert!(reach.proven(PROOF + S));
    assert!(!reach.proven(PROOF + 2 * S));
    // What was sent long ago opens no router any more.
    let later = S + SENT_LATELY;
    let mut reach = Reach::new(PORT);
    reach.sent(at("8.8.4.4:5000"), S);
    reach.heard_request(at("8.8.4.4:5000"), PORT, later);
    assert!(reach.proven(later));
}

#[test]
fn a_dial_back_proves_the_port_once() {
    let mut reach = Reach::new(PORT);
    let asked = ask(&mut reach, 1, S).unwrap();
    assert_eq!((asked.port, asked.id), (PORT, [1; 16]));
    reach.sent(at("8.8.4.4:5000"), S);
    assert!(!reach.dialed_back(&asked, at("8.8.4.4:5000"), 2 * S));
    assert!(!reach.proven(2 * S), "a reply gets through anywhere");
    assert!(reach.dialed_back(&asked, at("8.8.4.4:5001"), 2 * S));
    assert!(reach.proven(2 * S));
    assert_eq!(reach.asks(2 * S).count(), 0, "used up");
    assert_eq!(ask(&mut reach, 2, 3 * S), None, "there is no need");
    assert!(ask(&mut reach, 2, 2 * S + RENEW).is_some());
}

#[test]
fn two_members_in_vain_are_needed_to_call_it_closed() {
    let mut reach = Reach::new(PORT);
    for n in 1..=4 {
        ask(&mut reach, n, S);
    }
    reach.promised(member(1), &[1; 16], S);
    reach.promised(member(1), &[2; 16], S);
    assert_eq!(reach.state(100 * S), State::Unknown, "one member, twice");
    reach.promised(member(2), &[3; 16], 2 * S);
    reach.promised(member(3), &[9; 16], 2 * S);
    assert_eq!(reach.state(3 * S), State::Unknown, "still on its way");
    assert_eq!(reach.state(2 * S + BACK_WITHIN), State::Unproven);
    let late = reach.asks(10 * S).last().copied().unwrap();
    assert!(reach.dialed_back(&late, at("8.8.4.4:5001"), 10 * S));
    assert!(reach.proven(10 * S));
    assert_eq!(reach.state(10 * S + PROOF), State::Unknown);
}

#[test]
fn an_old_proof_counts_until_it_was_tried_again() {
    let mut reach = Reach::new(PORT);
    reach.heard_request(at("8.8.8.8:5000"), PORT, S);
    reach.try_again(2 * S);
    assert!(reach.holds(9 * PROOF) && !reach.proven(9 * PROOF));
    reach.try_again(9 * PROOF);
    assert!(ask(&mut reach, 1, 9 * PROOF + S).is_some());
    assert!(reach.holds(9 * PROOF + TRIAL - S));
    assert!(!reach.holds(9 * PROOF + TRIAL));
    reach.heard_request(at("8.8.8.8:5000"), PORT, 10 * PROOF);
    assert!(reach.holds(19 * PROOF));
    reach.set_port(4001);
    assert!(!reach.holds(19 * PROOF));
}

#[test]
fn another_port_is_another_question() {
    let mut reach = Reach::new(PORT);
    let asked = ask(&mut reach, 1, S).unwrap();
    reach.set_port(4001);
    assert!(!reach.dialed_back(&asked, at("8.8.4.4:5001"), S));
    reach.heard_request(at("8.8.8.8:5000"), 4001, S);
    assert!(reach.proven(S));
    reach.set_port(4001);
    assert!(reach.proven(S), "nothing has changed");
    reach.set_port(PORT);
    assert_eq!(reach.state(S), State::Unknown);
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_proves_nothing() {
    let mut reach = Reach::new(PORT);
    for n in 0..2 * MAX_SENT as u32 + 1 {
        reach.sent(SocketAddrV4::new(n.into(), 5000), S);
        ask(&mut reach, n as u8, S);
        reach.promised(member(n as u8), &[n as u8; 16], S);
    }
    assert!(reach.sent.len() <= MAX_SENT && reach.asks.len() <= MAX_ASKS);
    assert_eq!(reach.missed.len(), MAX_MISSED);
    reach.heard_request(at("8.8.8.8:5000"), PORT, 2 * S);
    assert!(!reach.proven(2 * S), "it may have been written to");
    reach.heard_request(at("8.8.8.8:5000"), PORT, S + SENT_LATELY);
    assert!(reach.proven(S + SENT_LATELY));
}

#[test]
fn dial_backs_are_few() {
    let mut reach = Reach::new(PORT);
    let ip = |n: u32| Ipv4Addr::from(0x0808_0000 + n);
    let allowed = (0..1000).filter(|_| reach.may_dial_back(ip(1), S)).count();
    assert_eq!(allowed as u32, BACKS_PER_IP);
    let allowed = (2..1000).filter(|n| reach.may_dial_back(ip(*n), S)).count();
    assert_eq!(allowed as u32, BACKS - BACKS_PER_IP);
    assert!(reach.may_dial_back(ip(1), 2 * S + BACK_WINDOW));
}
