//! `/metrics`, `/healthz` and `/readyz` over plain HTTP.

use std::fmt::Write;
use std::net::SocketAddr;

use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use kukuri_contract::{
    CallError, Counters, DiscoveryPort, GossipPort, IdentityPort, MetricsPort, Never, Render,
    StorePort,
};
use serde::Serialize;

use super::service::NodePort;
use crate::compose::Ports;
use crate::error::StartError;

/// Content type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Starts the server and says where it is bound.
///
/// # Errors
/// The address can't be bound.
pub fn serve(address: SocketAddr, ports: Ports, node: NodePort) -> Result<SocketAddr, StartError> {
    let failed = |source| StartError::Http { address, source };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(ports.clone()))
            .app_data(web::Data::new(node.clone()))
            .route("/metrics", web::get().to(metrics))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(0)
    .bind(address)
    .map_err(failed)?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    actix::spawn(server.run());
    Ok(bound)
}

async fn metrics(ports: web::Data<Ports>) -> impl Responder {
    let text = metrics_text(&ports).await;
    HttpResponse::Ok().content_type(PROMETHEUS_TEXT).body(text)
}

async fn healthz() -> impl Responder {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body("ok\n")
}

/// One service in the answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    service: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

async fn readyz(ports: web::Data<Ports>, node: web::Data<NodePort>) -> impl Responder {
    let (identity, discovery, gossip, store, metrics, node) = tokio::join!(
        ports.identity.probe(),
        ports.discovery.probe(),
        ports.gossip.probe(),
        ports.store.probe(),
        ports.metrics.probe(),
        node.probe(),
    );
    let services = [
        readiness(IdentityPort::SERVICE, identity),
        readiness(DiscoveryPort::SERVICE, discovery),
        readiness(GossipPort::SERVICE, gossip),
        readiness(StorePort::SERVICE, store),
        readiness(MetricsPort::SERVICE, metrics),
        readiness(NodePort::SERVICE, node),
    ];
    match services.iter().all(|service| service.ready) {
        true => HttpResponse::Ok().json(services),
        false => HttpResponse::ServiceUnavailable().json(services),
    }
}

fn readiness(service: &'static str, probe: Result<(), CallError<Never>>) -> Readiness {
    Readiness {
        service,
        ready: probe.is_ok(),
        error: probe.err().map(|error| error.to_string()),
    }
}

/// Our series, then the transport's own counters.
pub async fn metrics_text(ports: &Ports) -> String {
    let (ours, transport) = tokio::join!(
        ports.metrics.render(Render),
        ports.gossip.counters(Counters)
    );
    let mut text = ours.unwrap_or_else(|error| format!("# {error}\n"));
    match transport {
        Ok(counters) => append_openmetrics(&mut text, &counters),
        Err(error) => _ = writeln!(text, "# {error}"),
    }
    text
}

/// Appends OpenMetrics text as Prometheus text. They differ in the comments of counters: in
/// OpenMetrics these name the family, in the Prometheus format the series with its `_total`.
fn append_openmetrics(text: &mut String, openmetrics: &str) {
    let is_counter = |family: &str| {
        let mut lines = openmetrics.lines();
        lines.any(|line| line.strip_prefix("# TYPE ") == Some(&format!("{family} counter")))
    };
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => {}
            (Some("#"), Some(comment), Some(family), Some(rest)) if is_counter(family) => {
                _ = writeln!(text, "# {comment} {family}_total {rest}");
            }
            _ => _ = writeln!(text, "{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_becomes_prometheus_text() {
        let mut text = "ours 1\n".to_owned();
        let openmetrics = "# HELP a_b What it is.\n# TYPE a_b counter\na_b_total 3\n\
                           # HELP c Other.\n# TYPE c gauge\nc 4\n# EOF\n";
        append_openmetrics(&mut text, openmetrics);
        let expected = "ours 1\n# HELP a_b_total What it is.\n# TYPE a_b_total counter\n\
                        a_b_total 3\n# HELP c Other.\n# TYPE c gauge\nc 4\n";
        assert_eq!(text, expected);
    }
}
