//! The nodes, and what must be true of them after the chaos.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kukuri::contract::UnixMillis;
use kukuri::{
    Config, EndpointAddr, JoinOptions, Node, RestartReason, Service, Topic, TopicEvent, is_running,
};
use kukuri_tests::variants::{Place, Variant, Ways, World, until};
use kukuri_tests::{DEADLINE, http, series};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::load::{Done, within_the_limit};
use crate::schedule::Caused;

/// What all are in.
const TOPIC: &str = "chaos";
/// More posts than are ever written.
const ALL_POSTS: usize = 10_000;
/// Between two probes, and how long one may take: so that what hangs is found soon, and a slow machine
/// is no hanging actor.
const PROBE_EVERY_MS: u64 = 200;
const PROBE_TIMEOUT_MS: u64 = 2_000;
/// More restarts than a schedule causes.
const ANY_NUMBER: usize = 100_000;
/// Longest pause before a restart: many are wanted here.
const LONGEST_PAUSE_MS: u64 = 200;

/// Nodes in one topic.
pub struct Fleet {
    members: Vec<Member>,
    variant: &'static Variant,
}

struct Member {
    node: Node,
    topic: Topic,
    place: Place,
}

/// Settings by which faults are found soon and mended at once.
pub fn quick(config: &mut Config) {
    config.node.probe_every_ms = PROBE_EVERY_MS;
    config.node.probe_timeout_ms = PROBE_TIMEOUT_MS;
    config.node.restart_limit = ANY_NUMBER;
    config.node.restart_pause_max_ms = LONGEST_PAUSE_MS;
}

