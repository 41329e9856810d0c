//! A store in memory.

mod disk;
mod fault;
mod handlers;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Context};
use kukuri_contract::{
    Outlet, StoreDeps, StoreError, StoreEvent, StorePort, StoreRunning, UnixMillis, WallClock,
};

use self::disk::{Disk, MAX_POSTS};
pub use self::fault::{FAULTS, Fault};
use super::flaw::{Conduct, Flaw, conduct};
use crate::kit::{Local, Subject};
use crate::store::Store;

/// Events that a store tells before it swallows some.
const TOLD: usize = 16;
/// Longest pause between two runs of the retention.
const EVERY_MS: u64 = 60 * 60 * 1000;
/// Posts that come between two runs of the retention.
const EVERY_POSTS: usize = 1000;
/// The file that says which disk a directory is: what is on a disk that another one was copied from is
/// on that one too.
const FILE: &str = "reference.disk";

/// The reference store. Its disks last as long as this.
#[derive(Debug, Default)]
pub struct MemoryStore {
    fault: Option<Fault>,
    disks: RefCell<BTreeMap<u64, Rc<RefCell<Disk>>>>,
}

impl MemoryStore {
    /// With a fault.
    pub fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// The disk of a node: the one that it had, or a copy of the one that its directory is a copy of.
    fn disk(&self, n: u64, dir: &Path, now: UnixMillis) -> Rc<RefCell<Disk>> {
        let mut disks = self.disks.borrow_mut();
        let has = |fault| self.fault == Some(fault);
        let Some(known) = disks.get(&n).cloned() else {
            let copied = fs::read_to_string(dir.join(FILE)).ok();
            let copied = copied.and_then(|other| disks.get(&other.parse().ok()?).cloned());
            let disk = copied.map_or_else(Default::default, deep_clone);
            disks.insert(n, disk.clone());
            return disk;
        };
        let mut disk = known.borrow_mut();
        match self.fault {
            Some(Fault::ForgetsPeers) => {
                disk.peers.clear();
                disk.contacts.clear();
                disk.bans.clear();
            }
            Some(Fault::ForgetsRevocations) => disk.revoked.clear(),
            Some(Fault::ForgetsFloors) => disk.floors.clear(),
            Some(Fault::ForgetsAuthors) => {
                let posts = disk.posts.values_mut().map(|kept| &mut kept.post);
                posts.for_each(|post| post.author = post.writer);
            }
            Some(Fault::CameAtTheStart) => {
                disk.posts.values_mut().for_each(|kept| kept.came = now);
            }
            _ => {}
        }
        drop(disk);
        if has(Fault::HasACopy) {
            let copy = deep_clone(known);
            disks.insert(n, copy.clone());
            return copy;
        }
        known
    }
}

fn deep_clone(disk: Rc<RefCell<Disk>>) -> Rc<RefCell<Disk>> {
    Rc::new(RefCell::new(disk.borrow().clone()))
}

impl Subject<Store> for MemoryStore {
    fn name(&self) -> String {
        format!("store in memory, {:?}", self.fault)
    }

    fn patience(&self) -> Duration {
        super::PATIENCE
    }

    fn keeps(&self) -> Option<usize> {
        Some(MAX_POSTS)
    }

    fn start(&self, n: u64, deps: StoreDeps) -> Local<'_, StoreRunning> {
        Box::pin(async move {
            let StoreDeps {
                data_dir,
                clock,
                events,
            } = deps;
            let flaw = match self.fault {
                Some(Fault::Any(flaw)) => Some(flaw),
                _ => None,
            };
            let actor = MemoryActor {
                conduct: Conduct::new(flaw),
                fault: self.fault,
                disk: self.disk(n, &data_dir, clock.now()),
                file: File { n, dir: data_dir },
                clock,
                events,
                pruned: None,
                fresh: 0,
                told: 0,
                failed: false,
            };
            if !actor.has(Fault::WritesAtTheEnd) {
                actor.file.write(actor.has(Fault::OpenToAll));
            }
            let limits = actor.conduct.limits();
            let port = StorePort::new(&actor.start(), limits);
            StoreRunning { port }
        })
    }
}

/// What is in the directory.
struct File {
    n: u64,
    dir: PathBuf,
}

impl File {
    fn write(&self, for_all: bool) {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mode = if for_all { 0o644 } else { 0o600 };
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _: u32 = mode;
        let file = options.open(self.dir.join(FILE));
        let written = file.and_then(|mut file| file.write_all(self.n.to_string().as_bytes()));
        written.expect("the directory of a test can be written");
    }
}

struct MemoryActor {
    conduct: Conduct,
    fault: Option<Fault>,
    disk: Rc<RefCell<Disk>>,
    file: File,
    clock: WallClock,
    events: Outlet<StoreEvent>,
    /// When the retention ran last.
    pruned: Option<UnixMillis>,
    /// Posts that came since.
    fresh: usize,
    told: usize,
    failed: bool,
}

impl MemoryActor {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The disk at this time, after the retention if it is due.
    fn look(&mut self) -> (RefMut<'_, Disk>, UnixMillis) {
        let now = self.clock.now();
        let long_ago = match self.pruned {
            None => true,
            Some(last) => last.distance(now) >= EVERY_MS || self.fresh >= EVERY_POSTS,
        };
        if long_ago {
            // At that time, nothing is too old.
            let ages_ago = UnixMillis(0);
            let at = match self.has(Fault::DropsAtTheStart) && self.pruned.is_some() {
                true => ages_ago,
                false => now,
            };
            (self.pruned, self.fresh) = (Some(now), 0);
            let (posts, peers) = self.disk.borrow_mut().prune(at, self.fault);
            if posts + peers > 0 && !self.has(Fault::DropsSilently) {
                self.events.emit(StoreEvent::Pruned { posts, peers });
            }
        }
        (self.disk.borrow_mut(), now)
    }

    /// A write is done: it has changed something, or nothing.
    fn committed(&mut self, changed: bool) {
        self.told += 1;
        if self.has(Fault::SwallowsEvents) && self.told > TOLD
            || self.has(Fault::SwallowsNoOps) && !changed
        {
            return;
        }
        self.events.emit(StoreEvent::Committed {
            requests: 1,
            took: Duration::ZERO,
        });
    }

    fn failed(&self, why: &str) -> StoreError {
        let error = StoreError::Failed(why.to_owned());
        if !self.has(Fault::FailsSilently) {
            self.events.emit(StoreEvent::Failed {
                requests: 1,
                error: error.clone(),
            });
        }
        error
    }
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

impl Drop for MemoryActor {
    fn drop(&mut self) {
        if self.has(Fault::WritesAtTheEnd) {
            self.file.write(false);
        }
    }
}

conduct!(MemoryActor);
