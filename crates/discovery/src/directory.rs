//! A directory that nodes of one process share: who is in it sees the beacons of all others, and hellos
//! go from one to the other through memory. Nothing is sent, and no socket opened.
//!
//! Each node has a seat, under an address that means nothing outside: 127.0.0.1 with the number of the
//! seat as port. What is shown and said is the same as on a local network, so a member is a member
//! here, too, only if it knows the keys.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kukuri_contract::Source;
use tokio::sync::mpsc;

use crate::core::address::MIN_PORT;
use crate::core::nearby::{Beacon, Sighting};
use crate::error::DiscoveryError;
use crate::socket::Incoming;
use crate::source::{Finder, Found, PeerSource};

/// Nodes in one directory, and of one node several where it has its topics apart. 128: half of the
/// beacons that a node looks at in a minute, so that all may come at once.
pub const MAX_SEATS: usize = 128;
/// Hellos that wait for a node. Full: the newest is dropped, as a full socket buffer would.
const QUEUE: usize = 1024;
/// The number that no seat has: where dial-backs come from.
const BACK: u16 = 1;

/// A directory. Clones are the same one; whoever has none of them is not in it.
#[derive(Clone, Default)]
pub struct Directory(Arc<Mutex<BTreeMap<u16, Seat>>>);

struct Seat {
    to: mpsc::Sender<Incoming>,
    dropped: u64,
    finder: Finder,
    shown: Option<Sighting>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory(..)")
    }
}

impl Directory {
    /// Takes a seat: hellos to it come out of the receiver, what it sees goes to the finder.
    ///
    /// # Errors
    /// All seats are taken.
    pub fn enter(
        &self,
        finder: Finder,
    ) -> Result<(Arc<Place>, mpsc::Receiver<Incoming>), DiscoveryError> {
        let (to, incoming) = mpsc::channel(QUEUE);
        let mut seats = self.lock();
        if seats.len() >= MAX_SEATS {
            return Err(DiscoveryError::DirectoryFull);
        }
        // Not the one that was left last: what is still on its way there is nobody else's.
        let free = seats
            .last_key_value()
            .map_or(MIN_PORT, |(last, _)| last + 1);
        let free = (free..u16::MAX).chain(MIN_PORT..free);
        let Some(number) = free.into_iter().find(|number| !seats.contains_key(number)) else {
            return Err(DiscoveryError::DirectoryFull);
        };
        let seat = Seat {
            to,
            dropped: 0,
            finder,
            shown: None,
        };
        seats.insert(number, seat);
        let directory = self.clone();
        Ok((Arc::new(Place { directory, number }), incoming))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, from: u16, to: SocketAddrV4, packet: &[u8]) {
        let mut seats = self.lock();
        let seat = seats.get_mut(&to.port());
        let Some(seat) = seat.filter(|_| to.ip().is_loopback()) else {
            // Nobody is there (any more): the asker hears nothing, as over UDP.
            return tracing::debug!(%to, "nobody has this seat");
        };
        if seat.dropped > 0 && seat.to.try_send(Incoming::Dropped(seat.dropped)).is_ok() {
            seat.dropped = 0;
        }
        let datagram = Incoming::Datagram(address(from), packet.to_vec());
        if seat.to.try_send(datagram).is_err() {
            seat.dropped += 1;
        }
    }
}

fn address(number: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, number)
}

/// A node's place in a directory, free again when the last clone is dropped.
#[derive(Debug)]
pub struct Place {
    directory: Directory,
    number: u16,
}

impl Place {
    /// Where hellos to it go.
    pub fn address(&self) -> SocketAddrV4 {
        address(self.number)
    }

    /// Says something to another seat.
    pub fn send(&self, to: SocketAddrV4, packet: &[u8]) {
        self.directory.deliver(self.number, to, packet);
    }

    /// The same, from an address that nobody was told.
    pub fn dial_back(&self, to: SocketAddrV4, packet: &[u8]) {
        self.directory.deliver(BACK, to, packet);
    }

