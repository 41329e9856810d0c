//! Every actor of a node panics, hangs and is slow while posts flow. Nothing that was acknowledged
//! is lost, and the node goes on.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use kukuri::contract::UnixMillis;
use kukuri::{
    Config, Drill, JoinOptions, LocalDht, Node, RestartReason, Service, StoreChoice, Topic,
    TopicEvent, TopicEvents,
};
use tempfile::TempDir;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(120);

/// Probes come often here, so that a hanging actor is found soon; a slow machine is no hanging
/// actor, so the limit is not short.
fn config() -> Config {
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::Memory;
    config.node.probe_every_ms = 200;
    config.node.probe_timeout_ms = 2_000;
    config
}

struct Running {
    node: Node,
    topic: Topic,
    events: TopicEvents,
    _dir: TempDir,
}

async fn start(dht: &LocalDht, config: Config) -> Running {
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let node = Node::builder()
        .config(config)
        .data_dir(dir.path())
        .bind_ip(Ipv4Addr::LOCALHOST)
        .dht_bootstrap([dht.bootstrap().to_string()])
        .spawn()
        .await
        .unwrap();
    let options = JoinOptions::default();
    let topic = node.join("drill".parse().unwrap(), options).await.unwrap();
    let events = topic.events();
    Running {
        node,
        topic,
        events,
        _dir: dir,
    }
}

impl Running {
    /// Waits until this node has heard all of these posts.
    async fn hears(&mut self, what: &str, mut wanted: BTreeSet<String>) {
        let heard = async {
            while !wanted.is_empty() {
                if let Some(TopicEvent::Post(post)) = self.events.next().await {
                    wanted.remove(std::str::from_utf8(&post.body).unwrap());
                }
            }
        };
        let in_time = timeout(DEADLINE, heard).await;
        assert!(in_time.is_ok(), "{what}: never heard {wanted:?}");
    }

    /// Posts until the post is accepted: while a service is started again, it may be refused.
    async fn post(&self, body: &str) {
        let posted = async {
            while self.topic.post(body.to_owned()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        let in_time = timeout(DEADLINE, posted).await;
        assert!(in_time.is_ok(), "{body}: never accepted");
    }

    async fn restarts(&self, service: Service, reason: &str) -> f64 {
        let (text, service) = (self.node.metrics().await, service.as_str());
        let name =
            format!("kukuri_node_restarts_total{{service=\"{service}\",reason=\"{reason}\"}}");
        kukuri_tests::series(&text, &name).unwrap_or(0.0)
    }
}

/// Posts go both ways while one actor of the first node has a fault.
async fn practice(service: Service, drill: Drill) {
    let what = format!("{service:?} {drill:?}");
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(4, 0).unwrap())
        .await
        .unwrap();
    let mut a = start(&dht, config()).await;
    let mut b = start(&dht, config()).await;
    a.post("before from a").await;
    b.post("before from b").await;
    b.hears(&what, ["before from a".to_owned()].into()).await;
    a.hears(&what, ["before from b".to_owned()].into()).await;

    // The fault, in the middle of posts that flow.
    let flow = async {
        for n in 0..20 {
            a.post(&format!("a {n}")).await;
            b.post(&format!("b {n}")).await;
        }
    };
    let fault = async {
        let done = timeout(DEADLINE, a.node.drill(service, drill)).await;
        done.expect("a drill ends at the latest with the port's time limit")
    };
    let ((), done) = tokio::join!(flow, fault);
    assert_eq!(
        done.is_ok(),
        matches!(drill, Drill::Slow(_)),
        "{what}: {done:?}"
    );
    a.post("after from a").await;
    b.post("after from b").await;

    let all = |name: &str| -> BTreeSet<String> {
        let flow = (0..20).map(|n| format!("{name} {n}"));
        flow.chain([format!("after from {name}")]).collect()
    };
    b.hears(&what, all("a")).await;
    a.hears(&what, all("b")).await;
    // What was acknowledged is in the store, once.
    let stored = a.topic.posts(UnixMillis(0), 1000).await.unwrap();
    for body in all("a") {
        let times = stored
            .iter()
            .filter(|post| post.body == body.as_bytes())
            .count();
        assert!(times >= 1, "{what}: {body} is not in the store");
    }
    let reason = match drill {
        Drill::Panic => "panic",
        Drill::Hang => "hang",
        Drill::Slow(_) => {
            assert_eq!(
                a.restarts(service, "hang").await,
                0.0,
                "{what}: slow is not dead"
            );
            return;
        }
    };
    // The count of the metrics' own restart is told to the fresh metrics.
    let counted = async { while a.restarts(service, reason).await < 1.0 {} };
    assert!(
        timeout(DEADLINE, counted).await.is_ok(),
        "{what}: not counted"
    );
}

macro_rules! drills {
    ($($name:ident: $service:ident,)+) => {
        $(mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn panics() {
                practice(Service::$service, Drill::Panic).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn hangs() {
                practice(Service::$service, Drill::Hang).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_slow() {
                practice(Service::$service, Drill::Slow(Duration::from_secs(1))).await;
            }
        })+
    };
}
drills! {
    identity: Identity,
    discovery: Discovery,
    gossip: Gossip,
    store: Store,
    metrics: Metrics,
    node: Node,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_service_ends_again_and_again_gives_up() {
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(2, 0).unwrap())
        .await
        .unwrap();
    let mut config = config();
    config.node.restart_limit = 2;
    let a = start(&dht, config).await;
    let gave_up = {
        let node = a.node.clone();
        tokio::spawn(async move { node.gave_up().await })
    };
    let drill = async {
        loop {
            let _panicked = a.node.drill(Service::Store, Drill::Panic).await;
            tokio::task::yield_now().await;
        }
    };
    let reason = tokio::select! {
        () = drill => unreachable!("it never ends"),
        reason = timeout(DEADLINE, gave_up) => reason.unwrap().unwrap(),
    };
    assert_eq!((reason.service, reason.times), ("store", 3));
    // It is down: its topics have ended.
    let mut events = a.events;
    let ended = async { while events.next().await.is_some() {} };
    assert!(timeout(DEADLINE, ended).await.is_ok());
    assert!(a.topic.post("too late").await.is_err());
}

/// An actor that hangs keeps what it has for good; readers of events must not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn events_end_with_a_node_whose_own_actor_hangs() {
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(2, 0).unwrap())
        .await
        .unwrap();
    let mut a = start(&dht, config()).await;
    let node = a.node.clone();
    let hung = tokio::spawn(async move { node.drill(Service::Node, Drill::Hang).await });
    let restarted = async { while a.restarts(Service::Node, "hang").await < 1.0 {} };
    timeout(DEADLINE, restarted).await.unwrap();
    a.node.shutdown().await;
    let ended = async { while a.events.next().await.is_some() {} };
    timeout(DEADLINE, ended).await.unwrap();
    hung.abort();
}

