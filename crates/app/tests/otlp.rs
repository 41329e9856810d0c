//! A whole node that sends its series to a collector.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kukuri::{Config, Node};
use tempfile::TempDir;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(60);

/// Takes whatever comes, and hands on the bodies.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let (tell, bodies) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            thread::spawn(move || serve(stream.unwrap(), &tell));
        }
    });
    (endpoint, bodies)
}

fn serve(mut answers: TcpStream, tell: &mpsc::Sender<Vec<u8>>) {
    let mut requests = BufReader::new(answers.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length: ") {
            length = bytes.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            requests.read_exact(&mut body).unwrap();
            // Nobody waits for a second one.
            let _ended = tell.send(body);
            let _gone = answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    }
}

fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn a_node_sends_its_series_and_not_who_it_is() {
    let (endpoint, bodies) = collector();
    let dir = TempDir::new().unwrap();
    let mut config = Config::default();
    config.identity.kind = "memory".into();
    config.discovery.kind = "static".into();
    config.store.kind = "memory".into();
    config.metrics.kind = "otlp".into();
    config.metrics.otlp.endpoint = endpoint;
    config.metrics.otlp.every_s = 1;
    let node = Node::builder()
        .config(config)
        .data_dir(dir.path())
        .bind_ip(Ipv4Addr::LOCALHOST)
        .spawn()
        .await
        .unwrap();
    let body = tokio::task::spawn_blocking(move || bodies.recv_timeout(DEADLINE));
    let body = body.await.unwrap().unwrap();
    for text in [
        "kukuri_node_info",
        env!("CARGO_PKG_VERSION"),
        "service.instance.id",
    ] {
        assert!(has(&body, text), "{text}");
    }
    assert!(!has(&body, &node.info().endpoint.to_string()));
    assert!(!has(&body, &node.info().endpoint.short().to_string()));
    node.shutdown().await;
    let kept: Vec<_> = dir.path().read_dir().unwrap().collect();
    let of_posts = |file: &std::fs::DirEntry| file.file_name() == "kukuri.db";
    assert!(!kept.iter().flatten().any(of_posts), "{kept:?}");
}
