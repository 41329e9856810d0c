//! Clauses of gap repair.

use std::collections::BTreeSet;

use kukuri_contract::{AuthorId, Beyond, Holding, MAX_RANGES, Post, PostsBeyond, StorePort};

use super::*;
use crate::every::end;
use crate::kit::{Broken, Held, Stage, ensure, ensure_eq};

/// Posts 1, 2, 4 of writer 1, and 1 of writer 2.
async fn with_a_gap(on: &Stage<'_, Store>) -> Result<StorePort, Broken> {
    let port = on.begin(1).await.port;
    let posts = [post(2, 1, 9), post(1, 4, 8), post(1, 1, 7), post(1, 2, 6)];
    save(&port, &posts).await?;
    Ok(port)
}

pub async fn holdings_are_ranges_with_gaps(on: &Stage<'_, Store>) -> Held {
    let port = with_a_gap(on).await?;
    let (one, two) = (held(1, &[(1, 2), (4, 4)]), held(2, &[(1, 1)]));
    let both = port.holdings(holdings(TOPIC, 0, 9)).await?;
    ensure_eq!(both, [one.clone(), two.clone()], "holdings");
    let first = port.holdings(holdings(TOPIC, 0, 1)).await?;
    ensure_eq!(first, [one], "those of one writer");
    let second = port.holdings(holdings(TOPIC, 2, 9)).await?;
    ensure_eq!(second, [two], "those from the second writer on");
    let limit = usize::MAX;
    let any = port.holdings(holdings(TOPIC, 0, limit)).await?;
    ensure_eq!(any, both, "those of any number of writers");
    let none = port.holdings(holdings(TOPIC, 0, 0)).await?;
    ensure_eq!(none, [], "those of no writer");
    end(on, &port).await
}

pub async fn posts_beyond_are_those_that_are_missing(on: &Stage<'_, Store>) -> Held {
    let port = with_a_gap(on).await?;
    let missing = async |have: &[Holding]| port.posts_beyond(beyond(have, 9)).await;
    let expected = |posts: &[Post]| Beyond {
        posts: posts.to_vec(),
        more: false,
    };
    let [first, second, fourth] = [post(1, 1, 7), post(1, 2, 6), post(1, 4, 8)];
    let other = post(2, 1, 9);
    ensure_eq!(
        missing(&[held(1, &[(1, 1)])]).await?,
        expected(&[second.clone(), fourth.clone(), other.clone()]),
        "posts beyond"
    );
    // In any order, in parts, twice, backwards, and of numbers that there are not.
    let have = [
        held(9, &[(0, u64::MAX)]),
        held(1, &[(4, 4), (9, 3), (7, 1 << 63)]),
        held(2, &[]),
        held(1, &[(u64::MAX, u64::MAX), (0, 1), (1, 1)]),
    ];
    ensure_eq!(
        missing(&have).await?,
        expected(&[second.clone(), other.clone()]),
        "posts beyond holdings in disorder"
    );
    let have = [held(2, &[(1, 5)]), held(1, &[(2, 4), (2, 2)])];
    ensure_eq!(
        missing(&have).await?,
        expected(std::slice::from_ref(&first)),
        "posts beyond a range with a gap in it"
    );
    let have = [held(1, &[(0, u64::MAX)]), held(2, &[(1, 1)])];
    ensure_eq!(missing(&have).await?, expected(&[]), "posts beyond all");
    ensure_eq!(
        missing(&[]).await?,
        expected(&[first, second, fourth, other]),
        "posts beyond nothing"
    );
    end(on, &port).await
}

