//! Draws the dashboards as a swarm of real nodes fills them, for the docs.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use kukuri_tests::prometheus::{Line, Prometheus};
use kukuri_tests::{Dht, Process, dashboards, picture};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// Runs six nodes on a local DHT, lets them talk, kills one and starts it again, lets a seventh come late,
/// and draws what the dashboards show of it. Needs Prometheus.
#[derive(Debug, Parser)]
struct Args {
    /// How long they run, in minutes.
    #[arg(long, default_value_t = 6.0)]
    minutes: f64,
    /// Where the pictures go.
    #[arg(long, default_value = "docs/images")]
    out: PathBuf,
}

/// What Grafana puts for `$__rate_interval` where nodes are scraped every five seconds; here it is every second.
const RATE_INTERVAL: &str = "20s";
/// Between two points of a line.
const STEP: Duration = Duration::from_secs(4);
/// Between two posts.
const PAUSE: Duration = Duration::from_millis(150);
/// A node announces its topics, and looks there, every 20 s instead of every 5 min: else hardly anything
/// of it would be on a picture of minutes.
const OFTEN: [(&str, &str); 2] = [
    ("KUKURI_DISCOVERY__REANNOUNCE_S", "20"),
    ("KUKURI_DISCOVERY__REANNOUNCE_PER_MEMBER_S", "1"),
];

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let dht = Dht::start(20);
    let dir = TempDir::with_prefix("kukuri-draw-")?;
    let prometheus = Prometheus::start();
    let start = |n: usize, port: u16| {
        let data = dir.path().join(n.to_string());
        let metrics = format!("127.0.0.1:{port}");
        dht.join_with("tea", &data, &["--metrics", &metrics], &OFTEN)
    };
    let mut nodes: Vec<(u16, Process)> = Vec::new();
    let begin = Instant::now();
    let passed = |part: f64| begin.elapsed().as_secs_f64() > part * args.minutes * 60.0;
    let (mut starts, mut killed, mut said) = (0, None, 0_u64);
    while !passed(1.0) {
        // Two find each other, then the others come one after the other.
        let due = [0.0, 0.0, 0.06, 0.08, 0.1, 0.12, 0.7];
        if due.get(starts).is_some_and(|due| passed(*due)) {
            let mut node = start(starts, 0);
            starts += 1;
            let started = node.next("started");
            let address = started["metrics"].as_str().unwrap_or_default().to_owned();
            prometheus.add(&address);
            let port = address
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok());
            nodes.push((port.unwrap_or_default(), node));
        }
        if killed.is_none() && passed(0.4) {
            let (port, node) = nodes.remove(3);
            node.signal(Signal::SIGKILL);
            killed = Some(port);
        }
        if let Some(port) = killed.filter(|port| *port > 0 && passed(0.5)) {
            nodes.insert(3, (port, start(3, port)));
            killed = Some(0);
        }
        let speaker = said as usize % nodes.len();
        nodes[speaker].1.say(&format!("post {said}"));
        nodes.iter_mut().for_each(|(_, node)| _ = node.seen());
        said += 1;
        std::thread::sleep(PAUSE);
    }
    let end = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let from = end - args.minutes * 60.0;
    std::fs::create_dir_all(&args.out)?;
    for (name, dashboard) in dashboards::all() {
        let svg = picture::dashboard(&dashboard, |target| {
            let query = target.filled(RATE_INTERVAL);
            let now = |(labels, value)| Line {
                labels,
                points: vec![(end, value)],
            };
            match target.instant {
                true => prometheus.query(&query).into_iter().map(now).collect(),
                false => prometheus.range(&query, from, end, STEP),
            }
        });
        let file = args.out.join(format!("{name}.svg"));
        std::fs::write(&file, svg)?;
        println!("{}", file.display());
    }
    println!("{said} posts by {} nodes", nodes.len());
    Ok(())
}
