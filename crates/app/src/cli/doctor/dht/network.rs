//! What a node that looks for a topic of nobody learns of the network.

use std::net::SocketAddr;
use std::time::Duration;

use kukuri::contract::DhtHealth;
use kukuri::{Config, JoinOptions, Node, TopicEvent, Verdict, generate_secret, udp_settings};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::cli::Failure;
use crate::cli::doctor::Check;

/// Longest wait for a verdict; by default one comes after 10 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// The network as the settings of this node use it: from free ports, because a node may run here.
pub async fn examine(config: &Config) -> Vec<Check> {
    if config.discovery.kind != "mainline" {
        let said = format!("the discovery {:?} does not use it", config.discovery.kind);
        return vec![Check::ok("dht", said)];
    }
    if !config.discovery.mainline.sources.need_dht() {
        let hint = "peers are found by --peer, --lan and those of earlier runs only";
        return vec![Check::warn("dht", "it is turned off by the config", hint)];
    }
    match look(config).await {
        Ok((verdict, health, addresses)) => {
            vec![
                udp(verdict, &health),
                dht(verdict, &health),
                nat(&health, &addresses),
            ]
        }
        Err(error) => vec![Check::fail(
            "dht",
            error.to_string(),
            "do what it says, then try again",
        )],
    }
}

async fn look(config: &Config) -> Result<(Verdict, DhtHealth, Vec<SocketAddr>), Failure> {
    let dir = TempDir::new()?;
    let mut config = config.clone();
    config.identity.kind = "memory".into();
    config.node.http = None;
    let settings = udp_settings(&mut config);
    settings.into_iter().for_each(|mut udp| udp.bind.free());
    let node = Node::builder()
        .config(config)
        .data_dir(dir.path())
        .spawn()
        .await?;
    let options = JoinOptions {
        secret: Some(generate_secret()?),
        ..JoinOptions::default()
    };
    let topic = node.join("doctor".parse()?, options).await?;
    let mut events = topic.events();
    let verdict = async {
        loop {
            match events.next().await {
                Some(TopicEvent::Verdict(verdict)) => return Some(verdict),
                Some(_) => {}
                None => return None,
            }
        }
    };
    let verdict = timeout(PATIENCE, verdict).await;
    let (health, addresses) = (node.health().await, node.info().advertised.direct.clone());
    node.shutdown().await;
    let verdict = verdict.map_err(|_| format!("there was no verdict within {PATIENCE:?}"))?;
    Ok((verdict.ok_or("the node ended early")?, health, addresses))
}

/// Whether datagrams come back.
fn udp(verdict: Verdict, health: &DhtHealth) -> Check {
    match (health.routing_table.unwrap_or(0), verdict) {
        (0, Verdict::NoIpv4) => Check::fail("udp", "there is no IPv4 network", verdict.hint()),
        (0, _) => Check::fail("udp", "nothing came back", "allow outgoing UDP"),
        _ => Check::ok("udp", "answers come back"),
    }
}

/// Whether the DHT can be used. Nobody else knows the topic, so being alone is right.
fn dht(verdict: Verdict, health: &DhtHealth) -> Check {
    let nodes = health.routing_table.unwrap_or(0);
    match verdict {
        Verdict::Alone | Verdict::Joined { .. } => Check::ok(
            "dht",
            format!("{nodes} DHT nodes known; announcing and looking up work"),
        ),
        Verdict::DhtThrottled => {
            Check::warn("dht", format!("{nodes} DHT nodes known"), verdict.hint())
        }
        other => Check::fail(
            "dht",
            format!("{other}, {nodes} DHT nodes known"),
            other.hint(),
        ),
    }
}

/// Whether others can reach this node first. For sure only members can tell: the series
/// `kukuri_discovery_hello_port`.
fn nat(health: &DhtHealth, addresses: &[SocketAddr]) -> Check {
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let shown = match shown.is_empty() {
        true => "no address of its own that others could dial".to_owned(),
        false => shown.join(", "),
    };
    let loopback = health
        .hello_address
        .is_some_and(|address| address.ip().is_loopback());
    match (health.mapped_address, loopback) {
        (Some(mapped), _) => Check::ok("nat", format!("the router forwards {mapped}; {shown}")),
        (None, true) => Check::ok("nat", "it is bound to this machine only"),
        (None, false) => Check::warn(
            "nat",
            format!("no router forwards a port; {shown}"),
            "unless this machine has a public address, turn on UPnP, NAT-PMP or PCP at the router, or \
             forward two UDP ports and name them with --bind and --hello-bind; peers behind such \
             routers reach only members that can be reached, or a --relay",
        ),
    }
}
