//! Metrics in memory: a few counters.

use std::time::Duration;

use actix::{Actor, Context, Handler};
use kukuri_contract::{
    DiscoveryEvent, GossipEvent, MetricsDeps, MetricsPort, MetricsRunning, Never, NodeEvent,
    Render, StoreEvent,
};

use super::flaw::{Conduct, Flaw, Later, conduct};
use crate::kit::{Local, Subject};
use crate::metrics::Metrics;

/// What can be wrong with these metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What can be wrong with every service.
    Any(Flaw),
    /// Renders a line that is no series.
    Babbles,
    /// Does not hear discovery.
    DeafToDiscovery,
    /// Does not hear gossip.
    DeafToGossip,
    /// Does not hear the store.
    DeafToStore,
    /// Does not hear the node when a call fails.
    DeafToNode,
    /// Counts no more than a few events.
    CountsFew,
    /// That events were missed is one more event.
    MissesOne,
    /// Panics where there are more neighbors than it can count.
    Overflows,
}

/// Each fault with the clause that it breaks.
pub const FAULTS: [(Fault, &str); 8] = [
    (Fault::Babbles, "what_is_rendered_is_prometheus_text"),
    (Fault::DeafToDiscovery, "events_of_discovery_become_series"),
    (Fault::DeafToGossip, "events_of_gossip_become_series"),
    (Fault::DeafToStore, "events_of_the_store_become_series"),
    (Fault::DeafToNode, "events_of_the_node_become_series"),
    (Fault::CountsFew, "each_event_counts_once"),
    (Fault::MissesOne, "missed_events_are_counted"),
    (Fault::Overflows, "any_event_is_taken"),
];

/// Events that are counted by what counts few.
const FEW: u64 = 16;

/// The reference metrics.
#[derive(Debug, Default)]
pub struct MemoryMetrics {
    fault: Option<Fault>,
}

impl MemoryMetrics {
    /// With a fault.
    pub fn with(fault: Fault) -> Self {
        let fault = Some(fault);
        Self { fault }
    }
}

impl Subject<Metrics> for MemoryMetrics {
    fn name(&self) -> String {
        format!("metrics in memory, {:?}", self.fault)
    }

    fn patience(&self) -> Duration {
        super::PATIENCE
    }

    fn start(&self, _: u64, MetricsDeps {}: MetricsDeps) -> Local<'_, MetricsRunning> {
        Box::pin(async move {
            let flaw = match self.fault {
                Some(Fault::Any(flaw)) => Some(flaw),
                _ => None,
            };
            let conduct = Conduct::new(flaw);
            let limits = conduct.limits();
            let actor = MemoryActor {
                conduct,
                fault: self.fault,
                heard: [0; 4],
                missed: 0,
            };
            let actor = actor.start();
            MetricsRunning {
                port: MetricsPort::new(&actor, limits),
                discovery: actor.clone().recipient(),
                gossip: actor.clone().recipient(),
                store: actor.clone().recipient(),
                node: actor.recipient(),
            }
        })
    }
}

/// Whose events are counted, in the order of the counters.
const SERVICES: [&str; 4] = ["discovery", "gossip", "store", "node"];

struct MemoryActor {
    conduct: Conduct,
    fault: Option<Fault>,
    heard: [u64; 4],
    missed: u64,
}

impl MemoryActor {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Counts an event of a service, which says that so many were missed.
    fn count(&mut self, service: usize, missed: Option<u64>) {
        match missed {
            Some(_) if self.has(Fault::MissesOne) => self.missed += 1,
            Some(missed) => self.missed += missed,
            None if self.has(Fault::CountsFew) && self.heard[service] >= FEW => {}
            None => self.heard[service] += 1,
        }
    }
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

conduct!(MemoryActor);

impl Handler<DiscoveryEvent> for MemoryActor {
    type Result = ();

    fn handle(&mut self, event: DiscoveryEvent, _: &mut Self::Context) {
        match event {
            DiscoveryEvent::Lagged(missed) => self.count(0, Some(missed)),
            _ if self.has(Fault::DeafToDiscovery) => {}
            _ => self.count(0, None),
        }
    }
}

impl Handler<GossipEvent> for MemoryActor {
    type Result = ();

    fn handle(&mut self, event: GossipEvent, _: &mut Self::Context) {
        match event {
            GossipEvent::Lagged(missed) => self.count(1, Some(missed)),
            GossipEvent::NeighborDown { .. } if self.has(Fault::Overflows) => {
                panic!("too many neighbors")
            }
            _ if self.has(Fault::DeafToGossip) => {}
            _ => self.count(1, None),
        }
    }
}

impl Handler<StoreEvent> for MemoryActor {
    type Result = ();

    fn handle(&mut self, event: StoreEvent, _: &mut Self::Context) {
        match event {
            StoreEvent::Lagged(missed) => self.count(2, Some(missed)),
            _ if self.has(Fault::DeafToStore) => {}
            _ => self.count(2, None),
        }
    }
}

impl Handler<NodeEvent> for MemoryActor {
    type Result = ();

    fn handle(&mut self, event: NodeEvent, _: &mut Self::Context) {
        match event {
            NodeEvent::Lagged(missed) => self.count(3, Some(missed)),
            NodeEvent::CallFailed { .. } if self.has(Fault::DeafToNode) => {}
            _ => self.count(3, None),
        }
    }
}

impl Handler<Render> for MemoryActor {
    type Result = Later<Result<String, Never>>;

    fn handle(&mut self, _: Render, _: &mut Self::Context) -> Self::Result {
        let heard = SERVICES.iter().zip(self.heard);
        let mut text: String = heard
            .map(|(service, heard)| format!("heard_total{{service=\"{service}\"}} {heard}\n"))
            .collect();
        text += &format!("missed_total {}\n", self.missed);
        if self.has(Fault::Babbles) {
            text += "all is well\n";
        }
        self.conduct.later(Ok(text))
    }
}
