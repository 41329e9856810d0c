//! Swarms that are split by the network, and whole again. Real nodes, each a process of its own, in
//! a network namespace whose two sides can be cut off from each other.

use std::time::Duration;

use kukuri_conformance::in_namespace;
use kukuri_tests::Dht;
use kukuri_tests::network::{self, SPLITTABLE, Side};
use kukuri_tests::swarm::Swarm;

/// Both sides of a swarm of 20.
const TWENTY: [(Side, usize); 2] = [(Side::A, 10), (Side::B, 10)];
/// A split is at least so long: until connections have timed out, and well beyond.
const SPLIT: Duration = Duration::from_secs(40);
/// Members that healing has dialed.
const PARTS_FOUND: &str = "kukuri_swarm_parts_found_total";
/// A swarm has healed when it has been whole for so long.
const LASTING: Duration = Duration::from_secs(10);
/// From one swarm until something happens to it: longer than a swarm takes to form (10 s).
const SETTLE: Duration = Duration::from_secs(15);

fn whole(dht: &Dht, sides: [(Side, usize); 2]) -> Swarm {
    let mut swarm = Swarm::start(dht, sides, &[]);
    swarm.wait("one swarm, from the last start", Swarm::is_whole);
    swarm.run(SETTLE);
    swarm
}

/// From the moment that the network splits until each side has noticed, at least [`SPLIT`].
fn cut(swarm: &mut Swarm) {
    network::split();
    let took = swarm.wait("both sides have noticed the split", Swarm::is_in_two);
    swarm.run(SPLIT.saturating_sub(took));
    assert!(swarm.is_in_two(), "the network is split");
}

fn heal(swarm: &mut Swarm) {
    network::join();
    stays_whole(swarm);
}

fn stays_whole(swarm: &mut Swarm) {
    let what = format!(
        "N = {}: healed, since the network is whole",
        swarm.members().len()
    );
    // A single connection between the sides may come and go.
    swarm.wait_for_good(&what, LASTING, Swarm::is_whole);
}

#[test]
fn a_split_swarm_heals_though_nobody_posts() {
    if !in_namespace("a_split_swarm_heals_though_nobody_posts", SPLITTABLE) {
        return;
    }
    let dht = Dht::start(10);
    let mut swarm = whole(&dht, TWENTY);
    cut(&mut swarm);
    heal(&mut swarm);
    swarm.posts_reach_all();
}

/// Then only the members that a node remembers can bring it back; and what was said on the other side
/// meanwhile comes too.
#[test]
fn a_split_swarm_heals_without_the_dht() {
    if !in_namespace("a_split_swarm_heals_without_the_dht", SPLITTABLE) {
        return;
    }
    let dht = Dht::start(10);
    let mut swarm = whole(&dht, TWENTY);
    network::take_dht_away();
    cut(&mut swarm);
    let last = TWENTY[0].1 + TWENTY[1].1 - 1;
    swarm.say(0, "said on side A");
    swarm.say(last, "said on side B");
    network::join();
    swarm.have_all(0, "said on side A");
    swarm.have_all(last, "said on side B");
    stays_whole(&mut swarm);
}

/// Two nodes are each alone after the split.
#[test]
fn two_nodes_find_back_without_the_dht() {
    if !in_namespace("two_nodes_find_back_without_the_dht", SPLITTABLE) {
        return;
    }
    let dht = Dht::start(10);
    let mut swarm = whole(&dht, [(Side::A, 1), (Side::B, 1)]);
    network::take_dht_away();
    cut(&mut swarm);
    heal(&mut swarm);
    swarm.posts_reach_all();
}

/// Nobody remembers anybody of the other half: the DHT must tell. A node looks there when it
/// announces, every 20 s here instead of every 5 min.
#[test]
fn halves_that_never_met_find_each_other() {
    const OFTEN: [(&str, &str); 2] = [
        ("KUKURI_DISCOVERY__REANNOUNCE_S", "20"),
        ("KUKURI_DISCOVERY__REANNOUNCE_PER_MEMBER_S", "1"),
    ];
    if !in_namespace("halves_that_never_met_find_each_other", SPLITTABLE) {
        return;
    }
    let dht = Dht::start(10);
    network::split();
    let mut swarm = Swarm::start(&dht, [(Side::A, 5), (Side::B, 5)], &OFTEN);
    swarm.wait("two halves, from the last start", Swarm::is_in_two);
    swarm.run(SPLIT);
    assert!(swarm.is_in_two(), "the network is split");
    heal(&mut swarm);
    swarm.posts_reach_all();
}

/// The root of the swarm's mark dies and can tell nobody: another one takes its place, and the others
/// stay together.
#[test]
fn the_root_dies() {
    if !in_namespace("the_root_dies", SPLITTABLE) {
        return;
    }
    let dht = Dht::start(10);
    let mut swarm = whole(&dht, [(Side::A, 5), (Side::B, 5)]);
    swarm.wait("all name one root", |swarm| swarm.root().is_some());
    let root = swarm.root().expect("all name one root").to_owned();
    swarm.kill(&root);
    swarm.wait(
        "all name another root, since the first was killed",
        |swarm| swarm.root().is_some_and(|now| now != root),
    );
    swarm.wait("one swarm without it", Swarm::is_whole);
    swarm.posts_reach_all();
}

#[test]
fn a_healthy_swarm_does_not_churn() {
    if !in_namespace("a_healthy_swarm_does_not_churn", SPLITTABLE) {
        return;
    }
    let seconds = std::env::var("KUKURI_TEST_HEALTHY_S").ok();
    let seconds = seconds.map_or(60, |text| text.parse().expect("a number of seconds"));
    let dht = Dht::start(10);
    let mut swarm = whole(&dht, TWENTY);
    let before = swarm.joins();
    let parts = swarm.counter(PARTS_FOUND);
    swarm.run(Duration::from_secs(seconds));
    let joins = swarm.joins() - before;
    println!("{joins} joins of 20 nodes in {seconds} s (and {before} while the swarm formed)");
    let found = swarm.counter(PARTS_FOUND) - parts;
    println!("{found} members were taken for those of another part (and {parts} before)");
    assert!(swarm.is_whole());
    assert_eq!(found, 0.0, "there is no other part");
    // Measured: none. A machine that stalls for seconds may cost a connection here and there.
    assert!(joins <= swarm.members().len(), "{joins} joins are churn");
}
