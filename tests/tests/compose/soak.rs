//! People talk for a while, and nodes come and go.

use std::time::{Duration, Instant};

use kukuri_tests::containers::{Swarm, are_possible};

use crate::{Acknowledged, FIVE};

/// Those that stay, whose memory is watched; the others come and go.
const STAY: [&str; 3] = ["node-1", "node-2", "node-3"];
/// How long it takes, in minutes; `SOAK_MINUTES` says otherwise.
const MINUTES: u64 = 3;
/// How much larger the last third may be than the middle one, as a ratio, and in bytes where that is more:
/// an allocator keeps pages for a while.
const GROWTH: f64 = 1.1;
const SLACK: f64 = 4.0 * 1024.0 * 1024.0;
/// The same for descriptors and threads: a connection more or less at the moment that is looked at.
const FEW: f64 = 8.0;

const MEMORY: &str = "process_resident_memory_bytes";
const WATCHED: [(&str, f64); 3] = [
    (MEMORY, SLACK),
    ("process_open_fds", FEW),
    ("process_threads", FEW),
];

/// What was seen of one series at a node, in its order.
struct Watched {
    node: &'static str,
    series: &'static str,
    slack: f64,
    values: Vec<f64>,
}

impl Watched {
    fn median(values: &[f64]) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// The medians of the middle and the last third.
    fn thirds(&self) -> (f64, f64) {
        let count = self.values.len();
        let (middle, last) = (count / 3, count * 2 / 3);
        (
            Self::median(&self.values[middle..last]),
            Self::median(&self.values[last..]),
        )
    }

    fn is_flat(&self) -> bool {
        let (middle, last) = self.thirds();
        last <= (middle * GROWTH).max(middle + self.slack)
    }
}

#[test]
#[ignore = "needs Docker"]
fn a_soak_leaves_memory_flat_and_loses_no_post() {
    if !are_possible() {
        return;
    }
    let minutes = std::env::var("SOAK_MINUTES").map_or(MINUTES, |text| {
        text.parse().expect("SOAK_MINUTES is a number of minutes")
    });
    let length = Duration::from_secs(60 * minutes);
    println!("{minutes} minutes; SOAK_MINUTES=20 for more");
    let mut swarm = Swarm::new("soak", &[]);
    swarm.up(&FIVE);
    swarm.wait("one swarm", Swarm::is_one);
    let mut said = Acknowledged::default();
    let of = |node| {
        WATCHED.map(|(series, slack)| Watched {
            node,
            series,
            slack,
            values: Vec::new(),
        })
    };
    let mut watched: Vec<Watched> = STAY.into_iter().flat_map(of).collect();

    let (begin, mut rounds) = (Instant::now(), 0_usize);
    while begin.elapsed() < length {
        // One is away for a round, killed or stopped in turn, and is back in the next one.
        let away = if rounds.is_multiple_of(2) {
            "node-4"
        } else {
            "node-5"
        };
        match rounds % 4 {
            0 | 1 => swarm.kill(away),
            _ => _ = swarm.stop(away),
        }
        for _ in 0..20 {
            for name in FIVE.into_iter().filter(|name| *name != away) {
                assert!(said.say(&mut swarm, name), "{name}");
            }
        }
        swarm.start(away);
        swarm.wait("one swarm again", Swarm::is_one);
        for watched in &mut watched {
            let value = swarm.node(watched.node).series(watched.series);
            watched.values.push(value.expect("a series of each node"));
        }
        rounds += 1;
    }

    said.wait(&mut swarm, &FIVE);
    let heard = |name: &&str| swarm.node(name).got.len();
    let posts = said.0.len();
    println!(
        "{posts} posts in {rounds} rounds of {:.1} s; heard live by those that stayed: {:?}",
        begin.elapsed().as_secs_f64() / rounds as f64,
        STAY.iter().map(heard).collect::<Vec<_>>()
    );
    for watched in &watched {
        let (middle, last) = watched.thirds();
        let (first, count) = (watched.values[0], watched.values.len());
        let Watched { node, series, .. } = watched;
        println!(
            "{node} {series}: {first} at first, {middle} then, {last} at last ({count} looks)"
        );
    }
    assert!(rounds >= 3, "too short to tell");
    let grown = watched.iter().filter(|watched| !watched.is_flat());
    let grown: Vec<_> = grown
        .map(|watched| (watched.node, watched.series))
        .collect();
    assert!(grown.is_empty(), "{grown:?}");
    for name in STAY {
        let own = said.0.iter().filter(|line| line.ends_with(name)).count();
        assert_eq!(
            swarm.node(name).got.len(),
            posts - own,
            "{name} has heard every post of others"
        );
    }
}
