//! Clauses of revocations.

use kukuri_contract::{
    Holdings, Post, PostsBeyond, Revocation, RevocationsDue, SavePost, UnixMillis,
};

use super::{Store, TOPIC, post, save, texts, writer};
use crate::every::end;
use crate::kit::{Held, Stage, ensure, ensure_eq};

/// The author, whose main node it is.
const AUTHOR: u8 = 1;
/// A writer in its name, who is revoked.
const WRITER: u8 = 2;

/// A post of the writer in the author's name.
fn linked(seq: u64) -> Post {
    Post {
        author: writer(AUTHOR),
        ..post(WRITER, seq, 10 + seq)
    }
}

/// The author's post number `seq` that revokes the writer.
fn revoking(seq: u64, kept: &[(u64, u64)]) -> Post {
    Post {
        revokes: Some(Revocation {
            writer: writer(WRITER),
            kept: kept.to_vec(),
        }),
        ..post(AUTHOR, seq, 20)
    }
}

pub async fn a_revoked_writer_is_not_believed(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[linked(1), revoking(1, &[(1, 2)])]).await?;
    let thief = port.save_post(SavePost(linked(3))).await?;
    ensure!(
        thief.revoked && !thief.new,
        "a revoked post brought {thief:?}"
    );
    save(&port, &[linked(2), post(WRITER, 4, 30)]).await?;
    let expected = [linked(1), linked(2), post(WRITER, 4, 30)];
    ensure_eq!(texts(&port).await?, expected, "posts");
    let request = Holdings {
        topic: TOPIC,
        from: writer(WRITER),
        limit: 1,
    };
    let settled = port.holdings(request).await?;
    let ranges = settled.first().map(|held| held.ranges.clone());
    ensure_eq!(ranges, Some(vec![(1, 4)]), "settled numbers");
    let request = PostsBeyond {
        topic: TOPIC,
        from: writer(0),
        to: writer(255),
        have: vec![],
        max_posts: 9,
        max_bytes: 1 << 20,
    };
    let given = port.posts_beyond(request).await?.posts;
    let all = [
        revoking(1, &[(1, 2)]),
        linked(1),
        linked(2),
        post(WRITER, 4, 30),
    ];
    ensure_eq!(given, all, "posts handed on");
    end(on, &port).await
}

pub async fn revocations_are_due_until_said(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let due = || {
        port.revocations_due(RevocationsDue {
            topic: TOPIC,
            author: writer(AUTHOR),
            writers: vec![writer(WRITER)],
        })
    };
    save(&port, &[linked(1), linked(2), linked(5)]).await?;
    let expected = Revocation {
        writer: writer(WRITER),
        kept: vec![(1, 2), (5, 5)],
    };
    ensure_eq!(due().await?, vec![expected.clone()], "revocations");
    let said = Post {
        time: UnixMillis(40),
        revokes: Some(expected),
        ..revoking(1, &[])
    };
    save(&port, &[said]).await?;
    ensure_eq!(due().await?, [], "revocations, once said");
    end(on, &port).await
}
