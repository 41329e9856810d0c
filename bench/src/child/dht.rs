//! The DHT that all are measured on: `Testnet` of mainline as shipped, and nodes at fixed ports.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mainline::{Dht, Testnet};
use serde_json::json;

use super::{Process, say, until_parent_ends};

/// Most time for the nodes to know each other.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What DHT to start.
#[derive(Debug, Args)]
pub struct DhtArgs {
    /// Nodes with any port.
    #[arg(long, default_value_t = 20)]
    nodes: usize,
    /// More nodes, at these ports of 127.0.0.1.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
}

/// Runs the child.
pub fn run(args: DhtArgs) -> anyhow::Result<()> {
    let testnet = Testnet::builder(args.nodes).build()?;
    let mut at_ports = Vec::new();
    let mut nodes = testnet.bootstrap.clone();
    for port in args.ports {
        // The testnet's first node takes 6881 where that is free.
        let address = format!("127.0.0.1:{port}");
        if nodes.contains(&address) {
            continue;
        }
        let node = Dht::builder()
            .server_mode()
            .bootstrap(&testnet.bootstrap)
            .bind_address(Ipv4Addr::LOCALHOST)
            .port(port)
            .build()
            .with_context(|| format!("no DHT node at port {port}"))?;
        nodes.push(address);
        at_ports.push(node);
    }
    say(&json!({ "nodes": nodes }));
    until_parent_ends();
    Ok(())
}

/// A running DHT in a process of its own.
#[derive(Debug)]
pub struct LocalDht {
    /// Where all its nodes are.
    pub nodes: Vec<String>,
    _process: Process,
}

impl LocalDht {
    /// Starts so many nodes, and one more at each of these ports.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(nodes: usize, ports: &[u16]) -> anyhow::Result<Self> {
        let mut args = vec!["dht".into(), "--nodes".into(), nodes.to_string()];
        if !ports.is_empty() {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            args.extend(["--ports".into(), ports.join(",")]);
        }
        let mut process = Process::start(&args)?;
        let ready = process.expect("nodes", START_LIMIT)?;
        let nodes = serde_json::from_value(ready.value["nodes"].clone())?;
        Ok(Self {
            nodes,
            _process: process,
        })
    }

    /// The ports of all its nodes.
    pub fn ports(&self) -> HashSet<u16> {
        let port = |node: &String| node.rsplit_once(':')?.1.parse().ok();
        self.nodes.iter().filter_map(port).collect()
    }
}
