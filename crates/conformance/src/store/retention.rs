//! Clauses of the retention, by a clock that jumps: how long posts stay is an implementation's to set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kukuri_contract::{Outlet, Post, StoreDeps, StoreEvent, StorePort, UnixMillis, WallClock};

use super::*;
use crate::events::EventLog;
use crate::every::end;
use crate::kit::{Held, Stage, ensure_eq, until};

/// Longer than any store keeps posts: 101 years.
const AGES_MS: u64 = 101 * 366 * 24 * 60 * 60 * 1000;
/// When the retention looks again: 2 hours.
const A_WHILE_MS: u64 = 2 * 60 * 60 * 1000;
/// Requests during which a store has time for what it should not do.
const LOOKS: usize = 20;

/// A clock that a clause sets.
#[derive(Clone)]
pub struct Hands(Arc<AtomicU64>);

impl Default for Hands {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(WallClock::system().now().0)))
    }
}

impl Hands {
    /// By now, all that came is too old.
    pub fn jump(&self) {
        self.0.fetch_add(AGES_MS, Ordering::SeqCst);
    }

    fn go_on(&self) {
        self.0.fetch_add(A_WHILE_MS, Ordering::SeqCst);
    }

    /// What instance number `n` is given, with this clock.
    pub fn deps(&self, on: &Stage<'_, Store>, n: u64) -> StoreDeps {
        let hands = self.0.clone();
        StoreDeps {
            clock: WallClock::new(move || UnixMillis(hands.load(Ordering::SeqCst))),
            ..Store::deps(n, on.dir(n))
        }
    }
}

/// Waits until no post is there.
async fn until_all_are_gone(on: &Stage<'_, Store>, port: &StorePort) -> Held {
    let gone = async || {
        let posts = port.posts_beyond(beyond(&[], 9)).await?.posts;
        Ok(posts.is_empty().then_some(()))
    };
    until(on.patience(), "posts that are too old to go", gone).await
}

/// Waits until so many posts and peers are told to be dropped.
async fn until_told(
    on: &Stage<'_, Store>,
    log: &mut EventLog<StoreEvent>,
    expected: (u64, u64),
) -> Held {
    let mut told = (0, 0);
    let pruned = |event| {
        if let StoreEvent::Pruned { posts, peers } = event {
            told = (told.0 + posts, told.1 + peers);
        }
        (told.0 >= expected.0 && told.1 >= expected.1).then_some(told)
    };
    let what = "what was dropped to be told";
    let told = log.find(on.patience(), what, pruned).await?;
    ensure_eq!(told, expected, "posts and peers that were dropped");
    Ok(())
}

