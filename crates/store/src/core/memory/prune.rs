//! Retention: drops what is too old or too much.

use kukuri_contract::UnixMillis;

use super::{Log, Memory, Topic};
use crate::core::shares;

impl Memory {
    /// A run of the retention, if one is due: all of it at once, since it waits for no disk. Tells how
    /// many posts and peers were dropped.
    pub fn prune_if_due(&mut self, now: UnixMillis) -> (u64, u64) {
        let (mut posts, mut peers) = (0, 0);
        if !self.schedule.begin(now) {
            return (posts, peers);
        }
        let oldest = self.limits.oldest_post(now);
        let oldest_peer = self.limits.oldest_peer(now);
        for topic in self.topics.values_mut() {
            let before = topic.count();
            for log in topic.logs.values_mut() {
                let old = log
                    .posts
                    .iter()
                    .filter(|(_, kept)| kept.received_at < oldest);
                let old: Vec<_> = old.map(|(seq, _)| *seq).collect();
                log.drop_posts(&old);
            }
            topic.drop_of_those_with_most(self.limits.max_posts_per_topic as u64);
            posts += before - topic.count();
            let peers_before = topic.peers.len();
            topic.peers.retain(|_, known| known.seen_at >= oldest_peer);
            peers += (peers_before - topic.peers.len()) as u64;
        }
        (posts, peers)
    }
}

impl Topic {
    fn count(&self) -> u64 {
        self.logs.values().map(|log| log.posts.len() as u64).sum()
    }

    /// Leaves at most so many posts; those of the writers that have the most go, of each the lowest
    /// numbers.
    fn drop_of_those_with_most(&mut self, most: u64) {
        let over = self.count().saturating_sub(most);
        let counts = self.logs.iter();
        let counts = counts.map(|(writer, log)| (*writer.as_bytes(), log.posts.len() as u64));
        let shares = shares::to_drop(counts, over);
        for (writer, log) in &mut self.logs {
            let share = shares.get(writer.as_bytes()).copied().unwrap_or(0);
            let first: Vec<_> = log.posts.keys().copied().take(share as usize).collect();
            log.drop_posts(&first);
        }
    }
}

impl Log {
    /// Drops posts: what is dropped does not come back.
    fn drop_posts(&mut self, seqs: &[u64]) {
        for seq in seqs {
            self.posts.remove(seq);
        }
        self.floor = self.floor.max(seqs.last().copied());
    }
}
