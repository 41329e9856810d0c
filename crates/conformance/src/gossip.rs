//! The clauses of gossip.

mod asks;
mod swarm;

use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use kukuri_contract::{
    Broadcast, Counters, Dial, DialReason, EndpointAddr, EndpointId, EndpointKey, Epoch,
    GossipDeps, GossipEvent, GossipPort, GossipRunning, Join, KeyBytes, Lease, LeaseHolder,
    LocalAddress, MemberKeys, Outlet, TopicId,
};

use crate::events::{EventLog, FastAndSlow};
use crate::every::end;
use crate::kit::{
    Broken, Clause, Held, Service, Stage, clauses, ensure, ensure_eq, service_port, until,
};
use asks::*;
use swarm::*;

/// The gossip service.
#[derive(Debug)]
pub struct Gossip;

service_port!(GossipPort, local_address, LocalAddress);

impl Service for Gossip {
    type Port = GossipPort;
    type Deps = GossipDeps;
    type Running = GossipRunning;
    const CLAUSES: &'static [Clause<Self>] = &clauses![
        it_speaks_as_its_endpoint:
            "Its address names the endpoint whose key it was given, when it starts and when asked.",
        counters_are_open_metrics_without_an_end:
            "The transport's counters are OpenMetrics text without the final `# EOF`.",
        a_dial_makes_neighbors_of_both:
            "Who is dialed is a neighbor, on both sides, and a repeated Join tells of it.",
        a_broadcast_reaches_the_neighbor:
            "What is broadcast comes to a neighbor as it is, from the one that sent it.",
        a_dial_of_nobody_ends:
            "The dial of somebody who is not there is told as failed or timed out.",
        its_own_word_does_not_come_back:
            "What a node broadcasts is not told to itself.",
        a_broadcast_reaches_all_members:
            "What is broadcast comes to members that are no neighbors too, by the word of one that is.",
        no_larger_broadcast_than_the_bound:
            "A broadcast beyond the limit is refused, with the limit; one as large as it is sent.",
        an_unknown_topic_is_refused:
            "What needs a topic that was not joined says so; leaving one is fine.",
        topics_are_kept_apart:
            "Neighbors in one topic are none in another, and hear nothing of it.",
        only_members_are_let_in:
            "Who can't prove to be a member is not let in, which is told.",
        a_banned_peer_is_kept_out_until_it_is_free:
            "A banned peer is no neighbor any more and can't be one; not named any more, it can.",
        it_falls_silent_when_its_lease_ends:
            "Without its lease the endpoint is nobody's neighbor, and the same one can begin anew.",
        who_leaves_is_no_neighbor:
            "After Leave the others lose a neighbor, and the topic is unknown.",
        no_more_topics_than_the_bound:
            "Join beyond the bound is refused until a topic is left; one that is joined always can.",
        a_question_gets_its_answer:
            "A neighbor's question is told, and its answer, or its refusal, comes back.",
        a_question_that_can_not_be_asked_is_refused:
            "Questions that are too large, or to others than neighbors, are refused with a type.",
        an_answer_that_nobody_waits_for_is_gone:
            "An answer to no question is Gone, one that is too large is refused.",
        the_events_of_a_topic_keep_their_order:
            "A neighbor is told before what comes from it, and each change with the number after it.",
        events_are_told_and_slow_listeners_what_they_missed:
            "Each event is told; a listener that is too slow is told how many it missed.",
    ];

    fn deps(n: u64, _: PathBuf) -> GossipDeps {
        let (endpoint, key) = key(n);
        GossipDeps {
            endpoint,
            key,
            events: Outlet::new([]),
            lease: Lease::endless(),
        }
    }

    fn port(running: &GossipRunning) -> &GossipPort {
        &running.port
    }
}

/// The key of endpoint number `n`.
fn key(n: u64) -> (EndpointId, EndpointKey) {
    let mut seed = [0x67; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    let public = SigningKey::from_bytes(&seed).verifying_key();
    (
        EndpointId::from_bytes(public.to_bytes()),
        EndpointKey::new(seed),
    )
}

const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);
const EPOCH: Epoch = Epoch(100);
/// More topics than any node takes.
const MANY: u64 = 4096;

/// What members of a topic have who know its secret.
fn keys(secret: u8) -> MemberKeys {
    let key = |epoch: Epoch| KeyBytes::new([secret ^ epoch.0 as u8; 32]);
    let others = MemberKeys::others_around(EPOCH).map(|other| (other, key(other)));
    MemberKeys {
        epoch: EPOCH,
        own: key(EPOCH),
        others: others.collect(),
    }
}

/// A gossip with an endpoint of its own.
struct Node {
    id: EndpointId,
    port: GossipPort,
    address: EndpointAddr,
    log: EventLog<GossipEvent>,
    lease: LeaseHolder,
}

async fn node(on: &Stage<'_, Gossip>, n: u64) -> Node {
    let (log, listener) = EventLog::new();
    node_with(on, n, Outlet::new([listener]), log).await
}

async fn node_with(
    on: &Stage<'_, Gossip>,
    n: u64,
    events: Outlet<GossipEvent>,
    log: EventLog<GossipEvent>,
) -> Node {
    let (holder, lease) = Lease::new();
    let deps = GossipDeps {
        events,
        lease,
        ..Gossip::deps(on.number(n), on.dir(n))
    };
    let id = deps.endpoint;
    let running = on.start(n, deps).await;
    Node {
        id,
        port: running.port,
        address: running.addresses.advertised,
        log,
        lease: holder,
    }
}

