//! Two nodes of this program on this machine.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use kukuri::{Config, JoinOptions, LocalDht, Node, TopicEvent, generate_secret};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::cli::Failure;
use crate::cli::doctor::Check;

/// Longest wait for two nodes on this machine to meet.
const SELF_TEST: Duration = Duration::from_secs(20);
/// DHT nodes of the self-test.
const DHT_NODES: usize = 5;

/// Two nodes and a DHT on loopback: all of kukuri but the network.
pub async fn self_test() -> Check {
    let tested = timeout(SELF_TEST, meet()).await;
    let failed = |error: &dyn std::fmt::Display| {
        let hint = "two nodes on this machine do not meet; is the loopback interface up, and UDP on it \
                    allowed? Else report a bug, with --log kukuri=debug";
        Check::fail("self-test", error.to_string(), hint)
    };
    match tested {
        Ok(Ok(after)) => Check::ok(
            "self-test",
            format!(
                "two nodes on this machine met after {} ms",
                after.as_millis()
            ),
        ),
        Ok(Err(error)) => failed(&error),
        Err(_) => failed(&format!(
            "two nodes on this machine did not meet within {SELF_TEST:?}"
        )),
    }
}

async fn meet() -> Result<Duration, Failure> {
    let dht = tokio::task::spawn_blocking(|| LocalDht::start(DHT_NODES, 0)).await??;
    let (one_dir, other_dir) = (TempDir::new()?, TempDir::new()?);
    let (one, other) =
        tokio::try_join!(start(one_dir.path(), &dht), start(other_dir.path(), &dht),)?;
    let secret = generate_secret()?;
    let join = async |node: &Node| {
        let options = JoinOptions {
            secret: Some(secret.clone()),
            ..JoinOptions::default()
        };
        node.join("doctor".parse()?, options)
            .await
            .map_err(Failure::from)
    };
    let (first, second) = tokio::try_join!(join(&one), join(&other))?;
    let mut events = second.events();
    first.post("are you there?").await?;
    let mut met = None;
    while let Some(event) = events.next().await {
        match event {
            TopicEvent::Joined { after, .. } => met = Some(after),
            TopicEvent::Post(_) if met.is_some() => break,
            _ => {}
        }
    }
    tokio::join!(one.shutdown(), other.shutdown());
    met.ok_or_else(|| "a node ended early".into())
}

async fn start(dir: &Path, dht: &LocalDht) -> Result<Node, Failure> {
    let mut config = Config::default();
    config.identity.kind = "memory".into();
    let node = Node::builder()
        .config(config)
        .data_dir(dir)
        .bind_ip(Ipv4Addr::LOCALHOST)
        .dht_bootstrap([dht.bootstrap().to_string()]);
    Ok(node.spawn().await?)
}
