//! Peers of both contenders, and swarms of them, made in the same way.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;

use super::{bare, ours};

/// Bytes of each broadcast.
const PAYLOAD_BYTES: usize = 1024;
/// How often somebody looks whether messages have come. It does not blur what is measured: each
/// message has its own time.
pub const POLL: Duration = Duration::from_millis(5);
/// Longest wait for neighbors, and for broadcasts to reach everybody.
pub const LIMIT: Duration = Duration::from_secs(20);
/// After the last join: the swarm shuffles its edges.
const SETTLE: Duration = Duration::from_secs(2);
/// Broadcasts after that, by which PlumTree finds its tree.
const WARM_UP: u64 = 20;
/// Numbers of warm-up broadcasts start here.
const WARM_UP_FROM: u64 = 1 << 32;

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// iroh-gossip as its users call it.
    Bare,
    /// The same behind the gossip actor.
    Ours,
}

impl Contender {
    /// In the order of the table.
    pub const ALL: [Self; 2] = [Self::Bare, Self::Ours];
    /// Their names, in the same order.
    pub const TITLES: [&str; 2] = ["bare iroh-gossip", "through our actors"];
}

/// What a peer has heard. Shared with whoever measures, who looks now and then: a channel would
/// wake that one for every message.
#[derive(Debug, Default)]
pub struct Ear {
    heard: Mutex<Vec<(u64, Instant)>>,
    neighbors: AtomicUsize,
    lost: AtomicU64,
}

impl Ear {
    /// A broadcast has come.
    pub fn message(&self, payload: &[u8]) {
        let at = Instant::now();
        if let Some(number) = payload.first_chunk() {
            self.lock().push((u64::from_be_bytes(*number), at));
        }
    }

    /// A peer is a neighbor.
    pub fn up(&self) {
        self.neighbors.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages were lost on the way, and somebody said so.
    pub fn lost(&self, times: u64) {
        self.lost.fetch_add(times, Ordering::Relaxed);
    }

    /// How many have come.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Takes what has come.
    pub fn take(&self) -> Vec<(u64, Instant)> {
        std::mem::take(&mut self.lock())
    }

    /// How often it was told of a loss.
    pub fn losses(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of either kind.
pub enum Peer {
    /// iroh-gossip.
    Bare(bare::Peer),
    /// The gossip actor.
    Ours(ours::Peer),
}

impl Peer {
    async fn start(contender: Contender, number: u8) -> anyhow::Result<Self> {
        Ok(match contender {
            Contender::Bare => Self::Bare(bare::Peer::start(number).await?),
            Contender::Ours => Self::Ours(ours::Peer::start(number).await?),
        })
    }

    /// What it hears.
    pub fn ear(&self) -> &Arc<Ear> {
        match self {
            Self::Bare(peer) => &peer.ear,
            Self::Ours(peer) => &peer.ear,
        }
    }

    async fn join(&self, other: &Self) -> anyhow::Result<()> {
        match (self, other) {
            (Self::Bare(peer), Self::Bare(other)) => peer.join(other).await,
            (Self::Ours(peer), Self::Ours(other)) => peer.join(other).await,
            _ => bail!("a swarm has peers of one kind"),
        }
    }

    /// Broadcasts a message with this number.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn cast(&self, number: u64) -> anyhow::Result<()> {
        let mut payload = vec![0; PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&number.to_be_bytes());
        let payload = Bytes::from(payload);
        match self {
            Self::Bare(peer) => peer.cast(payload).await,
            Self::Ours(peer) => peer.cast(payload).await,
        }
    }

    async fn stop(self) {
        match self {
            Self::Bare(peer) => peer.stop().await,
            Self::Ours(peer) => peer.stop().await,
        }
    }
}

/// A swarm in one piece, whose tree of broadcasts has been found.
pub struct Swarm(pub Vec<Peer>);

impl Swarm {
    /// Starts so many peers, each of which joins the one before it.
    ///
    /// # Errors
    /// They do not find together.
    pub async fn start(contender: Contender, peers: usize) -> anyhow::Result<Self> {
        let mut swarm = Self(Vec::new());
        for number in 0..peers {
            let peer = Peer::start(contender, u8::try_from(number)?).await?;
            if let Some(last) = swarm.0.last() {
                peer.join(last).await?;
                let up = || peer.ear().neighbors.load(Ordering::Relaxed) > 0;
                until(up).await.context("waiting for a neighbor")?;
            }
            swarm.0.push(peer);
        }
        tokio::time::sleep(SETTLE).await;
        for number in 0..WARM_UP {
            swarm.0[0].cast(WARM_UP_FROM + number).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let all = || swarm.others().all(|ear| ear.count() as u64 >= WARM_UP);
        until(all).await.context("warming up")?;
        swarm.others().for_each(|ear| drop(ear.take()));
        Ok(swarm)
    }

    /// The ears of all but the sender, who is the first.
    pub fn others(&self) -> impl Iterator<Item = &Arc<Ear>> {
        self.0.iter().skip(1).map(Peer::ear)
    }

    /// Ends all of them.
    pub async fn stop(self) {
        futures_util::future::join_all(self.0.into_iter().map(Peer::stop)).await;
    }
}

async fn until(done: impl Fn() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > LIMIT {
            bail!("nothing within {LIMIT:?}");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
