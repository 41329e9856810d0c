//! The iroh endpoint: the only file that configures it.

use std::time::Duration;

use iroh::address_lookup::memory::MemoryLookup;
use iroh::endpoint::{EndpointHooks, IdleTimeout, PortmapperConfig, QuicTransportConfig, presets};
use iroh::{Endpoint, RelayMode, RelayUrl, SecretKey, TransportAddr};
use kukuri_contract::{EndpointAddr, EndpointId, EndpointKey, LocalAddresses};

use crate::config::Config;
use crate::core::addresses::advertised;
use crate::error::GossipError;

/// Makes an endpoint that asks nobody: no relay but the configured one, no DNS, no address server.
/// Addresses of peers come from the [`MemoryLookup`] only, which discovery's records are fed into.
///
/// # Errors
/// The config is wrong, or the address can't be bound.
pub async fn bind(
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
