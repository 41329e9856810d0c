//! The rooms of all topics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kukuri_contract::TopicId;

use crate::swarm::{Metrics, Room, RoomId, add};

/// The rooms that are open. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Rooms(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    open: BTreeMap<TopicId, Arc<Room>>,
    /// Rooms until now.
    made: u64,
    /// Left, and not closed yet.
    closing: Vec<Arc<Room>>,
    /// What was counted in rooms that are closed.
    past: Metrics,
}

impl Rooms {
    /// The room of a topic; there is one from now on.
    pub fn open(&self, topic: TopicId, make: impl FnOnce(RoomId) -> Room) -> Arc<Room> {
        let mut known = self.lock();
        if let Some(room) = known.open.get(&topic) {
            return room.clone();
        }
        known.made += 1;
        let room = Arc::new(make(RoomId(known.made)));
        known.open.insert(topic, room.clone());
        room
    }

    /// The room of a topic, if it is open.
    pub fn of(&self, topic: TopicId) -> Option<Arc<Room>> {
        self.lock().open.get(&topic).cloned()
    }

    /// The room of this name, if it is open.
    pub fn named(&self, id: RoomId) -> Option<Arc<Room>> {
        let known = self.lock();
        known.open.values().find(|room| room.id == id).cloned()
    }

    /// All rooms that are open.
    pub fn all(&self) -> Vec<Arc<Room>> {
        self.lock().open.values().cloned().collect()
    }

    /// Nobody gets into the topic's room any more. `last` is called if no other is open; none is
    /// opened meanwhile.
    pub fn remove(&self, topic: TopicId, last: impl FnOnce()) -> Option<Arc<Room>> {
        let mut known = self.lock();
        let room = known.open.remove(&topic)?;
        known.closing.push(room.clone());
        if known.open.is_empty() {
            last();
        }
        Some(room)
    }

    /// A room that was removed is closed: its counters are kept.
    pub fn closed(&self, room: &Room) {
        let mut known = self.lock();
        known.closing.retain(|other| other.id != room.id);
        add(&known.past, room.counters());
    }

    /// The counters of all rooms, added up: a topic must not show in a label.
    pub fn counters(&self) -> Metrics {
        let known = self.lock();
        let total = Metrics::default();
        add(&total, &known.past);
        for room in known.open.values().chain(&known.closing) {
            add(&total, room.counters());
        }
        total
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
