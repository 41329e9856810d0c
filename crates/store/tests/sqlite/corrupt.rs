//! A damaged file.

use std::fs;

use kukuri_contract::{Bans, CallError, Posts, SavePost, StoreError, UnixMillis};

use crate::open::{file, raw};
use crate::support::{TOPIC, open, post, save};

/// Overwrites all pages of a table or an index but its root.
fn damage(dir: &std::path::Path, name: &str) {
    let connection = raw(dir);
    let read = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root = connection.query_row(root, [name], read).unwrap() as usize;
    let size = connection
        .pragma_query_value(None, "page_size", read)
        .unwrap() as usize;
    drop(connection);
    let mut bytes = fs::read(file(dir)).unwrap();
    let from = (root - 1) * size;
    // An inner page of a b-tree: its type and the number of its cells are at its start.
    assert!(matches!(bytes[from], 2 | 5), "the root has children");
    let cells = usize::from(u16::from_be_bytes([bytes[from + 3], bytes[from + 4]]));
    for cell in 0..cells {
        let at = from + 12 + 2 * cell;
        let at = from + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        let child = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        bytes[(child - 1) * size..child * size].fill(0xa5);
    }
    fs::write(file(dir), bytes).unwrap();
}

#[actix::test]
async fn a_damaged_page_is_told_by_whoever_hits_it() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    save(&port, (1..=2000).map(|seq| post(1, seq))).await;
    port.stop().await.unwrap();
    damage(dir.path(), "posts");
    damage(dir.path(), "sqlite_autoindex_posts_1");

    let (port, _log) = open(dir.path()).await;
    let posts = Posts {
        topic: TOPIC,
        since: UnixMillis(0),
        limit: 2000,
    };
    let read = port.posts(posts).await.unwrap_err();
    let CallError::Refused(error) = &read else {
        panic!("{read}");
    };
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(
        error.to_string().contains("backup"),
        "says what to do: {error}"
    );
    let write = port.save_post(SavePost(post(1, 3))).await.unwrap_err();
    let corrupt = matches!(write, CallError::Refused(StoreError::Corrupt(_)));
    assert!(corrupt, "{write}");
    // The thread lives on, for what is not damaged.
    let peers = kukuri_contract::KnownPeers {
        topic: TOPIC,
        limit: 1,
    };
    assert_eq!(port.known_peers(peers).await.unwrap(), []);
    port.stop().await.unwrap();
}

#[actix::test]
async fn a_row_that_makes_no_sense_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let insert = "INSERT INTO posts (topic, author, seq, time, body, envelope, received_at)
                  VALUES (?1, x'01', 1, 1, x'', x'', ?2)";
    let now = crate::support::NOW as i64;
    let connection = raw(dir.path());
    connection
        .execute(insert, rusqlite::params![TOPIC.as_bytes(), now])
        .unwrap();
    drop(connection);
    let (port, _log) = open(dir.path()).await;
    let holdings = kukuri_contract::Holdings {
        topic: TOPIC,
        from: crate::support::author(0),
        limit: 1,
    };
    let error = port.holdings(holdings).await.unwrap_err();
    let corrupt = matches!(error, CallError::Refused(StoreError::Corrupt(_)));
    assert!(corrupt, "{error}");
}

#[actix::test]
async fn a_ban_that_can_not_be_read_is_a_typed_error() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _log) = open(dir.path()).await;
    let insert = "INSERT INTO bans VALUES (x'07', 1, 1, 'flood')";
    raw(dir.path()).execute(insert, ()).unwrap();
    let error = port.bans(Bans { limit: 9 }).await.unwrap_err();
    let corrupt = StoreError::Corrupt("a row can't be used: an id has 1 bytes".into());
    assert_eq!(error, CallError::Refused(corrupt));
}
