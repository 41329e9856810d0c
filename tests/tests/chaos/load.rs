//! What is asked of the nodes meanwhile: all write, read, join and leave, and every call ends in time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kukuri::contract::{Limits, UnixMillis};
use kukuri::{Node, Topic, TopicEvent, TopicEvents};
use kukuri_tests::variants::until;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::fleet::Fleet;

/// Between two posts of a node.
const POST_EVERY: Duration = Duration::from_millis(50);
/// Posts of a node that wait for their end at once.
const WAITING: usize = 64;
/// Between two rounds of the other calls.
const CALL_EVERY: Duration = Duration::from_millis(200);
/// Posts that a reader asks for.
const NEWEST: usize = 50;
/// What a slow machine may add to the time limit of a port.
const MARGIN: Duration = Duration::from_secs(10);

/// Waits for a call, which ends within the limit of a port, whatever the actors do.
pub async fn within_the_limit<T>(what: &str, call: impl Future<Output = T>) -> T {
    let limit = Limits::default().timeout + MARGIN;
    let done = timeout(limit, call).await;
    done.unwrap_or_else(|_| panic!("{what} has not ended after {limit:?}"))
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Done {
    /// The bodies that were acknowledged, by node.
    pub acknowledged: Vec<BTreeSet<String>>,
    /// How often each body was told, by node.
    pub told: Vec<BTreeMap<String, u64>>,
    /// Posts that were refused.
    pub refused: u64,
    /// Calls that succeeded, and that did not.
    pub calls: (u64, u64),
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acknowledged: usize = self.acknowledged.iter().map(BTreeSet::len).sum();
        let (good, bad) = self.calls;
        write!(
            f,
            "{acknowledged} posts, {} refused; {good} other calls, {bad} failed",
            self.refused
        )
    }
}

/// The load under way.
pub struct Load {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    acknowledged: Vec<Mutex<BTreeSet<String>>>,
    told: Vec<Mutex<BTreeMap<String, u64>>>,
    refused: AtomicU64,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Load {
    /// Starts it on all nodes.
    pub fn start(fleet: &Fleet) -> Self {
        let (stop, stopped) = watch::channel(false);
        let each = || (0..fleet.len()).map(|_| Mutex::default());
        let shared = Arc::new(Shared {
            acknowledged: each().collect(),
            told: (0..fleet.len()).map(|_| Mutex::default()).collect(),
            ..Shared::default()
        });
        let mut tasks = JoinSet::new();
        for at in 0..fleet.len() {
            let (node, topic) = (fleet.node(at).clone(), fleet.topic(at).clone());
            tasks.spawn(write(at, topic.clone(), shared.clone(), stopped.clone()));
            tasks.spawn(call(
                at,
                node,
                topic.clone(),
                shared.clone(),
                stopped.clone(),
            ));
            tasks.spawn(read(at, topic.events(), shared.clone(), stopped.clone()));
        }
        Self {
            stop,
            tasks,
            shared,
        }
    }

    /// Waits until every node has been told a post of every other.
    pub async fn warm_up(&self) {
        until("all hear all others", async || {
            let told = self.shared.told.iter().map(|told| {
                let told = told.lock().unwrap();
                let from = |body: &String| body.split(' ').nth(1).map(str::to_owned);
                told.keys().filter_map(from).collect::<BTreeSet<_>>().len()
            });
            let told: Vec<_> = told.collect();
            let others = told.len() - 1;
            told.iter()
                .all(|heard| *heard == others)
                .then_some(())
                .ok_or(told)
        })
        .await;
    }

    /// Ends it, and waits for all calls.
    ///
    /// # Panics
    /// When a call did not end in time.
    pub async fn stop(mut self) -> Done {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let shared = Arc::into_inner(self.shared).unwrap();
        let inner = |set: Mutex<_>| set.into_inner().unwrap();
        Done {
            acknowledged: shared.acknowledged.into_iter().map(inner).collect(),
            told: shared
                .told
                .into_iter()
                .map(|told| told.into_inner().unwrap())
                .collect(),
            refused: shared.refused.into_inner(),
            calls: (shared.good.into_inner(), shared.bad.into_inner()),
        }
    }
}

impl Shared {
    fn count<T, E>(&self, ended: &Result<T, E>) {
        let counter = match ended {
            Ok(_) => &self.good,
            Err(_) => &self.bad,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn write(at: usize, topic: Topic, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let mut posts = JoinSet::new();
    for n in 0_u64.. {
        if *stopped.borrow() {
            break;
        }
        let (topic, shared) = (topic.clone(), shared.clone());
        posts.spawn(async move {
            let body = format!("from {at} number {n}");
            let posted = within_the_limit("a post", topic.post(body.clone())).await;
            match posted {
                Ok(_) => _ = shared.acknowledged[at].lock().unwrap().insert(body),
                Err(_) => _ = shared.refused.fetch_add(1, Ordering::Relaxed),
            }
        });
        while posts.len() > WAITING {
            posts.join_next().await.unwrap().unwrap();
        }
        sleep(POST_EVERY).await;
    }
    while let Some(ended) = posts.join_next().await {
        ended.unwrap();
    }
}

/// Asks everything else that a program asks of a node.
async fn call(
    at: usize,
    node: Node,
    topic: Topic,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        let posts = topic.posts(UnixMillis(0), NEWEST);
        shared.count(&within_the_limit("posts", posts).await);
        let peers = topic.known_peers(NEWEST);
        shared.count(&within_the_limit("known_peers", peers).await);
        within_the_limit("metrics", node.metrics()).await;
        within_the_limit("health", node.health()).await;
        let name = format!("beside {} of {at}", topic.name()).parse().unwrap();
        let joined = within_the_limit("a join", node.join(name, Default::default())).await;
        shared.count(&joined);
        if let Ok(beside) = joined {
            shared.count(&within_the_limit("a post beside", beside.post("aside")).await);
            within_the_limit("a leave", beside.leave()).await;
        }
        sleep(CALL_EVERY).await;
    }
}

async fn read(
    at: usize,
    mut events: TopicEvents,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match event {
            Some(TopicEvent::Post(post)) => {
                let body = String::from_utf8(post.body.to_vec()).unwrap();
                *shared.told[at].lock().unwrap().entry(body).or_default() += 1;
            }
            Some(_) => {}
            None => panic!("the events of node {at} have ended"),
        }
    }
}
