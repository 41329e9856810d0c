//! What nodes send to a collector of OpenTelemetry, served as Prometheus would have it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::PoisonError;
use std::thread;

use kukuri_metrics::OtlpConfig;

use crate::collector::{Collector, as_prometheus, resource};
use crate::http_get;

/// The resource attribute that names a node.
const INSTANCE: &str = "service.instance.id";

/// A node sends so often, in seconds: the collector keeps all that it gets.
const EVERY_S: u64 = 5;

/// A collector for several nodes.
#[derive(Clone)]
pub struct Collected(Collector);

impl Default for Collected {
    fn default() -> Self {
        Self(Collector::start())
    }
}

impl Collected {
    /// The settings of a node with this name.
    pub fn config(&self, name: &str) -> OtlpConfig {
        OtlpConfig {
            instance_id: name.to_owned(),
            every_s: EVERY_S,
            ..self.0.config()
        }
    }

    /// Serves what came last from the node of this name, with what the node itself serves at `http`.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn serve(&self, name: &str, http: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (collected, name) = (self.clone(), name.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = http_get(&http.to_string(), "/metrics");
                answer(stream, &(own + &collected.text(&name)));
            }
        });
        address
    }

    fn text(&self, name: &str) -> String {
        let got = self.0.got.lock().unwrap_or_else(PoisonError::into_inner);
        let of_node = got.iter().rev();
        let last = of_node
            .into_iter()
            .find(|got| resource(got)[INSTANCE] == name);
        let series = last.map(|got| as_prometheus(&got.request));
        let lines = series.into_iter().flatten();
        lines
            .map(|(name, value)| format!("{name} {value}\n"))
            .collect()
    }
}

/// Who has gone meanwhile gets nothing.
fn answer(mut stream: TcpStream, body: &str) {
    let _head = stream.read(&mut [0; 4096]);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n";
    let length = body.len();
    let _gone = write!(stream, "{head}content-length: {length}\r\n\r\n{body}");
}
