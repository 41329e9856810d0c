//! Clauses of revocations.

use kukuri_contract::{
    AuthorId, MAX_KEPT, MAX_REVOKED, Post, Revocation, RevocationsDue, StorePort, UnixMillis,
};

use super::*;
use crate::every::end;
use crate::kit::{Broken, Held, Stage, ensure_eq};

/// The author, whose main node it is.
const AUTHOR: u8 = 1;
/// A writer in its name, who is revoked.
const WRITER: u8 = 2;

pub async fn a_revoked_writer_is_not_believed(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let linked = |seq| linked(AUTHOR, WRITER, seq);
    let revoking = revoking(AUTHOR, 1, WRITER, &[(1, 2)]);
    save(&port, &[linked(1), linked(5), revoking.clone()]).await?;
    ensure_eq!(try_save(&port, linked(3)).await?, REVOKED, "a revoked post");
    ensure_eq!(try_save(&port, linked(3)).await?, KNOWN, "the same again");
    ensure_eq!(
        try_save(&port, linked(5)).await?,
        KNOWN,
        "one from before the revocation, again"
    );
    save(&port, &[linked(2), post(WRITER, 4, 30)]).await?;
    let texts_expected = [linked(1), linked(2), post(WRITER, 4, 30), linked(5)];
    ensure_eq!(texts(&port).await?, texts_expected, "posts");
    ensure_eq!(
        port.holdings(holdings(TOPIC, WRITER, 1)).await?,
        [held(WRITER, &[(1, 5)])],
        "settled numbers"
    );
    let given = port.posts_beyond(beyond(&[], 9)).await?.posts;
    let expected = [vec![revoking], texts_expected.to_vec()].concat();
    ensure_eq!(given, expected, "posts handed on");
    end(on, &port).await
}

pub async fn a_revocation_hits_nothing_but_its_own_authors_name(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    // Author 3 has never let these writers write, author 1 has.
    save(&port, &[revoking(3, 1, 2, &[]), revoking(3, 2, 1, &[])]).await?;
    let [in_its_own_name, the_authors] = [post(2, 2, 1), post(1, 1, 1)];
    save(&port, &[linked(1, 2, 1), in_its_own_name, the_authors]).await?;
    // Revoked by author 1, too: it writes on in other names, and in its own.
    save(&port, &[revoking(1, 2, 2, &[])]).await?;
    let elsewhere = Post {
        topic: OTHER,
        ..linked(1, 2, 1)
    };
    save(&port, &[linked(4, 2, 5), post(2, 6, 1), elsewhere]).await?;
    end(on, &port).await
}

pub async fn the_first_revocation_stays(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let [wider, narrower] = [revoking(1, 2, 2, &[(1, 9)]), revoking(1, 3, 2, &[])];
    save(&port, &[revoking(1, 1, 2, &[(1, 3)]), wider]).await?;
    ensure_eq!(
        try_save(&port, linked(1, 2, 4)).await?,
        REVOKED,
        "a revoked post, after a wider revocation"
    );
    save(&port, &[narrower, linked(1, 2, 3)]).await?;
    end(on, &port).await
}

pub async fn an_author_revokes_only_so_many(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let beyond_them = 100 + MAX_REVOKED as u8;
    let said = (100..=beyond_them).map(|n| revoking(1, u64::from(n), n, &[]));
    for post in said {
        save(&port, &[post]).await?;
    }
    ensure_eq!(
        try_save(&port, linked(1, beyond_them - 1, 1)).await?,
        REVOKED,
        "a post of the last writer that an author may revoke"
    );
    save(&port, &[linked(1, beyond_them, 1)]).await?;
    save(&port, &[revoking(3, 1, beyond_them, &[])]).await?;
    ensure_eq!(
        try_save(&port, linked(3, beyond_them, 2)).await?,
        REVOKED,
        "a post in the name of another author"
    );
    end(on, &port).await
}

async fn due(port: &StorePort, writers: &[AuthorId]) -> Result<Vec<Revocation>, Broken> {
    let request = RevocationsDue {
        topic: TOPIC,
        author: writer(AUTHOR),
        writers: writers.to_vec(),
    };
    Ok(port.revocations_due(request).await?)
}

pub async fn revocations_are_due_until_said(on: &Stage<'_, Store>) -> Held {
    let hands = Hands::default();
    let port = on.start(1, hands.deps(on, 1)).await.port;
    let linked = |seq| linked(AUTHOR, WRITER, seq);
    save(&port, &[linked(1), linked(2), linked(5)]).await?;
    let revoked = [writer(WRITER)];
    let expected = [Revocation {
        writer: writer(WRITER),
        kept: vec![(1, 2), (5, 5)],
    }];
    ensure_eq!(due(&port, &revoked).await?, expected, "revocations");
    ensure_eq!(due(&port, &[]).await?, [], "revocations of nobody");
    let said = |seq| revoking(AUTHOR, seq, WRITER, &expected[0].kept);
    // What others say is nothing to this author.
    save(&port, &[revoking(3, 1, WRITER, &[])]).await?;
    ensure_eq!(due(&port, &revoked).await?, expected, "unsaid revocations");
    save(&port, &[said(1)]).await?;
    ensure_eq!(due(&port, &revoked).await?, [], "revocations, once said");
    let both = [writer(WRITER), writer(9)];
    let unsaid = [Revocation {
        writer: writer(9),
        kept: vec![],
    }];
    ensure_eq!(due(&port, &both).await?, unsaid, "that of another writer");
    // What comes later does not change what it says.
    let _judged_elsewhere = try_save(&port, linked(6)).await?;
    hands.jump();
    ensure_eq!(due(&port, &revoked).await?, expected, "long after");
    save(&port, &[said(2)]).await?;
    ensure_eq!(due(&port, &revoked).await?, [], "once said again");
    end(on, &port).await
}

pub async fn a_revocation_keeps_the_longest_ranges(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    // Many of a single number, two longer ones, and the last number that there is.
    let short = (1..=40).map(|n| 2 * n);
    let long = (100..120).chain([200, 201, i64::MAX as u64]);
    let posts = short.chain(long).map(|seq| linked(AUTHOR, WRITER, seq));
    save_many(
        &port,
        posts.map(|post| Post {
            time: UnixMillis(1),
            ..post
        }),
    )
    .await?;
    let short = (1..=MAX_KEPT as u64 - 2).map(|n| (2 * n, 2 * n));
    let kept = short.chain([(100, 119), (200, 201)]).collect();
    let writer = writer(WRITER);
    let expected = [Revocation { writer, kept }];
    ensure_eq!(due(&port, &[writer]).await?, expected, "revocations");
    end(on, &port).await
}
