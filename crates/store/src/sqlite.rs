//! The database: the only file that names `rusqlite`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    AuthorId, EndpointAddr, EndpointId, KnownPeer, KnownPeers, LastSeq, Post, Posts, Remember,
    SavePost, Saved, StoreError, TopicId, UnixMillis,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::config::Config;
use crate::core::row::{self, RowError};
use crate::error::OpenError;

/// Marks the file as kukuri's: "kuku" in ASCII.
const APPLICATION_ID: i64 = 0x6b75_6b75;
/// Wait for another process that has the file locked, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The schema, step by step: `user_version` counts the steps that a file has. A step that was
/// released is never changed; the next change is a step of its own.
const MIGRATIONS: &[&str] = &["
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
"];

/// An open database.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    config: Config,
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A value can't be written, or a row not read.
    #[error("a row can't be used: {0}")]
    Row(#[from] RowError),
}

impl Database {
    /// Opens the database, makes it on first use, and brings it to the newest schema.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(file: &Path, config: Config) -> Result<Self, OpenError> {
        let opened = Connection::open(file).map_err(DbError::from);
        let mut connection = opened.map_err(|error| failed(file, error))?;
        set_up(&connection).map_err(|error| failed(file, error))?;
        check_owner(&connection, file)?;
        migrate(&mut connection, file)?;
        Ok(Self { connection, config })
    }

    /// Runs writes in one transaction: all of them are on disk when this returns, or none.
    pub fn transaction<T>(
        &mut self,
        writes: impl FnOnce(&Self) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let end = |end: &str| self.connection.execute_batch(end);
        match writes(self) {
            Ok(written) => match end("COMMIT") {
                Ok(()) => Ok(written),
                Err(error) => {
                    // SQLite may have rolled back by itself, on a full disk for example.
                    let _rolled_back = end("ROLLBACK");
                    Err(error.into())
                }
            },
            Err(error) => {
                let _rolled_back = end("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Remembers a peer. What was seen later wins.
    pub fn remember(&self, request: &Remember) -> Result<(), DbError> {
        let Remember {
            topic,
            peer,
            source,
            seen_at,
        } = request;
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO peers (topic, endpoint, addresses, relay, source, seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (topic, endpoint) DO UPDATE SET
                 addresses = excluded.addresses, relay = excluded.relay,
                 source = excluded.source, seen_at = excluded.seen_at
             WHERE excluded.seen_at >= seen_at",
        )?;
        upsert.execute(params![
            topic.as_bytes(),
            peer.id.as_bytes(),
            row::join_addresses(&peer.direct),
            peer.relay,
            source.as_str(),
            row::to_column(seen_at.0)?,
        ])?;
        let mut forget = self.connection.prepare_cached(
            "DELETE FROM peers WHERE topic = ?1 AND endpoint IN (
                 SELECT endpoint FROM peers WHERE topic = ?1
                 ORDER BY seen_at DESC LIMIT -1 OFFSET ?2)",
        )?;
        let kept = self.config.max_peers_per_topic as u64;
        forget.execute(params![topic.as_bytes(), row::to_column(kept)?])?;
        Ok(())
    }

    /// The peers of a topic, last seen first.
    pub fn known_peers(&self, request: &KnownPeers) -> Result<Vec<KnownPeer>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT endpoint, addresses, relay, source, seen_at FROM peers
             WHERE topic = ?1 ORDER BY seen_at DESC LIMIT ?2",
        )?;
        let limit = request.limit.min(self.config.max_peers_per_topic) as u64;
        let mut rows = select.query(params![request.topic.as_bytes(), row::to_column(limit)?])?;
        let mut peers = Vec::new();
        while let Some(row) = rows.next()? {
            peers.push(read_peer(row)?);
        }
        Ok(peers)
    }

    /// Saves a post. One of the same topic, author and number stays as it is.
    pub fn save_post(&self, SavePost(post): &SavePost) -> Result<Saved, DbError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO posts (topic, author, seq, time, body, envelope)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?;
        let inserted = insert.execute(params![
            post.topic.as_bytes(),
            post.author.as_bytes(),
            row::to_column(post.seq)?,
            row::to_column(post.time.0)?,
            &post.body[..],
            &post.envelope[..],
        ])?;
        Ok(Saved { new: inserted > 0 })
    }

    /// The newest posts of a topic, oldest first.
    pub fn posts(&self, request: &Posts) -> Result<Vec<Post>, DbError> {
        let Posts {
            topic,
            since,
            limit,
        } = *request;
        let mut select = self.connection.prepare_cached(
            "SELECT author, seq, time, body, envelope FROM posts
             WHERE topic = ?1 AND time >= ?2 ORDER BY time DESC, author, seq DESC LIMIT ?3",
        )?;
        let limit = limit.min(self.config.max_posts_per_query) as u64;
        let since = row::to_column(since.0)?;
        let mut rows = select.query(params![topic.as_bytes(), since, row::to_column(limit)?])?;
        let mut posts = Vec::new();
        while let Some(row) = rows.next()? {
            posts.push(read_post(topic, row)?);
        }
        posts.reverse();
        Ok(posts)
    }

    /// The highest number of an author's posts in a topic.
    pub fn last_seq(&self, request: &LastSeq) -> Result<Option<u64>, DbError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT max(seq) FROM posts WHERE topic = ?1 AND author = ?2")?;
        let ids = params![request.topic.as_bytes(), request.author.as_bytes()];
        let seq: Option<Option<i64>> = select.query_row(ids, |row| row.get(0)).optional()?;
        Ok(seq.flatten().map(row::from_column).transpose()?)
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        let text = error.to_string();
        let code = match &error {
            DbError::Sqlite(error) => error.sqlite_error_code(),
            DbError::Row(_) => None,
        };
        match code {
            Some(ErrorCode::DiskFull) => Self::DiskFull(text),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly(text)
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            _ => Self::Failed(text),
        }
    }
}

