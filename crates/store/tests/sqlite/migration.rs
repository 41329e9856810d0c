//! Files of older versions.

use kukuri_contract::{
    Ban, Bans, Contacts, EndpointId, KnownPeers, Offense, SaveBan, UnixMillis, WallClock,
};
use kukuri_store::Config;
use rusqlite::{Connection, params};

use crate::open::raw;
use crate::support::{TOPIC, all, holding, holdings, open, post, try_open};

/// The steps of the schema as they were released, literally: a released step never changes.
const STEPS: [&str; 3] = [
    "
    CREATE TABLE peers (
        topic     BLOB NOT NULL,
        endpoint  BLOB NOT NULL,
        addresses TEXT NOT NULL,
        relay     TEXT,
        source    TEXT NOT NULL,
        seen_at   INTEGER NOT NULL,
        PRIMARY KEY (topic, endpoint)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX peers_by_time ON peers (topic, seen_at);
    CREATE TABLE posts (
        topic    BLOB NOT NULL,
        author   BLOB NOT NULL,
        seq      INTEGER NOT NULL,
        time     INTEGER NOT NULL,
        body     BLOB NOT NULL,
        envelope BLOB NOT NULL,
        PRIMARY KEY (topic, author, seq)
    ) STRICT;
    CREATE INDEX posts_by_time ON posts (topic, time);
",
    "
    ALTER TABLE posts ADD COLUMN received_at INTEGER NOT NULL DEFAULT 0;
    UPDATE posts SET received_at = min(time, unixepoch() * 1000);
    CREATE INDEX posts_by_receipt ON posts (topic, received_at);
    CREATE INDEX peers_by_age ON peers (seen_at);
    CREATE TABLE floors (
        topic  BLOB NOT NULL,
        author BLOB NOT NULL,
        seq    INTEGER NOT NULL,
        PRIMARY KEY (topic, author)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE contacts (
        address TEXT NOT NULL PRIMARY KEY,
        seen_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE bans (
        endpoint BLOB NOT NULL PRIMARY KEY,
        until    INTEGER NOT NULL,
        times    INTEGER NOT NULL,
        reason   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];
const NEWEST: i64 = 4;

fn older(dir: &std::path::Path, version: usize) -> Connection {
    let connection = raw(dir);
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    for step in &STEPS[..version] {
        connection.execute_batch(step).unwrap();
        connection
            .pragma_update(None, "application_id", 0x6b75_6b75)
            .unwrap();
    }
    connection
        .pragma_update(None, "user_version", version as i64)
        .unwrap();
    connection
}

fn version(dir: &std::path::Path) -> i64 {
    let read = |row: &rusqlite::Row<'_>| row.get(0);
    raw(dir)
        .pragma_query_value(None, "user_version", read)
        .unwrap()
}

#[actix::test]
async fn every_older_version_opens() {
    for from in 0..=STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        drop(older(dir.path(), from));
        for _ in ["changes it", "finds it changed"] {
            let (port, _log) = open(dir.path()).await;
            assert!(all(&port, TOPIC).await.is_empty(), "version {from}");
            port.stop().await.unwrap();
            assert_eq!(version(dir.path()), NEWEST, "version {from}");
        }
    }
}

#[actix::test]
async fn a_file_of_schema_1_keeps_its_posts_and_peers() {
    let dir = tempfile::tempdir().unwrap();
    let now = WallClock::system().now().0;
    let times = [now - 5000, now - 4000, now + 1_000_000_000];
    let connection = older(dir.path(), 1);
    for (seq, time) in (1..).zip(times) {
        let post = post(1, seq);
        let values = params![
            TOPIC.as_bytes(),
            post.author.as_bytes(),
            seq as i64,
            time as i64,
            &post.body[..],
            &post.envelope[..],
        ];
        connection
            .execute("INSERT INTO posts VALUES (?1, ?2, ?3, ?4, ?5, ?6)", values)
            .unwrap();
    }
    let peer = params![
        TOPIC.as_bytes(),
        [9u8; 32],
        "192.0.2.7:1 [2001:db8::7]:2",
        now as i64
    ];
    connection
        .execute(
            "INSERT INTO peers VALUES (?1, ?2, ?3, NULL, 'rendezvous', ?4)",
            peer,
        )
        .unwrap();
    drop(connection);

    let (port, _log) = try_open(dir.path(), Config::default(), WallClock::system())
        .await
        .unwrap();
    let posts = all(&port, TOPIC).await;
    let expected = (1..).zip(times).map(|(seq, time)| kukuri_contract::Post {
        time: UnixMillis(time),
        ..post(1, seq)
    });
    let expected: Vec<_> = expected.collect();
    assert_eq!(posts, expected);
    assert_eq!(
        all(&port, kukuri_contract::TopicId::from_bytes([0x71; 32])).await,
        []
    );
    assert_eq!(holdings(&port).await, [holding(1, &[(1, 3)])]);
    let known = KnownPeers {
        topic: TOPIC,
        limit: 9,
    };
    let peers = port.known_peers(known).await.unwrap();
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].peer.direct.len(), 2);
    assert_eq!(peers[0].seen_at, UnixMillis(now));
    port.stop().await.unwrap();

    assert_eq!(version(dir.path()), NEWEST);
    let connection = raw(dir.path());
    let mut select = connection
        .prepare("SELECT received_at FROM posts ORDER BY seq")
        .unwrap();
    let received = select.query_map((), |row| row.get::<_, i64>(0)).unwrap();
    let received: Vec<_> = received.map(|at| at.unwrap() as u64).collect();
    assert_eq!(received[..2], times[..2], "the author's time");
    let until = WallClock::system().now().0;
    assert!(received[2] <= until, "a time to come is not when it came");
}

#[actix::test]
async fn a_file_of_schema_2_keeps_its_posts_and_contacts_and_takes_bans() {
    let dir = tempfile::tempdir().unwrap();
    let connection = older(dir.path(), 2);
    let post = post(1, 7);
    let values = params![
        TOPIC.as_bytes(),
        post.author.as_bytes(),
        7,
        post.time.0 as i64,
        &post.body[..],
        &post.envelope[..],
        WallClock::system().now().0 as i64,
    ];
    connection
        .execute(
            "INSERT INTO posts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values,
        )
        .unwrap();
    connection
        .execute("INSERT INTO contacts VALUES ('192.0.2.1:1', 5)", ())
        .unwrap();
    drop(connection);

    let (port, _log) = try_open(dir.path(), Config::default(), WallClock::system())
        .await
        .unwrap();
    assert_eq!(all(&port, TOPIC).await, [post]);
    let contacts = port.contacts(Contacts { limit: 9 }).await.unwrap();
    assert_eq!(contacts, ["192.0.2.1:1".parse().unwrap()]);
    assert_eq!(port.bans(Bans { limit: 9 }).await.unwrap(), []);
    let ban = Ban {
        peer: EndpointId::from_bytes([9; 32]),
        until: UnixMillis(5),
        times: 1,
        reason: Offense::Flood,
    };
    port.save_ban(SaveBan(ban)).await.unwrap();
    assert_eq!(port.bans(Bans { limit: 9 }).await.unwrap(), [ban]);
    port.stop().await.unwrap();
    assert_eq!(version(dir.path()), NEWEST);
}
