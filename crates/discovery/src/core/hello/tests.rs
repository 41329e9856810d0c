//! The formats of requests and replies.

use proptest::prelude::*;

use super::*;
use crate::core::testing::{NOW, keys};

fn request() -> HelloRequest {
    HelloRequest {
        id: [3; 16],
        time: NOW,
        recipient: "127.0.0.1:4000".parse().unwrap(),
        record: vec![7; 150],
        dial_back: Some(4001),
    }
}

fn reply(members: usize) -> HelloReply {
    HelloReply {
        id: [3; 16],
        time: NOW,
        observed: "192.0.2.1:4000".parse().unwrap(),
        record: vec![7; 150],
        members: vec![vec![8; 150]; members],
        dialed_back: true,
    }
}

#[test]
fn round_trips_at_the_same_length() {
    let (keys, nonce) = (keys(1), [9; 24]);
    let packet = request().seal(&keys, nonce);
    assert_eq!(packet.len(), PACKET_BYTES);
    assert_eq!(kind(&packet), Ok(Kind::Request));
    assert!(has_tag(&packet, &keys));
    assert_eq!(HelloRequest::open(&packet, &keys), Ok(request()));

    let packet = reply(3).seal(&keys, nonce);
    assert_eq!(packet.len(), PACKET_BYTES);
    assert_eq!(kind(&packet), Ok(Kind::Reply));
    assert_eq!(HelloReply::open(&packet, &keys), Ok(reply(3)));
}

#[test]
fn a_reply_takes_as_many_members_as_fit() {
    let packet = reply(50).seal(&keys(1), [9; 24]);
    let opened = HelloReply::open(&packet, &keys(1)).unwrap();
    assert_eq!(opened.members.len(), 6);
    assert!(opened.dialed_back);
}

#[test]
fn other_keys_see_noise() {
    let packet = request().seal(&keys(1), [9; 24]);
    assert!(!has_tag(&packet, &keys(2)));
    assert_eq!(HelloRequest::open(&packet, &keys(2)), Err(HelloDrop::Seal));
    // A request can't be turned into a reply: the directions have different keys and tags.
    let mut turned = packet.clone();
    turned[1] = 1;
    assert!(!has_tag(&turned, &keys(1)));
    assert_eq!(HelloReply::open(&turned, &keys(1)), Err(HelloDrop::Seal));
}

#[test]
fn packets_without_flags_are_read_as_before() {
    let keys = keys(1);
    let request = HelloRequest {
        dial_back: None,
        ..request()
    };
    // What was written before there were flags: zeros after the record.
    let mut plain = head(&request.id, request.time, request.recipient);
    put_record(&mut plain, &request.record);
    let packet = seal(Kind::Request, &keys, [9; 24], plain);
    assert_eq!(packet, request.seal(&keys, [9; 24]));
    assert_eq!(HelloRequest::open(&packet, &keys), Ok(request));
    // A reply that is full to its last byte.
    let mut plain = head(&[3; 16], NOW, "192.0.2.1:4000".parse().unwrap());
    put_record(&mut plain, &[7; 150]);
    plain.push(5);
    for len in [200, 200, 200, 200, PLAIN_BYTES - 195 - 4 * 202 - 2] {
        put_record(&mut plain, &vec![8; len]);
    }
    assert_eq!(plain.len(), PLAIN_BYTES);
    let full = HelloReply::open(&seal(Kind::Reply, &keys, [9; 24], plain), &keys).unwrap();
    assert_eq!((full.members.len(), full.dialed_back), (5, false));
}

proptest! {
    #[test]
    fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..1300)) {
        let _kind = kind(&bytes);
        prop_assert!(!has_tag(&bytes, &keys(1)));
        prop_assert!(HelloRequest::open(&bytes, &keys(1)).is_err());
        prop_assert!(HelloReply::open(&bytes, &keys(1)).is_err());
    }

    #[test]
    fn sealed_garbage_is_a_typed_error(plain in proptest::collection::vec(any::<u8>(), 0..PLAIN_BYTES)) {
        // What a member with bad intent could send: the seal is right, the content is not.
        let request = seal(Kind::Request, &keys(1), [9; 24], plain.clone());
        let reply = seal(Kind::Reply, &keys(1), [9; 24], plain);
        for drop in [HelloRequest::open(&request, &keys(1)).err(), HelloReply::open(&reply, &keys(1)).err()] {
            prop_assert!(matches!(drop, None | Some(HelloDrop::Malformed)));
        }
    }

    #[test]
    fn any_change_is_noticed(at in 0usize..PACKET_BYTES, bit in 0u8..8) {
        let mut packet = request().seal(&keys(1), [9; 24]);
        packet[at] ^= 1 << bit;
        prop_assert!(kind(&packet) != Ok(Kind::Request) || HelloRequest::open(&packet, &keys(1)).is_err());
    }
}
