//! `kukuri testnet`: a local DHT until Ctrl-C.

use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::process::ExitCode;

use kukuri::LocalDht;
use serde_json::json;

use super::super::args::TestnetArgs;
use super::super::output::Output;
use super::super::{Failure, interrupted};

/// Runs the command.
pub async fn run(args: TestnetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let nodes = args.nodes;
    output.note(format!("Starting a local DHT of {nodes} nodes ..."));
    let host = args.host;
    let start = move || -> Result<_, Failure> {
        let address = address(&host, args.port)?;
        Ok(LocalDht::start_at(nodes.into(), address)?)
    };
    let starting = output.spinner(format!("starting {nodes} DHT nodes"));
    let dht = tokio::select! {
        dht = tokio::task::spawn_blocking(start) => dht??,
        () = interrupted() => return Ok(ExitCode::SUCCESS),
    };
    drop(starting);
    let bootstrap = dht.bootstrap();
    output.event(
        &json!({ "event": "ready", "bootstrap": bootstrap.to_string(), "nodes": nodes }),
        format!(
            "Ready at {bootstrap}. In other terminals, with a different --data-dir each:\n\n  \
             kukuri join tea --bind 127.0.0.1:0 --dht-bootstrap {bootstrap} --data-dir ./a\n\n\
             Ctrl-C ends it."
        ),
    );
    interrupted().await;
    Ok(ExitCode::SUCCESS)
}

/// The address that others find these nodes at.
fn address(host: &str, port: u16) -> Result<SocketAddrV4, Failure> {
    let found = (host, port).to_socket_addrs();
    let mut found = found.map_err(|error| format!("--host {host} has no address: {error}"))?;
    let ipv4 = found.find_map(|address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    });
    match ipv4 {
        Some(address) if address.ip().is_unspecified() => {
            Err("--host 0.0.0.0 is no address to be found at; name one of this machine".into())
        }
        Some(address) => Ok(address),
        None => Err(format!("--host {host} has no IPv4 address, and the DHT is of IPv4").into()),
    }
}
