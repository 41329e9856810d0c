//! Authors with several writers, and writers that were revoked.

use kukuri_contract::{
    AuthorId, LastSeq, MAX_KEPT, MAX_REVOKED, Post, PostsBeyond, Revocation, RevocationsDue,
    SavePost, Saved, StorePort,
};
use kukuri_store::Config;

use crate::support::{
    Hands, NOW, OTHER, TOPIC, all, author, holding, holdings, open, post, save, seqs, try_open,
};

/// A post of writer `n` in the name of an author.
fn linked(name: u8, n: u8, seq: u64) -> Post {
    Post {
        author: author(name),
        ..post(n, seq)
    }
}

/// Author `n` revokes a writer, but for some of its posts.
fn revocation(n: u8, seq: u64, writer: u8, kept: &[(u64, u64)]) -> Post {
    Post {
        revokes: Some(Revocation {
            writer: author(writer),
            kept: kept.to_vec(),
        }),
        ..post(n, seq)
    }
}

async fn saved(port: &StorePort, post: Post) -> Saved {
    port.save_post(SavePost(post)).await.unwrap()
}

const NEW: Saved = Saved {
    new: true,
    revoked: false,
};
const REVOKED: Saved = Saved {
    new: false,
    revoked: true,
};
const KNOWN: Saved = Saved {
    new: false,
    revoked: false,
};

async fn due(port: &StorePort, n: u8, writers: &[u8]) -> Vec<Revocation> {
    let ask = RevocationsDue {
        topic: TOPIC,
        author: author(n),
        writers: writers.iter().copied().map(author).collect(),
    };
    port.revocations_due(ask).await.unwrap()
}

async fn given(port: &StorePort) -> Vec<Post> {
    let ask = PostsBeyond {
        topic: TOPIC,
        from: author(0),
        to: author(255),
        have: Vec::new(),
        max_posts: 1000,
        max_bytes: 1_000_000,
    };
    port.posts_beyond(ask).await.unwrap().posts
}

#[actix::test]
async fn two_writers_of_one_author_have_logs_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    let posts = [post(1, 1), linked(1, 2, 1), linked(1, 2, 2)];
    assert_eq!(save(&port, posts.clone()).await, 3);
    port.stop().await.unwrap();
    let (port, _log) = open(dir.path()).await;
    assert_eq!(given(&port).await, posts);
    assert_eq!(all(&port, TOPIC).await.len(), 3);
    let holds = [holding(1, &[(1, 1)]), holding(2, &[(1, 2)])];
    assert_eq!(holdings(&port).await, holds);
    let last = LastSeq {
        topic: TOPIC,
        author: author(2),
    };
    assert_eq!(port.last_seq(last).await.unwrap(), Some(2));
}

#[actix::test]
async fn of_a_revoked_writer_only_what_stays_good_is_saved_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    save(&port, [linked(1, 2, 1), linked(1, 2, 4)]).await;
    assert_eq!(saved(&port, revocation(1, 1, 2, &[(1, 2)])).await, NEW);
    for _ in ["before", "after a restart"] {
        let (port, _log) = open(dir.path()).await;
        // Where it was stored before, it stays, also above.
        assert_eq!(saved(&port, linked(1, 2, 4)).await, KNOWN);
    }
    port.stop().await.unwrap();
    let (port, _log) = open(dir.path()).await;
    assert_eq!(saved(&port, linked(1, 2, 2)).await, NEW);
    for seq in [3, 5, 9] {
        assert_eq!(saved(&port, linked(1, 2, seq)).await, REVOKED);
        assert_eq!(saved(&port, linked(1, 2, seq)).await, KNOWN, "and settled");
    }
    let mut there = seqs(&port).await;
    there.sort_unstable();
    assert_eq!(there, [1, 2, 4], "and the revocation is no text");
    let holds = [holding(1, &[(1, 1)]), holding(2, &[(1, 5), (9, 9)])];
    assert_eq!(holdings(&port).await, holds);
    let numbers: Vec<_> = given(&port).await.iter().map(|post| post.seq).collect();
    assert_eq!(numbers, [1, 1, 2, 4], "the revocation, and what is here");
}

#[actix::test]
async fn a_revocation_hits_nothing_but_its_own_authors_name() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    // Author 3 has never let writer 2 write, author 1 has.
    saved(&port, revocation(3, 1, 2, &[])).await;
    saved(&port, revocation(3, 2, 1, &[])).await;
    assert_eq!(saved(&port, linked(1, 2, 1)).await, NEW);
    assert_eq!(saved(&port, post(1, 1)).await, NEW);
    assert_eq!(saved(&port, post(2, 2)).await, NEW);
    assert_eq!(saved(&port, linked(3, 2, 3)).await, REVOKED);
    // Revoked by author 1, too: in other names and in its own it writes on.
    saved(&port, revocation(1, 2, 2, &[])).await;
    assert_eq!(saved(&port, linked(1, 2, 4)).await, REVOKED);
    assert_eq!(saved(&port, linked(4, 2, 5)).await, NEW);
    assert_eq!(saved(&port, post(2, 6)).await, NEW);
    let elsewhere = Post {
        topic: OTHER,
        ..linked(1, 2, 1)
    };
    assert_eq!(saved(&port, elsewhere).await, NEW, "not in another topic");
}

