//! When the retention works: at the start, then as time passes and as posts come.

use kukuri_contract::UnixMillis;

/// Longest pause between two runs while there are requests: 1 hour. An age is counted in days.
pub const EVERY_MS: u64 = 60 * 60 * 1000;
/// New posts after which the next run is due. 1000: a topic is at most 1 % over its default bound.
pub const EVERY_POSTS: u64 = 1000;

/// Tells when the next run is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// When the last run began.
    last: Option<UnixMillis>,
    /// New posts since.
    posts: u64,
}

impl Schedule {
    /// New posts were saved.
    pub fn saved(&mut self, posts: u64) {
        self.posts = self.posts.saturating_add(posts);
    }

    /// Whether a run should begin. It counts as begun then.
    pub fn begin(&mut self, now: UnixMillis) -> bool {
        // A clock may be set back, too: far from the last run is long ago either way.
        let long_ago = self.last.is_none_or(|last| last.distance(now) >= EVERY_MS);
        let due = long_ago || self.posts >= EVERY_POSTS;
        if due {
            *self = Self {
                last: Some(now),
                posts: 0,
            };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_due_at_the_start_after_an_hour_and_after_many_posts() {
        let mut schedule = Schedule::default();
        let start = 1_000_000_000;
        assert!(schedule.begin(UnixMillis(start)), "the start");
        assert!(!schedule.begin(UnixMillis(start + EVERY_MS - 1)));
        assert!(schedule.begin(UnixMillis(start + EVERY_MS)), "an hour");
        assert!(!schedule.begin(UnixMillis(start + EVERY_MS)));
        schedule.saved(EVERY_POSTS - 1);
        assert!(!schedule.begin(UnixMillis(start + EVERY_MS)));
        schedule.saved(1);
        assert!(schedule.begin(UnixMillis(start + EVERY_MS)), "many posts");
        assert!(!schedule.begin(UnixMillis(start + EVERY_MS)));
        assert!(schedule.begin(UnixMillis(5)), "the clock was set back");
    }
}
