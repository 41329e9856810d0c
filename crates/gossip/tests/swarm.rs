//! Real iroh endpoints on loopback: who meets whom, what is delivered, who is missed.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod nodes;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kukuri_conformance::EventLog;
use kukuri_contract::{
    Ask, AskError, Broadcast, BroadcastError, CallError, Counters, Dial, DialError, DialReason,
    DialResult, EndpointAddr, EndpointId, EndpointKey, Factory, GossipDeps, GossipEvent, JoinError,
    Lease, Leave, LocalAddress, Outlet,
};
use kukuri_gossip::{Config, GossipError, IrohGossip, MAX_PAYLOAD_BYTES};
use nodes::{Node, OTHER, TOPIC, join, local, meet, node, node_with, numbered};

const CHILD: &str = "KUKURI_TEST_CHILD";

impl Node {
    async fn dialed(&mut self) -> DialResult {
        let ended = |event| match event {
            GossipEvent::DialEnded { result, .. } => Some(result),
            _ => None,
        };
        self.log.wait_for("the end of a dial", ended).await
    }

    async fn hears(&mut self) -> Bytes {
        let heard = |event| match event {
            GossipEvent::Received { payload, .. } => Some(payload),
            _ => None,
        };
        self.log.wait_for("a broadcast", heard).await
    }

    async fn say(&self, payload: Vec<u8>) -> Result<(), CallError<BroadcastError>> {
        let payload = payload.into();
        let topic = TOPIC;
        self.port.broadcast(Broadcast { topic, payload }).await
    }
}

#[actix::test]
async fn two_nodes_meet_talk_and_part() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    let started = Instant::now();
    a.dial(&[&b]).await;
    assert_eq!(a.up(b.address.id).await, 1);
    println!("neighbor after {:?}", started.elapsed());
    assert_eq!(b.up(a.address.id).await, 1);
    let again = a.port.join(join(TOPIC)).await.unwrap();
    assert_eq!(again.neighbors, [b.address.id]);
    a.say(b"from a".to_vec()).await.unwrap();
    assert_eq!(b.hears().await, "from a");
    b.say(b"from b".to_vec()).await.unwrap();
    assert_eq!(a.hears().await, "from b");
    let counters = a.port.counters(Counters).await.unwrap();
    assert!(
        counters.contains("gossip_") && !counters.contains("EOF"),
        "{counters}"
    );
    let ups = async |node: &Node| {
        let text = node.port.counters(Counters).await.unwrap();
        let mut lines = text.lines();
        let up = lines.find_map(|line| line.strip_prefix("gossip_neighbor_up_total "));
        up.unwrap().to_owned()
    };
    assert_eq!(ups(&a).await, "1");
    a.port.leave(Leave { topic: TOPIC }).await.unwrap();
    assert_eq!(ups(&a).await, "1", "a counter never falls");
    assert_eq!(b.down(a.address.id).await, 0);
    let fresh = a.port.join(join(TOPIC)).await.unwrap();
    assert!(fresh.neighbors.is_empty());
    a.dial(&[&b]).await;
    b.up(a.address.id).await;
    a.port.stop().await.unwrap();
    assert_eq!(b.down(a.address.id).await, 0);
}

#[actix::test]
async fn a_broadcast_reaches_all_of_eight() {
    let mut nodes = Vec::new();
    for n in 1..=8 {
        nodes.push(node(n).await);
    }
    let hub = nodes.remove(0);
    for node in &mut nodes {
        node.dial(&[&hub]).await;
        node.up(hub.address.id).await;
    }
    // While eight nodes settle on five neighbors each, a broadcast may pass one by: say it again
    // until everybody has heard one.
    for node in &mut nodes {
        let mut again = tokio::time::interval(Duration::from_millis(200));
        let heard = loop {
            tokio::select! {
                heard = node.hears() => break heard,
                _ = again.tick() => hub.say(b"to all".to_vec()).await.unwrap(),
            }
        };
        assert_eq!(heard, "to all");
    }
}

#[actix::test]
async fn the_largest_payload_arrives_and_one_byte_more_is_refused() {
    let (mut a, mut b) = (node(1).await, node(2).await);
    meet(&mut a, &mut b).await;
    let largest = vec![7; MAX_PAYLOAD_BYTES];
    a.say(largest.clone()).await.unwrap();
    assert_eq!(b.hears().await, largest);
    let (got, limit) = (MAX_PAYLOAD_BYTES + 1, MAX_PAYLOAD_BYTES);
    let too_large = CallError::Refused(BroadcastError::TooLarge { got, limit });
    assert_eq!(a.say(vec![7; got]).await, Err(too_large));
}