/// Two nodes that are neighbors in the topic.
async fn neighbors(on: &Stage<'_, Gossip>) -> Result<(Node, Node), Broken> {
    let (mut one, mut two) = (node(on, 1).await, node(on, 2).await);
    one.join(TOPIC).await?;
    two.join(TOPIC).await?;
    one.dial(TOPIC, &two).await?;
    one.is_up(on, TOPIC, two.id).await?;
    two.is_up(on, TOPIC, one.id).await?;
    Ok((one, two))
}

impl Node {
    async fn join(&self, topic: TopicId) -> Result<Vec<EndpointId>, Broken> {
        let keys = keys(topic.as_bytes()[0]);
        Ok(self.port.join(Join { topic, keys }).await?.neighbors)
    }

    async fn dial(&self, topic: TopicId, who: &Node) -> Held {
        let dial = Dial {
            topic,
            peers: vec![who.address.clone()],
            reason: DialReason::Found,
        };
        Ok(self.port.dial(dial).await?)
    }

    async fn broadcast(&self, topic: TopicId, payload: &[u8]) -> Held {
        let payload = payload.to_vec().into();
        Ok(self.port.broadcast(Broadcast { topic, payload }).await?)
    }

    async fn is_up(&mut self, on: &Stage<'_, Gossip>, topic: TopicId, who: EndpointId) -> Held {
        let up = |event| match event {
            GossipEvent::NeighborUp {
                topic: of, peer, ..
            } if (of, peer) == (topic, who) => Some(()),
            _ => None,
        };
        self.log.find(on.patience(), "a neighbor", up).await
    }

    async fn is_down(&mut self, on: &Stage<'_, Gossip>, topic: TopicId, who: EndpointId) -> Held {
        let down = |event| match event {
            GossipEvent::NeighborDown {
                topic: of, peer, ..
            } if (of, peer) == (topic, who) => Some(()),
            _ => None,
        };
        self.log
            .find(on.patience(), "the loss of a neighbor", down)
            .await
    }

    /// Waits for a broadcast with this payload.
    async fn hears(
        &mut self,
        on: &Stage<'_, Gossip>,
        wanted: &[u8],
    ) -> Result<GossipEvent, Broken> {
        let heard = |event| match event {
            GossipEvent::Received { ref payload, .. } if payload[..] == *wanted => Some(event),
            _ => None,
        };
        self.log.find(on.patience(), "a broadcast", heard).await
    }
}

async fn end_both(on: &Stage<'_, Gossip>, one: &Node, two: &Node) -> Held {
    end(on, &one.port).await?;
    end(on, &two.port).await
}

async fn it_speaks_as_its_endpoint(on: &Stage<'_, Gossip>) -> Held {
    let node = node(on, 1).await;
    ensure_eq!(node.address.id, node.id, "the id of the address");
    let asked = node.port.local_address(LocalAddress).await?.advertised;
    ensure_eq!(asked.id, node.id, "the id of the address when asked");
    end(on, &node.port).await
}

async fn counters_are_open_metrics_without_an_end(on: &Stage<'_, Gossip>) -> Held {
    let node = node(on, 1).await;
    let text = node.port.counters(Counters).await?;
    ensure!(!text.contains("# EOF"), "counters have an end of their own");
    let wrong = text.lines().find(|line| !is_open_metrics(line));
    ensure!(wrong.is_none(), "a line of the counters is {wrong:?}");
    end(on, &node.port).await
}

/// A comment, or a name with a value.
pub(crate) fn is_open_metrics(line: &str) -> bool {
    let value = line.rsplit(' ').next().unwrap_or("");
    line.is_empty()
        || line.starts_with("# ")
        || (line.contains(' ') && value.parse::<f64>().is_ok())
}

async fn events_are_told_and_slow_listeners_what_they_missed(on: &Stage<'_, Gossip>) -> Held {
    const BROADCASTS: u32 = 32;
    let one = node(on, 1).await;
    let (mut both, listeners) = FastAndSlow::new();
    let two = node_with(on, 2, Outlet::new(listeners), EventLog::new().0).await;
    one.join(TOPIC).await?;
    two.join(TOPIC).await?;
    one.dial(TOPIC, &two).await?;
    let (mut sent, mut heard, mut events) = (0, 0, 0);
    // Not before it is a neighbor is anything heard.
    let all_heard = async || {
        for event in both.drain() {
            events += 1;
            heard += u32::from(matches!(event, GossipEvent::Received { .. }));
        }
        sent += 1_u32;
        one.broadcast(TOPIC, &sent.to_be_bytes()).await?;
        Ok((heard >= BROADCASTS).then_some(()))
    };
    until(on.patience(), "32 broadcasts to be heard", all_heard).await?;
    let missed = |event: &GossipEvent| match event {
        GossipEvent::Lagged(missed) => Some(*missed),
        _ => None,
    };
    let one_more = async || {
        sent += 1;
        one.broadcast(TOPIC, &sent.to_be_bytes()).await
    };
    both.account(on.patience(), events, missed, one_more)
        .await?;
    end_both(on, &one, &two).await
}
