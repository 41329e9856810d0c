//! Nodes in this process, whose services are broken by drills, and members with bad intent.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use kukuri::contract::WallClock;
use kukuri::{
    Config, Drill, JoinOptions, Node, Service, StoreChoice, Topic, TopicName, TopicSecret,
};
use kukuri_tests::insider::Insider;
use kukuri_tests::prometheus::Prometheus;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::Broken;

/// Of the topic with a member with bad intent.
const SECRET: [u8; 32] = [9; 32];
/// A first contact that takes longer is slow (docs/OPERATIONS.md, "The objective").
const SLOW: Duration = Duration::from_secs(10);
/// Requests to a service that hangs fail after 10 s each, so the times of its alert can't be as short as those
/// of the others.
const LESS_FAST: u64 = 6;

/// A node that is scraped.
struct Member {
    node: Node,
    _dir: TempDir,
}

impl Member {
    async fn start(broken: &Broken<'_>, mut config: Config) -> Self {
        let dir = TempDir::with_prefix("kukuri-test-").unwrap();
        config.identity.keyring.store = StoreChoice::Memory;
        config.node.http = Some((Ipv4Addr::LOCALHOST, 0).into());
        let node = Node::builder()
            .config(config)
            .data_dir(dir.path())
            .bind_ip(Ipv4Addr::LOCALHOST)
            .dht_bootstrap([broken.dht.bootstrap()])
            .spawn()
            .await
            .unwrap();
        broken.scrape(&node.info().http.unwrap().to_string());
        Self { node, _dir: dir }
    }

    async fn join(&self, topic: &str, secret: Option<[u8; 32]>) -> Topic {
        let options = JoinOptions {
            secret: secret.map(TopicSecret::from_bytes),
            ..JoinOptions::default()
        };
        self.node
            .join(topic.parse().unwrap(), options)
            .await
            .unwrap()
    }

    /// Two topics more, which nobody else is in.
    async fn join_more(&self, broken: &Broken<'_>) -> [Topic; 2] {
        let [one, two] = ["one", "two"].map(|more| format!("{}-{more}", broken.job));
        [self.join(&one, None).await, self.join(&two, None).await]
    }
}

/// Two nodes of a config in one topic, who are neighbors.
fn pair(
    broken: &Broken<'_>,
    runtime: &Runtime,
    config: &Config,
    secret: Option<[u8; 32]>,
) -> ([Member; 2], [Topic; 2]) {
    let met = runtime.block_on(async {
        let one = Member::start(broken, config.clone()).await;
        let other = Member::start(broken, config.clone()).await;
        let topics = [
            one.join(broken.job, secret).await,
            other.join(broken.job, secret).await,
        ];
        ([one, other], topics)
    });
    broken.wait_for("count(kukuri_gossip_neighbors{JOB} > 0) == 2");
    met
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

pub fn a_service_ends_again_and_again(broken: &Broken<'_>) {
    let runtime = runtime();
    let (members, _topics) = pair(broken, &runtime, &Config::default(), None);
    broken.wait_for("count(kukuri_node_restarts_total{JOB,service=\"discovery\"}) > 0");
    for restarts in 1..=3 {
        runtime.block_on(async {
            // It can't answer any more.
            let _ended = members[0]
                .node
                .drill(Service::Discovery, Drill::Panic)
                .await;
        });
        broken.wait_for(&format!(
            "sum(kukuri_node_restarts_total{{JOB,service=\"discovery\"}}) >= {restarts}"
        ));
    }
    broken.fires("KukuriActorRestarting", || ());
    broken.resolves("KukuriActorRestarting", || ());
}

pub fn the_secret_store_hangs(broken: &Broken<'_>) {
    let runtime = runtime();
    let prometheus = Prometheus::start_faster(LESS_FAST);
    let broken = &Broken {
        prometheus: &prometheus,
        ..*broken
    };
    let mut config = Config::default();
    // It is long until the node notices (after two of these), and starts the service again.
    config.node.probe_every_ms = 60_000;
    let (members, topics) = pair(broken, &runtime, &config, None);
    let node = members[0].node.clone();
    runtime.spawn(async move { node.drill(Service::Identity, Drill::Hang).await });
    let talk = || {
        let topic = topics[0].clone();
        // Refused, or waits until the service is there again.
        runtime.spawn(async move { topic.post("can't be signed").await });
    };
    broken.fires("KukuriSecretStoreUnavailable", talk);
    broken.resolves("KukuriSecretStoreUnavailable", || ());
}

pub fn a_member_floods(broken: &Broken<'_>) {
    let runtime = runtime();
    let (members, _topics) = pair(broken, &runtime, &Config::default(), Some(SECRET));
    let name: TopicName = broken.job.parse().unwrap();
    let victim = members[0].node.info().advertised.clone();
    let flood = async {
        let insider = Insider::new(1, &name, SECRET).await;
        let place = insider.join(&victim).await.expect("a member is let in");
        for n in 0..20 {
            let now = WallClock::system().now();
            // Each of these can't be opened, and is like no other.
            let mut post = insider.post(n, now, n, b"noise").to_vec();
            *post.last_mut().unwrap() ^= 1;
            place.sender.broadcast(post.into()).await.unwrap();
        }
        (insider, place)
    };
    let flooding = runtime.block_on(flood);
    broken.fires("KukuriPostsDropped", || ());
    drop(flooding);
    broken.resolves("KukuriPostsDropped", || ());
}

/// Two are neighbors in one topic. In others one of them waits for the other, which comes when the search has
/// failed.
pub fn searches_fail(broken: &Broken<'_>) {
    let runtime = runtime();
    let mut config = Config::default();
    config.discovery.mainline.first_contact_ms = 2_000;
    let (members, _topics) = pair(broken, &runtime, &config, None);
    let _waits = runtime.block_on(members[0].join_more(broken));
    broken.wait_for("sum(kukuri_discovery_joins_total{JOB,result!=\"joined\"}) >= 2");
    let _comes = runtime.block_on(members[1].join_more(broken));
    broken.fires("KukuriDiscoveryFailing", || ());
    broken.resolves("KukuriDiscoveryFailing", || ());
}

/// The same, but a search may take its time, and does.
pub fn searches_are_slow(broken: &Broken<'_>) {
    let runtime = runtime();
    let mut config = Config::default();
    config.discovery.mainline.first_contact_ms = 120_000;
    let (members, _topics) = pair(broken, &runtime, &config, None);
    let _waits = runtime.block_on(members[0].join_more(broken));
    // Not for a condition: this is the time that is too long.
    thread::sleep(SLOW + Duration::from_millis(200));
    let _comes = runtime.block_on(members[1].join_more(broken));
    broken.fires("KukuriDiscoverySlow", || ());
    broken.resolves("KukuriDiscoverySlow", || ());
}
