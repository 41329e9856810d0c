//! Posts per second of a whole node: each is signed, sealed, and on disk when it counts.

use std::fs::File;
use std::io::{Seek, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use kukuri::{JoinOptions, LocalDht, Node, Topic, generate_secret};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::Scale;
use crate::child::ours;
use crate::report::{Report, Show};
use crate::stats::Samples;

/// Posts under way at once.
const IN_FLIGHT: [usize; 3] = [1, 16, 200];
/// Columns: the disk, then one per number in flight.
const TITLES: [&str; 4] = ["raw fsync", "1 in flight", "16 in flight", "200 in flight"];
/// Bytes of a post's body, and of what is synced raw.
const BODY_BYTES: usize = 256;

/// Measures.
pub async fn measure(scale: Scale) -> anyhow::Result<Report> {
    let mut report = Report::new("Posts of a whole node", &TITLES);
    let window = scale.of(Duration::from_secs(3), Duration::from_millis(500));
    let dht = spawn_blocking(|| LocalDht::start(2, 0)).await??;
    let bootstrap = dht.bootstrap().to_string();
    let mut all = TITLES.map(|_| Samples::default());
    for repetition in 1..=scale.repetitions {
        let dir = TempDir::new()?;
        eprintln!("posts, run {repetition}: the disk");
        let file = dir.path().join("raw");
        let syncs = spawn_blocking(move || sync(&file, window)).await??;
        all[0].0.push(syncs);
        let node = Node::builder()
            .config(ours::config(false))
            .data_dir(dir.path())
            .bind_ip(Ipv4Addr::LOCALHOST)
            .dht_bootstrap([bootstrap.clone()])
            .spawn()
            .await?;
        let options = JoinOptions {
            secret: Some(generate_secret()?),
            ..JoinOptions::default()
        };
        let topic = node.join("posts".parse()?, options).await?;
        for (at, in_flight) in IN_FLIGHT.into_iter().enumerate() {
            eprintln!("posts, run {repetition}: {in_flight} in flight");
            all[at + 1].0.push(post(&topic, in_flight, window).await?);
        }
        node.shutdown().await;
    }
    let goal = Some("200 in flight: >= 2000");
    report.row(
        "per second",
        "1/s",
        goal,
        Show::Spread,
        all.map(Some).into(),
    );
    report.note(format!(
        "Median (smallest - largest) of {} runs of {window:?} each. A post has {BODY_BYTES} bytes, \
         in a secret topic of one node. Raw: write, fdatasync, one after the other.",
        scale.repetitions
    ));
    Ok(report)
}

/// Posts per second that were acknowledged.
async fn post(topic: &Topic, in_flight: usize, window: Duration) -> anyhow::Result<f64> {
    let started = Instant::now();
    let authors = (0..in_flight).map(|_| async {
        let mut posts = 0_u64;
        while started.elapsed() < window {
            topic.post(vec![b'x'; BODY_BYTES]).await?;
            posts += 1;
        }
        anyhow::Ok(posts)
    });
    let posts: u64 = try_join_all(authors).await?.into_iter().sum();
    Ok(posts as f64 / started.elapsed().as_secs_f64())
}

/// How often per second the disk has a write in safety.
fn sync(file: &Path, window: Duration) -> anyhow::Result<f64> {
    let mut file = File::create(file)?;
    // As SQLite's log after its first round: the file does not grow.
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    let started = Instant::now();
    let mut syncs = 0_u64;
    while started.elapsed() < window {
        file.rewind()?;
        file.write_all(&[syncs as u8; BODY_BYTES])?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(syncs as f64 / started.elapsed().as_secs_f64())
}