fn set_up(connection: &Connection) -> Result<(), DbError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(16);
    // A reader never waits for the writer. FULL: an acknowledged post survives a power failure,
    // not only a crash of the process (SQLite, "Write-Ahead Logging", section 3).
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(())
}

fn check_owner(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let owner = || -> Result<bool, DbError> {
        let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        Ok(id == APPLICATION_ID || (id == 0 && tables == 0))
    };
    match owner().map_err(|error| failed(file, error))? {
        true => Ok(()),
        false => Err(OpenError::Foreign {
            file: file.to_owned(),
        }),
    }
}

fn migrate(connection: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let version = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map_err(|error| failed(file, error.into()))?;
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(OpenError::Newer {
            file: file.to_owned(),
            found: version,
            known,
        });
    }
    let step = |step: i64, sql: &str, connection: &mut Connection| -> Result<(), DbError> {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", step)?;
        Ok(transaction.commit()?)
    };
    for (number, sql) in (1..).zip(MIGRATIONS).skip(version.max(0) as usize) {
        step(number, sql, connection).map_err(|error| failed(file, error))?;
    }
    Ok(())
}

fn failed(file: &Path, error: DbError) -> OpenError {
    OpenError::Open {
        file: PathBuf::from(file),
        source: error.into(),
    }
}

fn read_peer(row: &Row<'_>) -> Result<KnownPeer, DbError> {
    let endpoint: Vec<u8> = row.get(0)?;
    let addresses: String = row.get(1)?;
    let source: String = row.get(3)?;
    Ok(KnownPeer {
        peer: EndpointAddr {
            id: EndpointId::from_bytes(row::id(&endpoint)?),
            direct: row::split_addresses(&addresses)?,
            relay: row.get(2)?,
        },
        source: row::source(&source)?,
        seen_at: UnixMillis(row::from_column(row.get(4)?)?),
    })
}

fn read_post(topic: TopicId, row: &Row<'_>) -> Result<Post, DbError> {
    let author: Vec<u8> = row.get(0)?;
    let (body, envelope): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    Ok(Post {
        topic,
        author: AuthorId::from_bytes(row::id(&author)?),
        seq: row::from_column(row.get(1)?)?,
        time: UnixMillis(row::from_column(row.get(2)?)?),
        body: Bytes::from(body),
        envelope: Bytes::from(envelope),
    })
}
