//! The same end-to-end test for every implementation of every service: nodes find each other, talk, are
//! away and come back, survive a fault, and stop; and the dashboards show them.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod panels;

use std::collections::BTreeSet;

use kukuri::contract::UnixMillis;
use kukuri::{
    Drill, EndpointAddr, JoinOptions, Node, RestartReason, Service, Topic, TopicEvent, TopicEvents,
    is_running,
};
use kukuri_conformance::in_namespace;
use kukuri_tests::DEADLINE;
use kukuri_tests::network::LAN;
use kukuri_tests::variants::{Keeps, Place, Variant, Ways, World, until, variant};
use tokio::time::timeout;

/// More posts than any cell writes.
const ALL_POSTS: usize = 1000;

macro_rules! cells {
    ($($name:ident)+) => {
        mod cell {
            $(
                #[test]
                fn $name() {
                    super::run(stringify!($name));
                }
            )+
        }
    };
}
kukuri_tests::for_each_variant!(cells);

fn run(name: &str) {
    let variant = variant(name);
    if variant.ways == Ways::Lan && !in_namespace(&format!("cell::{name}"), LAN) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(end_to_end(variant));
}

/// A node in the topic.
struct Member {
    node: Node,
    place: Place,
    topic: Topic,
    events: TopicEvents,
}

async fn start(world: &World, variant: &Variant, place: Place, options: JoinOptions) -> Member {
    let node = world.node(&place, world.setup(variant, &place)).await;
    let topic = node.join(world.topic("swap"), options).await.unwrap();
    let events = topic.events();
    Member {
        node,
        place,
        topic,
        events,
    }
}

impl Member {
    fn address(&self) -> EndpointAddr {
        self.node.info().advertised.clone()
    }

    async fn stored(&self) -> BTreeSet<String> {
        let posts = self.topic.posts(UnixMillis(0), ALL_POSTS).await;
        let body = |body: &[u8]| std::str::from_utf8(body).unwrap().to_owned();
        let posts = posts.unwrap_or_default();
        posts.iter().map(|post| body(&post.body)).collect()
    }

    /// Waits until all these posts were told live.
    async fn hears(&mut self, mut wanted: BTreeSet<String>) {
        let heard = async {
            while !wanted.is_empty() {
                match self.events.next().await {
                    Some(TopicEvent::Post(post)) => {
                        wanted.remove(std::str::from_utf8(&post.body).unwrap());
                    }
                    Some(_) => {}
                    None => panic!("the events have ended"),
                }
            }
        };
        let in_time = timeout(DEADLINE, heard).await;
        assert!(in_time.is_ok(), "never heard {wanted:?}");
    }

    /// Waits until it has all these posts.
    async fn has(&self, what: &str, wanted: &BTreeSet<String>) {
        until(what, async || {
            let missing: Vec<_> = wanted.difference(&self.stored().await).cloned().collect();
            missing.is_empty().then_some(()).ok_or(missing)
        })
        .await;
    }

    /// Posts until it is accepted: while a service is started again, it may be refused.
    async fn post(&self, body: &str) {
        until(body, async || {
            self.topic.post(body.to_owned()).await.map(drop)
        })
        .await;
    }
}

fn set(bodies: &[&str]) -> BTreeSet<String> {
    bodies.iter().map(ToString::to_string).collect()
}

async fn end_to_end(variant: &Variant) {
    let world = World::start().await;
    let mut members = Vec::<Member>::new();
    for name in ["a", "b", "c"] {
        let mut place = world.place(variant, name);
        place.peers = members.iter().map(Member::address).collect();
        members.push(start(&world, variant, place, JoinOptions::default()).await);
    }
    let [mut a, mut b, mut c] = <[Member; 3]>::try_from(members).ok().unwrap();

    // All find each other; what one writes, the others hear, and all have.
    for (member, body) in [(&a, "from a"), (&b, "from b"), (&c, "from c")] {
        member.post(body).await;
    }
    tokio::join!(
        a.hears(set(&["from b", "from c"])),
        b.hears(set(&["from a", "from c"])),
        c.hears(set(&["from a", "from b"])),
    );
    let mut all = set(&["from a", "from b", "from c"]);
    for member in [&a, &b, &c] {
        member.has("what was said is stored", &all).await;
    }

    // One is away, and comes back.
    let (was, place) = (c.node.info().clone(), c.place.clone());
    stop(c).await;
    for (member, body) in [(&a, "missed of a"), (&b, "missed of b")] {
        member.post(body).await;
        all.insert(body.to_owned());
    }
    let place = Place {
        peers: vec![a.address(), b.address()],
        ..place
    };
    c = start(&world, variant, place, JoinOptions::default()).await;
    let is = c.node.info();
    let same = (is.endpoint, is.writer) == (was.endpoint, was.writer);
    assert_eq!(same, variant.keeps == Keeps::All, "who it is");
    if variant.keeps != Keeps::Nothing {
        let kept = c.stored().await;
        assert!(kept.contains("from c"), "its own posts: {kept:?}");
    }
    c.has("what it missed", &all).await;
    // And it is heard as before.
    c.post("back").await;
    tokio::join!(a.hears(set(&["back"])), b.hears(set(&["back"])));

    for service in variant.services {
        fault(&mut a, &mut b, *service).await;
    }
    for member in [a, b, c] {
        stop(member).await;
    }
}

/// A service of the first ends by a fault, and the node goes on.
async fn fault(a: &mut Member, b: &mut Member, service: Service) {
    let drilled = a.node.drill(service, Drill::Panic).await;
    assert!(drilled.is_err(), "{service:?} does not answer");
    let [to, from] = ["to", "from"].map(|way| format!("{way} the one without {service:?}"));
    b.post(&to).await;
    a.post(&from).await;
    a.has("the other's post", &set(&[&to])).await;
    b.has("its post", &set(&[&from])).await;
    until("a restart is counted", async || {
        let count = a.node.restarts(service, RestartReason::Panic);
        (count == 1).then_some(()).ok_or(count)
    })
    .await;
}

/// In good order: its topics end, and its data directory is free.
async fn stop(mut member: Member) {
    member.node.shutdown().await;
    let ended = async { while member.events.next().await.is_some() {} };
    assert!(timeout(DEADLINE, ended).await.is_ok(), "its topic ends");
    assert!(!is_running(&member.place.data), "its directory is free");
    let late = timeout(DEADLINE, member.topic.post("too late")).await;
    assert!(matches!(late, Ok(Err(_))), "{late:?}");
}