pub async fn posts_go_some_time_after_they_came(on: &Stage<'_, Store>) -> Held {
    let hands = Hands::default();
    let (mut log, to) = EventLog::new();
    let deps = StoreDeps {
        events: Outlet::new([to]),
        ..hands.deps(on, 1)
    };
    let port = on.start(1, deps).await.port;
    let early = linked(1, 2, 1);
    // What its writer says of the time counts for nothing.
    let late = Post {
        time: UnixMillis(ago(0).0 + 2 * AGES_MS),
        ..linked(1, 2, 4)
    };
    save(&port, &[early, late.clone(), revoking(1, 1, 2, &[(1, 4)])]).await?;
    let _judged_elsewhere = try_save(&port, linked(1, 2, 6)).await?;
    remember(&port, TOPIC, &[sight(1, 1, ago(0))]).await?;
    hands.jump();
    until_all_are_gone(on, &port).await?;
    until_told(on, &mut log, (4, 1)).await?;
    ensure_eq!(
        port.known_peers(known(TOPIC, 9)).await?,
        [],
        "peers that were not seen for ages"
    );
    ensure_eq!(port.posts(all(TOPIC)).await?, [], "posts");
    let settled = [held(1, &[(1, 1)]), held(2, &[(1, 6)])];
    ensure_eq!(
        port.holdings(holdings(TOPIC, 0, 9)).await?,
        settled,
        "holdings"
    );
    ensure_eq!(port.last_seq(last(2)).await?, Some(6), "the last number");
    ensure_eq!(try_save(&port, late).await?, KNOWN, "a dropped post");
    ensure_eq!(
        try_save(&port, linked(1, 2, 2)).await?,
        KNOWN,
        "one below a dropped one"
    );

    // A new one stays, however old it says to be.
    let fresh = post(2, 8, 1);
    save(&port, std::slice::from_ref(&fresh)).await?;
    hands.go_on();
    for _ in 0..LOOKS {
        ensure_eq!(texts(&port).await?, std::slice::from_ref(&fresh), "posts");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let thief = try_save(&port, linked(1, 2, 9)).await?;
    ensure_eq!(
        thief,
        REVOKED,
        "a post of a writer who was revoked long ago"
    );
    end(on, &port).await
}

pub async fn what_is_too_old_goes_at_the_start(on: &Stage<'_, Store>) -> Held {
    let hands = Hands::default();
    let open = async || on.start(1, hands.deps(on, 1)).await.port;
    let port = open().await;
    save(&port, &[1, 2, 5].map(|seq| post(1, seq, ago(0).0))).await?;
    end(on, &port).await?;
    // It came before this start.
    let port = open().await;
    end(on, &port).await?;
    hands.jump();
    let port = open().await;
    until_all_are_gone(on, &port).await?;
    // What is gone from the answers may be in the next step of the retention still.
    end(on, &port).await?;
    let port = open().await;
    for seq in [2, 5] {
        let again = try_save(&port, post(1, seq, ago(0).0)).await?;
        ensure_eq!(again, KNOWN, "a dropped post after a restart");
    }
    ensure_eq!(port.last_seq(last(1)).await?, Some(5), "the last number");
    end(on, &port).await
}

pub async fn those_with_the_most_posts_lose_their_first_ones_where_a_topic_has_too_many(
    on: &Stage<'_, Store>,
) -> Held {
    let Some(most) = on.keeps() else {
        println!("    left out: it is not said how many posts of a topic it keeps");
        return Ok(());
    };
    let most = most as u64;
    let hands = Hands::default();
    let port = on.start(1, hands.deps(on, 1)).await.port;
    // Those that came first, and have the lowest and the highest ids.
    let rare = [post(1, 1, 1), post(1, 2, 1), post(9, 1, 1)];
    save(&port, &rare).await?;
    let elsewhere = Post {
        topic: OTHER,
        ..post(2, 1, 1)
    };
    save(&port, &[elsewhere]).await?;
    const TOO_MANY: u64 = 40;
    let many = most - rare.len() as u64 + TOO_MANY;
    save_many(&port, (1..=many).map(|seq| post(2, seq, 1))).await?;
    hands.go_on();
    let left = async || {
        let left = port.posts_beyond(beyond(&[], usize::MAX)).await?.posts;
        Ok((left.len() as u64 <= most).then_some(left))
    };
    let left = until(on.patience(), "a topic with too many posts to shrink", left).await?;
    let (of_many, of_others): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|post| post.writer == writer(2));
    ensure_eq!(of_others, rare, "posts of those who wrote little");
    let numbers: Vec<_> = of_many.iter().map(|post| post.seq).collect();
    let expected: Vec<_> = (TOO_MANY + 1..=many).collect();
    ensure_eq!(numbers, expected, "posts of who wrote much");
    ensure_eq!(
        try_save(&port, post(2, TOO_MANY, 1)).await?,
        KNOWN,
        "a dropped post"
    );
    let elsewhere = PostsBeyond {
        topic: OTHER,
        ..beyond(&[], 9)
    };
    let elsewhere = port.posts_beyond(elsewhere).await?.posts;
    ensure_eq!(elsewhere.len(), 1, "posts of another topic");
    end(on, &port).await
}
