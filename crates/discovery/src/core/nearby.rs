//! What a source other than the DHT shows of this node and sees of others, and which of it may be
//! a member of which topic.
//!
//! Such a source (the local network) knows no topic and no key. It shows one *beacon*: a random
//! instance name, and per topic a short tag that only members can derive and that changes with the
//! epoch. It brings *sightings*: beacons of others with the addresses of their hello sockets. Who
//! finds a tag of one of its own topics in a sighting sends a hello there: a sighting is a claim, as
//! an entry of the rendezvous is.
//!
//! The instance name goes into the tag, so that nobody but a member can tell from two beacons
//! whether they share a topic, and nobody can copy a tag into a beacon of another name.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use kukuri_contract::{EpochKeys, Source};
use sha2::Sha256;

/// Most tags in a beacon, one per topic: the default of `max_topics`. 512 bytes fit an mDNS packet.
pub const MAX_TAGS: usize = 64;
/// Most addresses of one sighting that are used: a few network cards.
pub const MAX_ADDRESSES: usize = 4;
/// Beacons of others that are remembered: more than a local network has members.
pub const MAX_SEEN: usize = 256;
/// Tags are accepted for so long after they were last seen: no epoch is read for longer.
const SEEN_FOR: Duration = Duration::from_secs(30 * 60);

/// The random name of a running node in one network.
pub type Instance = [u8; 8];
/// Marks a beacon as that of a member of a topic in an epoch.
pub type Tag = [u8; 8];

/// What this node shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    /// Its name.
    pub instance: Instance,
    /// One tag per topic. None: nothing is shown.
    pub tags: Vec<Tag>,
}

/// A beacon that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Whose.
    pub instance: Instance,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Where its hello socket may be.
    pub addresses: Vec<SocketAddrV4>,
}

/// The tag of a topic in an epoch, in the beacon of `instance`.
pub fn tag(keys: &EpochKeys, instance: &Instance) -> Tag {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.hello_tag.expose())
        .expect("HMAC takes a key of any length");
    mac.update(b"lan");
    mac.update(instance);
    let mut tag = [0; 8];
    tag.copy_from_slice(&mac.finalize().into_bytes()[..8]);
    tag
}

/// The beacons of others, the last seen last.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<Instance, (Source, Sighting, Duration)>);

/// What came of taking in a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// It says something new.
    pub new: bool,
    /// So many tags, addresses or older sightings there was no room for.
    pub refused: usize,
}

impl Seen {
    /// Takes in a sighting. One at another address or with other tags replaces the one before.
    pub fn note(&mut self, source: Source, mut seen: Sighting, now: Duration) -> Noted {
        let excess = |len: usize, most: usize| len.saturating_sub(most);
        let mut refused =
            excess(seen.tags.len(), MAX_TAGS) + excess(seen.addresses.len(), MAX_ADDRESSES);
        seen.tags.truncate(MAX_TAGS);
        seen.addresses.truncate(MAX_ADDRESSES);
        self.0.retain(|_, (.., at)| *at + SEEN_FOR > now);
        let known = self.0.get(&seen.instance);
        let new = known.is_none_or(|(_, known, _)| *known != seen);
        if known.is_none() && self.0.len() >= MAX_SEEN {
            let oldest = self.0.iter().min_by_key(|(_, (.., at))| *at);
            if let Some(instance) = oldest.map(|(instance, _)| *instance) {
                self.0.remove(&instance);
                refused += 1;
            }
        }
        self.0.insert(seen.instance, (source, seen, now));
        Noted { new, refused }
    }

    /// A beacon is shown no more.
    pub fn gone(&mut self, instance: &Instance) {
        self.0.remove(instance);
    }

    /// The beacons that carry the tag of these keys, with the source that saw them.
    pub fn with_tag(&self, keys: &EpochKeys) -> impl Iterator<Item = (Source, &Sighting)> {
        let seen = self.0.values().map(|(source, seen, _)| (*source, seen));
        seen.filter(|(_, seen)| seen.tags.contains(&tag(keys, &seen.instance)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::keys;

    fn sighting(n: u16, tags: Vec<Tag>) -> Sighting {
        let [a, b] = n.to_be_bytes();
        Sighting {
            instance: [a, b, 0, 0, 0, 0, 0, 0],
            tags,
            addresses: vec![SocketAddrV4::new([10, 0, a, b].into(), 4000)],
        }
    }

    #[test]
    fn a_tag_is_of_one_key_and_one_instance() {
        let of = |k: u8, instance: u8| tag(&keys(k), &[instance; 8]);
        assert_eq!(of(1, 1), of(1, 1));
        assert_ne!(of(1, 1), of(2, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }

    #[test]
    fn members_recognize_a_beacon_and_others_do_not() {
        let mut seen = Seen::default();
        let mut ours = sighting(1, vec![[0; 8]]);
        ours.tags.push(tag(&keys(1), &ours.instance));
        let first = seen.note(Source::Lan, ours.clone(), Duration::ZERO);
        assert!(first.new);
        assert!(!seen.note(Source::Lan, ours.clone(), Duration::ZERO).new);
        assert_eq!(seen.with_tag(&keys(1)).count(), 1);
        assert_eq!(seen.with_tag(&keys(2)).count(), 0);
        let copied = sighting(2, ours.tags.clone());
        seen.note(Source::Lan, copied, Duration::ZERO);
        assert_eq!(seen.with_tag(&keys(1)).count(), 1, "a copied tag is none");
        seen.gone(&ours.instance);
        assert_eq!(seen.with_tag(&keys(1)).count(), 0);
    }

    #[test]
    fn sightings_are_bounded_and_age() {
        let mut seen = Seen::default();
        let mut refused = 0;
        for n in 0..1000 {
            let now = Duration::from_secs(n.into());
            refused += seen.note(Source::Lan, sighting(n, vec![]), now).refused;
        }
        assert_eq!((seen.0.len(), refused), (MAX_SEEN, 1000 - MAX_SEEN));
        let mut large = sighting(1, vec![[1; 8]; MAX_TAGS + 5]);
        large.addresses = vec![large.addresses[0]; MAX_ADDRESSES + 2];
        let late = SEEN_FOR + Duration::from_secs(1000);
        assert_eq!(seen.note(Source::Lan, large, late).refused, 7);
        assert_eq!(seen.0.len(), 1, "the others are too old");
    }
}
