//! The network between two halves is cut.

use std::time::Duration;

use kukuri_tests::containers::{Swarm, are_possible, docker};

use crate::{Acknowledged, FIVE};

const LEFT: [&str; 3] = ["node-1", "node-2", "node-3"];
const RIGHT: [&str; 2] = ["node-4", "node-5"];
/// What each half says while it is alone.
const ROUNDS: usize = 10;

/// The halves share one network, which the DHT is in too, and have one each of their own.
#[test]
#[ignore = "needs Docker"]
fn both_halves_of_a_split_go_on_and_are_whole_again_after_it() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("split", &["split.yaml"]);
    swarm.up(&FIVE);
    swarm.wait("one swarm", Swarm::is_one);
    let mut said = Acknowledged::default();
    for name in FIVE {
        assert!(said.say(&mut swarm, name));
    }
    said.wait(&mut swarm, &FIVE);

    let between = swarm.network("default");
    for name in RIGHT {
        docker(&[
            "network",
            "disconnect",
            &between,
            swarm.node(name).container(),
        ]);
    }
    let (left, right) = (LEFT.map(str::to_owned), RIGHT.map(str::to_owned));
    let apart = |swarm: &Swarm| {
        let knows = |name: &str, others: &[&str]| {
            let neighbors = &swarm.node(name).neighbors;
            others
                .iter()
                .any(|other| neighbors.contains(&swarm.node(other).id))
        };
        !LEFT.iter().any(|name| knows(name, &RIGHT)) && !RIGHT.iter().any(|name| knows(name, &LEFT))
    };
    let noticed = swarm.wait(
        "both halves have noticed, and are whole in themselves",
        |swarm| apart(swarm) && swarm.is_whole(&left) && swarm.is_whole(&right),
    );
    for _ in 0..ROUNDS {
        for name in FIVE {
            assert!(said.say(&mut swarm, name), "{name} goes on");
        }
    }
    for (half, own) in [(LEFT.as_slice(), 3), (RIGHT.as_slice(), 2)] {
        swarm.wait(&format!("a half of {own} hears itself"), |swarm| {
            let heard = 4 + (own - 1) * ROUNDS;
            half.iter().all(|name| swarm.node(name).got.len() == heard)
        });
    }

    for name in RIGHT {
        let container = swarm.node(name).container();
        docker(&["network", "connect", "--alias", name, &between, container]);
    }
    let healed = swarm.wait("one swarm again", Swarm::is_one);
    let before = said.0.len();
    let caught_up = swarm.wait("all have heard what was said in the other half", |swarm| {
        FIVE.iter()
            .all(|name| swarm.node(name).got.len() == 4 + 4 * ROUNDS)
    });
    said.wait(&mut swarm, &FIVE);
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    println!(
        "noticed after {}, healed after {}, caught up {} later; {before} posts in 5 stores",
        seconds(noticed),
        seconds(healed),
        seconds(caught_up)
    );
}
