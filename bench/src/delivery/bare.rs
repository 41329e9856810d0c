//! A peer of bare iroh-gossip: the endpoint that kukuri's gossip actor makes, and no actor.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use iroh::address_lookup::memory::MemoryLookup;
use iroh::endpoint::{IdleTimeout, QuicTransportConfig, presets};
use iroh::protocol::Router;
use iroh::{Endpoint, RelayMode, SecretKey};
use iroh_gossip::api::{Event, GossipReceiver, GossipSender};
use iroh_gossip::net::{GOSSIP_ALPN, Gossip};
use iroh_gossip::proto::TopicId;
use tokio::runtime::{Builder, Runtime};

use super::ours::WORKERS;
use super::peer::Ear;

/// A running one.
pub struct Peer {
    pub(super) ear: Arc<Ear>,
    runtime: Runtime,
    router: Router,
    lookup: MemoryLookup,
    sender: GossipSender,
}

impl Peer {
    /// Starts one, on threads of its own.
    pub(super) async fn start(number: u8) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()?;
        let lookup = MemoryLookup::new();
        let ear = Arc::new(Ear::default());
        let started = start(number, lookup.clone(), ear.clone());
        let (router, sender) = runtime.spawn(started).await??;
        Ok(Self {
            ear,
            runtime,
            router,
            lookup,
            sender,
        })
    }

    pub(super) async fn join(&self, other: &Self) -> anyhow::Result<()> {
        let address = other.router.endpoint().addr();
        self.lookup.set_endpoint_info(address.clone());
        Ok(self.sender.join_peers(vec![address.id]).await?)
    }

    pub(super) async fn cast(&self, payload: Bytes) -> anyhow::Result<()> {
        Ok(self.sender.broadcast(payload).await?)
    }

    pub(super) async fn stop(self) {
        let router = self.router;
        let closed = self.runtime.spawn(async move {
            let _ended = router.shutdown().await;
            router.endpoint().close().await;
        });
        // A peer that is gone must not hold up the end.
        let _late = tokio::time::timeout(Duration::from_secs(2), closed).await;
        self.runtime.shutdown_background();
    }
}

async fn start(
    number: u8,
    lookup: MemoryLookup,
    ear: Arc<Ear>,
) -> anyhow::Result<(Router, GossipSender)> {
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[number + 1; 32]))
        .relay_mode(RelayMode::Disabled)
        .address_lookup(lookup)
        .transport_config(transport()?)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))?
        .bind()
        .await?;
    let gossip = Gossip::builder()
        .max_message_size(4096)
        .spawn(endpoint.clone());
    let router = Router::builder(endpoint)
        .accept(GOSSIP_ALPN, gossip.clone())
        .spawn();
    let topic = TopicId::from_bytes(*super::ours::TOPIC.as_bytes());
    let (sender, receiver) = gossip.subscribe(topic, Vec::new()).await?.split();
    tokio::spawn(listen(receiver, ear));
    Ok((router, sender))
}

async fn listen(mut from: GossipReceiver, ear: Arc<Ear>) {
    while let Some(Ok(event)) = from.next().await {
        match event {
            Event::Received(message) => ear.message(&message.content),
            Event::NeighborUp(_) => ear.up(),
            Event::NeighborDown(_) => {}
            Event::Lagged => ear.lost(1),
        }
    }
}

/// The values of `crates/gossip/src/endpoint.rs` with the default config, so that nothing but the
/// actors is compared.
fn transport() -> anyhow::Result<QuicTransportConfig> {
    let config = kukuri_gossip::Config::default();
    let idle = Duration::from_millis(config.idle_timeout_ms);
    let keep_alive = Duration::from_millis(config.keep_alive_ms);
    Ok(QuicTransportConfig::builder()
        .initial_rtt(Duration::from_millis(100))
        .max_concurrent_bidi_streams(4_u32.into())
        .max_idle_timeout(Some(IdleTimeout::try_from(idle)?))
        .keep_alive_interval(keep_alive)
        .default_path_max_idle_timeout(idle)
        .default_path_keep_alive_interval(keep_alive)
        .build())
}
