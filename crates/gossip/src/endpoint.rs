//! The iroh endpoint: the only file that configures it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use iroh::address_lookup::memory::MemoryLookup;
use iroh::endpoint::{
    Connection, EndpointHooks, IdleTimeout, PortmapperConfig, QuicTransportConfig, presets,
};
use iroh::{Endpoint, RelayMode, RelayUrl, SecretKey, TransportAddr};
use kukuri_contract::{EndpointAddr, EndpointId, EndpointKey, LocalAddresses};

use crate::config::Config;
use crate::core::addresses::advertised;
use crate::error::GossipError;

/// Longest wait for a port that is taken: the endpoint before this one may have it until it is closed,
/// which takes 1.2 s. And how often it is tried.
const PORT_LIMIT: Duration = Duration::from_millis(2500);
const PORT_PAUSE: Duration = Duration::from_millis(50);

/// An endpoint until it is closed. Whoever holds the endpoint itself, or a connection, keeps its socket,
/// even after it was closed; and what an actor holds that hangs, it holds for good. So an actor holds this.
#[derive(Debug, Clone)]
pub struct Lent(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    endpoint: Option<Endpoint>,
    kept: Vec<Weak<Kept>>,
}

/// A connection that is kept for later.
pub type Kept = tokio::sync::Mutex<Option<Connection>>;

impl Lent {
    /// Lends an endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Mutex::new(State {
            endpoint: Some(endpoint),
            kept: Vec::new(),
        })))
    }

    /// The endpoint, unless it is closed; to be held in tasks that end with it.
    pub fn get(&self) -> Option<Endpoint> {
        self.lock().endpoint.clone()
    }

    /// A place for a connection, empty again when the endpoint is closed.
    pub fn keep(&self) -> Arc<Kept> {
        let kept = Arc::default();
        let mut state = self.lock();
        state.kept.retain(|kept| kept.strong_count() > 0);
        state.kept.push(Arc::downgrade(&kept));
        kept
    }

    /// It is closed: lets go of it.
    pub fn end(&self) {
        let kept = {
            let mut state = self.lock();
            state.endpoint = None;
            std::mem::take(&mut state.kept)
        };
        for kept in kept.iter().filter_map(Weak::upgrade) {
            // Who has the lock is connecting, which fails now.
            if let Ok(mut kept) = kept.try_lock() {
                *kept = None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes an endpoint that asks nobody: no relay but the configured one, no DNS, no address server.
/// Addresses of peers come from the [`MemoryLookup`] only, which discovery's records are fed into.
///
/// # Errors
/// The config is wrong, or the address can't be bound.
pub async fn bind(
    config: &Config,
    key: &EndpointKey,
    lookup: MemoryLookup,
    hook: impl EndpointHooks + Clone + 'static,
) -> Result<Endpoint, GossipError> {
    let begin = Instant::now();
    loop {
        match bind_now(config, key, lookup.clone(), hook.clone()).await {
            Err(GossipError::Bind { .. })
                if config.bind.port() != 0 && begin.elapsed() < PORT_LIMIT =>
            {
                tokio::time::sleep(PORT_PAUSE).await;
            }
            bound => return bound,
        }
    }
}

async fn bind_now(
    config: &Config,
    key: &EndpointKey,
    lookup: MemoryLookup,
    hook: impl EndpointHooks + 'static,
) -> Result<Endpoint, GossipError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| GossipError::Bind {
        address: config.bind,
        source,
    };
    let relay = match relay_url(config)? {
        Some(url) => RelayMode::custom([url]),
        None => RelayMode::Disabled,
    };
    let mapper = match config.port_mapping && !config.bind.ip().is_loopback() {
        true => PortmapperConfig::default(),
        false => PortmapperConfig::Disabled,
    };
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(key.expose()))
        .relay_mode(relay)
        .address_lookup(lookup)
        .hooks(hook)
        .portmapper_config(mapper)
        .transport_config(transport(config)?)
        .clear_ip_transports()
        .bind_addr(config.bind)
        .map_err(|error| failed(error.into()))?
        .bind()
        .await
        .map_err(|error| failed(error.into()))
}

/// The URL of the configured relay.
///
/// # Errors
/// It is no URL.
pub fn relay_url(config: &Config) -> Result<Option<RelayUrl>, GossipError> {
    let url = config.relay.as_deref().map(str::parse).transpose();
    url.map_err(|error| GossipError::Config {
        field: "relay",
        problem: format!("it is no URL ({error}); expected one such as https://relay.example.org"),
    })
}

/// Round trip that is assumed before one was measured. Below QUIC's 333 ms (RFC 9002, section
/// 6.2.2): a lost first packet is sent again after 0.3 s instead of 1 s, and an endpoint that ends
/// waits 0.9 s instead of 3 s for a peer that it has never reached.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Streams that a peer may open both ways at once, on one connection. Only questions and one proof are
/// such streams (gossip's go one way): twice as many as one peer may have answered at once by default.
const MAX_STREAMS: u32 = 4;

/// QUIC with time-outs short enough to notice a killed neighbor.
pub fn transport(config: &Config) -> Result<QuicTransportConfig, GossipError> {
    let idle = Duration::from_millis(config.idle_timeout_ms);
    let keep_alive = Duration::from_millis(config.keep_alive_ms);
    let too_long = |_| GossipError::Config {
        field: "idle_timeout_ms",
        problem: "it is longer than QUIC can say".into(),
    };
    let max_idle = IdleTimeout::try_from(idle).map_err(too_long)?;
    Ok(QuicTransportConfig::builder()
        .initial_rtt(INITIAL_RTT)
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_idle_timeout(Some(max_idle))
        .keep_alive_interval(keep_alive)
        .default_path_max_idle_timeout(idle)
        .default_path_keep_alive_interval(keep_alive)
        .build())
}

/// Where an endpoint is bound, and where others may dial it.
pub fn addresses(endpoint: &Endpoint, config: &Config) -> LocalAddresses {
    let bound = endpoint.bound_sockets();
    let known = endpoint.addr();
    let direct = known.ip_addrs().copied().chain(bound.iter().copied());
    let loopback = config.bind.ip().is_loopback();
    LocalAddresses {
        advertised: EndpointAddr {
            id: from_iroh(endpoint.id()),
            direct: advertised(direct, loopback, config.advertise_private),
            relay: known.relay_urls().next().map(ToString::to_string),
        },
        bound,
    }
}

/// An id as the contract has it.
pub fn from_iroh(id: iroh::EndpointId) -> EndpointId {
    EndpointId::from_bytes(*id.as_bytes())
}

/// A peer as iroh has it; `None` if its id is no Ed25519 key.
pub fn to_iroh(peer: &EndpointAddr) -> Option<iroh::EndpointAddr> {
    let id = iroh::EndpointId::from_bytes(peer.id.as_bytes()).ok()?;
    let direct = peer.direct.iter().copied().map(TransportAddr::Ip);
    let relay = peer.relay.as_deref().and_then(|url| url.parse().ok());
    let relay = relay.map(TransportAddr::Relay);
    Some(iroh::EndpointAddr::from_parts(id, direct.chain(relay)))
}