#[actix::test]
async fn the_first_revocation_stays_and_an_author_has_only_so_many() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    saved(&port, revocation(1, 1, 2, &[(1, 1)])).await;
    saved(&port, revocation(1, 2, 2, &[(1, 9)])).await;
    assert_eq!(saved(&port, linked(1, 2, 2)).await, REVOKED);
    for n in 0..MAX_REVOKED as u8 {
        saved(&port, revocation(1, 3 + u64::from(n), 100 + n, &[])).await;
    }
    let last = 100 + MAX_REVOKED as u8 - 1;
    assert_eq!(saved(&port, linked(1, last - 1, 1)).await, REVOKED);
    assert_eq!(saved(&port, linked(1, last, 1)).await, NEW, "one too many");
    saved(&port, revocation(3, 1, last, &[])).await;
    assert_eq!(saved(&port, linked(3, last, 2)).await, REVOKED);
}

#[actix::test]
async fn a_revocation_outlives_its_posts_and_is_due_again_before_they_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::at(NOW);
    let open = || try_open(dir.path(), Config::default(), hands.clock());
    let (port, _log) = open().await.unwrap();
    save(&port, [linked(1, 2, 1), linked(1, 2, 2), linked(1, 2, 5)]).await;
    let kept = vec![(1, 2), (5, 5)];
    let writer = author(2);
    let expected = Revocation { writer, kept };
    assert_eq!(
        due(&port, 1, &[2]).await,
        std::slice::from_ref(&expected),
        "never said"
    );
    assert_eq!(due(&port, 1, &[]).await, []);
    let said = |seq| Post {
        revokes: Some(expected.clone()),
        ..post(1, seq)
    };
    saved(&port, said(1)).await;
    // What comes later does not change what it says.
    saved(&port, linked(1, 2, 9)).await;
    hands.advance_days(15);
    assert_eq!(due(&port, 1, &[2]).await, [], "half of thirty days");
    hands.advance_days(1);
    assert_eq!(due(&port, 1, &[2]).await, std::slice::from_ref(&expected));
    saved(&port, said(2)).await;
    assert_eq!(due(&port, 1, &[2]).await, []);
    assert_eq!(due(&port, 3, &[2]).await.len(), 1, "another author's");
    hands.advance_days(40);
    port.stop().await.unwrap();
    let (port, mut log) = open().await.unwrap();
    while given(&port).await.iter().any(|post| post.revokes.is_some()) {
        tokio::task::yield_now().await;
    }
    log.drain();
    assert_eq!(saved(&port, linked(1, 2, 20)).await, REVOKED);
    assert_eq!(
        due(&port, 1, &[2]).await,
        std::slice::from_ref(&expected),
        "it is gone"
    );
}

#[actix::test]
async fn a_thief_can_not_widen_what_stays_good() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    save(&port, (1..=20).map(|seq| linked(1, 2, seq))).await;
    // Numbers far apart, and the last that there is.
    let sparse = (0..100).map(|n| 100 + 2 * n).chain([i64::MAX as u64]);
    save(&port, sparse.map(|seq| linked(1, 2, seq))).await;
    let due = due(&port, 1, &[2]).await;
    assert_eq!(due[0].kept.len(), MAX_KEPT);
    assert_eq!(due[0].kept[0], (1, 20), "what was written before is in it");
    let numbers = due[0].kept.iter().map(|(first, last)| last - first + 1);
    assert_eq!(numbers.sum::<u64>(), 20 + MAX_KEPT as u64 - 1);
}

#[actix::test]
async fn what_is_kept_of_revoked_posts_goes_with_the_retention() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        max_posts_per_topic: 50,
        ..Config::default()
    };
    let clock = Hands::at(NOW).clock();
    let (port, _log) = try_open(dir.path(), config, clock).await.unwrap();
    saved(&port, revocation(1, 1, 2, &[])).await;
    for seq in 1..=1100 {
        assert_eq!(saved(&port, linked(1, 2, 2 * seq)).await, REVOKED);
    }
    let settled = |holdings: &[kukuri_contract::Holding], n: AuthorId| {
        let of = holdings.iter().find(|holding| holding.author == n);
        of.map_or(0, |of| of.ranges[0].1)
    };
    while settled(&holdings(&port).await, author(2)) < 1000 {
        tokio::task::yield_now().await;
    }
}
