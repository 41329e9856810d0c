//! A node of distributed-topic-tracker, unpatched, as its own examples set it up. Its DHT bootstrap
//! names are fixed in its code: they must resolve to the local DHT (see `netns.rs`). It publishes
//! ids without addresses, so the parent supplies those: only discovery is compared.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use distributed_topic_tracker::{
    AutoDiscoveryGossip, Config, GossipSender, RecordPublisher, TopicId,
};
use ed25519_dalek::SigningKey;
use iroh::address_lookup::memory::MemoryLookup;
use iroh::endpoint::presets;
use iroh::{Endpoint, EndpointAddr, RelayMode, SecretKey, TransportAddr};
use iroh_gossip::api::Event;
use iroh_gossip::net::Gossip;
use serde_json::json;
use tokio::sync::mpsc;

use super::node::{Neighbors, Word};
use super::say;

/// Runs one. Its clock starts with its endpoint bound, and includes starting its DHT node.
pub async fn run(name: &str, ip: Ipv4Addr, mut words: mpsc::Receiver<Word>) -> anyhow::Result<()> {
    let key = SecretKey::generate();
    let lookup = MemoryLookup::new();
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(key.clone())
        .relay_mode(RelayMode::Disabled)
        .address_lookup(lookup.clone())
        .clear_ip_transports()
        .bind_addr((ip, 0))?
        .bind()
        .await?;
    let gossip = Gossip::builder().spawn(endpoint.clone());
    let _router = iroh::protocol::Router::builder(endpoint.clone())
        .accept(iroh_gossip::ALPN, gossip.clone())
        .spawn();
    let address = endpoint.bound_sockets()[0];
    say(&json!({ "ready": endpoint.id().to_string(), "address": address.to_string() }));
    loop {
        match words.recv().await.context("no go")? {
            Word::Go => break,
            Word::Peer(id, address) => add(&lookup, &id, &address)?,
            Word::Cast(_) => {}
        }
    }

    let mut neighbors = Neighbors::since_now();
    let publisher = RecordPublisher::new(
        TopicId::new(name.to_owned()),
        SigningKey::from_bytes(&key.to_bytes()),
        None,
        b"the secret of the measurement".to_vec(),
        Config::default(),
    );
    let topic = gossip
        .subscribe_and_join_with_auto_discovery_no_wait(publisher)
        .await?;
    let (sender, mut receiver) = topic.split().await?;
    // A neighbor that came before there was a receiver of ours.
    for id in receiver.neighbors().await? {
        neighbors.up(&id.to_string());
    }
    loop {
        tokio::select! {
            word = words.recv() => match word {
                Some(Word::Cast(text)) => cast(&sender, text),
                Some(Word::Peer(id, address)) => add(&lookup, &id, &address)?,
                Some(Word::Go) => {}
                None => return Ok(()),
            },
            event = receiver.next() => match event {
                Ok(Event::NeighborUp(id)) => neighbors.up(&id.to_string()),
                Ok(Event::NeighborDown(id)) => neighbors.down(&id.to_string()),
                Ok(Event::Received(message)) => {
                    say(&json!({ "got": String::from_utf8_lossy(&message.content) }));
                }
                Ok(Event::Lagged) => {}
                Err(error) => return Err(anyhow::anyhow!("the rival's events end: {error}")),
            },
        }
    }
}

fn add(lookup: &MemoryLookup, id: &str, address: &str) -> anyhow::Result<()> {
    let address: SocketAddr = address.parse()?;
    let peer = EndpointAddr::from_parts(id.parse()?, [TransportAddr::Ip(address)]);
    lookup.add_endpoint_info(peer);
    Ok(())
}

fn cast(sender: &GossipSender, text: String) {
    let sender = sender.clone();
    tokio::spawn(async move { sender.broadcast(text.into_bytes()).await });
}
