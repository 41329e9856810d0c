//! The steps of a join, from kukuri's log events that have a field `step`.

use std::fmt::Debug;
use std::time::Instant;

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::say;

/// Tells the parent each step from now on, with its time.
pub fn tell(go: Instant) {
    // What is filtered out costs next to nothing; mainline and iroh say much.
    let ours = filter_fn(|metadata| metadata.fields().field("step").is_some());
    tracing_subscriber::registry()
        .with(Steps(go).with_filter(ours))
        .init();
}

struct Steps(Instant);

impl<S: Subscriber> Layer<S> for Steps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let ms = self.0.elapsed().as_secs_f64() * 1e3;
        let mut step = Step(String::new());
        event.record(&mut step);
        say(&json!({ "step": step.0, "ms": ms }));
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