pub async fn what_does_not_fit_is_more(on: &Stage<'_, Store>) -> Held {
    let port = with_a_gap(on).await?;
    let some = port.posts_beyond(beyond(&[], 2)).await?;
    let expected = Beyond {
        posts: vec![post(1, 1, 7), post(1, 2, 6)],
        more: true,
    };
    ensure_eq!(some, expected, "two posts beyond");
    let envelopes = [post(1, 1, 7), post(1, 2, 6)].map(|post| post.envelope.len());
    let few_bytes = PostsBeyond {
        max_bytes: envelopes.iter().sum(),
        ..beyond(&[], 9)
    };
    ensure_eq!(
        port.posts_beyond(few_bytes).await?,
        expected,
        "bytes for two posts"
    );
    let all = port.posts_beyond(beyond(&[], 4)).await?;
    ensure_eq!(
        (all.posts.len(), all.more),
        (4, false),
        "posts where all fit, and whether there are more"
    );
    end(on, &port).await
}

pub async fn posts_beyond_are_of_the_writers_asked_for(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[1, 2, 3, 4].map(|n| post(n, 1, 1))).await?;
    let of = async |from: AuthorId, to: AuthorId| -> Result<Vec<AuthorId>, Broken> {
        let request = PostsBeyond {
            from,
            to,
            ..beyond(&[], 9)
        };
        let Beyond { posts, more } = port.posts_beyond(request).await?;
        ensure!(!more, "there are more posts than all");
        Ok(posts.iter().map(|post| post.writer).collect())
    };
    let [one, two, three, four] = [1, 2, 3, 4].map(writer);
    ensure_eq!(of(two, three).await?, [two, three], "two writers");
    ensure_eq!(of(two, two).await?, [two], "one writer");
    ensure_eq!(of(one, four).await?, [one, two, three, four], "all");
    ensure_eq!(of(three, two).await?, [], "writers from a later one on");
    let mut after = [2; 32];
    after[31] += 1;
    let after = AuthorId::from_bytes(after);
    ensure_eq!(of(after, three).await?, [three], "those after the second");
    end(on, &port).await
}

pub async fn the_first_post_always_fits(on: &Stage<'_, Store>) -> Held {
    let port = with_a_gap(on).await?;
    for (max_posts, max_bytes) in [(9, 1), (9, 0), (0, 1 << 20), (0, 0)] {
        let request = PostsBeyond {
            max_bytes,
            ..beyond(&[], max_posts)
        };
        let given = port.posts_beyond(request).await?.posts;
        let what = format!("posts where {max_posts} posts and {max_bytes} bytes fit");
        ensure_eq!(given, [post(1, 1, 7)], what);
    }
    end(on, &port).await
}

/// More ranges than an answer has.
const GAPS: u64 = 3 * MAX_RANGES as u64;
/// Answers in which each gap must have been open once.
const ANSWERS: usize = 1000;

pub async fn too_many_ranges_are_joined_in_turn(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save_many(&port, (0..=GAPS).map(|n| post(1, 1 + 3 * n, n))).await?;
    let mut closed: BTreeSet<u64> = (0..GAPS).map(|n| 2 + 3 * n).collect();
    for _ in 0..ANSWERS {
        let told = port.holdings(holdings(TOPIC, 0, 9)).await?;
        let [Holding { author, ranges }] = &told[..] else {
            return Err(Broken(format!("the holdings of one writer are {told:?}")));
        };
        ensure_eq!(*author, writer(1), "the writer");
        ensure!(
            ranges.len() <= MAX_RANGES,
            "there are {} ranges",
            ranges.len()
        );
        let apart = ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
        let forward = ranges.iter().all(|(first, last)| first <= last);
        ensure!(apart && forward, "ranges are {ranges:?}");
        let left_out = (0..=GAPS).map(|n| 1 + 3 * n).find(|n| !told[0].has(*n));
        ensure_eq!(left_out, None, "a settled number that is left out");
        let highest = ranges.last().map(|(_, last)| *last);
        ensure_eq!(highest, Some(1 + 3 * GAPS), "the highest number");
        closed.retain(|number| told[0].has(*number));
        if closed.is_empty() {
            return end(on, &port).await;
        }
    }
    let many = closed.len();
    Err(Broken(format!("{many} gaps are closed in every answer")))
}