#[actix::test]
async fn dials_say_how_they_ended() {
    let config = Config {
        dial_timeout_ms: 300,
        ..local()
    };
    let mut a = node_with(1, config).await;
    a.port.join(join(TOPIC)).await.unwrap();
    // A socket that nobody reads.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = EndpointAddr {
        id: node(3).await.address.id,
        direct: vec![silent.local_addr().unwrap()],
        relay: None,
    };
    let dial = Dial {
        topic: TOPIC,
        peers: vec![nobody],
        reason: DialReason::Found,
    };
    a.port.dial(dial).await.unwrap();
    assert_ne!(a.dialed().await, DialResult::Connected);
    // In no topic, or in another: neither side gets to know the other's.
    let other = node_with(4, local()).await;
    let topic = OTHER;
    other.port.join(join(topic)).await.unwrap();
    a.dial(&[&other]).await;
    let ended = |event| match event {
        GossipEvent::DialEnded { peer, result, .. } if peer == other.address.id => Some(result),
        GossipEvent::NeighborUp { .. } => panic!("a stranger is no neighbor"),
        _ => None,
    };
    let result = a.log.wait_for("the end of the dial", ended).await;
    assert_eq!(result, DialResult::NotMember);
}

#[actix::test]
async fn requests_about_unknown_topics_and_too_many_are_refused() {
    let config = Config {
        max_topics: 1,
        ..local()
    };
    let a = node_with(1, config).await;
    let topic = TOPIC;
    let peers = vec![];
    let unknown = CallError::Refused(DialError::UnknownTopic(topic));
    assert_eq!(
        a.port
            .dial(Dial {
                topic,
                peers,
                reason: DialReason::Found
            })
            .await,
        Err(unknown)
    );
    let unknown = CallError::Refused(BroadcastError::UnknownTopic(topic));
    assert_eq!(a.say(vec![1]).await, Err(unknown));
    a.port.join(join(topic)).await.unwrap();
    a.port.join(join(topic)).await.unwrap();
    let topic = OTHER;
    let full = CallError::Refused(JoinError::TooManyTopics { limit: 1 });
    assert_eq!(a.port.join(join(topic)).await, Err(full));
    let addresses = a.port.local_address(LocalAddress).await.unwrap();
    assert_eq!(addresses.advertised.direct, addresses.bound);
}

#[actix::test]
async fn bad_settings_and_taken_ports_are_typed_errors() {
    let relay = Config {
        relay: Some("not a url".into()),
        ..local()
    };
    let keep_alive = Config {
        keep_alive_ms: 4_000,
        ..local()
    };
    for (config, name) in [(relay, "relay"), (keep_alive, "keep_alive_ms")] {
        let error = IrohGossip::check(&config).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = Config {
        bind: taken.local_addr().unwrap(),
        ..local()
    };
    let (_log, listener) = EventLog::new();
    let deps = GossipDeps {
        endpoint: numbered(9),
        key: EndpointKey::new([9; 32]),
        events: Outlet::new([listener]),
        lease: Lease::endless(),
    };
    let error = IrohGossip::spawn(config, deps).await.unwrap_err();
    assert!(matches!(error, GossipError::Bind { .. }), "{error}");
}

/// Not a test of its own: the process that the next test kills.
#[actix::test]
async fn child_process() {
    let Ok(parent) = std::env::var(CHILD) else {
        return;
    };
    let mut child = node(2).await;
    let peers = vec![parent.parse().unwrap()];
    child
        .port
        .dial(Dial {
            topic: TOPIC,
            peers,
            reason: DialReason::Found,
        })
        .await
        .unwrap();
    println!("\nchild {}", child.address.id);
    let asked = |event| matches!(event, GossipEvent::Asked { .. }).then_some(());
    child.log.wait_for("a question", asked).await;
    println!("\nasked");
    std::future::pending::<()>().await;
}

#[actix::test]
async fn a_killed_neighbor_is_noticed_and_a_lonely_node_can_be_joined_again() {
    let mut a = node(1).await;
    let address = format!("{}@{}", a.address.id, a.address.direct[0]);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, address)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let id = lines.find_map(|line| line.strip_prefix("child ").map(str::to_owned));
    let id: EndpointId = id.unwrap().parse().unwrap();
    a.up(id).await;
    let ask = Ask {
        topic: TOPIC,
        peer: id,
        payload: "?".into(),
    };
    let (answer, killed) = tokio::join!(a.port.ask(ask), async {
        let asked = move || lines.find(|line| line == "asked");
        tokio::task::spawn_blocking(asked).await.unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        Instant::now()
    });
    let failed = matches!(answer, Err(CallError::Refused(AskError::Failed(_))));
    assert!(failed, "{answer:?}");
    println!("the question failed after {:?}", killed.elapsed());
    assert_eq!(a.down(id).await, 0);
    println!(
        "SIGKILL noticed after {:?}; the goal is 10 s",
        killed.elapsed()
    );
    let mut c = node(3).await;
    c.dial(&[&a]).await;
    c.up(a.address.id).await;
    a.up(c.address.id).await;
}
