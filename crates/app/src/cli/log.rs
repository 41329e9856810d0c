//! The log: events of `tracing` on standard error, so many of each kind.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use kukuri::core::bucket::{Bucket, Rate};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::output::{self, LogWriter, Output};

/// Log events that are shown unless KUKURI_LOG says otherwise: what the user can act on. Of a DHT that does
/// not answer the verdict tells, and more than mainline.
const DEFAULT_LOG: &str = "error,mainline=off,kukuri=warn";
/// Events of one kind (one place in the code) that are shown, from `info` on: neither a broken disk nor others
/// on the network may fill the disk with the log. A burst of 20 shows a pattern; then one in 10 s shows that it
/// goes on.
const OF_A_KIND: Rate = Rate {
    burst: 20.0,
    per_second: 0.1,
};

/// Starts the log.
pub fn start(filter: Option<&str>, output: &Output) {
    let writer = LogWriter(output.clone());
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_LOG)).unwrap_or_else(|error| {
        eprintln!("warning: the log filter is wrong ({error}); using {DEFAULT_LOG:?}");
        EnvFilter::new(DEFAULT_LOG)
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(output::colors(&std::io::stderr()))
        .with_filter(Paced::new(output.clone()));
    Registry::default().with(filter).with(lines).init();
}

/// Lets so many events of each kind pass, and says how many it did not. Of our own: the crates for this tell
/// events apart by their fields, which others on the network can choose.
struct Paced {
    start: Instant,
    /// One for each place in the code that has logged, so as many as the program has.
    kinds: Mutex<HashMap<Identifier, Kind>>,
    output: Output,
}

struct Kind {
    bucket: Bucket,
    left_out: u64,
}

impl Paced {
    fn new(output: Output) -> Self {
        Self {
            start: Instant::now(),
            kinds: Mutex::default(),
            output,
        }
    }
}

impl<S> Filter<S> for Paced {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        // Who asks for details wants all of them.
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let now = self.start.elapsed();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds
            .entry(event.metadata().callsite())
            .or_insert_with(|| Kind {
                bucket: Bucket::full(OF_A_KIND, now),
                left_out: 0,
            });
        if !kind.bucket.take(now) {
            kind.left_out += 1;
            return false;
        }
        let left_out = std::mem::take(&mut kind.left_out);
        drop(kinds);
        if left_out > 0 {
            let line = format!("({left_out} more of the next kind were left out)\n");
            self.output.log(line.as_bytes());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn many_of_one_kind_do_not_fill_the_log_nor_hide_others() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_filter(Paced::new(Output::new(true, false)));
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            for peer in 0..1_000 {
                tracing::warn!(peer, "often");
                tracing::debug!(peer, "asked for");
            }
            tracing::warn!("once");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let count = |word: &str| text.matches(word).count();
        // A slow machine may take so long that one more comes.
        assert!((20..25).contains(&count("often")), "{}", count("often"));
        assert_eq!((count("asked for"), count("once")), (1_000, 1));
    }
}
