//! The actor that records: hears all events and lets them change the series, wherever these go.

use std::pin::Pin;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture,
    WrapFuture,
};
use kukuri_contract::{
    DiscoveryEvent, GossipEvent, Limits, MetricsPort, MetricsRunning, Never, NodeEvent, Probe,
    Render, Stop, StoreEvent,
};

use crate::core::record::{Change, Recorder};
use crate::error::MetricsError;

/// Comes once all is where it should be.
pub type Finished = Pin<Box<dyn Future<Output = ()>>>;

/// Where the changes of series go.
pub trait Sink: 'static {
    /// Makes a change.
    fn apply(&mut self, change: Change);
    /// All series as Prometheus text; of a sink that sends them elsewhere, a comment.
    fn render(&self) -> String;
    /// Does what is to be done regularly.
    fn tick(&mut self);
    /// Does what is left to do at the end.
    fn finish(&mut self) -> Finished;
}

/// Starts the actor. The sink ticks `every` so often; of each kind of event `mailbox` may wait.
pub fn start(sink: impl Sink, every: Duration, mailbox: usize) -> MetricsRunning {
    let actor = MetricsActor::create(|ctx| {
        ctx.set_mailbox_capacity(mailbox);
        MetricsActor {
            recorder: Recorder::default(),
            sink: Box::new(sink),
            every,
        }
    });
    MetricsRunning {
        port: MetricsPort::new(&actor, Limits::default()),
        discovery: actor.clone().recipient(),
        gossip: actor.clone().recipient(),
        store: actor.clone().recipient(),
        node: actor.recipient(),
    }
}

/// Checks that settings are not zero.
///
/// # Errors
/// The first that is.
pub fn positive(settings: &[(&'static str, u64)]) -> Result<(), MetricsError> {
    match settings.iter().find(|(_, value)| *value == 0) {
        Some((field, _)) => Err(MetricsError::Config {
            field,
            problem: "it must be at least 1".to_owned(),
        }),
        None => Ok(()),
    }
}

struct MetricsActor {
    recorder: Recorder,
    sink: Box<dyn Sink>,
    every: Duration,
}

impl Actor for MetricsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.every, |actor, _| actor.sink.tick());
    }
}

impl MetricsActor {
    fn apply(&mut self, changes: Vec<Change>) {
        changes.into_iter().for_each(|c| self.sink.apply(c));
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
        Ok(self.sink.render())
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
    type Result = ResponseActFuture<Self, Result<(), Never>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let finished = self.sink.finish().into_actor(self);
        Box::pin(finished.map(|(), _, ctx| {
            ctx.stop();
            Ok(())
        }))
    }
}
