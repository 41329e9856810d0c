//! The clauses of the store.

mod posts;
mod revocations;

use std::path::PathBuf;

use kukuri_contract::{
    AuthorId, Ban, Bans, Contacts, EndpointAddr, EndpointId, KnownPeer, KnownPeers, Offense,
    Outlet, Post, Posts, Remember, RememberContacts, SaveBan, SavePost, Source, StoreDeps,
    StoreEvent, StorePort, StoreRunning, TopicId, UnixMillis, WallClock,
};

use crate::events::FastAndSlow;
use crate::every::end;
use crate::kit::{
    Broken, Clause, Held, Service, Stage, clauses, ensure, ensure_eq, service_port, until,
};
use posts::*;
use revocations::*;

/// The store service.
#[derive(Debug)]
pub struct Store;

service_port!(StorePort, bans, Bans { limit: 1 });

impl Service for Store {
    type Port = StorePort;
    type Deps = StoreDeps;
    type Running = StoreRunning;
    const CLAUSES: &'static [Clause<Self>] = &clauses![
        a_post_is_saved_once:
            "Saving a post again changes nothing, and neither does another of the same number.",
        posts_are_told_oldest_first:
            "Posts come oldest first: the newest so many, written at a time or later.",
        an_unknown_topic_is_empty:
            "Of a topic that nothing was saved in there is nothing, which is no error.",
        topics_are_kept_apart:
            "What was saved in a topic is told in that one alone.",
        the_last_number_is_the_writers_highest:
            "The last number is the highest of that writer in that topic, in whatever order they came.",
        holdings_are_ranges_with_gaps:
            "Holdings tell each writer's numbers as ranges with the gaps between, in the order of ids.",
        posts_beyond_are_those_that_are_missing:
            "Somebody gets the posts that it does not have, in the order of writer and number.",
        what_does_not_fit_is_more:
            "No more posts are given than asked for; that there are more is said.",
        one_bad_write_fails_alone:
            "A write that can't be done fails with a type, and those beside it do not.",
        a_revoked_writer_is_not_believed:
            "A post of a revoked writer is not saved and its number settled; those that were kept stay \
             good; a revocation is no text, and is handed on.",
        revocations_are_due_until_said:
            "A revocation is due with the writer's settled numbers, until it was said in the topic.",
        an_older_sight_never_wins:
            "Of a peer, the addresses seen last are told, whenever they were saved.",
        the_peers_seen_last_come_first:
            "Known peers come last seen first, and no more than asked for.",
        contacts_seen_last_come_first:
            "DHT contacts come last seen first, no more than asked for; new ones keep old ones.",
        a_ban_replaces_the_one_before:
            "One ban is kept per peer, the one saved last; those that end last come first.",
        what_was_acknowledged_survives_a_restart [Durable]:
            "What was acknowledged is there again after a shutdown, and after a panic.",
        writes_are_told_and_slow_listeners_what_they_missed:
            "Each write is told as committed; a listener that is too slow is told how many events it \
             missed.",
    ];

    fn deps(_: u64, data_dir: PathBuf) -> StoreDeps {
        StoreDeps {
            data_dir,
            clock: WallClock::system(),
            events: Outlet::new([]),
        }
    }

    fn port(running: &StoreRunning) -> &StorePort {
        &running.port
    }
}

const TOPIC: TopicId = TopicId::from_bytes([0x70; 32]);
const OTHER: TopicId = TopicId::from_bytes([0x71; 32]);

fn writer(n: u8) -> AuthorId {
    AuthorId::from_bytes([n; 32])
}

/// A time that is so many milliseconds ago by now: no retention drops what is that new.
fn ago(ms: u64) -> UnixMillis {
    UnixMillis(WallClock::system().now().0 - ms)
}

/// Post number `seq` of writer number `n` in its own name, written at `time`.
fn post(n: u8, seq: u64, time: u64) -> Post {
    Post {
        topic: TOPIC,
        author: writer(n),
        writer: writer(n),
        seq,
        time: UnixMillis(time),
        body: format!("post {seq} of {n}").into(),
        revokes: None,
        envelope: format!("signed post {seq} of {n}").into(),
    }
}

async fn save(port: &StorePort, posts: &[Post]) -> Held {
    for post in posts {
        let saved = port.save_post(SavePost(post.clone())).await?;
        ensure!(saved.new && !saved.revoked, "{post:?} is not new");
    }
    Ok(())
}

fn all(topic: TopicId) -> Posts {
    Posts {
        topic,
        since: UnixMillis(0),
        limit: 1000,
    }
}

/// The posts of the topic by writer and number: their order is for another clause.
async fn texts(port: &StorePort) -> Result<Vec<Post>, Broken> {
    let mut posts = port.posts(all(TOPIC)).await?;
    posts.sort_by_key(|post| (post.writer, post.seq));
    Ok(posts)
}

fn peer(n: u8, port: u16) -> EndpointAddr {
    EndpointAddr {
        id: EndpointId::from_bytes([n; 32]),
        direct: vec![([192, 0, 2, n], port).into()],
        relay: Some("https://relay.example/".into()),
    }
}

