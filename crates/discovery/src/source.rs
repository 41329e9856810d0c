//! How a source of peers other than the DHT is part of discovery.
//!
//! A [`PeerSource`] knows no topic and no key. The core tells it what to show
//! ([`Effect::Show`](crate::core::Effect::Show)): one tag per topic, renewed with each epoch; a
//! topic starts when its tag is in the beacon and ends when it no longer is. What the source sees
//! of others goes through its [`Finder`] into the core
//! ([`Input::Sighted`](crate::core::Input::Sighted)), which recognizes tags and has a hello sent:
//! whatever a source finds is verified as an entry of the rendezvous is. So a new source is one
//! file with one impl, and one line in `sources()` in `actor.rs`.
//!
//! Peers that the user names (`static`) and those of an earlier run (`cache`) are no such source:
//! they come with the request `Discover`, complete and by name, there is nothing to run for them
//! and nothing to verify. They are an input of the core (`core/given.rs`).

use kukuri_contract::Source;
use tokio::sync::mpsc;

use crate::config::Sources;
use crate::core::nearby::{Beacon, Instance, Sighting};
use crate::{dht, lan};

/// What sources have found and the actor has not taken yet. Full: the newest is dropped and
/// counted; beacons are shown again.
const QUEUE: usize = 256;

/// A source of peers other than the DHT. It ends when it is dropped.
pub trait PeerSource: Send {
    /// Shows this in place of what was shown before. Without a tag nothing is shown. Must not
    /// block: it runs in the actor.
    fn show(&mut self, beacon: &Beacon);
}

/// A source that is turned on and that this build leaves out, and the feature that brings it.
pub fn left_out(sources: &Sources) -> Option<(&'static str, &'static str)> {
    let needed = [
        ("rendezvous", sources.rendezvous, dht::BUILT, "mainline"),
        ("board", sources.board, dht::BUILT, "mainline"),
        ("lan", sources.lan, lan::BUILT, "lan"),
    ];
    let mut missing = needed.into_iter().filter(|(_, on, built, _)| *on && !built);
    missing
        .next()
        .map(|(field, _, _, feature)| (field, feature))
}

/// What a source tells the actor.
#[derive(Debug)]
pub enum Found {
    /// A beacon, new or with something new.
    Sighted(Source, Sighting),
    /// A beacon is shown no more.
    Gone(Instance),
    /// So much had to be dropped before this moment.
    Dropped(u64),
}

/// Where a source puts what it finds.
#[derive(Debug, Clone)]
pub struct Finder {
    to: mpsc::Sender<Found>,
    dropped: u64,
}

impl Finder {
    /// A finder and what comes out of it.
    pub fn new() -> (Self, mpsc::Receiver<Found>) {
        let (to, found) = mpsc::channel(QUEUE);
        (Self { to, dropped: 0 }, found)
    }

    /// Passes something on, or drops it where the actor can't keep up. Never waits.
    pub fn tell(&mut self, found: Found) {
        self.say_dropped();
        if self.to.try_send(found).is_err() {
            self.dropped += 1;
        }
    }

    /// Counts something that never became a finding.
    pub fn missed(&mut self, count: u64) {
        self.dropped += count;
        self.say_dropped();
    }

    fn say_dropped(&mut self) {
        if self.dropped > 0 && self.to.try_send(Found::Dropped(self.dropped)).is_ok() {
            self.dropped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let (mut finder, mut found) = Finder::new();
        for n in 0..QUEUE + 7 {
            finder.tell(Found::Gone([n as u8; 8]));
        }
        for _ in 0..QUEUE {
            assert!(matches!(found.try_recv(), Ok(Found::Gone(_))));
        }
        finder.tell(Found::Gone([0; 8]));
        assert!(matches!(found.try_recv(), Ok(Found::Dropped(7))));
        assert!(matches!(found.try_recv(), Ok(Found::Gone(_))));
    }
}
