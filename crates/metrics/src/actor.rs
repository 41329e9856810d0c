//! The actor: hears all events and lets them change the series.

mod none;

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use kukuri_contract::{
    DiscoveryEvent, Factory, GossipEvent, Limits, MetricsDeps, MetricsPort, MetricsRunning, Never,
    NodeEvent, Probe, Render, Stop, StoreEvent,
};

pub use self::none::NoMetrics;
use crate::config::Config;
use crate::core::record::{Change, Recorder};
use crate::error::MetricsError;
use crate::prometheus::Registry;

/// The implementation `prometheus` of metrics.
#[derive(Debug, Clone, Copy)]
pub struct PrometheusMetrics;

impl Factory for PrometheusMetrics {
    const SERVICE: &'static str = MetricsPort::SERVICE;
    const NAME: &'static str = "prometheus";
    const CONTRACT: u32 = 1;
    type Config = Config;
    type Deps = MetricsDeps;
    type Running = MetricsRunning;
    type Error = MetricsError;

    fn check(config: &Config) -> Result<(), MetricsError> {
        let positive = [
            ("upkeep_s", config.upkeep_s),
            ("mailbox", config.mailbox as u64),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some((field, _)) => Err(MetricsError::Config {
                field,
                problem: "it must be at least 1".to_owned(),
            }),
            None => Ok(()),
        }
    }

    async fn spawn(
        config: Config,
        MetricsDeps {}: MetricsDeps,
    ) -> Result<MetricsRunning, MetricsError> {
        Self::check(&config)?;
        let actor = MetricsActor::create(|ctx| {
            ctx.set_mailbox_capacity(config.mailbox);
            MetricsActor {
                recorder: Recorder::default(),
                registry: Registry::new(),
                upkeep: Duration::from_secs(config.upkeep_s),
            }
        });
        Ok(MetricsRunning {
            port: MetricsPort::new(&actor, Limits::default()),
            discovery: actor.clone().recipient(),
            gossip: actor.clone().recipient(),
            store: actor.clone().recipient(),
            node: actor.recipient(),
        })
    }
}

/// The actor behind [`PrometheusMetrics`].
struct MetricsActor {
    recorder: Recorder,
    registry: Registry,
    upkeep: Duration,
}

impl Actor for MetricsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.upkeep, |actor, _| actor.registry.upkeep());
    }
}

impl MetricsActor {
    fn apply(&self, changes: Vec<Change>) {
        changes.into_iter().for_each(|c| self.registry.apply(c));
    }
}

impl Handler<DiscoveryEvent> for MetricsActor {
    type Result = ();

    fn handle(&mut self, event: DiscoveryEvent, _: &mut Self::Context) {
        let changes = self.recorder.discovery(&event);
        self.apply(changes);
    }
}

impl Handler<GossipEvent> for MetricsActor {
    type Result = ();

    fn handle(&mut self, event: GossipEvent, _: &mut Self::Context) {
        let changes = self.recorder.gossip(&event);
        self.apply(changes);
    }
}

impl Handler<StoreEvent> for MetricsActor {
    type Result = ();

    fn handle(&mut self, event: StoreEvent, _: &mut Self::Context) {
        let changes = self.recorder.store(&event);
        self.apply(changes);
    }
}

impl Handler<NodeEvent> for MetricsActor {
    type Result = ();

    fn handle(&mut self, event: NodeEvent, _: &mut Self::Context) {
        let changes = self.recorder.node(&event);
        self.apply(changes);
    }
}

impl Handler<Render> for MetricsActor {
    type Result = Result<String, Never>;

    fn handle(&mut self, _: Render, _: &mut Self::Context) -> Self::Result {
        Ok(self.registry.render())
    }
}

impl Handler<Probe> for MetricsActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(MetricsActor);

impl Handler<Stop> for MetricsActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Ok(())
    }
}