/// What a service did not hear when a topic was left, it is told again.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_left_while_a_service_was_down_is_left() {
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(4, 0).unwrap())
        .await
        .unwrap();
    let a = start(&dht, config()).await;
    let mut b = start(&dht, config()).await;
    let up =
        async { while !matches!(b.events.next().await, Some(TopicEvent::NeighborUp { .. })) {} };
    timeout(DEADLINE, up).await.unwrap();
    // Longer than a request waits: gossip does not hear that the topic is left.
    let node = a.node.clone();
    let slow = Drill::Slow(Duration::from_secs(11));
    let mut config = tokio::spawn(async move { node.drill(Service::Gossip, slow).await });
    a.topic.leave().await;
    let down =
        async { while !matches!(b.events.next().await, Some(TopicEvent::NeighborDown { .. })) {} };
    timeout(DEADLINE, down).await.unwrap();
    let _slow = (&mut config).await;
    // Nor does it come back: a fresh search of b finds nobody.
    let alone = async {
        loop {
            match b.events.next().await {
                Some(TopicEvent::Verdict(verdict)) if verdict.as_str() == "alone" => return,
                Some(TopicEvent::NeighborUp { .. }) => panic!("a ghost"),
                _ => {}
            }
        }
    };
    timeout(DEADLINE, alone).await.unwrap();
}

/// A fresh actor needs its wires however many others want something of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_flooded_while_its_own_actor_hangs_works_again() {
    /// More than a port admits.
    const CALLERS: usize = 600;
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(2, 0).unwrap())
        .await
        .unwrap();
    let a = start(&dht, config()).await;
    let flood = (0..CALLERS).map(|_| {
        let topic = a.topic.clone();
        tokio::spawn(async move {
            loop {
                if topic.post("flood").await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
    });
    let flood: Vec<_> = flood.collect();
    let hung = a.node.drill(Service::Node, Drill::Hang).await;
    assert!(hung.is_err());
    let restarted = async {
        while a.node.restarts(Service::Node, RestartReason::Hang) < 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, restarted).await.unwrap();
    a.post("after").await;
    flood.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A fresh actor is bound where the one before was: that has let go of its port by then, so that one fault
/// is one restart.
async fn keeps_its_ports(service: Service, drill: Drill) {
    let free = || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(4, 0).unwrap())
        .await
        .unwrap();
    let dir = TempDir::with_prefix("kukuri-test-").unwrap();
    let mut settings = config();
    settings.node.restart_limit = 1;
    let mainline = &mut settings.discovery.mainline;
    mainline.bootstrap = vec![dht.bootstrap().to_string()];
    let v4 = |address| match address {
        std::net::SocketAddr::V4(address) => address,
        std::net::SocketAddr::V6(_) => unreachable!("it is on 127.0.0.1"),
    };
    (mainline.dht_bind, mainline.hello_bind) = (v4(free()), v4(free()));
    settings.gossip.iroh.bind = free();
    let bound = settings.gossip.iroh.bind;
    let builder = Node::builder().config(settings).data_dir(dir.path());
    let node = builder.spawn().await.unwrap();
    assert_eq!(node.info().bound, [bound]);
    let options = JoinOptions::default();
    let topic = node.join("drill".parse().unwrap(), options).await.unwrap();
    let mut b = start(&dht, config()).await;
    topic.post("before").await.unwrap();
    b.hears("before", ["before".to_owned()].into()).await;
    let drilled = node.drill(service, drill).await;
    assert!(drilled.is_err());
    let again = async {
        loop {
            let restarts = RestartReason::ALL.map(|reason| node.restarts(service, reason));
            if restarts.iter().sum::<u64>() == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = again => {}
        reason = node.gave_up() => panic!("{reason}"),
    }
    topic.post("after").await.unwrap();
    b.hears("after", ["after".to_owned()].into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_keeps_its_port_over_a_panic() {
    keeps_its_ports(Service::Gossip, Drill::Panic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_keeps_its_port_over_a_hang() {
    keeps_its_ports(Service::Gossip, Drill::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_keeps_its_ports_over_a_panic() {
    keeps_its_ports(Service::Discovery, Drill::Panic).await;
}
