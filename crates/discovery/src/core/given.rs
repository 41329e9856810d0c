//! Peers that are known without looking: named by the user, or remembered from an earlier run.
//!
//! They are told at once, and again with growing pauses for as long as there is no neighbor: a
//! peer that comes up later is then dialed without waiting for the DHT.

use std::time::Duration;

use kukuri_contract::{EndpointAddr, Source};

use super::Entropy;
use super::backoff::Backoff;
use crate::config::Config;

/// Given peers of one topic and one source; as many as gossip keeps to be dialed.
pub const MAX_GIVEN: usize = 64;

/// The given peers of one topic.
#[derive(Debug, Default)]
pub struct Given {
    peers: Vec<(EndpointAddr, Source)>,
    next: Option<Duration>,
    backoff: Backoff,
}

/// What came of giving a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is new, or at another address.
    New,
    /// It was given before.
    Known,
    /// There is no room for it.
    Full,
}

impl Given {
    /// Takes in a peer.
    pub fn add(&mut self, peer: EndpointAddr, source: Source) -> Taken {
        let mut same = self.peers.iter_mut().filter(|(_, of)| *of == source);
        if let Some((known, _)) = same.find(|(known, _)| known.id == peer.id) {
            if *known == peer {
                return Taken::Known;
            }
            *known = peer;
            return Taken::New;
        }
        if self.peers.iter().filter(|(_, of)| *of == source).count() >= MAX_GIVEN {
            return Taken::Full;
        }
        self.peers.push((peer, source));
        Taken::New
    }

    /// All of them.
    pub fn peers(&self) -> impl Iterator<Item = &(EndpointAddr, Source)> {
        self.peers.iter()
    }

    /// Plans when to tell them again, after a pause that grows.
    pub fn plan(&mut self, now: Duration, rng: &mut impl Entropy, config: &Config) {
        self.next = Some(now + self.backoff.next(rng, config));
    }

    /// The node is alone: tell them now.
    pub fn alone(&mut self, now: Duration) {
        self.backoff.reset();
        self.next = Some(now);
    }

    /// There is a neighbor: no need to tell them.
    pub fn rest(&mut self) {
        self.next = None;
    }

    /// When they are to be told again.
    pub fn next_wake(&self) -> Option<Duration> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{Seeded, peer};

    #[test]
    fn given_peers_are_bounded_per_source_and_an_address_may_change() {
        let mut given = Given::default();
        for n in 0..MAX_GIVEN as u8 {
            assert_eq!(given.add(peer(n), Source::Static), Taken::New);
        }
        assert_eq!(given.add(peer(1), Source::Static), Taken::Known);
        assert_eq!(given.add(peer(200), Source::Static), Taken::Full);
        assert_eq!(given.add(peer(200), Source::Cache), Taken::New);
        let mut moved = peer(1);
        moved.direct = peer(2).direct;
        assert_eq!(given.add(moved, Source::Static), Taken::New);
        assert_eq!(given.peers().count(), MAX_GIVEN + 1);
    }

    #[test]
    fn they_are_told_while_alone_only() {
        let (mut given, config) = (Given::default(), Config::default());
        assert_eq!(given.next_wake(), None);
        given.alone(Duration::ZERO);
        assert_eq!(given.next_wake(), Some(Duration::ZERO));
        given.plan(Duration::ZERO, &mut Seeded(1), &config);
        assert!(given.next_wake() > Some(Duration::ZERO));
        given.rest();
        assert_eq!(given.next_wake(), None);
    }
}
