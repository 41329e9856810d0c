//! The clauses of the store.

mod files;
mod lists;
mod posts;
mod repair;
mod restart;
mod retention;
mod revocations;
mod told;

use std::path::PathBuf;

use kukuri_contract::{
    AuthorId, Bans, CallError, EndpointAddr, EndpointId, Holding, Holdings, KnownPeer, KnownPeers,
    LastSeq, Outlet, Post, Posts, PostsBeyond, Remember, Revocation, SavePost, Saved, Source,
    StoreDeps, StoreError, StorePort, StoreRunning, TopicId, UnixMillis, WallClock,
};

use crate::kit::{Broken, Clause, Held, Service, clauses, ensure, service_port};
use files::*;
use lists::*;
use posts::*;
use repair::*;
use restart::*;
use retention::*;
use revocations::*;
use told::*;

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
        a_number_saved_at_once_is_new_once:
            "Of posts of one number that are saved at the same time one alone is new.",
        what_is_saved_is_told_as_it_was:
            "Any bytes, numbers, times, addresses, sources and offenses come back as they were given.",
        posts_are_told_oldest_first:
            "Posts come oldest first: the newest so many, written at a time or later.",
        an_unknown_topic_is_empty:
            "Of a topic that nothing was saved in there is nothing, which is no error.",
        topics_are_kept_apart:
            "What was saved in a topic is told in that one alone.",
        the_last_number_is_the_writers_highest:
            "The last number is the highest settled one of that writer in that topic, in whatever order \
             they came, those of revocations and of revoked posts included.",
        one_bad_write_fails_alone:
            "A number that no post has is refused as Failed, and the posts beside it are saved.",
        holdings_are_ranges_with_gaps:
            "Holdings tell each writer's numbers as ranges with the gaps between, in the order of ids.",
        too_many_ranges_are_joined_in_turn:
            "No more ranges of a writer are told than fit a question; no settled number is left out, and \
             each gap is open in some answer.",
        posts_beyond_are_those_that_are_missing:
            "Somebody gets the posts that it does not have, in the order of writer and number, however it \
             says what it has.",
        posts_beyond_are_of_the_writers_asked_for:
            "Posts beyond are of the writers from one to another, both included.",
        what_does_not_fit_is_more:
            "No more posts are given than asked for; that there are more is said.",
        the_first_post_always_fits:
            "The first post is given whatever its size, so that there is progress.",
        a_revoked_writer_is_not_believed:
            "A post of a revoked writer is not saved and its number settled; those that were kept stay \
             good; a revocation is no text, and is handed on.",
        a_revocation_hits_nothing_but_its_own_authors_name:
            "A revoked writer writes on in other names, in its own, and in other topics.",
        the_first_revocation_stays:
            "A later revocation of a writer by the same author changes nothing.",
        an_author_revokes_only_so_many:
            "Of one revocation more than an author may have in a topic, nothing is remembered.",
        revocations_are_due_until_said:
            "A revocation is due with the writer's settled numbers until it was said in the topic, and \
             again before that is dropped.",
        a_revocation_keeps_the_longest_ranges:
            "A revocation keeps no more ranges than may be, the longest ones.",
        posts_go_some_time_after_they_came:
            "Posts are dropped some time after they came, whatever their writers say, and peers some time \
             after they were seen. It is told. Numbers up to the dropped ones stay settled, and \
             revocations known.",
        what_is_too_old_goes_at_the_start [Durable]:
            "When a post came, and up to where numbers are settled, is known after a restart; what is too \
             old by then goes.",
        those_with_the_most_posts_lose_their_first_ones_where_a_topic_has_too_many:
            "A topic has a bound of posts, if the subject says which: beyond it, the writers with the most \
             lose their first ones, and nobody else anything.",
        an_older_sight_never_wins:
            "Of a peer, the addresses seen last are told, whenever they were saved.",
        the_peers_seen_last_come_first:
            "Known peers come last seen first, and no more than asked for.",
        contacts_seen_last_come_first:
            "DHT contacts come last seen first, no more than asked for; new ones keep old ones.",
        a_ban_replaces_the_one_before:
            "One ban is kept per peer, the one saved last; those that end last come first.",
        lists_are_bounded:
            "Peers of a topic, contacts and bans are bounded: those seen longest ago, and those that end \
             first, go.",
        what_was_acknowledged_survives_a_restart [Durable]:
            "What was acknowledged is there again after a shutdown, and after a panic, as it was.",
        what_was_asked_before_stop_is_done:
            "Writes that were asked for before Stop are carried out and answered.",
        a_fresh_store_works_beside_the_one_before [Durable]:
            "A store that is started again while the one before has not ended has all that either of \
             them acknowledges.",
        a_copy_of_the_files_has_what_was_acknowledged [OnDisk]:
            "What is in the files when a write is acknowledged has it, and only its owner may read them.",
        writes_are_told_and_slow_listeners_what_they_missed:
            "Each write is told as committed; a listener that is too slow is told how many events it \
             missed.",
        a_failed_write_is_told:
            "A write that fails is told with the reason that its caller gets.",
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

/// A post of writer number `n` in the name of author number `name`.
fn linked(name: u8, n: u8, seq: u64) -> Post {
    Post {
        author: writer(name),
        ..post(n, seq, 10 + seq)
    }
}

/// The post number `seq` of author number `n` that revokes a writer.
fn revoking(n: u8, seq: u64, revoked: u8, kept: &[(u64, u64)]) -> Post {
    Post {
        revokes: Some(Revocation {
            writer: writer(revoked),
            kept: kept.to_vec(),
        }),
        ..post(n, seq, 20)
    }
}

const NEW: Saved = Saved {
    new: true,
    revoked: false,
};
const REVOKED: Saved = Saved {
    new: false,
    revoked: true,
};
/// Its number was settled before.
const KNOWN: Saved = Saved {
    new: false,
    revoked: false,
};

/// Posts that are saved at the same time: fewer than any port lets be under way.
const AT_ONCE: usize = 16;

type SavedOrNot = Result<Saved, CallError<StoreError>>;

async fn save_at_once(port: &StorePort, posts: Vec<Post>) -> Vec<SavedOrNot> {
    let save = |post| {
        let port = port.clone();
        actix::spawn(async move { port.save_post(SavePost(post)).await })
    };
    let under_way: Vec<_> = posts.into_iter().map(save).collect();
    let mut saved = Vec::new();
    for one in under_way {
        saved.push(one.await.expect("saving a post does not panic"));
    }
    saved
}

/// Saves many posts; each must be new.
async fn save_many(port: &StorePort, posts: impl IntoIterator<Item = Post>) -> Held {
    let posts: Vec<_> = posts.into_iter().collect();
    for some in posts.chunks(AT_ONCE) {
        for saved in save_at_once(port, some.to_vec()).await {
            ensure!(saved? == NEW, "one of many posts is not new");
        }
    }
    Ok(())
}

/// Saves a post that is no new one: what comes of it is for other clauses.
async fn try_save(port: &StorePort, post: Post) -> Result<Saved, Broken> {
    Ok(port.save_post(SavePost(post)).await?)
}

async fn save(port: &StorePort, posts: &[Post]) -> Held {
    for post in posts {
        let saved = port.save_post(SavePost(post.clone())).await?;
        ensure!(saved == NEW, "{post:?} is not new: {saved:?}");
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

fn held(n: u8, ranges: &[(u64, u64)]) -> Holding {
    Holding {
        author: writer(n),
        ranges: ranges.to_vec(),
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
