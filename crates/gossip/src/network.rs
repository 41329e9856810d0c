//! The network in memory that nodes of one process share: the core's state behind a lock, and for each
//! endpoint a task that takes in what comes to it at its time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{Stream, stream};
use kukuri_contract::{EndpointAddr, EndpointId, Lease, LocalAddresses};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::config::NetworkConfig;
use crate::core::network::{Limits, MAX_ENDPOINTS, Network, News, Pass, address_of};
use crate::error::GossipError;

/// What a task takes in at once, before it lets others have the network.
const BATCH: usize = 64;

/// A network in memory. Clones are the same one; nodes of different ones never meet.
#[derive(Clone)]
pub struct MemoryNetwork(Arc<Shared>);

struct Shared {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    network: Network,
    /// Of the endpoints that are here.
    bells: BTreeMap<EndpointId, Arc<Bells>>,
}

/// Rung when there is something to do for an endpoint.
#[derive(Default)]
struct Bells {
    /// Something comes earlier than was known, or the endpoint has gone.
    due: Notify,
    /// There are news for the actor, or the endpoint has gone.
    news: Notify,
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new(NetworkConfig::default()).expect("the defaults are right")
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryNetwork(..)")
    }
}

impl MemoryNetwork {
    /// A network with nobody in it.
    ///
    /// # Errors
    /// A field of the config is wrong.
    pub fn new(config: NetworkConfig) -> Result<Self, GossipError> {
        let state = State {
            network: Network::new(config.conditions()?),
            bells: BTreeMap::new(),
        };
        Ok(Self(Arc::new(Shared {
            start: Instant::now(),
            state: Mutex::new(state),
        })))
    }

    /// Splits the network into parts that can't reach each other, until it is split anew or healed. Who
    /// is in none of them is in one more, with all others that are in none. Links between parts end
    /// after [`NetworkConfig::idle_timeout_ms`]; dials between them time out.
    pub fn split(&self, parts: &[BTreeSet<EndpointId>]) {
        self.with(|network, now| network.split(parts, now));
    }

    /// Ends the split. What has gone over links that have not ended yet arrives now.
    pub fn heal(&self) {
        self.with(Network::heal);
    }

    /// An endpoint comes; a stay that it has here ends.
    pub(crate) fn enter(&self, id: EndpointId, limits: Limits) -> Result<Seat, GossipError> {
        let most = MAX_ENDPOINTS;
        let entered = self.with(|network, now| network.enter(id, limits, now));
        let pass = entered.map_err(|_| GossipError::NetworkFull { most })?;
        let bells = Arc::<Bells>::default();
        let earlier = self.lock().bells.insert(id, bells.clone());
        if let Some(earlier) = earlier {
            earlier.ring();
        }
        let network = self.clone();
        Ok(Seat {
            network,
            pass,
            bells,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Network, Duration) -> T) -> T {
        let mut state = self.lock();
        let done = act(&mut state.network, self.0.start.elapsed());
        for id in state.network.take_touched() {
            if let Some(bells) = state.bells.get(&id) {
                bells.due.notify_one();
            }
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bells {
    fn ring(&self) {
        self.due.notify_one();
        self.news.notify_one();
    }
}

/// A stay of an endpoint in a network.
#[derive(Clone)]
pub(crate) struct Seat {
    network: MemoryNetwork,
    pass: Pass,
    bells: Arc<Bells>,
}

impl Seat {
    /// Whose it is.
    pub fn id(&self) -> EndpointId {
        self.pass.id
    }

    /// Where others dial it; nothing is bound there.
    pub fn addresses(&self) -> LocalAddresses {
        LocalAddresses {
            bound: Vec::new(),
            advertised: EndpointAddr {
                id: self.pass.id,
                direct: vec![address_of(self.pass.id)],
                relay: None,
            },
        }
    }

    /// Does something with the network.
    pub fn with<T>(&self, act: impl FnOnce(&mut Network, Pass, Duration) -> T) -> T {
        self.network
            .with(|network, now| act(network, self.pass, now))
    }

    /// Ends the stay, if it has not ended; a later one of the same endpoint goes on.
    pub fn exit(&self) {
        self.with(|network, pass, now| network.exit(pass, now));
        self.bells.ring();
        let mut state = self.network.lock();
        let own = |bells: &Arc<Bells>| Arc::ptr_eq(bells, &self.bells);
        if state.bells.get(&self.pass.id).is_some_and(own) {
            state.bells.remove(&self.pass.id);
        }
    }

    /// Takes in what comes until the stay or the lease ends; then, or when it is dropped, the stay has
    /// ended: without this nobody would notice that nothing arrives any more.
    pub async fn run(self, lease: Lease) {
        let stay = Stay(self);
        tokio::select! {
            () = lease.ended() => {}
            () = stay.0.take_in() => {}
        }
    }

    async fn take_in(&self) {
        loop {
            let (has_news, next, now) = self.with(|network, pass, now| {
                network.advance(pass, now, BATCH);
                let here = network.has(pass);
                let next = here.then(|| network.next_due(pass));
                (network.has_news(pass), next, now)
            });
            if has_news {
                self.bells.news.notify_one();
            }
            let Some(next) = next else {
                return;
            };
            match next.map(|due| due.saturating_sub(now)) {
                // There is more: the other tasks first.
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                // In time, or earlier.
                Some(wait) => _ = timeout(wait, self.bells.due.notified()).await,
                None => self.bells.due.notified().await,
            }
        }
    }

    /// The news for the actor, until the stay ends.
    pub fn news(self) -> impl Stream<Item = Vec<News>> {
        stream::unfold(self, |seat| async move {
            loop {
                let news = seat.with(|network, pass, _| network.take_news(pass))?;
                if !news.is_empty() {
                    return Some((news, seat));
                }
                seat.bells.news.notified().await;
            }
        })
    }
}

/// Ends a stay when it is dropped.
struct Stay(Seat);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.exit();
    }
}
