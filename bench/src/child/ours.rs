//! A kukuri node, as an app embeds it.

use std::time::Instant;

use kukuri::{Config, JoinOptions, Node, StoreChoice, Topic, TopicEvent};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::node::{Neighbors, NodeArgs, Word};
use super::{say, steps};

/// Runs one. Its clock starts with the start of its DHT node; a second one starts before anything of
/// it does, and includes reading the keys, opening the database and binding the endpoint.
pub async fn run(
    serve: bool,
    args: NodeArgs,
    mut words: mpsc::Receiver<Word>,
) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    say(&json!({ "ready": null }));
    while !matches!(words.recv().await, Some(Word::Go) | None) {}
    let dht_start = steps::hear(Instant::now(), args.steps);
    let mut neighbors = Neighbors::since_now();
    let node = Node::builder()
        .config(config(serve))
        .data_dir(dir.path())
        .bind_ip(args.ip)
        .dht_bootstrap(args.dht)
        .spawn()
        .await?;
    tracing::debug!(step = "node_started");
    let topic = node
        .join(args.topic.parse()?, JoinOptions::default())
        .await?;
    say(&json!({ "id": node.info().endpoint.to_string() }));
    let mut events = topic.events();
    loop {
        tokio::select! {
            word = words.recv() => match word {
                Some(Word::Cast(text)) => cast(&topic, text),
                Some(_) => {}
                None => return Ok(()),
            },
            event = events.next() => match event {
                Some(TopicEvent::NeighborUp { endpoint, .. }) => {
                    neighbors.joins_at(dht_start.get().copied());
                    neighbors.up(&endpoint.to_string());
                }
                Some(TopicEvent::NeighborDown { endpoint, .. }) => {
                    neighbors.down(&endpoint.to_string());
                }
                Some(TopicEvent::Post(post)) => {
                    say(&json!({ "got": String::from_utf8_lossy(&post.body) }));
                }
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}

/// The config of a measured node: the defaults, but for what would ask the machine's user.
pub fn config(serve: bool) -> Config {
    let mut config = Config::default();
    config.identity.keyring.store = StoreChoice::File;
    // Its keys are gone with its directory, and nothing is measured that has to do with them.
    config.identity.keyring.insecure_plaintext_store = true;
    config.discovery.mainline.serve = match serve {
        true => kukuri_discovery::Serve::Always,
        false => kukuri_discovery::Serve::Never,
    };
    config
}

fn cast(topic: &Topic, text: String) {
    let topic = topic.clone();
    tokio::spawn(async move { topic.post(text).await });
}
