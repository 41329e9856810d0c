//! Holdings, and the posts beyond them.

use std::collections::BTreeSet;

use kukuri_contract::{AuthorId, Beyond, Holding, Holdings, PostsBeyond, StorePort};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::{TOPIC, author, holding, holdings, open, post, save, seqs};

fn lacking(have: Vec<Holding>, max_posts: usize) -> PostsBeyond {
    PostsBeyond {
        topic: TOPIC,
        from: author(0),
        to: author(0xff),
        have,
        max_posts,
        max_bytes: usize::MAX,
    }
}

fn numbers(beyond: &Beyond) -> Vec<(u8, u64)> {
    let number = |post: &kukuri_contract::Post| (post.author.as_bytes()[0], post.seq);
    beyond.posts.iter().map(number).collect()
}

#[actix::test]
async fn holdings_are_ranges_by_author() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    assert_eq!(holdings(&port).await, []);
    let three = [1, 2, 3, 5, 9, 10].map(|seq| post(3, seq));
    let others = [(1, 2), (2, 1), (0xff, 7)].map(|(n, seq)| post(n, seq));
    save(&port, three.into_iter().chain(others)).await;
    let all = [
        holding(1, &[(2, 2)]),
        holding(2, &[(1, 1)]),
        holding(3, &[(1, 3), (5, 5), (9, 10)]),
        holding(0xff, &[(7, 7)]),
    ];
    assert_eq!(holdings(&port).await, all);
    let page = |from: AuthorId, limit| {
        port.holdings(Holdings {
            topic: TOPIC,
            from,
            limit,
        })
    };
    assert_eq!(page(author(0), 2).await.unwrap(), all[..2]);
    assert_eq!(page(author(2), 2).await.unwrap(), all[1..3]);
    assert_eq!(page(author(4), 2).await.unwrap(), all[3..]);
    assert_eq!(page(author(0), 0).await.unwrap(), []);
}

#[actix::test]
async fn posts_beyond_keeps_to_its_bounds_and_says_if_there_are_more() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    let posts = [1, 2, 3].map(|n| [1, 2, 3, 4].map(|seq| post(n, seq)));
    save(&port, posts.into_iter().flatten()).await;
    let ask = |request| async { port.posts_beyond(request).await.unwrap() };

    let have = || vec![holding(1, &[(1, 1), (3, 3)]), holding(3, &[(1, 9)])];
    let beyond = ask(lacking(have(), 100)).await;
    assert_eq!(
        numbers(&beyond),
        [(1, 2), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4)]
    );
    assert!(!beyond.more);
    assert_eq!(beyond.posts[0], post(1, 2));
    let beyond = ask(lacking(have(), 6)).await;
    assert!(
        !beyond.more && beyond.posts.len() == 6,
        "exactly as many as fit"
    );
    let beyond = ask(lacking(have(), 5)).await;
    assert!(beyond.more && beyond.posts.len() == 5);
    let beyond = ask(lacking(have(), 0)).await;
    assert!(
        beyond.more && beyond.posts.len() == 1,
        "there is always progress"
    );

    let each = post(1, 1).envelope.len();
    for (max_bytes, fit) in [
        (0, 1),
        (each, 1),
        (2 * each - 1, 1),
        (2 * each, 2),
        (6 * each, 6),
    ] {
        let beyond = ask(PostsBeyond {
            max_bytes,
            ..lacking(have(), 100)
        });
        let beyond = beyond.await;
        assert_eq!(
            (beyond.posts.len(), beyond.more),
            (fit, fit < 6),
            "{max_bytes} bytes"
        );
    }

    let between = PostsBeyond {
        from: author(2),
        to: author(2),
        ..lacking(Vec::new(), 100)
    };
    let two = [(2, 1), (2, 2), (2, 3), (2, 4)];
    assert_eq!(numbers(&ask(between.clone()).await), two);
    let backwards = PostsBeyond {
        to: author(1),
        ..between
    };
    assert_eq!(numbers(&ask(backwards).await), []);
}

/// The holdings come from the network.
#[actix::test]
async fn any_holdings_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    save(
        &port,
        [1, 2, 3, 4, i64::MAX as u64].map(|seq| post(0xff, seq)),
    )
    .await;
    let odd = [
        holding(0xff, &[(4, 4), (9, 3), (1, 1), (1, 2)]),
        holding(
            0xff,
            &[(u64::MAX, u64::MAX), (i64::MAX as u64, u64::MAX), (4, 4)],
        ),
        holding(5, &[(0, u64::MAX)]),
    ];
    let beyond = port.posts_beyond(lacking(odd.to_vec(), 100)).await.unwrap();
    assert_eq!(numbers(&beyond), [(0xff, 3)]);
    let nothing = vec![holding(0xff, &[])];
    let beyond = port.posts_beyond(lacking(nothing, 100)).await.unwrap();
    assert_eq!(beyond.posts.len(), 5);
}

/// One exchange: `to` asks `from`. Nothing that is there may be sent. Tells how much came.
async fn exchange(from: &StorePort, to: &StorePort, max_posts: usize) -> usize {
    let have = holdings(to).await;
    assert!(
        have.iter().all(|holding| holding.ranges.len() <= 64),
        "the bound"
    );
    let beyond = from.posts_beyond(lacking(have, max_posts)).await.unwrap();
    assert!(beyond.posts.len() <= max_posts);
    let came = beyond.posts.len();
    let new = save(to, beyond.posts).await;
    assert_eq!(new, came, "what is there was sent");
    came
}

async fn converge(
    a: &BTreeSet<(u8, u64)>,
    b: &BTreeSet<(u8, u64)>,
    max_posts: usize,
) -> Result<(), TestCaseError> {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (asks, _log) = open(dirs[0].path()).await;
    let (gives, _log) = open(dirs[1].path()).await;
    save(&asks, a.iter().map(|(n, seq)| post(*n, *seq))).await;
    save(&gives, b.iter().map(|(n, seq)| post(*n, *seq))).await;
    let mut missing = b.difference(a).count();
    // Each exchange fills its parcel, until the last ones; some find their open gaps filled.
    let mut left = missing.div_ceil(max_posts) + 40;
    while missing > 0 {
        prop_assert!(left > 0, "{missing} posts did not come");
        left -= 1;
        missing -= exchange(&gives, &asks, max_posts).await;
    }
    prop_assert_eq!(exchange(&gives, &asks, max_posts).await, 0);
    let union = a.union(b).count();
    prop_assert_eq!(seqs(&asks).await.len(), union);
    Ok(())
}

fn some_posts() -> impl Strategy<Value = BTreeSet<(u8, u64)>> {
    prop::collection::btree_set((1u8..4, 1u64..150), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn asking_again_and_again_brings_all(
        a in some_posts(),
        b in some_posts(),
        max_posts in 1usize..40,
    ) {
        actix::System::new().block_on(converge(&a, &b, max_posts))?;
    }
}

/// Most gaps can't be filled, and there are more than fit one answer.
#[actix::test]
async fn gaps_that_nobody_can_fill_keep_no_other_open() {
    let a = (1..=1001).step_by(2).map(|seq| (1, seq)).collect();
    let b = (1..=1001)
        .filter(|seq| seq % 10 == 0)
        .map(|seq| (1, seq))
        .collect();
    converge(&a, &b, 10).await.unwrap();
}
