//! Clauses of posts: saving and reading.

use std::net::SocketAddr;

use bytes::Bytes;
use kukuri_contract::{
    Ban, Bans, Beyond, CallError, Contacts, KnownPeer, LastSeq, Post, Posts, RevocationsDue,
    StoreError, UnixMillis,
};

use super::*;
use crate::every::end;
use crate::kit::{Held, Stage, ensure, ensure_eq};

pub async fn a_post_is_saved_once(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[post(1, 1, 50)]).await?;
    let forged = Post {
        body: "another".to_owned().into(),
        ..post(1, 1, 60)
    };
    for again in [post(1, 1, 50), forged] {
        ensure_eq!(try_save(&port, again).await?, KNOWN, "a post saved twice");
    }
    ensure_eq!(port.posts(all(TOPIC)).await?, [post(1, 1, 50)], "posts");
    end(on, &port).await
}

pub async fn a_number_saved_at_once_is_new_once(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    for seq in 1..=4 {
        let mut new = 0;
        for saved in save_at_once(&port, vec![post(1, seq, seq); AT_ONCE]).await {
            new += usize::from(saved?.new);
        }
        ensure_eq!(new, 1, "posts of one number that are new");
    }
    ensure_eq!(port.posts(all(TOPIC)).await?.len(), 4, "posts");
    end(on, &port).await
}

pub async fn posts_are_told_oldest_first(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let [early, middle, late] = [post(2, 1, 40), post(1, 1, 50), post(1, 2, 60)];
    save(&port, &[middle.clone(), late.clone(), early.clone()]).await?;
    let told = port.posts(all(TOPIC)).await?;
    ensure_eq!(told, [early, middle.clone(), late.clone()], "posts");
    let limited = async |since, limit| {
        let topic = TOPIC;
        let since = UnixMillis(since);
        let request = Posts {
            topic,
            since,
            limit,
        };
        port.posts(request).await
    };
    let newest = limited(0, 2).await?;
    ensure_eq!(newest, [middle, late.clone()], "the newest two");
    ensure_eq!(limited(60, 2).await?, [late], "posts since");
    ensure_eq!(limited(61, 2).await?, [], "posts since the last one");
    ensure_eq!(limited(0, 0).await?, [], "no posts");
    ensure_eq!(limited(0, usize::MAX).await?, told, "any number of posts");
    save(&port, &[post(3, 1, 50), post(4, 1, 50)]).await?;
    let one_time = limited(0, 9).await?;
    ensure_eq!(limited(0, 9).await?, one_time, "posts of one time, again");
    end(on, &port).await
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

pub async fn topics_are_kept_apart(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let elsewhere = Post {
        topic: OTHER,
        ..post(2, 5, 7)
    };
    save(&port, &[post(1, 1, 6), elsewhere.clone()]).await?;
    let (here, there) = (sight(1, 1, ago(0)), sight(2, 2, ago(0)));
    remember(&port, TOPIC, std::slice::from_ref(&here)).await?;
    remember(&port, OTHER, std::slice::from_ref(&there)).await?;
    ensure_eq!(port.posts(all(TOPIC)).await?, [post(1, 1, 6)], "posts");
    ensure_eq!(
        port.posts(all(OTHER)).await?,
        [elsewhere],
        "posts of the other topic"
    );
    ensure_eq!(port.known_peers(known(TOPIC, 9)).await?, [here], "peers");
    ensure_eq!(
        port.known_peers(known(OTHER, 9)).await?,
        [there],
        "peers of the other topic"
    );
    end(on, &port).await
}

pub async fn the_last_number_is_the_writers_highest(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[post(1, 7, 1), post(1, 3, 2), post(2, 9, 3)]).await?;
    ensure_eq!(port.last_seq(last(1)).await?, Some(7), "the last number");
    ensure_eq!(port.last_seq(last(2)).await?, Some(9), "the other one's");
    ensure_eq!(port.last_seq(last(3)).await?, None, "that of nobody");
    let elsewhere = LastSeq {
        topic: OTHER,
        ..last(1)
    };
    ensure_eq!(
        port.last_seq(elsewhere).await?,
        None,
        "that in another topic"
    );
    save(&port, &[revoking(1, 8, 2, &[])]).await?;
    ensure_eq!(port.last_seq(last(1)).await?, Some(8), "a revocation's");
    let _judged_elsewhere = try_save(&port, linked(1, 2, 12)).await?;
    ensure_eq!(port.last_seq(last(2)).await?, Some(12), "a revoked post's");
    end(on, &port).await
}

