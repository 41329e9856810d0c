//! A peer behind kukuri's gossip actor: the actor in an arbiter of its own, and in another one a
//! listener, where the node's actor would be.

use std::net::Ipv4Addr;
use std::sync::Arc;

use actix::{Actor, Arbiter, Context, Handler};
use anyhow::Context as _;
use bytes::Bytes;
use iroh::SecretKey;
use kukuri_contract::{
    Broadcast, Dial, DialReason, EndpointAddr, EndpointId, EndpointKey, Epoch, Factory, GossipDeps,
    GossipEvent, GossipPort, Join, KeyBytes, Lease, MemberKeys, Outlet, TopicId,
};
use kukuri_gossip::{Config, IrohGossip};
use tokio::sync::oneshot;

use super::peer::Ear;

/// The topic of all swarms.
pub const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
/// Threads of gossip's runtime: a node's default.
pub const WORKERS: usize = 2;
/// Mailbox of the node's actor.
const MAILBOX: usize = 4096;

/// A running one.
pub struct Peer {
    pub(super) ear: Arc<Ear>,
    port: GossipPort,
    address: EndpointAddr,
    arbiters: [Arbiter; 2],
}

impl Peer {
    /// Starts one.
    pub(super) async fn start(number: u8) -> anyhow::Result<Self> {
        let ear = Arc::new(Ear::default());
        let heard = ear.clone();
        let (listener, listening) = in_arbiter(1, async move || {
            let listener = Listener::create(|ctx| {
                ctx.set_mailbox_capacity(MAILBOX);
                Listener(heard)
            });
            listener.recipient()
        })
        .await?;
        let config = Config {
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            ..Config::default()
        };
        let secret = [number + 1; 32];
        let deps = GossipDeps {
            endpoint: EndpointId::from_bytes(*SecretKey::from_bytes(&secret).public().as_bytes()),
            key: EndpointKey::new(secret),
            events: Outlet::new([listener]),
            lease: Lease::endless(),
        };
        let start = async move || IrohGossip::spawn(config, deps).await;
        let (running, gossip) = in_arbiter(WORKERS, start).await?;
        let running = running?;
        let keys = MemberKeys {
            epoch: Epoch(0),
            own: KeyBytes::new([7; 32]),
            others: Vec::new(),
        };
        let topic = TOPIC;
        running.port.join(Join { topic, keys }).await?;
        Ok(Self {
            ear,
            port: running.port,
            address: running.addresses.advertised,
            arbiters: [gossip, listening],
        })
    }

    pub(super) async fn join(&self, other: &Self) -> anyhow::Result<()> {
        let dial = Dial {
            topic: TOPIC,
            peers: vec![other.address.clone()],
            reason: DialReason::Found,
        };
        Ok(self.port.dial(dial).await?)
    }

    pub(super) async fn cast(&self, payload: Bytes) -> anyhow::Result<()> {
        let topic = TOPIC;
        Ok(self.port.broadcast(Broadcast { topic, payload }).await?)
    }

    pub(super) async fn stop(self) {
        // An error means that it has ended by itself.
        let _ended = self.port.stop().await;
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

struct Listener(Arc<Ear>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<GossipEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: GossipEvent, _: &mut Self::Context) {
        match event {
            GossipEvent::Received { payload, .. } => self.0.message(&payload),
            GossipEvent::NeighborUp { .. } => self.0.up(),
            GossipEvent::TopicLagged { .. } => self.0.lost(1),
            GossipEvent::Lagged(missed) => self.0.lost(missed),
            _ => {}
        }
    }
}

/// Runs something in an arbiter such as a node's actors have (`crates/app/src/arbiter.rs`).
pub async fn in_arbiter<T: Send + 'static>(
    workers: usize,
    start: impl AsyncFnOnce() -> T + Send + 'static,
) -> anyhow::Result<(T, Arbiter)> {
    let arbiter = Arbiter::with_tokio_rt(move || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()
            .expect("the operating system gives a process its threads and an event queue")
    });
    let (tx, rx) = oneshot::channel();
    arbiter.spawn_fn(move || {
        actix::spawn(async move {
            // Where nobody waits any more, the measurement has failed already.
            let _waiting = tx.send(start().await);
        });
    });
    let started = rx.await.context("an actor did not start")?;
    Ok((started, arbiter))
}
