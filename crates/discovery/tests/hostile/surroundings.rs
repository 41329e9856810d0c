//! Nobody's bad intent: replies that are lost, and clocks that are wrong.

use std::time::Duration;

use kukuri_contract::{HelloDrop, Verdict};
use kukuri_discovery::{Config, LocalDht};

use crate::support::{Node, Start, config};
use crate::tools::{Clock, SECRET, Tally, at_large, counted, public, start};

/// Members that start together where packets are lost, until each has found so many others.
async fn lossy(count: u64, enough: usize) -> Vec<Tally> {
    let clock = Clock::seconds_into_epoch(60);
    let dht = LocalDht::start(20, 0).unwrap();
    let mut members = Vec::new();
    for n in 1..=count {
        members.push(start(n, public(n, &[dht.bootstrap()]), clock).await);
    }
    for member in &members {
        member.discover().await;
    }
    let mut tallies = Vec::new();
    for member in &mut members {
        let mut tally = Tally::default();
        let found = |t: &Tally| t.found.len() >= enough;
        tally.until(member, "other members", found).await;
        tallies.push(tally);
    }
    for (member, tally) in members.iter_mut().zip(&mut tallies) {
        tally.catch_up(member);
    }
    tallies
}

fn report(tallies: &[Tally], what: &str) {
    let mut firsts = Vec::new();
    let mut lasts = Vec::new();
    for tally in tallies {
        let mut after: Vec<Duration> = tally.found.values().map(|found| found.2).collect();
        after.sort_unstable();
        firsts.extend(after.first().copied());
        lasts.extend(after.last().copied());
    }
    println!(
        "tried: {what}; lost (packets, bytes): {:?}\n\
         got through: {:?} others found by the members; the first one after {:?} at most, the last \
         after {:?}; verdicts meanwhile {:?}",
        counted(),
        tallies.iter().map(|t| t.found.len()).collect::<Vec<_>>(),
        firsts.iter().max(),
        lasts.iter().max(),
        tallies.iter().map(|t| t.verdict).collect::<Vec<_>>(),
    );
    assert!(
        counted().iter().all(|(packets, _)| *packets > 0),
        "something is lost"
    );
}

/// A quarter of all that the DHT nodes answer, and of all hellos and their replies, is lost.
#[actix::test]
async fn a_quarter_is_lost() {
    let rules = [
        "ip saddr 127.0.0.1 ip daddr 11.0.0.0/8 numgen random mod 100 \\< 25 counter drop",
        "ip saddr 11.0.0.0/8 ip daddr 11.0.0.0/8 numgen random mod 100 \\< 25 counter drop",
    ];
    if at_large("surroundings::a_quarter_is_lost", &rules) {
        report(
            &lossy(6, 5).await,
            "25 % of DHT replies and of hello packets lost, 6 members",
        );
    }
}

/// Three of four replies of the DHT are lost, as behind some clouds and home routers, and as many
/// of the hello packets.
#[actix::test]
async fn three_of_four_are_lost() {
    let rules = [
        "ip saddr 127.0.0.1 ip daddr 11.0.0.0/8 numgen random mod 100 \\< 75 counter drop",
        "ip saddr 11.0.0.0/8 ip daddr 11.0.0.0/8 numgen random mod 100 \\< 75 counter drop",
    ];
    if at_large("surroundings::three_of_four_are_lost", &rules) {
        report(
            &lossy(6, 1).await,
            "75 % of DHT replies and of hello packets lost, 6 members",
        );
    }
}

async fn clocked(n: u64, settings: Config, clock: Clock, off: i64) -> Node {
    let mut start = Start::new(settings);
    start.secret = Some(SECRET);
    start.clock = clock.off_by(off);
    let node = start.node(n).await;
    node.discover().await;
    node
}

/// Clocks ten minutes apart, either way, at the start, in the middle and at the end of an epoch:
/// one or two borders lie between them. A little less than 10 min: time passes.
#[actix::test]
async fn clocks_ten_minutes_apart_meet() {
    let dht = LocalDht::start(10, 0).unwrap();
    for (n, seconds) in [2, 300, 597].into_iter().enumerate() {
        for (m, off) in [-600, 600].into_iter().enumerate() {
            let clock = Clock::seconds_into_epoch(seconds);
            let number = 10 * n as u64 + 2 * m as u64;
            let secret = SECRET + number as u8;
            let mut pair = Vec::new();
            for (k, off) in [0, off].into_iter().enumerate() {
                let mut start = Start::new(config(&[dht.bootstrap()]));
                start.secret = Some(secret);
                start.clock = clock.off_by(off);
                let node = start.node(number + k as u64).await;
                node.discover().await;
                pair.push(node);
            }
            let [right, wrong] = &mut pair[..] else {
                panic!("two nodes");
            };
            let (_, source) = right.finds(wrong.id).await;
            let (_, back) = wrong.finds(right.id).await;
            println!(
                "tried: a clock off by {off} s, {seconds} s into the epoch\n\
                 got through: found by {source:?} and {back:?}"
            );
        }
    }
}

/// Where three members disagree with a clock by more than a minute, and it still meets them, it is
/// told so. Beyond 15 min nobody answers it, so it can't know: then it is alone.
#[actix::test]
async fn a_wrong_clock_is_told_while_members_answer() {
    let dht = LocalDht::start(10, 0).unwrap();
    let quick = || {
        let mut config = config(&[dht.bootstrap()]);
        config.first_contact_ms = 4_000;
        // One wrong clock would find the record of the one before it there.
        config.sources.board = false;
        config
    };
    let clock = Clock::seconds_into_epoch(60);
    let mut members = Vec::new();
    for n in 1..=3 {
        let member = clocked(n, quick(), clock, 0).await;
        members.push((member, Tally::default()));
    }
    for (member, tally) in &mut members {
        tally
            .until(member, "the others", |t| t.found.len() >= 2)
            .await;
    }
    for (off, expected, drop) in [
        (-9 * 60_i64, Verdict::ClockSkewed, None),
        (12 * 60, Verdict::ClockSkewed, None),
        (16 * 60, Verdict::Alone, Some(HelloDrop::NoAnswer)),
    ] {
        let mut node = clocked(10 + off.unsigned_abs(), quick(), clock, off).await;
        let mut tally = Tally::default();
        tally
            .until(&mut node, "a verdict", |t| t.verdict.is_some())
            .await;
        tally
            .until(&mut node, expected.as_str(), |t| {
                t.verdict == Some(expected)
            })
            .await;
        let met = tally.found.len();
        println!(
            "tried: three members, and a clock off by {off} s\n\
             got through: verdict {:?}, {met} members met, drops {:?}",
            tally.verdict, tally.drops
        );
        assert_eq!(met >= 3, drop.is_none());
        node.port.stop().await.unwrap();
    }
}
