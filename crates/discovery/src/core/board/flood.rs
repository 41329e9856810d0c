//! Whether the rendezvous is full of entries that nobody stands behind: then members do not find
//! each other there.

use std::time::Duration;

/// So many entries of one look-up may be a flood: more than are ever asked.
const ENTRIES: usize = 100;
/// So many of those asked must be silent. 8: a node with neighbors asks no more.
const SILENT: u32 = 8;
/// Until then all that one look-up asks were asked: 64, 16 at once, each for 2.1 s.
const WAIT: Duration = Duration::from_secs(10);

/// Whether the rendezvous is flooded.
#[derive(Debug, Default)]
pub struct Flood {
    judge_at: Option<Duration>,
    silent: u32,
    is_on: bool,
}

impl Flood {
    /// A look-up has ended with so many entries.
    pub fn looked_up(&mut self, entries: usize, now: Duration) {
        if entries >= ENTRIES && self.judge_at.is_none() {
            self.judge_at = Some(now + WAIT);
        }
    }

    /// An entry gave no answer.
    pub fn silent(&mut self) {
        self.silent = self.silent.saturating_add(1);
    }

    /// An entry answered: the rendezvous works.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// Whether a flood has shown just now.
    pub fn shows(&mut self, now: Duration) -> bool {
        if self.judge_at.take_if(|at| *at <= now).is_none() {
            return false;
        }
        let shows = !self.is_on && self.silent >= SILENT;
        self.is_on |= shows;
        shows
    }

    /// Whether it is flooded, as far as is known.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// When it is judged.
    pub fn next_wake(&self) -> Option<Duration> {
        self.judge_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn many_entries_and_no_answer_are_a_flood() {
        let mut flood = Flood::default();
        flood.looked_up(99, S);
        assert_eq!(flood.next_wake(), None);
        flood.looked_up(100, S);
        (0..7).for_each(|_| flood.silent());
        assert!(!flood.shows(11 * S), "too few were asked");
        flood.looked_up(500, 12 * S);
        flood.silent();
        assert!(!flood.shows(21 * S), "too early to tell");
        assert!(flood.shows(22 * S) && flood.is_on());
        flood.looked_up(500, 30 * S);
        assert!(!flood.shows(40 * S) && flood.is_on(), "no news");
        flood.answered();
        assert!(!flood.is_on());
    }
}
