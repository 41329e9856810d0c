//! As many broadcasts as back-pressure allows, until all receivers have all of them.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::{StreamExt, TryStreamExt, stream};
use kukuri_contract::Limits;

use super::Scale;
use super::peer::{Contender, POLL, Swarm};
use crate::report::{Report, Show};
use crate::stats::Samples;

/// When nothing has come for so long, the rest is lost, or the swarm is stuck. It does get stuck,
/// with either contender; probably because iroh-gossip waits for room in the queue of a neighbor,
/// which may wait for room in its own (read in its source, not proven).
const SILENCE: Duration = Duration::from_secs(3);

/// What came of one run.
struct Run {
    /// Messages per second and receiver, until the last one came.
    rate: f64,
    /// Share delivered, in percent.
    delivered: f64,
    /// How often a receiver was told of a loss.
    losses: u64,
    /// The sender could not send all.
    stuck: bool,
}

/// Measures.
pub async fn measure(scale: Scale) -> anyhow::Result<Report> {
    let mut report = Report::new("Throughput of broadcasts of 1 KiB", &Contender::TITLES);
    let casts = scale.of(20_000, 2_000);
    for peers in [2, 5] {
        let mut rates = Contender::ALL.map(|_| Samples::default());
        let mut delivered = Contender::ALL.map(|_| Samples::default());
        let mut stuck = [0; Contender::ALL.len()];
        for repetition in 1..=scale.repetitions {
            for (at, contender) in Contender::ALL.into_iter().enumerate() {
                let swarm = Swarm::start(contender, peers).await?;
                let run = flood(&swarm, casts).await?;
                swarm.stop().await;
                eprintln!(
                    "throughput, {peers} peers, run {repetition}: {contender:?} {:.0}/s, {:.1} % \
                     delivered, {} losses told{}",
                    run.rate,
                    run.delivered,
                    run.losses,
                    if run.stuck { ", stuck" } else { "" }
                );
                if run.stuck {
                    stuck[at] += 1;
                } else {
                    rates[at].0.push(run.rate);
                }
                delivered[at].0.push(run.delivered);
            }
        }
        let what = format!("{peers} peers, received by each");
        let rates = rates.map(Some).into();
        report.row(what, "1/s", Some("x >= 0.95"), Show::Spread, rates);
        let what = format!("{peers} peers, delivered");
        let delivered = delivered.map(Some).into();
        report.row(what, "%", None, Show::Spread, delivered);
        if stuck.iter().any(|runs| *runs > 0) {
            report.note(format!(
                "{peers} peers: stuck, without a rate, were {} runs of {} and {} of {}.",
                stuck[0],
                Contender::TITLES[0],
                stuck[1],
                Contender::TITLES[1]
            ));
        }
    }
    report.note(format!(
        "Median (smallest - largest) of {} runs of {casts} broadcasts by one peer, {} under way at \
         once.",
        scale.repetitions,
        Limits::default().in_flight
    ));
    Ok(report)
}

async fn flood(swarm: &Swarm, casts: u64) -> anyhow::Result<Run> {
    let started = Instant::now();
    let sender = &swarm.0[0];
    let sent = stream::iter(0..casts).map(|number| sender.cast(number));
    let sent = sent.buffer_unordered(Limits::default().in_flight);
    let sent = pin!(sent.try_for_each(|()| async { Ok(()) }));
    let silence = pin!(silence(swarm, casts));
    let sent_all = match select(sent, silence).await {
        Either::Left((sent, silence)) => {
            sent?;
            silence.await;
            true
        }
        Either::Right(((), _)) => false,
    };
    let receivers = swarm.others().count();
    let mut received = 0;
    let mut last = started;
    for ear in swarm.others() {
        let heard = ear.take();
        received += heard.len();
        last = heard.iter().map(|(_, at)| *at).fold(last, Instant::max);
    }
    let each = received as f64 / receivers as f64;
    // The last replies may come after the last messages.
    let stuck = !sent_all && each < casts as f64;
    Ok(Run {
        rate: each / last.duration_since(started).as_secs_f64().max(f64::EPSILON),
        delivered: 100.0 * each / casts as f64,
        losses: swarm.others().map(|ear| ear.losses()).sum(),
        stuck,
    })
}

/// Until all receivers have all, or nothing comes any more.
async fn silence(swarm: &Swarm, casts: u64) {
    let count = || swarm.others().map(|ear| ear.count()).sum::<usize>();
    let expected = swarm.others().count() * casts as usize;
    let (mut before, mut changed) = (count(), Instant::now());
    while before < expected && changed.elapsed() < SILENCE {
        tokio::time::sleep(POLL).await;
        let now = count();
        if now != before {
            (before, changed) = (now, Instant::now());
        }
    }
}
