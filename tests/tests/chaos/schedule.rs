//! When which actor has which fault.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kukuri::{Drill, Node, RestartReason, Service};
use kukuri_tests::DEADLINE;
use kukuri_tests::simulation::rng::Seeded;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::fleet::Fleet;
use crate::load::within_the_limit;

/// Shortest and longest pause between two faults.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(700));
/// Longest time that a slow actor takes: far below what a hanging one is known by.
const SLOWEST: Duration = Duration::from_millis(1_200);
/// Between two looks whether an actor was started again.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How likely a fault is a hang, and else how likely slowness: one leaves a thread behind, the other
/// tests what panics do not.
const HANGS: f64 = 0.15;
const SLOWS: f64 = 0.3;
/// How likely an actor is told to panic more than once at the same time, and how often then.
const BURST: (f64, usize) = (0.2, 3);
/// How likely all actors of a node have a fault at the same time.
const STORM: f64 = 0.06;

/// What is known to have been caused: restarts of each service of each node, by reason.
#[derive(Debug, Default)]
pub struct Caused {
    restarts: BTreeMap<(usize, Service, Reason), (u64, u64)>,
    /// Actors that were slow.
    pub slow: u64,
}

/// [`RestartReason`] with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Panic,
    Hang,
}

impl From<RestartReason> for Reason {
    fn from(reason: RestartReason) -> Self {
        match reason {
            RestartReason::Panic => Self::Panic,
            RestartReason::Hang => Self::Hang,
        }
    }
}

impl Caused {
    /// How often a service must have been started again: exactly so often, but where an actor was told to
    /// panic several times at once, since what comes when it is gone already may still find the fresh one.
    pub fn of(&self, node: usize, service: Service, reason: RestartReason) -> RangeInclusive<u64> {
        let caused = self.restarts.get(&(node, service, reason.into()));
        let (least, most) = caused.copied().unwrap_or_default();
        least..=most
    }

    /// Hangs of a service, over all nodes.
    pub fn hangs_of(&self, service: Service) -> u64 {
        let all = self.restarts.iter();
        let of = all.filter(|((_, s, reason), _)| *s == service && *reason == Reason::Hang);
        of.map(|(_, (_, most))| most).sum()
    }

    /// Hangs in all.
    pub fn hangs(&self) -> u64 {
        Service::ALL
            .into_iter()
            .map(|service| self.hangs_of(service))
            .sum()
    }

    /// Panics in all, at least.
    pub fn panics(&self) -> u64 {
        let panics = self
            .restarts
            .iter()
            .filter(|((_, _, reason), _)| *reason == Reason::Panic);
        panics.map(|(_, (least, _))| least).sum()
    }

    fn add(&mut self, fault: &Fault) {
        let (reason, least, most) = match fault.drill {
            Drill::Panic => (Reason::Panic, 1, fault.times as u64),
            Drill::Hang => (Reason::Hang, 1, 1),
            Drill::Slow(_) => {
                self.slow += 1;
                return;
            }
        };
        let caused = self
            .restarts
            .entry((fault.node, fault.service, reason))
            .or_default();
        *caused = (caused.0 + least, caused.1 + most);
    }
}

/// A fault of an actor.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    node: usize,
    service: Service,
    drill: Drill,
    times: usize,
}

impl Fault {
    /// The next faults, all at once.
    fn draw(rng: &mut Seeded, nodes: usize) -> Vec<Self> {
        let (node, one) = (rng.index(nodes), rng.index(Service::ALL.len()));
        let services = match rng.chance(STORM) {
            true => &Service::ALL[..],
            false => &Service::ALL[one..=one],
        };
        let draw = |service: &Service| Self::of(node, *service, rng);
        services.iter().map(draw).collect()
    }

    fn of(node: usize, service: Service, rng: &mut Seeded) -> Self {
        let kind = rng.unit();
        let slow = rng.between(Duration::ZERO, SLOWEST);
        let burst = rng.chance(BURST.0);
        let (drill, times) = match kind {
            kind if kind < HANGS => (Drill::Hang, 1),
            kind if kind < HANGS + SLOWS => (Drill::Slow(slow), 1),
            _ if burst => (Drill::Panic, BURST.1),
            _ => (Drill::Panic, 1),
        };
        Self {
            node,
            service,
            drill,
            times,
        }
    }

    /// Causes it, and waits until the service has been started again.
    async fn happen(self, node: Node) -> Self {
        let Self {
            service,
            drill,
            times,
            ..
        } = self;
        let reason = match drill {
            Drill::Hang => RestartReason::Hang,
            _ => RestartReason::Panic,
        };
        let before = node.restarts(service, reason);
        let drills = (0..times).map(|_| {
            let drilled = node.drill(service, drill);
            within_the_limit("a drill", drilled)
        });
        let done = futures_util::future::join_all(drills).await;
        if let Drill::Slow(_) = drill {
            assert!(done[0].is_ok(), "{self}: slow is not dead: {done:?}");
            return self;
        }
        assert!(done.iter().all(Result::is_err), "{self}: {done:?}");
        let mended = async {
            while node.restarts(service, reason) == before {
                sleep(LOOK_EVERY).await;
            }
        };
        let mended = timeout(DEADLINE, mended).await;
        assert!(mended.is_ok(), "{self} is never mended");
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            service,
            drill,
            times,
        } = self;
        let service = service.as_str();
        match times {
            1 => write!(f, "{service} of node {node}: {drill:?}"),
            times => write!(
                f,
                "{service} of node {node}: {drill:?}, {times} times at once"
            ),
        }
    }
}

/// Causes faults for a while, and says which, once all are mended. An actor has one at a time, so that it
/// is known what each has caused; several actors of a node have them at once.
pub async fn run(fleet: &Fleet, seed: u64, length: Duration) -> Caused {
    let mut rng = Seeded::new(seed);
    let (mut caused, mut under_way) = (Caused::default(), Vec::new());
    let mut faults = JoinSet::new();
    let begin = Instant::now();
    while begin.elapsed() < length {
        let drawn = Fault::draw(&mut rng, fleet.len());
        let pause = rng.between(PAUSE.0, PAUSE.1);
        for fault in drawn {
            let of = (fault.node, fault.service);
            if !under_way.contains(&of) {
                println!("{:6} ms: {fault}", begin.elapsed().as_millis());
                under_way.push(of);
                faults.spawn(fault.happen(fleet.node(fault.node).clone()));
            }
        }
        sleep(pause).await;
        while let Some(mended) = faults.try_join_next() {
            let fault = mended.unwrap();
            under_way.retain(|of| *of != (fault.node, fault.service));
            caused.add(&fault);
        }
    }
    while let Some(mended) = faults.join_next().await {
        caused.add(&mended.unwrap());
    }
    caused
}
