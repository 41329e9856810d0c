//! Two nodes at home, each behind a router that masquerades, and one member that can be reached.

use kukuri_tests::containers::{Swarm, are_possible};

use crate::Acknowledged;

const ALL: [&str; 3] = ["node-1", "node-2", "node-3"];

#[test]
#[ignore = "needs Docker"]
fn two_behind_routers_talk_through_one_that_can_be_reached() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("nat", &["nat.yaml"]);
    swarm.up(&[
        "router-1", "router-2", "home-1", "home-2", "dht", "node-1", "node-2",
    ]);

    // Nobody can be dialed: they see each other's records, and that is all.
    swarm.wait("both know that nobody can be reached", |swarm| {
        let verdict = |name: &str| swarm.node(name).verdict.clone().unwrap_or_default();
        ["node-1", "node-2"]
            .iter()
            .all(|name| !verdict(name).is_empty() && verdict(name) != "joined")
    });
    for name in ["node-1", "node-2"] {
        println!(
            "{name} alone with the other: {:?}",
            swarm.node(name).verdict
        );
        assert!(swarm.node(name).neighbors.is_empty());
    }

    swarm.up(&["node-3"]);
    swarm.wait("one swarm by way of node-3", Swarm::is_one);
    let mut said = Acknowledged::default();
    for name in ALL {
        assert!(said.say(&mut swarm, name));
    }
    swarm.wait("each has heard both others", |swarm| {
        ALL.iter().all(|name| swarm.node(name).got.len() == 2)
    });
    said.wait(&mut swarm, &ALL);
    let direct = swarm
        .node("node-1")
        .neighbors
        .contains(&swarm.node("node-2").id);
    println!("the two behind routers are neighbors: {direct}");

    // What they say while it is away is kept, and passed on when it is back.
    swarm.stop("node-3");
    assert!(said.say(&mut swarm, "node-1"));
    assert!(said.say(&mut swarm, "node-2"));
    swarm.start("node-3");
    swarm.wait("one swarm again", Swarm::is_one);
    said.wait(&mut swarm, &ALL);
}
