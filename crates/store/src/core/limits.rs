//! How much a store keeps and tells, and for how long: the same rules for every implementation.

use kukuri_contract::UnixMillis;

/// Most bans that are kept; beyond, those that ended first go. 1024: an attacker pays for each with
/// an endpoint that was let in, and 100 kB are nothing.
pub const MAX_BANS: usize = 1024;
/// Most contacts of the DHT that are kept. 128: a start needs one that still answers; a bucket of
/// Kademlia has 8, and 16 buckets are more than a routing table fills before it looks around.
pub const MAX_CONTACTS: usize = 128;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The bounds that a config sets. None of them may be 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Peers remembered per topic.
    pub max_peers_per_topic: usize,
    /// Posts in one answer.
    pub max_posts_per_query: usize,
    /// Days after which a post is dropped.
    pub retention_days: u32,
    /// Posts kept per topic.
    pub max_posts_per_topic: usize,
    /// Days after which a peer is forgotten.
    pub max_peer_age_days: u32,
}

impl Limits {
    /// The name of one that is 0.
    pub fn zero(&self) -> Option<&'static str> {
        let Self {
            max_peers_per_topic,
            max_posts_per_query,
            retention_days,
            max_posts_per_topic,
            max_peer_age_days,
        } = *self;
        let zeros = [
            ("max_peers_per_topic", max_peers_per_topic == 0),
            ("max_posts_per_query", max_posts_per_query == 0),
            ("retention_days", retention_days == 0),
            ("max_posts_per_topic", max_posts_per_topic == 0),
            ("max_peer_age_days", max_peer_age_days == 0),
        ];
        let zero = zeros.into_iter().find(|(_, zero)| *zero);
        zero.map(|(field, _)| field)
    }

    /// Posts that came before are dropped.
    pub fn oldest_post(&self, now: UnixMillis) -> UnixMillis {
        days_before(now, self.retention_days)
    }

    /// What was said before is to be said again, while those who heard it last still keep it.
    pub fn half_a_retention_ago(&self, now: UnixMillis) -> UnixMillis {
        let half = u64::from(self.retention_days) * DAY_MS / 2;
        UnixMillis(now.0.saturating_sub(half))
    }

    /// Peers last seen before are forgotten.
    pub fn oldest_peer(&self, now: UnixMillis) -> UnixMillis {
        days_before(now, self.max_peer_age_days)
    }
}

fn days_before(now: UnixMillis, days: u32) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(u64::from(days) * DAY_MS))
}
