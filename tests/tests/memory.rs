//! Whole nodes whose gossip is a network in memory.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use kukuri::contract::Maker;
use kukuri::{
    Config, Drill, JoinOptions, LocalDht, Node, NodeBuilder, Service, StoreChoice, Topic,
    TopicEvent, TopicEvents,
};
use kukuri_discovery::{Directory, DirectorySetup, SharedDirectory};
use kukuri_gossip::{MemoryConfig, MemoryGossip, MemoryNetwork, NetworkConfig, NetworkSetup};
use tempfile::TempDir;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);

fn dir() -> TempDir {
    TempDir::with_prefix("kukuri-test-").unwrap()
}

fn lossy() -> MemoryNetwork {
    let config = NetworkConfig {
        loss_percent: 10,
        ..NetworkConfig::default()
    };
    MemoryNetwork::new(config).unwrap()
}

/// A node in this network; its identity is kept.
fn node(dir: &Path, network: &MemoryNetwork) -> NodeBuilder {
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::File;
    config.identity.keyring.key_file = Some(kukuri_tests::key_file(dir));
    config.node.probe_every_ms = 200;
    config.node.probe_timeout_ms = 2_000;
    let setup = NetworkSetup {
        config: MemoryConfig::default(),
        network: network.clone(),
    };
    let node = Node::builder().config(config).data_dir(dir);
    node.gossip(Maker::of::<MemoryGossip>(setup))
}

struct Running {
    node: Node,
    topic: Topic,
    events: TopicEvents,
}

async fn start(node: NodeBuilder) -> Running {
    let node = node.spawn().await.unwrap();
    let options = JoinOptions::default();
    let topic = node.join("tea".parse().unwrap(), options).await.unwrap();
    let events = topic.events();
    Running {
        node,
        topic,
        events,
    }
}

impl Running {
    /// Waits until this node has heard all of these posts, each once.
    async fn hears(&mut self, bodies: &[&str]) {
        let mut wanted: BTreeSet<_> = bodies.iter().copied().collect();
        let heard = async {
            while !wanted.is_empty() {
                if let Some(TopicEvent::Post(post)) = self.events.next().await {
                    let body = std::str::from_utf8(&post.body).unwrap();
                    assert!(wanted.remove(body), "{body:?} was not wanted (any more)");
                }
            }
        };
        let in_time = timeout(DEADLINE, heard).await;
        assert!(in_time.is_ok(), "never heard {wanted:?}");
    }

    async fn says(&self, body: &str) {
        self.topic.post(body.to_owned()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_of_one_process_meet_in_memory_and_one_of_them_restarts() {
    let (network, directory) = (lossy(), Directory::default());
    let dirs = [dir(), dir(), dir()];
    let seated = |n: usize| {
        let setup = DirectorySetup {
            directory: directory.clone(),
            ..DirectorySetup::default()
        };
        node(dirs[n].path(), &network).discovery(Maker::of::<SharedDirectory>(setup))
    };
    let (mut a, mut b) = (start(seated(0)).await, start(seated(1)).await);
    let mut c = start(seated(2)).await;
    a.says("a's").await;
    b.hears(&["a's"]).await;
    c.hears(&["a's"]).await;
    c.says("c's").await;
    a.hears(&["c's"]).await;
    b.hears(&["c's"]).await;
    let endpoint = b.node.info().endpoint;
    b.node.shutdown().await;
    a.says("missed").await;
    c.hears(&["missed"]).await;
    let mut b = start(seated(1)).await;
    assert_eq!(b.node.info().endpoint, endpoint);
    b.hears(&["missed"]).await;
    b.says("back").await;
    a.hears(&["back"]).await;
    c.hears(&["back"]).await;
    // Its gossip dies and hangs, and a fresh one takes its place.
    for (drill, body) in [(Drill::Panic, "again"), (Drill::Hang, "and again")] {
        let drilled = b.node.clone();
        let hung = tokio::spawn(async move { drilled.drill(Service::Gossip, drill).await });
        a.says(body).await;
        b.hears(&[body]).await;
        c.hears(&[body]).await;
        hung.abort();
    }
    let text = a.node.metrics().await;
    assert!(text.contains("memory_network_sent_again_total"), "{text}");
    for node in [a.node, b.node, c.node] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_find_each_other_on_the_dht_meet_in_memory() {
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(4, 0).unwrap());
    let dht = dht.await.unwrap();
    let (network, dirs) = (lossy(), [dir(), dir()]);
    let local = |n: usize| {
        node(dirs[n].path(), &network)
            .bind_ip(Ipv4Addr::LOCALHOST)
            .dht_bootstrap([dht.bootstrap().to_string()])
    };
    let (mut a, mut b) = (start(local(0)).await, start(local(1)).await);
    a.says("there").await;
    b.hears(&["there"]).await;
    b.says("and back").await;
    a.hears(&["and back"]).await;
}
