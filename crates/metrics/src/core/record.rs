//! Which event changes which series.

mod discovery;

use std::collections::BTreeMap;
use std::time::Duration;

use kukuri_contract::{
    DialResult, EndpointId, GossipEvent, GossipPort, NodeEvent, StoreError, StoreEvent, StorePort,
    TopicId, Verdict,
};

use super::labels::Labels;
use super::series::{self, Series};

/// A change of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// A counter grows.
    Count(&'static str, Labels, u64),
    /// A gauge has a new value.
    Set(&'static str, Labels, f64),
    /// A histogram gets an observation, in seconds.
    Observe(&'static str, Labels, f64),
}

/// What must be remembered between events.
#[derive(Debug, Default)]
pub struct Recorder {
    neighbors: BTreeMap<TopicId, usize>,
    swarms: BTreeMap<TopicId, (Option<EndpointId>, u64)>,
    /// Open topics with what has come of looking for their peers. The node may tell of one again,
    /// after it was started again.
    topics: BTreeMap<TopicId, Option<Verdict>>,
}

impl Recorder {
    /// Changes that an event of gossip means.
    pub fn gossip(&mut self, event: &GossipEvent) -> Vec<Change> {
        match event {
            GossipEvent::NeighborUp {
                topic, neighbors, ..
            } => vec![
                count(&series::NEIGHBOR_UPS, "", 1),
                self.set_neighbors(*topic, *neighbors),
            ],
            GossipEvent::NeighborDown {
                topic, neighbors, ..
            } => vec![
                count(&series::NEIGHBOR_DOWNS, "", 1),
                self.set_neighbors(*topic, *neighbors),
            ],
            GossipEvent::Received { payload, .. } => vec![
                count(&series::RECEIVED, "", 1),
                count(&series::RECEIVED_BYTES, "", payload.len() as u64),
            ],
            GossipEvent::TopicLagged { .. } => vec![count(&series::TOPIC_LAGS, "", 1)],
            // It took no time, and says nothing of the network.
            GossipEvent::DialEnded {
                result: DialResult::Banned,
                ..
            } => vec![count(&series::DIALS, DialResult::Banned.as_str(), 1)],
            GossipEvent::DialEnded { result, took, .. } => vec![
                count(&series::DIALS, result.as_str(), 1),
                observe(&series::DIAL, *took),
            ],
            GossipEvent::DialDropped { .. } => vec![count(&series::DIALS_DROPPED, "", 1)],
            GossipEvent::AskDropped { reason, .. } => {
                vec![count(&series::ASKS_DROPPED, reason.as_str(), 1)]
            }
            GossipEvent::ProofDropped { side, reason, .. } => {
                let labels = [side.as_str(), reason.as_str()];
                vec![Change::Count(series::PROOFS_DROPPED.name, labels, 1)]
            }
            GossipEvent::Lagged(missed) => lagged(GossipPort::SERVICE, *missed),
            _ => Vec::new(),
        }
    }

    /// Changes that an event of the store means.
    pub fn store(&mut self, event: &StoreEvent) -> Vec<Change> {
        match event {
            StoreEvent::Committed { requests, took } => vec![
                count(&series::COMMITS, "", 1),
                count(&series::WRITES, "", *requests as u64),
                observe(&series::COMMIT, *took),
            ],
            StoreEvent::Pruned { posts, peers } => vec![
                count(&series::PRUNED_POSTS, "", *posts),
                count(&series::PRUNED_PEERS, "", *peers),
            ],
            StoreEvent::Failed { requests, error } => {
                let reason = match error {
                    StoreError::DiskFull(_) => "disk_full",
                    StoreError::ReadOnly(_) => "read_only",
                    StoreError::Corrupt(_) => "corrupt",
                    _ => "failed",
                };
                vec![count(&series::STORE_FAILURES, reason, *requests as u64)]
            }
            StoreEvent::Lagged(missed) => lagged(StorePort::SERVICE, *missed),
            _ => Vec::new(),
        }
    }

    /// Changes that an event of the node means.
    pub fn node(&mut self, event: &NodeEvent) -> Vec<Change> {
        match event {
            NodeEvent::Started {
                version,
                secret_store,
            } => vec![
                set(&series::INFO, version, 1.0),
                set(&series::SECRETS, secret_store.as_str(), 1.0),
            ],
            NodeEvent::TopicOpened { topic } => self.set_topic(*topic, None),
            NodeEvent::TopicClosed { topic } => {
                self.topics.remove(topic);
                self.swarms.remove(topic);
                let mut changes = self.say_topics();
                changes.extend(self.say_swarm());
                changes.push(self.set_neighbors(*topic, 0));
                changes
            }
            NodeEvent::FirstNeighbor { source, after } => {
                let name = series::FIRST_NEIGHBOR.name;
                let labels = [source.as_str(), ""];
                vec![Change::Observe(name, labels, after.as_secs_f64())]
            }
            NodeEvent::VerdictChanged { topic, from, to } => {
                self.verdict_changed(*topic, *from, *to)
            }
            NodeEvent::PostSent => vec![count(&series::POSTS_SENT, "", 1)],
            NodeEvent::PostReceived { after } => vec![
                count(&series::POSTS_RECEIVED, "", 1),
                observe(&series::DELIVERY, *after),
            ],
            NodeEvent::PostDropped { reason } => {
                vec![count(&series::POSTS_DROPPED, reason.as_str(), 1)]
            }
            NodeEvent::RepairEnded { result, posts } => vec![
                count(&series::REPAIRS, result.as_str(), 1),
                count(&series::REPAIRED, "", *posts),
            ],
            NodeEvent::RepairServed { posts } => vec![
                count(&series::REPAIRS_SERVED, "", 1),
                count(&series::POSTS_SERVED, "", *posts),
            ],
            NodeEvent::Offended { offense } => {
                vec![count(&series::OFFENSES, offense.as_str(), 1)]
            }
            NodeEvent::Banned { reason } => vec![count(&series::BANS, reason.as_str(), 1)],
            NodeEvent::BansChanged { peers } => {
                vec![set(&series::BANNED, "", *peers as f64)]
            }
            NodeEvent::Restarted { service, reason } => {
                let labels = [*service, reason.as_str()];
                vec![Change::Count(series::RESTARTS.name, labels, 1)]
            }
            NodeEvent::TopicResumed {
                topic,
                neighbors,
                verdict,
            } => {
                let mut changes = self.set_topic(*topic, *verdict);
                changes.push(self.set_neighbors(*topic, *neighbors));
                changes
            }
            NodeEvent::RequestsInFlight { service, requests } => {
                vec![set(&series::IN_FLIGHT, service, *requests as f64)]
            }
            NodeEvent::EventsMissed { service, missed } => {
                vec![count(&series::EVENTS_MISSED, service, *missed)]
            }
            NodeEvent::CallFailed { service } => vec![count(&series::CALLS_FAILED, service, 1)],
            NodeEvent::Lagged(missed) => lagged(series::NODE, *missed),
            _ => Vec::new(),
        }
    }

    /// A search counts once, by its first outcome: after the join, and after neighbors were lost.
    /// What follows a failure is the same search.
    fn verdict_changed(
        &mut self,
        topic: TopicId,
        from: Option<Verdict>,
        to: Verdict,
    ) -> Vec<Change> {
        let mut changes = self.set_topic(topic, Some(to));
        if matches!(from, None | Some(Verdict::Joined { .. })) {
            changes.push(count(&series::JOINS, to.as_str(), 1));
        }
        changes
    }

    fn set_topic(&mut self, topic: TopicId, verdict: Option<Verdict>) -> Vec<Change> {
        self.topics.insert(topic, verdict);
        self.say_topics()
    }

    fn say_topics(&self) -> Vec<Change> {
        let with = |outcome| {
            let verdicts = self.topics.values().flatten();
            verdicts
                .filter(|verdict| verdict.as_str() == outcome)
                .count()
        };
        let mut changes = vec![set(&series::TOPICS, "", self.topics.len() as f64)];
        let outcomes = Verdict::OUTCOMES.into_iter();
        changes.extend(outcomes.map(|o| set(&series::VERDICT, o, with(o) as f64)));
        changes
    }

    fn set_neighbors(&mut self, topic: TopicId, neighbors: usize) -> Change {
        match neighbors {
            0 => _ = self.neighbors.remove(&topic),
            _ => _ = self.neighbors.insert(topic, neighbors),
        }
        let all: usize = self.neighbors.values().sum();
        set(&series::NEIGHBORS, "", all as f64)
    }
}

fn lagged(service: &'static str, missed: u64) -> Vec<Change> {
    vec![count(&series::METRICS_MISSED, service, missed)]
}

fn count(series: &Series, label: &'static str, by: u64) -> Change {
    Change::Count(series.name, [label, ""], by)
}

fn set(series: &Series, label: &'static str, to: f64) -> Change {
    Change::Set(series.name, [label, ""], to)
}

fn observe(series: &Series, took: Duration) -> Change {
    Change::Observe(series.name, ["", ""], took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use kukuri_contract::Source;

    use super::*;

    const JOINED: Verdict = Verdict::Joined {
        source: Source::Rendezvous,
        after_ms: 7,
    };

    fn topic(n: u8) -> TopicId {
        TopicId::from_bytes([n; 32])
    }

    fn joins(changes: &[Change]) -> Vec<&'static str> {
        let joins = changes.iter().filter_map(|change| match change {
            Change::Count(name, [result, _], 1) if *name == series::JOINS.name => Some(*result),
            _ => None,
        });
        joins.collect()
    }

    #[test]
    fn a_search_counts_once_by_its_first_outcome() {
        let mut recorder = Recorder::default();
        let mut change = |from, to| {
            let topic = topic(1);
            let changes = recorder.node(&NodeEvent::VerdictChanged { topic, from, to });
            joins(&changes)
        };
        assert_eq!(change(None, Verdict::Alone), ["alone"]);
        assert!(change(Some(Verdict::Alone), Verdict::DhtBlocked).is_empty());
        assert!(change(Some(Verdict::DhtBlocked), JOINED).is_empty());
        assert_eq!(change(Some(JOINED), JOINED), ["joined"]);
        assert_eq!(change(Some(JOINED), Verdict::Alone), ["alone"]);
    }

    #[test]
    fn topics_are_counted_by_verdict_until_they_are_left() {
        let mut recorder = Recorder::default();
        let changed = |n, to| NodeEvent::VerdictChanged {
            topic: topic(n),
            from: None,
            to,
        };
        recorder.node(&changed(1, Verdict::Alone));
        recorder.node(&changed(2, Verdict::Alone));
        let changes = recorder.node(&changed(1, JOINED));
        assert!(changes.contains(&set(&series::VERDICT, "alone", 1.0)));
        assert!(changes.contains(&set(&series::VERDICT, "joined", 1.0)));
        assert!(changes.contains(&set(&series::TOPICS, "", 2.0)));
        // A node that was started again opens its topics again.
        let opened = NodeEvent::TopicOpened { topic: topic(1) };
        let changes = recorder.node(&opened);
        assert!(changes.contains(&set(&series::VERDICT, "joined", 0.0)));
        assert!(changes.contains(&set(&series::TOPICS, "", 2.0)));
        let closed = NodeEvent::TopicClosed { topic: topic(2) };
        let changes = recorder.node(&closed);
        assert!(changes.contains(&set(&series::VERDICT, "alone", 0.0)));
        assert!(changes.contains(&set(&series::TOPICS, "", 1.0)));
    }

    #[test]
    fn neighbors_are_summed_over_topics() {
        let mut recorder = Recorder::default();
        let mut now = |topic, neighbors| {
            let changes = recorder.gossip(&GossipEvent::NeighborUp {
                topic,
                peer: EndpointId::from_bytes([1; 32]),
                neighbors,
            });
            changes[1]
        };
        assert_eq!(now(topic(1), 2), set(&series::NEIGHBORS, "", 2.0));
        assert_eq!(now(topic(2), 3), set(&series::NEIGHBORS, "", 5.0));
        assert_eq!(now(topic(1), 1), set(&series::NEIGHBORS, "", 4.0));
        let closed = NodeEvent::TopicClosed { topic: topic(2) };
        assert!(
            recorder
                .node(&closed)
                .contains(&set(&series::NEIGHBORS, "", 1.0))
        );
    }
}
