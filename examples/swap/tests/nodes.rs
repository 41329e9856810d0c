//! Whole nodes that find each other in a shared folder.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use kukuri::contract::Maker;
use kukuri::{JoinOptions, Node, Source, StartError, Topic, TopicEvent, TopicSecret};
use kukuri_folder::{Config, Folder};
use tokio::time::timeout;

/// Generous: a slow machine is no bug.
const DEADLINE: Duration = Duration::from_secs(60);

async fn node(shared: &Path, data_dir: &Path) -> Result<Node, StartError> {
    let folder = Config {
        dir: shared.to_owned(),
        every_ms: 50,
        ..Config::default()
    };
    let mut config = kukuri::Config::default();
    config.identity.keyring.store = kukuri::StoreChoice::Memory;
    let node = Node::builder()
        .config(config)
        .data_dir(data_dir)
        .bind_ip(Ipv4Addr::LOCALHOST)
        .discovery(Maker::of::<Folder>(folder));
    node.spawn().await
}

async fn join(node: &Node, secret: u8) -> Topic {
    let options = JoinOptions {
        secret: Some(TopicSecret::from_bytes([secret; 32])),
        ..JoinOptions::default()
    };
    node.join("tea".parse().unwrap(), options).await.unwrap()
}

/// Waits for a post with this text.
async fn hears(topic: &Topic, text: &str) {
    let mut events = topic.events();
    let heard = async {
        while let Some(event) = events.next().await {
            if matches!(&event, TopicEvent::Post(post) if post.body == text.as_bytes()) {
                return;
            }
        }
        panic!("the node ended");
    };
    timeout(DEADLINE, heard).await.unwrap();
}

#[tokio::test]
async fn two_nodes_find_each_other_and_talk() {
    let [shared, a, b] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let a = node(shared.path(), a.path()).await.unwrap();
    let b = node(shared.path(), b.path()).await.unwrap();
    assert_eq!(a.info().hello, None, "a folder has no socket");
    let (in_a, in_b) = (join(&a, 1).await, join(&b, 1).await);
    let (heard_by_a, heard_by_b) = (hears(&in_a, "from b"), hears(&in_b, "from a"));
    let posted = async {
        in_a.post("from a").await.unwrap();
        in_b.post("from b").await.unwrap();
    };
    tokio::join!(heard_by_a, heard_by_b, posted);
    let text = a.metrics().await;
    let found = format!("source=\"{}\"", Source::Rendezvous);
    assert!(text.contains(&found), "dashboards show it like any other");
    tokio::join!(a.shutdown(), b.shutdown());
    let left = shared.path().read_dir().unwrap().count();
    assert_eq!(left, 0, "who leaves takes its files away");
}

#[tokio::test]
async fn who_is_no_member_is_not_found() {
    let [shared, a, b, c] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let a = node(shared.path(), a.path()).await.unwrap();
    let b = node(shared.path(), b.path()).await.unwrap();
    let c = node(shared.path(), c.path()).await.unwrap();
    let (in_a, in_b, _stranger) = (join(&a, 1).await, join(&b, 1).await, join(&c, 2).await);
    tokio::join!(hears(&in_a, "from b"), async {
        in_b.post("from b").await.unwrap();
    });
    let alone = c.metrics().await;
    assert!(alone.contains("kukuri_gossip_neighbors 0"), "{alone}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_ends_the_start() {
    let data = tempfile::tempdir().unwrap();
    let missing = data.path().join("missing");
    let error = node(&missing, data.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("discovery does not start"),
        "{error}"
    );
    let nothing = node(Path::new(""), data.path()).await.unwrap_err();
    assert!(matches!(nothing, StartError::Config(_)), "{nothing}");
}