pub async fn one_bad_write_fails_alone(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let numbers = [1, 0, 1 << 63, 2, u64::MAX, 3];
    let posts = numbers.map(|seq| post(1, seq, 1)).to_vec();
    let saved = save_at_once(&port, posts).await;
    for (seq, saved) in numbers.into_iter().zip(saved) {
        match seq {
            1..4 => ensure_eq!(saved?, NEW, "a good post"),
            _ => ensure!(
                matches!(saved, Err(CallError::Refused(StoreError::Failed(_)))),
                "a post with the number {seq} brought {saved:?}"
            ),
        }
    }
    let there = texts(&port).await?;
    let good = [1, 2, 3].map(|seq| post(1, seq, 1));
    ensure_eq!(there, good, "posts");
    ensure_eq!(
        port.holdings(holdings(TOPIC, 0, 9)).await?,
        [held(1, &[(1, 3)])],
        "holdings"
    );
    end(on, &port).await
}

/// Posts with all that a field can have.
fn odd_posts() -> Vec<Post> {
    // No text of any encoding, with every byte.
    let bytes = |len| Bytes::from_iter((0..=255_u8).rev().cycle().take(len));
    let long = Post {
        body: bytes(3072),
        envelope: bytes(3291),
        ..linked(1, 2, (1 << 40) + 7)
    };
    let empty = Post {
        time: UnixMillis(i64::MAX as u64),
        body: Bytes::new(),
        ..post(2, i64::MAX as u64, 0)
    };
    let kept = [(1, 2), ((1 << 40) + 1, i64::MAX as u64)];
    let lines = Post {
        time: ago(0),
        body: "\r\n\0\u{feff}\"".to_owned().into(),
        ..post(3, 1, 0)
    };
    vec![revoking(1, 1 << 33, 2, &kept), long, empty, lines]
}

/// Saves something of everything. Peers are new enough for any retention.
pub async fn save_odd_things(port: &StorePort) -> Result<Seen, Broken> {
    let posts = odd_posts();
    save(port, &posts).await?;
    let peers = by_id(odd_peers());
    remember(port, TOPIC, &peers).await?;
    let contacts = odd_contacts(port).await?;
    let bans = odd_bans(port).await?;
    Ok(Seen {
        texts: posts[1..].to_vec(),
        posts,
        peers,
        contacts,
        bans,
        held: vec![
            held(1, &[(1 << 33, 1 << 33)]),
            held(
                2,
                &[
                    ((1 << 40) + 7, (1 << 40) + 7),
                    (i64::MAX as u64, i64::MAX as u64),
                ],
            ),
            held(3, &[(1, 1)]),
        ],
        last: vec![Some(1 << 33), Some(i64::MAX as u64), Some(1), None],
    })
}

/// Something of everything.
#[derive(Debug, PartialEq)]
pub struct Seen {
    texts: Vec<Post>,
    posts: Vec<Post>,
    peers: Vec<KnownPeer>,
    contacts: Vec<SocketAddr>,
    bans: Vec<Ban>,
    held: Vec<Holding>,
    last: Vec<Option<u64>>,
}

/// Peers whose order is for another clause.
fn by_id(mut peers: Vec<KnownPeer>) -> Vec<KnownPeer> {
    peers.sort_by_key(|known| known.peer.id);
    peers
}

/// All that the store tells.
pub async fn see(port: &StorePort) -> Result<Seen, Broken> {
    let mut lasts = Vec::new();
    for n in 1..=4 {
        lasts.push(port.last_seq(last(n)).await?);
    }
    Ok(Seen {
        texts: texts(port).await?,
        posts: port.posts_beyond(beyond(&[], 99)).await?.posts,
        peers: by_id(port.known_peers(known(TOPIC, 99)).await?),
        contacts: port.contacts(Contacts { limit: 99 }).await?,
        bans: port.bans(Bans { limit: 99 }).await?,
        held: port.holdings(holdings(TOPIC, 0, 99)).await?,
        last: lasts,
    })
}

pub async fn what_is_saved_is_told_as_it_was(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let saved = save_odd_things(&port).await?;
    let seen = see(&port).await?;
    for (told, saved) in seen.posts.iter().zip(&saved.posts) {
        let fields = |post: &Post| {
            let Post {
                topic: _,
                author,
                writer,
                seq,
                time,
                revokes,
                body,
                envelope,
            } = post.clone();
            (author, writer, seq, time, revokes, body, envelope)
        };
        ensure_eq!(fields(told), fields(saved), "a post");
    }
    ensure_eq!(seen, saved, "all that is there");
    end(on, &port).await
}
