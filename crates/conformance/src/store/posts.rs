//! Clauses of posts: saving, reading, gap repair, and what survives.

use kukuri_contract::{
    Bans, Beyond, CallError, Contacts, Drill, Holding, Holdings, LastSeq, Post, PostsBeyond,
    RememberContacts, RevocationsDue, SaveBan, SavePost, StoreError, StorePort, TopicId,
    UnixMillis,
};

use super::{
    OTHER, Store, TOPIC, ago, all, ban, known, post, remember, save, sight, texts, writer,
};
use crate::every::end;
use crate::kit::{Broken, Held, Stage, ensure, ensure_eq};

pub async fn a_post_is_saved_once(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[post(1, 1, 50)]).await?;
    let forged = Post {
        body: "another".to_owned().into(),
        ..post(1, 1, 60)
    };
    for again in [post(1, 1, 50), forged] {
        let saved = port.save_post(SavePost(again)).await?;
        ensure!(!saved.new, "a post is new twice");
    }
    ensure_eq!(port.posts(all(TOPIC)).await?, [post(1, 1, 50)], "posts");
    end(on, &port).await
}

pub async fn posts_are_told_oldest_first(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let [early, middle, late] = [post(2, 1, 40), post(1, 1, 50), post(1, 2, 60)];
    save(&port, &[middle.clone(), late.clone(), early.clone()]).await?;
    let told = port.posts(all(TOPIC)).await?;
    ensure_eq!(told, [early, middle.clone(), late.clone()], "posts");
    let mut some = all(TOPIC);
    some.limit = 2;
    let newest = port.posts(some).await?;
    ensure_eq!(newest, [middle, late.clone()], "the newest two");
    some.since = UnixMillis(60);
    ensure_eq!(port.posts(some).await?, [late], "posts since");
    end(on, &port).await
}

fn last(n: u8) -> LastSeq {
    LastSeq {
        topic: TOPIC,
        author: writer(n),
    }
}

fn holdings(topic: TopicId, from: u8, limit: usize) -> Holdings {
    Holdings {
        topic,
        from: writer(from),
        limit,
    }
}

fn beyond(have: &[Holding], max_posts: usize) -> PostsBeyond {
    PostsBeyond {
        topic: TOPIC,
        from: writer(0),
        to: writer(255),
        have: have.to_vec(),
        max_posts,
        max_bytes: 1 << 20,
    }
}

fn held(n: u8, ranges: &[(u64, u64)]) -> Holding {
    Holding {
        author: writer(n),
        ranges: ranges.to_vec(),
    }
}

pub async fn an_unknown_topic_is_empty(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    ensure_eq!(port.posts(all(OTHER)).await?, [], "posts");
    ensure_eq!(port.known_peers(known(OTHER, 9)).await?, [], "peers");
    ensure_eq!(port.holdings(holdings(OTHER, 0, 9)).await?, [], "holdings");
    ensure_eq!(port.last_seq(last(1)).await?, None, "the last number");
    let nothing = Beyond {
        posts: vec![],
        more: false,
    };
    ensure_eq!(
        port.posts_beyond(beyond(&[], 9)).await?,
        nothing,
        "posts beyond"
    );
    let due = RevocationsDue {
        topic: OTHER,
        author: writer(1),
        writers: vec![],
    };
    ensure_eq!(port.revocations_due(due).await?, [], "revocations");
    end(on, &port).await
}

pub async fn the_last_number_is_the_writers_highest(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[post(1, 7, 1), post(1, 3, 2), post(2, 9, 3)]).await?;
    ensure_eq!(port.last_seq(last(1)).await?, Some(7), "the last number");
    ensure_eq!(port.last_seq(last(2)).await?, Some(9), "the other one's");
    ensure_eq!(port.last_seq(last(3)).await?, None, "that of nobody");
    end(on, &port).await
}

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
    end(on, &port).await
}

pub async fn posts_beyond_are_those_that_are_missing(on: &Stage<'_, Store>) -> Held {
    let port = with_a_gap(on).await?;
    let missing = port.posts_beyond(beyond(&[held(1, &[(1, 1)])], 9)).await?;
    let expected = Beyond {
        posts: vec![post(1, 2, 6), post(1, 4, 8), post(2, 1, 9)],
        more: false,
    };
    ensure_eq!(missing, expected, "posts beyond");
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
    end(on, &port).await
}

pub async fn one_bad_write_fails_alone(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    // A number that not every store can hold.
    let (one, bad, two) = tokio::join!(
        port.save_post(SavePost(post(1, 1, 1))),
        port.save_post(SavePost(post(1, u64::MAX, 1))),
        port.save_post(SavePost(post(1, 2, 1))),
    );
    ensure!(one?.new && two?.new, "good posts are new");
    ensure!(
        matches!(&bad, Ok(_) | Err(CallError::Refused(StoreError::Failed(_)))),
        "a number that is too high brought {bad:?}"
    );
    let there = port.posts(all(TOPIC)).await?.len();
    ensure_eq!(there, 2 + usize::from(bad.is_ok()), "posts");
    end(on, &port).await
}

pub async fn what_was_acknowledged_survives_a_restart(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let seen = sight(1, 1, ago(0));
    remember(&port, TOPIC, std::slice::from_ref(&seen)).await?;
    let contacts = vec![([192, 0, 2, 1], 1).into()];
    let request = RememberContacts {
        contacts: contacts.clone(),
        seen_at: ago(0),
    };
    port.remember_contacts(request).await?;
    port.save_ban(SaveBan(ban(1, 2, 3))).await?;
    save(&port, &[post(1, 1, 1)]).await?;
    end(on, &port).await?;

    let port = on.begin(1).await.port;
    ensure_eq!(port.known_peers(known(TOPIC, 9)).await?, [seen], "peers");
    ensure_eq!(
        port.contacts(Contacts { limit: 9 }).await?,
        contacts,
        "contacts"
    );
    ensure_eq!(port.bans(Bans { limit: 9 }).await?, [ban(1, 2, 3)], "bans");
    save(&port, &[post(1, 2, 2)]).await?;
    let _panics = port.drill(Drill::Panic).await;
    end(on, &port).await?;

    let port = on.begin(1).await.port;
    let posts = [post(1, 1, 1), post(1, 2, 2)];
    ensure_eq!(texts(&port).await?, posts, "posts");
    ensure_eq!(port.last_seq(last(1)).await?, Some(2), "the last number");
    end(on, &port).await
}
