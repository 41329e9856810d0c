//! One request and one event, beside a direct call.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, Context, Handler, Recipient};
use kukuri_contract::{Event, Limits, Never, Outlet, Probe, Stop, request, service, supervised};

use super::Scale;
use super::ours::in_arbiter;
use crate::report::{Report, Show};
use crate::stats::Samples;

/// Requests or events of one sample. The mailbox has room for all of them.
const BURST: u64 = 1_000;
const MAILBOX: usize = 4096;

const TITLES: [&str; 4] = [
    "direct call",
    "actix",
    "port, outlet",
    "outlet, 2 listeners",
];
const ROWS: [&str; 4] = [
    "request, in the same arbiter",
    "request, to another arbiter",
    "event, until it is sent",
    "event, until it is handled",
];

/// Samples by row and column.
type Cells = [[Samples; TITLES.len()]; ROWS.len()];

/// Measures.
pub async fn measure(scale: Scale) -> anyhow::Result<Report> {
    let mut report = Report::new("One request, one event", &TITLES);
    let rounds = scale.of(20, 3);
    let mut cells = Cells::default();
    for repetition in 1..=scale.repetitions {
        eprintln!("cost, run {repetition}");
        // The caller is in an arbiter too, as a node's actors are.
        let (measured, arbiter) = in_arbiter(1, async move || caller(rounds).await).await?;
        arbiter.stop();
        for (row, measured) in cells.iter_mut().zip(measured?) {
            for (cell, measured) in row.iter_mut().zip(measured) {
                cell.0.extend(measured.0);
            }
        }
    }
    for (what, row) in ROWS.into_iter().zip(cells) {
        let row = row.map(|samples| (samples.len() > 0).then_some(samples));
        report.row(what, "ns", None, Show::Percentiles, row.into());
    }
    report.note(format!(
        "Median / 95th percentile / largest of {} runs of {rounds} means over {BURST}. Requests one \
         after the other, events in bursts, to listeners in other arbiters. actix: `Addr::send`, \
         `Recipient::do_send`.",
        scale.repetitions
    ));
    Ok(report)
}

async fn caller(rounds: usize) -> anyhow::Result<Cells> {
    let near = Counter::start(Arc::default());
    let (far, far_arbiter) = other().await?;
    let (second, second_arbiter) = other().await?;
    let mut direct = Counter(Arc::default());
    let to: Recipient<Tick> = far.addr.clone().recipient();
    let one = Outlet::new([to.clone()]);
    let two = Outlet::new([to.clone(), second.addr.clone().recipient()]);
    let mut cells = Cells::default();
    for _ in 0..rounds {
        for (row, addr) in [&near, &far.addr].into_iter().enumerate() {
            let port = CounterPort::new(addr, Limits::default());
            cells[row][0].0.push(called(&mut direct));
            cells[row][1].0.push(sent(addr).await?);
            cells[row][2].0.push(asked(&port).await?);
        }
        let events = [
            burst(&[&direct.0.clone()], || direct.add()).await,
            burst(&[&far.count], || to.do_send(Tick::At(1))).await,
            burst(&[&far.count], || one.emit(Tick::At(1))).await,
            burst(&[&far.count, &second.count], || two.emit(Tick::At(1))).await,
        ];
        for (column, (sent, handled)) in events.into_iter().enumerate() {
            cells[2][column].0.push(sent);
            cells[3][column].0.push(handled);
        }
    }
    far_arbiter.stop();
    second_arbiter.stop();
    Ok(cells)
}

fn called(counter: &mut Counter) -> f64 {
    let started = Instant::now();
    for _ in 0..BURST {
        black_box(black_box(&mut *counter).add());
    }
    each(started.elapsed())
}

async fn sent(to: &Addr<Counter>) -> anyhow::Result<f64> {
    let started = Instant::now();
    for _ in 0..BURST {
        black_box(to.send(Add).await??);
    }
    Ok(each(started.elapsed()))
}

async fn asked(port: &CounterPort) -> anyhow::Result<f64> {
    let started = Instant::now();
    for _ in 0..BURST {
        black_box(port.add(Add).await?);
    }
    Ok(each(started.elapsed()))
}

/// Until the last event of a burst is sent, and until all are handled.
async fn burst<T>(counts: &[&AtomicU64], mut emit: impl FnMut() -> T) -> (f64, f64) {
    let before: Vec<u64> = counts.iter().map(|count| count.load(SEEN)).collect();
    let started = Instant::now();
    for _ in 0..BURST {
        black_box(emit());
    }
    let sent = started.elapsed();
    let open = || {
        let mut counts = counts.iter().zip(&before);
        counts.any(|(count, before)| count.load(SEEN) - before < BURST)
    };
    while open() {
        std::hint::spin_loop();
    }
    (each(sent), each(started.elapsed()))
}

/// A count also says that all before it is done.
const SEEN: Ordering = Ordering::Acquire;

fn each(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9 / BURST as f64
}

/// A counter in an arbiter of its own.
struct Other {
    addr: Addr<Counter>,
    count: Arc<AtomicU64>,
}

async fn other() -> anyhow::Result<(Other, Arbiter)> {
    let count = Arc::<AtomicU64>::default();
    let counting = count.clone();
    let (addr, arbiter) = in_arbiter(1, async move || Counter::start(counting)).await?;
    Ok((Other { addr, count }, arbiter))
}

/// Does next to nothing, so that only the way to it counts.
struct Counter(Arc<AtomicU64>);

impl Counter {
    fn start(count: Arc<AtomicU64>) -> Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            Self(count)
        })
    }

    fn add(&mut self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Actor for Counter {
    type Context = Context<Self>;
}

service! {
    /// The measured service.
    CounterService, CounterPort, "counter" {
        /// Adds one; the reply is the sum.
        add: Add,
    }
}

request! {
    Add => u64, Never;
}

/// Adds one.
#[derive(Debug, Clone, Copy)]
pub struct Add;

impl Handler<Add> for Counter {
    type Result = Result<u64, Never>;

    fn handle(&mut self, _: Add, _: &mut Self::Context) -> Self::Result {
        Ok(self.add())
    }
}

/// The measured event.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
enum Tick {
    At(u64),
    Lagged(u64),
}

impl Event for Tick {
    fn lagged(missed: u64) -> Self {
        Self::Lagged(missed)
    }
}

impl Handler<Tick> for Counter {
    type Result = ();

    fn handle(&mut self, tick: Tick, _: &mut Self::Context) {
        let (Tick::At(events) | Tick::Lagged(events)) = tick;
        self.0.fetch_add(events, Ordering::AcqRel);
    }
}

impl Handler<Probe> for Counter {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<Stop> for Counter {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

supervised!(Counter);
