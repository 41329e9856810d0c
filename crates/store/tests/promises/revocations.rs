//! Revocations: when they are due again, by the days that posts stay, and what of their posts goes.

use kukuri_contract::{
    AuthorId, Post, PostsBeyond, Revocation, RevocationsDue, SavePost, Saved, StorePort,
};
use kukuri_store::Config;

use crate::support::{Hands, NOW, TOPIC, author, holdings, post, save, try_open};

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

const REVOKED: Saved = Saved {
    new: false,
    revoked: true,
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
