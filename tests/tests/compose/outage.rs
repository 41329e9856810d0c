//! The DHT is gone.

use kukuri_tests::containers::{Swarm, are_possible};
use kukuri_tests::http_get;
use serde_json::Value;

use crate::{Acknowledged, FIVE};

#[test]
#[ignore = "needs Docker"]
fn without_the_dht_known_peers_find_each_other_and_the_alert_says_so() {
    if !are_possible() {
        return;
    }
    let mut swarm = Swarm::new("outage", &["outage.yaml"]);
    let known = &FIVE[..3];
    swarm.up(&[&["prometheus"], known].concat());
    swarm.wait("one swarm", Swarm::is_one);
    let mut said = Acknowledged::default();
    assert!(said.say(&mut swarm, "node-1"));
    said.wait(&mut swarm, known);

    swarm.compose(&["stop", "dht"]);
    // All of them are new to the network, and have only what they remember.
    for name in known {
        swarm.stop(name);
    }
    for name in known {
        swarm.start(name);
    }
    swarm.wait(
        "they have found each other from their caches",
        Swarm::is_one,
    );
    for name in known {
        println!(
            "{name} found its first neighbor after {:?} ms",
            swarm.node(name).joined_ms
        );
        assert!(said.say(&mut swarm, name));
    }
    said.wait(&mut swarm, known);

    // One that knows nobody says why it is alone.
    swarm.renew("node-4");
    swarm.wait("a newcomer says that the DHT is not there", |swarm| {
        let verdict = swarm.node("node-4").verdict.as_deref();
        verdict.is_some_and(|verdict| verdict.starts_with("dht_"))
    });
    println!("its verdict is {:?}", swarm.node("node-4").verdict);
    let prometheus = swarm.compose(&["port", "prometheus", "9090"]);
    swarm.wait("the alert sees it", |_| {
        let alerts = http_get(&prometheus, "/api/v1/alerts");
        let alerts: Value = serde_json::from_str(&alerts).unwrap();
        let mut alerts = alerts["data"]["alerts"].as_array().unwrap().iter();
        alerts.any(|alert| {
            let labels = &alert["labels"];
            labels["alertname"] == "KukuriDhtUnreachable" && labels["instance"] == "node-4:9100"
        })
    });

    swarm.compose(&["start", "dht"]);
    swarm.wait(
        "with the DHT back the newcomer finds the others",
        Swarm::is_one,
    );
    assert!(said.say(&mut swarm, "node-4"));
    said.wait(&mut swarm, &FIVE[..4]);
}
