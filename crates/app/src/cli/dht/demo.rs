//! `kukuri demo`: whole nodes find each other over a real Mainline DHT on this machine, and talk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::Table;
use futures_util::future::{join_all, try_join_all};
use kukuri::{
    Config, EndpointId, JoinOptions, LocalDht, MAX_BODY_BYTES, Node, Source, Topic, TopicEvent,
    TopicName, generate_secret,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::super::args::DemoArgs;
use super::super::output::Output;
use super::super::progress::Progress;
use super::super::{Failure, interrupted};

/// The demo gives up on a step after so long; on any machine it takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
pub async fn run(args: DemoArgs, output: &Output) -> Result<ExitCode, Failure> {
    tokio::select! {
        done = show(args, output) => done,
        () = interrupted() => Err("interrupted".into()),
    }
}

async fn show(args: DemoArgs, output: &Output) -> Result<ExitCode, Failure> {
    let (peers, dht_nodes) = (usize::from(args.peers), usize::from(args.dht_nodes));
    output.note(format!(
        "1. A Mainline DHT of {dht_nodes} nodes on this machine ..."
    ));
    let started = Instant::now();
    let starting = output.spinner(format!("starting {dht_nodes} DHT nodes"));
    let dht = tokio::task::spawn_blocking(move || LocalDht::start(dht_nodes, 0)).await??;
    drop(starting);
    let bootstrap = dht.bootstrap().to_string();
    let took = started.elapsed().as_millis() as u64;
    output.event(
        &json!({ "event": "dht_ready", "nodes": dht_nodes, "bootstrap": bootstrap, "took_ms": took }),
        format!("   ready at {bootstrap} after {took} ms"),
    );

    output.note(format!(
        "2. {peers} nodes join a secret topic, all at once ..."
    ));
    let joining = output.spinner(format!("{peers} nodes look for each other"));
    let mut swarm = Swarm::start(peers, &bootstrap, output).await?;
    let deadline = Instant::now() + PATIENCE;
    swarm
        .watch_until(deadline, "one connected swarm", Swarm::is_connected)
        .await;
    drop(joining);
    let after = swarm.started.elapsed().as_millis() as u64;
    if swarm.is_connected() {
        output.event(
            &json!({ "event": "connected", "after_ms": after }),
            format!("   one connected swarm after {after} ms"),
        );
    }

    let posts = u64::from(args.posts);
    output.note(format!(
        "3. Each node posts {posts} times: signed, sealed, stored ..."
    ));
    let post_start = Instant::now();
    let all_posts = posts * (peers * (peers - 1)) as u64;
    swarm.progress = Some(output.bar("posts received", all_posts));
    swarm.post(posts).await?;
    let deadline = Instant::now() + PATIENCE + Duration::from_millis(posts * peers as u64);
    let all = |swarm: &Swarm| {
        swarm
            .nodes
            .iter()
            .all(|node| node.received >= swarm.expected())
    };
    swarm
        .watch_until(deadline, "every post at every node", all)
        .await;
    swarm.progress = None;
    let took = post_start.elapsed().as_millis() as u64;
    output.note(format!(
        "   {} posts received after {took} ms",
        swarm.received()
    ));
    let ok = swarm.say_result(output);
    swarm.stop().await;
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The nodes of the demo.
struct Swarm {
    nodes: Vec<DemoNode>,
    events: mpsc::UnboundedReceiver<(usize, TopicEvent)>,
    started: Instant,
    posts_each: u64,
    /// How many posts were received, on a terminal.
    progress: Option<Progress>,
    output: Output,
}

/// One node of the demo, and what was seen of it.
struct DemoNode {
    node: Node,
    topic: Topic,
    _data_dir: TempDir,
    first: Option<(Source, Duration)>,
    neighbors: BTreeSet<EndpointId>,
    sent: u64,
    received: u64,
}

impl Swarm {
    async fn start(peers: usize, bootstrap: &str, output: &Output) -> Result<Self, Failure> {
        let started = Instant::now();
        let secret = generate_secret()?;
        let name: TopicName = "demo".parse()?;
        let nodes = (0..peers).map(|_| async {
            let data_dir = TempDir::with_prefix("kukuri-demo-")?;
            let mut config = Config::default();
            config.identity.kind = "memory".into();
            // Many nodes share this machine's cores.
            config.node.worker_threads = 1;
            config.node.event_buffer = 16_384;
            let node = Node::builder()
                .config(config)
                .data_dir(data_dir.path())
                .bind_ip(Ipv4Addr::LOCALHOST)
                .dht_bootstrap([bootstrap])
                .spawn()
                .await?;
            let options = JoinOptions {
                secret: Some(secret.clone()),
                ..JoinOptions::default()
            };
            let topic = node.join(name.clone(), options).await?;
            Ok::<_, Failure>(DemoNode {
                node,
                topic,
                _data_dir: data_dir,
                first: None,
                neighbors: BTreeSet::new(),
                sent: 0,
                received: 0,
            })
        });
        let nodes = try_join_all(nodes).await?;
        let (tx, events) = mpsc::unbounded_channel();
        for (at, node) in nodes.iter().enumerate() {
            let (tx, mut events) = (tx.clone(), node.topic.events());
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    if tx.send((at, event)).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            nodes,
            events,
            started,
            posts_each: 0,
            progress: None,
            output: output.clone(),
        })
    }

    /// Takes in events until `done`, or until the time is over.
    async fn watch_until(&mut self, deadline: Instant, what: &str, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            match timeout_at(deadline.into(), self.events.recv()).await {
                Ok(Some((at, event))) => self.saw(at, event),
                Ok(None) => return,
                Err(_) => {
                    self.output.note(format!("   gave up waiting for {what}"));
                    return;
                }
            }
        }
    }

    fn saw(&mut self, at: usize, event: TopicEvent) {
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        match event {
            TopicEvent::Joined { source, after } => {
                node.first = Some((source, after));
                let after = after.as_millis() as u64;
                self.output.event(
                    &json!({ "event": "joined", "node": at + 1, "source": source, "after_ms": after }),
                    format!("   node {:<3} first neighbor after {after:>5} ms ({source})", at + 1),
                );
            }
            TopicEvent::NeighborUp { endpoint, .. } => _ = node.neighbors.insert(endpoint),
            TopicEvent::NeighborDown { endpoint, .. } => _ = node.neighbors.remove(&endpoint),
            TopicEvent::Post(_) => {
                node.received += 1;
                if let Some(progress) = &self.progress {
                    progress.at(self.received());
                }
            }
            TopicEvent::Lagged(missed) => {
                self.output
                    .note(format!("   node {} missed {missed} events", at + 1));
            }
            _ => {}
        }
    }

    /// Whether every node can be reached from every other over neighbors.
    fn is_connected(&self) -> bool {
        let at: BTreeMap<_, _> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.node.info().endpoint, at))
            .collect();
        let links = |n: usize| {
            let own = self.nodes[n]
                .neighbors
                .iter()
                .filter_map(|id| at.get(id).copied());
            let me = self.nodes[n].node.info().endpoint;
            let others = self.nodes.iter().enumerate();
            own.chain(
                others
                    .filter(move |(_, o)| o.neighbors.contains(&me))
                    .map(|(o, _)| o),
            )
            .collect::<Vec<_>>()
        };
        let mut reached = BTreeSet::from([0]);
        let mut frontier = vec![0];
        while let Some(n) = frontier.pop() {
            frontier.extend(links(n).into_iter().filter(|other| reached.insert(*other)));
        }
        reached.len() == self.nodes.len()
    }

    async fn post(&mut self, posts: u64) -> Result<(), Failure> {
        self.posts_each = posts;
        for n in 1..=posts {
            let sent = self.nodes.iter().enumerate().map(|(at, node)| {
                let body = format!("post {n} of node {}", at + 1);
                debug_assert!(body.len() <= MAX_BODY_BYTES);
                node.topic.post(body)
            });
            for (at, seq) in join_all(sent).await.into_iter().enumerate() {
                seq?;
                self.nodes[at].sent += 1;
            }
            while let Ok((at, event)) = self.events.try_recv() {
                self.saw(at, event);
            }
        }
        Ok(())
    }

    /// Posts that each node should get.
    fn expected(&self) -> u64 {
        self.posts_each * (self.nodes.len() as u64 - 1)
    }

    fn received(&self) -> u64 {
        self.nodes.iter().map(|node| node.received).sum()
    }

    fn say_result(&self, output: &Output) -> bool {
        let ok = self
            .nodes
            .iter()
            .all(|node| node.received == self.expected())
            && self.nodes.iter().all(|node| node.first.is_some());
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "node",
            "first neighbor",
            "found by",
            "neighbors",
            "sent",
            "received",
        ]);
        for (at, node) in self.nodes.iter().enumerate() {
            let (source, after) = match node.first {
                Some((source, after)) => (source.as_str(), format!("{} ms", after.as_millis())),
                None => ("-", "never".to_owned()),
            };
            table.add_row([
                (at + 1).to_string(),
                after,
                source.to_owned(),
                node.neighbors.len().to_string(),
                node.sent.to_string(),
                node.received.to_string(),
            ]);
        }
        output.note(table);
        let firsts = self.nodes.iter().filter_map(|node| node.first);
        let mut firsts: Vec<u64> = firsts.map(|(_, after)| after.as_millis() as u64).collect();
        firsts.sort_unstable();
        let (p50, p95) = (percentile(&firsts, 50), percentile(&firsts, 95));
        let max = firsts.last().copied();
        let sent: u64 = self.nodes.iter().map(|node| node.sent).sum();
        let verdict = if ok {
            "Every node got every post."
        } else {
            "Some posts are missing."
        };
        let ms = |value: Option<u64>| value.map_or("never".into(), |ms| format!("{ms} ms"));
        output.event(
            &json!({
                "event": "summary",
                "peers": self.nodes.len(),
                "first_neighbor_ms": { "p50": p50, "p95": p95, "max": max },
                "posts_sent": sent,
                "posts_received": self.received(),
                "ok": ok,
            }),
            format!(
                "{verdict} First neighbor: p50 {}, p95 {}, max {}.",
                ms(p50),
                ms(p95),
                ms(max)
            ),
        );
        ok
    }

    async fn stop(self) {
        join_all(self.nodes.iter().map(|node| node.node.shutdown())).await;
    }
}

/// The smallest value that so many percent of the sorted values do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!(percentile(&values, 50), Some(10));
        assert_eq!(percentile(&values, 95), Some(19));
        assert_eq!(percentile(&[7], 95), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
