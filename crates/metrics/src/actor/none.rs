//! No metrics, for whoever wants none.

use actix::{Actor, ActorContext, Context, Handler};
use kukuri_contract::{
    DiscoveryEvent, Factory, GossipEvent, Limits, MetricsDeps, MetricsPort, MetricsRunning, Never,
    NodeEvent, Probe, Render, Stop, StoreEvent,
};

use crate::config::NoneConfig;
use crate::error::MetricsError;

/// What is served in place of series: a comment (exposition format 0.0.4), so that whoever scrapes it
/// finds no series and no error.
const NOTHING: &str = "# metrics.kind is \"none\": this node counts nothing\n";

/// The implementation `none` of metrics: hears and counts nothing. `/metrics` has what the transport
/// counts by itself, and a comment that says so.
#[derive(Debug, Clone, Copy)]
pub struct NoMetrics;

impl Factory for NoMetrics {
    const SERVICE: &'static str = MetricsPort::SERVICE;
    const NAME: &'static str = "none";
    const CONTRACT: u32 = 1;
    type Config = NoneConfig;
    type Deps = MetricsDeps;
    type Running = MetricsRunning;
    type Error = MetricsError;

    fn check(NoneConfig {}: &NoneConfig) -> Result<(), MetricsError> {
        Ok(())
    }

    async fn spawn(
        NoneConfig {}: NoneConfig,
        MetricsDeps {}: MetricsDeps,
    ) -> Result<MetricsRunning, MetricsError> {
        let actor = DeafActor.start();
        Ok(MetricsRunning {
            port: MetricsPort::new(&actor, Limits::default()),
            discovery: actor.clone().recipient(),
            gossip: actor.clone().recipient(),
            store: actor.clone().recipient(),
            node: actor.recipient(),
        })
    }
}

/// The actor behind [`NoMetrics`].
struct DeafActor;

impl Actor for DeafActor {
    type Context = Context<Self>;
}

/// Events that are heard and forgotten: nobody misses them.
macro_rules! deaf {
    ($($event:ty,)+) => {$(
        impl Handler<$event> for DeafActor {
            type Result = ();

            fn handle(&mut self, _: $event, _: &mut Self::Context) {}
        }
    )+};
}

deaf! {
    DiscoveryEvent,
    GossipEvent,
    StoreEvent,
    NodeEvent,
}

impl Handler<Render> for DeafActor {
    type Result = Result<String, Never>;

    fn handle(&mut self, _: Render, _: &mut Self::Context) -> Self::Result {
        Ok(NOTHING.to_owned())
    }
}

impl Handler<Probe> for DeafActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(DeafActor);

impl Handler<Stop> for DeafActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Ok(())
    }
}
