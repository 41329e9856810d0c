//! Whatever happens in whatever order: both sides of a link agree in the end, neighbors are told in turn,
//! nothing is delivered twice, and everybody who can be reached gets everything.

use std::collections::BTreeSet;

use kukuri_contract::GossipEvent;
use proptest::prelude::*;

use super::super::*;
use super::world::{FINE, MS, TOPIC, World, keys, number_in};

const NODES: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Dial(usize, usize),
    Broadcast(usize),
    Ask(usize, usize),
    Leave(usize),
    Join(usize),
    Restart(usize),
    Ban(usize, Vec<usize>),
    Split(Vec<usize>),
    Heal,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES;
    prop_oneof![
        8 => (node(), node()).prop_map(|(a, b)| Step::Dial(a, b)),
        4 => node().prop_map(Step::Broadcast),
        1 => (node(), node()).prop_map(|(a, b)| Step::Ask(a, b)),
        1 => node().prop_map(Step::Leave),
        2 => node().prop_map(Step::Join),
        1 => node().prop_map(Step::Restart),
        1 => (node(), prop::collection::vec(node(), 0..2)).prop_map(|(a, b)| Step::Ban(a, b)),
        1 => prop::collection::vec(node(), 1..4).prop_map(Step::Split),
        1 => Just(Step::Heal),
        8 => prop_oneof![3 => 0..30u32, 1 => 30..8000u32].prop_map(Step::Wait),
    ]
}

/// What an actor was told until now.
#[derive(Default)]
struct Told {
    neighbors: BTreeSet<EndpointId>,
    heard: BTreeSet<u32>,
}

impl Told {
    fn hear(&mut self, news: &News) {
        match news {
            News::Up { peer, .. } => assert!(self.neighbors.insert(*peer), "up twice"),
            News::Down { peer, .. } => assert!(self.neighbors.remove(peer), "down and not up"),
            News::Event(GossipEvent::Received { payload, from, .. }) => {
                assert!(self.neighbors.contains(from), "from nobody");
                assert!(self.heard.insert(number_in(payload)), "heard twice");
            }
            News::Event(GossipEvent::Asked { from, .. }) => {
                assert!(self.neighbors.contains(from), "asked by nobody");
            }
            _ => {}
        }
    }
}

struct Course {
    world: World,
    told: Vec<Told>,
    joined: [bool; NODES],
    broadcasts: u32,
}

impl Course {
    fn take(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Dial(a, b) => world.dial(*a, *b),
            Step::Broadcast(n) if self.joined[*n] => {
                self.broadcasts += 1;
                world.broadcast(*n, self.broadcasts);
            }
            Step::Ask(a, b) => _ = world.ask(*a, *b, b"?"),
            Step::Leave(n) => {
                world.leave(*n);
                self.again(*n);
            }
            Step::Join(n) => {
                world.join(*n, TOPIC, keys(TOPIC));
                self.joined[*n] = true;
            }
            Step::Restart(n) => {
                world.enter(*n);
                self.again(*n);
            }
            Step::Ban(n, whom) => world.ban(*n, whom),
            Step::Split(part) => world.split(&[part]),
            Step::Heal => world.heal(),
            Step::Wait(ms) => {
                world.run_for(MS * *ms);
                self.listen();
            }
            Step::Broadcast(_) => {}
        }
    }

    /// In no topic: nothing that was told counts.
    fn again(&mut self, n: usize) {
        self.joined[n] = false;
        self.told[n] = Told::default();
    }

    fn listen(&mut self) {
        for (n, told) in self.told.iter_mut().enumerate() {
            self.world.news(n).iter().for_each(|news| told.hear(news));
        }
        self.world.forget_news();
    }

    /// Those that can be reached over links.
    fn piece(&self, of: usize) -> BTreeSet<usize> {
        let (mut piece, mut next) = (BTreeSet::from([of]), vec![of]);
        while let Some(n) = next.pop() {
            for peer in self.world.neighbors(n).into_keys() {
                let peer = self.world.number_of(peer);
                if piece.insert(peer) {
                    next.push(peer);
                }
            }
        }
        piece
    }
}

proptest! {
    #[test]
    fn whatever_happens_both_sides_agree_and_all_is_told_once(
        steps in prop::collection::vec(step(), 1..120),
        loss_percent in 0..20u32,
        seed: u64,
    ) {
        let conditions = Conditions { loss_percent, seed, ..FINE };
        let mut course = Course {
            world: World::new(NODES, conditions),
            told: (0..NODES).map(|_| Told::default()).collect(),
            joined: [true; NODES],
            broadcasts: 0,
        };
        for step in &steps {
            course.take(step);
        }
        course.world.heal();
        course.world.settle();
        course.listen();
        course.world.agree();
        for n in 0..NODES {
            let known: BTreeSet<_> = course.world.neighbors(n).into_keys().collect();
            prop_assert_eq!(&course.told[n].neighbors, &known);
        }
        for author in (0..NODES).filter(|n| course.joined[*n]).collect::<Vec<_>>() {
            let piece = course.piece(author);
            course.take(&Step::Broadcast(author));
            course.world.settle();
            course.listen();
            for n in 0..NODES {
                let heard = course.told[n].heard.contains(&course.broadcasts);
                prop_assert_eq!(heard, piece.contains(&n) && n != author);
            }
        }
    }
}
