//! A service that ends too often: its node gives up, and nobody else suffers.

use kukuri::{Drill, Service};
use kukuri_tests::DEADLINE;
use kukuri_tests::simulation::rng::Seeded;
use kukuri_tests::variants::{World, until, variant};
use tokio::time::timeout;

use crate::fleet::{Fleet, bodies, options, quick};
use crate::load::within_the_limit;
use crate::{in_its_own_process, seed};

/// Most restarts of the node that gives up.
const LIMIT: usize = 3;

#[test]
fn who_gives_up_names_the_service_and_the_others_go_on() {
    if !in_its_own_process("limits::who_gives_up_names_the_service_and_the_others_go_on") {
        return;
    }
    let seed = seed();
    println!("CHAOS_SEED={seed}");
    let mut rng = Seeded::of(seed, 1);
    let service = Service::ALL[rng.index(Service::ALL.len())];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(gives_up(service));
}

async fn gives_up(service: Service) {
    println!("{service:?} ends again and again");
    let (world, variant) = (World::start().await, variant("base"));
    let mut others = Fleet::start(&world, variant, 2).await;
    let place = world.place(variant, "the one that gives up");
    let mut setup = world.setup(variant, &place);
    quick(&mut setup.config);
    setup.config.node.restart_limit = LIMIT;
    let node = world.node(&place, setup.clone()).await;
    let topic = node
        .join(others.topic(0).name().clone(), Default::default())
        .await;
    let topic = topic.unwrap();
    let mut acknowledged = Vec::new();

    let mut gave_up = tokio::spawn({
        let node = node.clone();
        async move { node.gave_up().await }
    });
    let drilled = async {
        for n in 0.. {
            let body = format!("while {service:?} ends, {n}");
            if topic.post(body.clone()).await.is_ok() {
                acknowledged.push(body);
            }
            let _panicked = within_the_limit("a drill", node.drill(service, Drill::Panic)).await;
            // What is gone answers at once.
            tokio::task::yield_now().await;
        }
    };
    let reason = tokio::select! {
        () = drilled => unreachable!("it never ends"),
        reason = timeout(DEADLINE, &mut gave_up) => reason.unwrap().unwrap(),
    };
    assert_eq!(
        (reason.service, reason.times),
        (service.as_str(), LIMIT + 1)
    );

    // It is down: each port says so.
    assert!(
        within_the_limit("a post", topic.post("too late"))
            .await
            .is_err()
    );
    let read = topic.posts(kukuri::contract::UnixMillis(0), 1);
    assert!(within_the_limit("posts", read).await.is_err());
    let joined = node.join("another".parse().unwrap(), Default::default());
    assert!(within_the_limit("a join", joined).await.is_err());
    let text = within_the_limit("metrics", node.metrics()).await;
    assert!(text.contains("not running"), "{text}");
    for service in Service::ALL {
        let drilled = within_the_limit("a drill", node.drill(service, Drill::Panic)).await;
        assert!(drilled.is_err(), "{service:?} is gone");
    }

    // The others go on, and when it is started anew, it is who it was, and has lost nothing.
    others.topic(0).post("meanwhile").await.unwrap();
    acknowledged.push("meanwhile".to_owned());
    let was = node.info().endpoint;
    drop((node, topic));
    let node = world.node(&place, setup).await;
    assert_eq!(node.info().endpoint, was);
    let all = [others.node(0).clone(), others.node(1).clone(), node.clone()];
    let topic = node.join(
        others.topic(0).name().clone(),
        options(variant, &node, &all),
    );
    let topic = topic.await.unwrap();
    for topic in [&topic, others.topic(0), others.topic(1)] {
        until("all have all posts", async || {
            let has = bodies(topic).await;
            let missing = acknowledged.iter().filter(|body| !has.contains_key(*body));
            let missing: Vec<_> = missing.collect();
            missing.is_empty().then_some(()).ok_or(missing.len())
        })
        .await;
    }
    others.all_answer().await;
    node.shutdown().await;
    others.stop().await;
}