impl Fleet {
    /// Starts so many nodes, and joins the topic on all.
    pub async fn start(world: &World, variant: &'static Variant, nodes: usize) -> Self {
        let mut started = Vec::new();
        for n in 0..nodes {
            let place = world.place(variant, &n.to_string());
            let mut setup = world.setup(variant, &place);
            quick(&mut setup.config);
            started.push((world.node(&place, setup).await, place));
        }
        let mut members = Vec::new();
        let all: Vec<_> = started.iter().map(|(node, _)| node.clone()).collect();
        for (node, place) in started {
            let name = world.topic(TOPIC);
            let options = options(variant, &node, &all);
            let topic = node.join(name, options).await.unwrap();
            members.push(Member { node, topic, place });
        }
        Self { members, variant }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// One of them.
    pub fn node(&self, at: usize) -> &Node {
        &self.members[at].node
    }

    /// Its topic.
    pub fn topic(&self, at: usize) -> &Topic {
        &self.members[at].topic
    }

    /// Waits until every service of every node answers.
    pub async fn all_answer(&self) {
        for Member { node, .. } in &self.members {
            let address: SocketAddr = node.info().http.unwrap();
            until("every service answers", async || {
                let ask = move || http(&address.to_string(), "GET", "/readyz");
                match spawn_blocking(ask).await.unwrap() {
                    (200, _) => Ok(()),
                    (_, services) => Err(services),
                }
            })
            .await;
        }
    }

    /// Waits until all have the same posts: all that were acknowledged, each once; and none was told twice.
    pub async fn all_have(&self, done: &Done) {
        let mut stored = Vec::new();
        until("all have all posts", async || {
            stored.clear();
            for Member { topic, .. } in &self.members {
                stored.push(bodies(topic).await);
            }
            let missing = |bodies: &BTreeMap<String, u64>| {
                let wanted = done.acknowledged.iter().flatten();
                wanted.filter(|body| !bodies.contains_key(*body)).count()
            };
            let missing: Vec<_> = stored.iter().map(missing).collect();
            let have: Vec<_> = stored.iter().map(BTreeMap::len).collect();
            let same = stored
                .iter()
                .all(|bodies| bodies.keys().eq(stored[0].keys()));
            let all = same && missing.iter().all(|count| *count == 0);
            all.then_some(()).ok_or((missing, have))
        })
        .await;
        for (what, counts) in [("stored", &stored), ("told", &done.told)] {
            for (at, counts) in counts.iter().enumerate() {
                let twice = counts.iter().find(|(_, times)| **times != 1);
                assert!(twice.is_none(), "{what} by {at}: {twice:?}");
            }
        }
    }

    /// Each node was mended as often as it was broken; the metrics say so too, unless they were
    /// themselves, and so count from then on.
    pub async fn counts_are(&self, caused: &Caused) {
        for (at, Member { node, .. }) in self.members.iter().enumerate() {
            let text = node.metrics().await;
            let fresh = RestartReason::ALL.map(|reason| node.restarts(Service::Metrics, reason));
            let fresh = fresh.iter().any(|times| *times > 0);
            for (service, reason) in each() {
                let (times, expected) = (
                    node.restarts(service, reason),
                    caused.of(at, service, reason),
                );
                let what = format!("node {at}, {service:?}, {reason:?}");
                assert!(
                    expected.contains(&times),
                    "{what}: {times}, not {expected:?}"
                );
                if self.variant.has_series() {
                    let (service, reason) = (service.as_str(), reason.as_str());
                    let labels = format!("{{service=\"{service}\",reason=\"{reason}\"}}");
                    let name = format!("kukuri_node_restarts_total{labels}");
                    let counted = series(&text, &name).unwrap_or(0.0);
                    let good = match fresh {
                        true => counted <= times as f64,
                        false => counted == times as f64,
                    };
                    assert!(good, "{what}: {times}, but {counted} in the metrics");
                }
            }
        }
    }

    /// All join another topic, and hear each other there.
    pub async fn talk_in_a_fresh_topic(&self) {
        let all: Vec<_> = self.members.iter().map(|m| m.node.clone()).collect();
        let mut topics = Vec::new();
        for node in &all {
            let join = || {
                let name = format!("after {}", self.topic(0).name()).parse().unwrap();
                node.join(name, options(self.variant, node, &all))
            };
            topics.push(within_the_limit("a join", join()).await.unwrap());
        }
        let mut heard = Vec::new();
        for (at, topic) in topics.iter().enumerate() {
            let posted = within_the_limit("a post", topic.post(format!("after {at}"))).await;
            posted.unwrap();
            let (mut events, others) = (topic.events(), all.len() - 1);
            heard.push(async move {
                let mut from = BTreeMap::new();
                while from.len() < others {
                    if let Some(TopicEvent::Post(post)) = events.next().await {
                        *from.entry(post.writer).or_insert(0) += 1;
                    }
                }
            });
        }
        let heard = timeout(DEADLINE, futures_util::future::join_all(heard)).await;
        assert!(heard.is_ok(), "not all hear each other in a fresh topic");
    }

    /// Stops all in good order: their directories are free at once.
    pub async fn stop(&mut self) {
        for Member { node, place, .. } in self.members.drain(..) {
            node.shutdown().await;
            assert!(!is_running(&place.data), "it is down");
        }
    }
}

/// Each service with each reason.
fn each() -> impl Iterator<Item = (Service, RestartReason)> {
    let services = Service::ALL.into_iter();
    services.flat_map(|service| RestartReason::ALL.map(|reason| (service, reason)))
}

/// Peers are named where nothing else finds them.
pub fn options(variant: &Variant, node: &Node, all: &[Node]) -> JoinOptions {
    let others = all
        .iter()
        .filter(|other| other.info().endpoint != node.info().endpoint);
    let others = others.filter(|_| variant.ways == Ways::Named);
    let peers: Vec<EndpointAddr> = others
        .map(|other| other.info().advertised.clone())
        .collect();
    JoinOptions {
        peers,
        ..JoinOptions::default()
    }
}

/// How often each body is in the store of a node.
pub async fn bodies(topic: &Topic) -> BTreeMap<String, u64> {
    let posts = within_the_limit("posts", topic.posts(UnixMillis(0), ALL_POSTS)).await;
    let mut bodies = BTreeMap::new();
    for post in posts.unwrap_or_default() {
        *bodies
            .entry(String::from_utf8(post.body.to_vec()).unwrap())
            .or_default() += 1;
    }
    bodies
}
