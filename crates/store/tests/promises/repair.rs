//! Gap repair between two stores: again and again, until all is there.

use std::collections::BTreeSet;

use kukuri_contract::{Holding, PostsBeyond, StorePort};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::{TOPIC, author, holdings, open, post, save, seqs};

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
