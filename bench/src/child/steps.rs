//! The steps of a join, from kukuri's log events that have a field `step`.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::say;

/// When the DHT node began to start: from there on kukuri does what the rival's join does.
pub type DhtStart = Arc<OnceLock<Instant>>;

/// Hears the steps from now on, and tells the parent each one with its time, if it wants to know.
pub fn hear(go: Instant, tell: bool) -> DhtStart {
    let dht_start = DhtStart::default();
    let steps = Steps {
        go,
        tell,
        dht_start: dht_start.clone(),
    };
    // What is filtered out costs next to nothing; mainline and iroh say much.
    let ours = filter_fn(|metadata| metadata.fields().field("step").is_some());
    tracing_subscriber::registry()
        .with(steps.with_filter(ours))
        .init();
    dht_start
}

struct Steps {
    go: Instant,
    tell: bool,
    dht_start: DhtStart,
}

impl<S: Subscriber> Layer<S> for Steps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let ms = self.go.elapsed().as_secs_f64() * 1e3;
        let mut step = Step(String::new());
        event.record(&mut step);
        if step.0 == "dht_starting" {
            self.dht_start.get_or_init(Instant::now);
        }
        if self.tell {
            say(&json!({ "step": step.0, "ms": ms }));
        }
    }
}

struct Step(String);

impl Visit for Step {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "step" {
            self.0 = value.to_owned();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
