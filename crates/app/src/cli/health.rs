//! `kukuri health`: whether a running node is well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kukuri::Config;
use serde_json::{Value, json};

use super::Failure;
use super::args::HealthArgs;
use super::output::Output;

/// Longest wait for the answer: a node's slowest probe fails after 5 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("no node to ask: name where it serves /readyz with --http, or set node.http")]
    NoAddress,
    #[error("node.http is port 0, so the node takes any: name the one it has with --http")]
    AnyPort,
    #[error("no node answers at {address}: {source}")]
    NoAnswer {
        address: SocketAddr,
        source: Box<ureq::Error>,
    },
    #[error("what answers at {address} is no node of kukuri")]
    NotANode { address: SocketAddr },
}

/// Runs the command. It ends with 1 if a service is not ready.
pub fn run(args: HealthArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let address = match args.http {
        Some(address) => address,
        None => Config::load(file, &json!({}))?
            .node
            .http
            .ok_or(HealthError::NoAddress)?,
    };
    let services = ask(reachable(address)?)?;
    let unready = |service: &Value| service["ready"] != true;
    let ready = !services.iter().any(unready);
    let text: Vec<_> = services.iter().map(as_text).collect();
    output.event(
        &json!({ "event": "health", "ready": ready, "services": services }),
        text.join("\n"),
    );
    Ok(match ready {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// A node that listens on all addresses is asked on this machine's own.
fn reachable(mut address: SocketAddr) -> Result<SocketAddr, HealthError> {
    if address.port() == 0 {
        return Err(HealthError::AnyPort);
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    Ok(address)
}

fn ask(address: SocketAddr) -> Result<Vec<Value>, HealthError> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        // A node that is not ready says so with 503, and says more.
        .http_status_as_error(false)
        // It is this node that is asked, not what a proxy knows of it.
        .proxy(None)
        .build();
    let answer = ureq::Agent::new_with_config(config)
        .get(format!("http://{address}/readyz"))
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string());
    let text = answer.map_err(|source| HealthError::NoAnswer {
        address,
        source: Box::new(source),
    })?;
    let services: Vec<Value> =
        serde_json::from_str(&text).map_err(|_| HealthError::NotANode { address })?;
    match services.is_empty() {
        true => Err(HealthError::NotANode { address }),
        false => Ok(services),
    }
}

fn as_text(service: &Value) -> String {
    let name = service["service"].as_str().unwrap_or("?");
    match (service["ready"] == true, service["error"].as_str()) {
        (true, _) => format!("{name:<10} ready"),
        (false, error) => format!("{name:<10} not ready: {}", error.unwrap_or("no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_listens_everywhere_is_asked_here() {
        let ask = |text: &str| reachable(text.parse().unwrap()).map(|found| found.to_string());
        assert_eq!(ask("0.0.0.0:9100").unwrap(), "127.0.0.1:9100");
        assert_eq!(ask("[::]:9100").unwrap(), "[::1]:9100");
        assert_eq!(ask("192.0.2.1:9100").unwrap(), "192.0.2.1:9100");
        assert!(matches!(ask("0.0.0.0:0"), Err(HealthError::AnyPort)));
    }
}