async fn remember(port: &StorePort, topic: TopicId, peers: &[KnownPeer]) -> Held {
    for known in peers {
        let KnownPeer {
            peer,
            source,
            seen_at,
        } = known.clone();
        let request = Remember {
            topic,
            peer,
            source,
            seen_at,
        };
        port.remember(request).await?;
    }
    Ok(())
}

fn known(topic: TopicId, limit: usize) -> KnownPeers {
    KnownPeers { topic, limit }
}

fn sight(n: u8, port: u16, seen_at: UnixMillis) -> KnownPeer {
    KnownPeer {
        peer: peer(n, port),
        source: Source::Board,
        seen_at,
    }
}

async fn topics_are_kept_apart(on: &Stage<'_, Store>) -> Held {
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

async fn an_older_sight_never_wins(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let (old, new) = (sight(1, 1, ago(9000)), sight(1, 2, ago(1000)));
    remember(&port, TOPIC, &[new.clone(), old]).await?;
    ensure_eq!(port.known_peers(known(TOPIC, 9)).await?, [new], "peers");
    let newest = sight(1, 3, ago(0));
    remember(&port, TOPIC, std::slice::from_ref(&newest)).await?;
    ensure_eq!(
        port.known_peers(known(TOPIC, 9)).await?,
        [newest],
        "peers seen anew"
    );
    end(on, &port).await
}

async fn the_peers_seen_last_come_first(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let [one, two, three] = [(1, 300), (2, 100), (3, 200)].map(|(n, ms)| sight(n, 1, ago(ms)));
    remember(&port, TOPIC, &[one.clone(), two.clone(), three.clone()]).await?;
    let peers = port.known_peers(known(TOPIC, 9)).await?;
    ensure_eq!(peers, [two.clone(), three.clone(), one], "peers");
    ensure_eq!(
        port.known_peers(known(TOPIC, 2)).await?,
        [two, three],
        "two peers"
    );
    end(on, &port).await
}

async fn contacts_seen_last_come_first(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    let contact = |n: u8| ([192, 0, 2, n], 6881).into();
    for (seen, contacts) in [(300, vec![1, 2]), (100, vec![3]), (200, vec![4, 3])] {
        let request = RememberContacts {
            contacts: contacts.into_iter().map(contact).collect(),
            seen_at: ago(seen),
        };
        port.remember_contacts(request).await?;
    }
    let contacts = port.contacts(Contacts { limit: 9 }).await?;
    ensure_eq!(
        contacts[..2.min(contacts.len())],
        [contact(3), contact(4)],
        "contacts"
    );
    let kept = [1, 2, 3, 4]
        .map(contact)
        .iter()
        .all(|c| contacts.contains(c));
    ensure!(kept && contacts.len() == 4, "contacts are {contacts:?}");
    let two = port.contacts(Contacts { limit: 2 }).await?;
    ensure_eq!(two, contacts[..2], "two contacts");
    end(on, &port).await
}

fn ban(n: u8, until: u64, times: u32) -> Ban {
    Ban {
        peer: EndpointId::from_bytes([n; 32]),
        until: UnixMillis(until),
        times,
        reason: Offense::Flood,
    }
}

async fn a_ban_replaces_the_one_before(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    // The one that ends sooner, too: the one saved last counts.
    for ban in [
        ban(1, 900, 1),
        ban(2, 500, 1),
        ban(1, 300, 2),
        ban(3, 400, 1),
    ] {
        port.save_ban(SaveBan(ban)).await?;
    }
    let bans = port.bans(Bans { limit: 9 }).await?;
    ensure_eq!(
        bans,
        [ban(2, 500, 1), ban(3, 400, 1), ban(1, 300, 2)],
        "bans"
    );
    let one = port.bans(Bans { limit: 1 }).await?;
    ensure_eq!(one, [ban(2, 500, 1)], "one ban");
    end(on, &port).await
}

async fn writes_are_told_and_slow_listeners_what_they_missed(on: &Stage<'_, Store>) -> Held {
    const WRITES: u64 = 64;
    let (mut both, listeners) = FastAndSlow::new();
    let deps = StoreDeps {
        events: Outlet::new(listeners),
        ..Store::deps(1, on.dir(1))
    };
    let port = on.start(1, deps).await.port;
    for seq in 1..=WRITES {
        save(&port, &[post(1, seq, seq)]).await?;
    }
    let (mut told, mut events) = (0, 0);
    let all_told = async || {
        for event in both.drain() {
            events += 1;
            if let StoreEvent::Committed { requests, .. } = event {
                told += requests;
            }
        }
        Ok((told as u64 >= WRITES).then_some(()))
    };
    until(
        on.patience(),
        "each write to be told as committed",
        all_told,
    )
    .await?;
    let missed = |event: &StoreEvent| match event {
        StoreEvent::Lagged(missed) => Some(*missed),
        _ => None,
    };
    let mut seq = WRITES;
    let one_more = async || {
        seq += 1;
        save(&port, &[post(1, seq, seq)]).await
    };
    both.account(on.patience(), events, missed, one_more)
        .await?;
    end(on, &port).await
}
