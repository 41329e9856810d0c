//! From the call of a broadcast until each of the others has it.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::Scale;
use super::peer::{Contender, LIMIT, POLL, Swarm};
use crate::report::{Report, Show};
use crate::stats::Samples;

/// Between two broadcasts: a lively conversation, which leaves the processor idle.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures.
pub async fn measure(scale: Scale) -> anyhow::Result<Report> {
    let mut report = Report::new("Latency of a broadcast of 1 KiB", &Contender::TITLES);
    let casts = scale.of(100, 20);
    for (peers, goal) in [(2, None), (20, Some("p95 <= 100"))] {
        let mut all = Contender::ALL.map(|_| Samples::default());
        let mut delivered = Contender::ALL.map(|_| Samples::default());
        for repetition in 1..=scale.repetitions {
            for (at, contender) in Contender::ALL.into_iter().enumerate() {
                eprintln!("latency, {peers} peers, run {repetition}: {contender:?}");
                let swarm = Swarm::start(contender, peers).await?;
                let samples = cast(&swarm, casts).await?;
                swarm.stop().await;
                let expected = casts * (peers - 1);
                delivered[at]
                    .0
                    .push(100.0 * samples.len() as f64 / expected as f64);
                all[at].0.extend(samples.0);
            }
        }
        let what = format!("{peers} peers, until each has it");
        report.row(what, "ms", goal, Show::Percentiles, all.map(Some).into());
        let what = format!("{peers} peers, delivered");
        let delivered = delivered.map(Some).into();
        report.row(what, "%", None, Show::Spread, delivered);
    }
    report.note(format!(
        "Median / 95th percentile / largest, one sample per receiver, a broadcast every {PAUSE:?}, \
         {} runs of {casts} broadcasts.",
        scale.repetitions
    ));
    Ok(report)
}

async fn cast(swarm: &Swarm, casts: usize) -> anyhow::Result<Samples> {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    for number in 0..casts {
        ticks.tick().await;
        sent.push(Instant::now());
        swarm.0[0].cast(number as u64).await?;
    }
    let last = Instant::now();
    while swarm.others().any(|ear| ear.count() < casts) && last.elapsed() < LIMIT {
        tokio::time::sleep(POLL).await;
    }
    let heard = swarm.others().flat_map(|ear| ear.take());
    let took = heard.filter_map(|(number, at)| {
        let sent = sent.get(usize::try_from(number).ok()?)?;
        Some(at.duration_since(*sent).as_secs_f64() * 1e3)
    });
    Ok(took.collect())
}