    fn show(&self, beacon: Option<&Beacon>) {
        let mut seats = self.directory.lock();
        let Some(mut own) = seats.remove(&self.number) else {
            return;
        };
        let gone = own.shown.take().map(|seen| seen.instance);
        own.shown = beacon.map(|beacon| Sighting {
            instance: beacon.instance,
            tags: beacon.tags.clone(),
            addresses: vec![self.address()],
        });
        for other in seats.values_mut() {
            match (&own.shown, gone) {
                (Some(seen), _) => {
                    let seen = Found::Sighted(Source::Lan, seen.clone());
                    other.finder.tell(seen);
                }
                (None, Some(instance)) => other.finder.tell(Found::Gone(instance)),
                (None, None) => {}
            }
            // Seen anew with each beacon of one's own: the first time, and what got lost.
            if let Some(seen) = other.shown.clone().filter(|_| own.shown.is_some()) {
                own.finder.tell(Found::Sighted(Source::Lan, seen));
            }
        }
        seats.insert(self.number, own);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.show(None);
        self.directory.lock().remove(&self.number);
    }
}

/// The directory as a source of peers.
pub struct Beacons(pub Arc<Place>);

impl PeerSource for Beacons {
    fn show(&mut self, beacon: &Beacon) {
        let shown = Some(beacon).filter(|beacon| !beacon.tags.is_empty());
        self.0.show(shown);
    }
}

impl Drop for Beacons {
    fn drop(&mut self) {
        self.0.show(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beacon(n: u8) -> Beacon {
        Beacon {
            instance: [n; 8],
            tags: vec![[n; 8]],
        }
    }

    #[test]
    fn beacons_are_seen_by_all_others_until_they_are_gone() {
        let directory = Directory::default();
        let (finder, mut found) = Finder::new();
        let (_watcher, _hellos) = directory.enter(finder).unwrap();
        let (finder, mut by_other) = Finder::new();
        let (place, _hellos) = directory.enter(finder).unwrap();
        let mut other = Beacons(place);
        other.show(&beacon(2));
        let Ok(Found::Sighted(Source::Lan, seen)) = found.try_recv() else {
            panic!("it is seen");
        };
        assert_eq!(
            (seen.instance, seen.addresses),
            ([2; 8], vec![other.0.address()])
        );
        assert!(by_other.try_recv().is_err(), "the watcher shows nothing");
        drop(other);
        assert!(matches!(found.try_recv(), Ok(Found::Gone(gone)) if gone == [2; 8]));
        assert!(found.try_recv().is_err());
    }

    #[test]
    fn hellos_go_to_their_seat_and_what_does_not_fit_is_counted() {
        let directory = Directory::default();
        let enter = || directory.enter(Finder::new().0).unwrap();
        let ((a, mut to_a), (b, mut to_b)) = (enter(), enter());
        a.send(b.address(), b"hello");
        b.dial_back(a.address(), b"hello");
        let heard = |from, packet: &[u8]| Incoming::Datagram(from, packet.to_vec());
        assert_eq!(to_b.try_recv(), Ok(heard(a.address(), b"hello")));
        assert_eq!(to_a.try_recv(), Ok(heard(address(BACK), b"hello")));
        for _ in 0..QUEUE + 3 {
            a.send(b.address(), b"flood");
        }
        for _ in 0..QUEUE {
            assert_eq!(to_b.try_recv(), Ok(heard(a.address(), b"flood")));
        }
        a.send(b.address(), b"again");
        assert_eq!(to_b.try_recv(), Ok(Incoming::Dropped(3)));
        assert_eq!(to_b.try_recv(), Ok(heard(a.address(), b"again")));
        let gone = b.address();
        drop((b, to_b));
        a.send(gone, b"nobody");
    }

    #[test]
    fn there_are_only_so_many_seats() {
        let directory = Directory::default();
        let enter = || directory.enter(Finder::new().0);
        let mut taken: Vec<_> = (0..MAX_SEATS).map(|_| enter().unwrap()).collect();
        assert!(matches!(enter(), Err(DiscoveryError::DirectoryFull)));
        taken.pop();
        enter().unwrap();
    }
}
