//! A look at the folder: this node's file is written, and those of the others are read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kukuri_contract::{
    AnnounceResult, DiscoveryDeps, DiscoveryEvent, EndpointAddr, Epoch, EpochKeys, HelloDrop,
    LookupStats, Never, Source, TopicId, TopicKeys, UnixMillis,
};
use tokio::task::spawn_blocking;

use super::FolderActor;
use crate::core::entry::Entry;
use crate::folder;

/// What came of a look at one topic.
pub struct Seen {
    topic: TopicId,
    /// Who is there.
    peers: Vec<EndpointAddr>,
    /// Why files did not count.
    drops: Vec<HelloDrop>,
    /// Whether this node's file was written, or why not.
    pub announced: Result<(), String>,
    /// From the first to the last file.
    pub took: Duration,
}

impl Seen {
    /// The same as numbers.
    pub fn stats(&self) -> LookupStats {
        LookupStats {
            entries: self.peers.len() + self.drops.len(),
            answers: 1,
            took: self.took,
        }
    }
}

impl FolderActor {
    /// Looks at topics, one after the other. One that identity does not know any more is left out.
    pub fn look(&self, topics: Vec<TopicId>) -> impl Future<Output = Vec<Seen>> + 'static {
        let (dir, deps, address) = (
            self.config.dir.clone(),
            self.deps.clone(),
            self.address.clone(),
        );
        let turn = self.turn.clone();
        async move {
            // In the hands of the thread, too: it goes on where this future ends with its actor.
            let turn = Arc::new(turn.lock_owned().await);
            let mut seen = Vec::new();
            for topic in topics {
                let now = deps.clock.now();
                let Some(keys) = keys(&deps, topic, now).await else {
                    continue;
                };
                let (dir, address) = (dir.clone(), address.clone());
                let turn = turn.clone();
                let look = spawn_blocking(move || {
                    let _turn = turn;
                    look(topic, &dir, &keys, address, now)
                });
                seen.extend(look.await);
            }
            seen
        }
    }

    /// Tells what was seen.
    pub fn take(&mut self, seen: Vec<Seen>) {
        let now = self.now();
        for seen in seen {
            let (topic, stats) = (seen.topic, seen.stats());
            if !self.core.knows(topic) {
                continue;
            }
            let events = &self.deps.events;
            for reason in seen.drops {
                events.emit(DiscoveryEvent::Dropped { reason });
            }
            let found = seen.peers.into_iter();
            let found =
                found.filter_map(|peer| self.core.found(topic, peer, Source::Rendezvous, now));
            found.for_each(|event| events.emit(event));
            events.emit(DiscoveryEvent::LookupEnded { topic, stats });
            let result = match seen.announced {
                Ok(()) => AnnounceResult::Stored,
                Err(_) => AnnounceResult::Failed,
            };
            let took = seen.took;
            events.emit(DiscoveryEvent::AnnounceEnded {
                topic,
                result,
                took,
            });
        }
    }

    /// Takes this node's files away.
    pub fn leave(&self, topics: Vec<TopicId>) -> impl Future<Output = Result<(), Never>> + 'static {
        let (dir, deps) = (self.config.dir.clone(), self.deps.clone());
        let turn = self.turn.clone();
        async move {
            let _turn = turn.lock_owned().await;
            for topic in topics {
                let Some(keys) = keys(&deps, topic, deps.clock.now()).await else {
                    continue;
                };
                let (dir, me) = (dir.clone(), deps.endpoint);
                let remove = move || {
                    let places = keys.iter().map(|keys| folder::of_topic(&dir, keys));
                    places.for_each(|place| folder::remove(&place, me));
                };
                if let Err(error) = spawn_blocking(remove).await {
                    tracing::debug!(%error, "a file stays until it is stale");
                }
            }
            Ok(())
        }
    }
}

// doc: keys
/// The keys of this epoch and of those beside it: clocks differ. `None` where identity gives none.
async fn keys(deps: &DiscoveryDeps, topic: TopicId, now: UnixMillis) -> Option<[EpochKeys; 3]> {
    let Epoch(number) = Epoch::at(now);
    let of = async |epoch| {
        let epoch = Epoch(epoch);
        let keys = deps.identity.topic_keys(TopicKeys { topic, epoch }).await;
        keys.inspect_err(|error| tracing::debug!(%error, "no keys"))
            .ok()
    };
    let (before, after) = (number.saturating_sub(1), number.saturating_add(1));
    Some([of(number).await?, of(before).await?, of(after).await?])
}
// end

fn look(
    topic: TopicId,
    dir: &Path,
    keys: &[EpochKeys; 3],
    address: Option<EndpointAddr>,
    now: UnixMillis,
) -> Seen {
    let started = Instant::now();
    let places: Vec<PathBuf> = keys
        .iter()
        .map(|keys| folder::of_topic(dir, keys))
        .collect();
    let announced = match address {
        Some(peer) => {
            let (who, entry) = (peer.id, Entry { peer, time: now });
            let written = folder::write(&places[0], who, &entry.write(&keys[0].hello_tag));
            // The file of the epoch before is no use to anybody any more.
            folder::remove(&places[1], who);
            written.map_err(|error| error.to_string())
        }
        None => Err("it is not known yet where this node can be dialed".to_owned()),
    };
    let (mut peers, mut drops) = (Vec::new(), Vec::new());
    for (place, keys) in places.iter().zip(keys) {
        for bytes in content(place) {
            match Entry::read(&bytes, &keys.hello_tag, now) {
                Ok(entry) => peers.push(entry.peer),
                Err(reason) => drops.push(reason),
            }
        }
    }
    Seen {
        topic,
        peers,
        drops,
        announced,
        took: started.elapsed(),
    }
}

fn content(place: &Path) -> Vec<Vec<u8>> {
    let read: io::Result<_> = folder::read(place);
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, place = %place.display(), "a folder can't be read");
        Vec::new()
    })
}
