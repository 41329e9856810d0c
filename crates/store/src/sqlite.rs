//! The database: this file and its folder are the only ones that name `rusqlite`.

mod bans;
mod peers;
mod posts;
mod prune;
mod repair;
mod revocations;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kukuri_contract::StoreError;
use rusqlite::{Connection, ErrorCode, ffi};

pub use self::prune::Cursor;
use crate::core::limits::Limits;
use crate::core::row::RowError;
use crate::error::OpenError;

/// Marks the file as kukuri's: "kuku" in ASCII.
const APPLICATION_ID: i64 = 0x6b75_6b75;
/// Wait for another process that has the file locked, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The schema, step by step: `user_version` counts the steps that a file has. A step that was
/// released is never changed; the next change is a step of its own.
///
/// Step 2: when a post came is not known of older posts, so it takes the author's time, but not one
/// ahead of the clock, which would keep the post for too long.
///
/// Step 3: `posts.author` is the writer's key, as it was before there were others to write for;
/// `person` is in whose name, if not its own.
const MIGRATIONS: &[&str] = &[
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
    "
    ALTER TABLE posts ADD COLUMN person BLOB;
    ALTER TABLE posts ADD COLUMN revokes BLOB;
    ALTER TABLE posts ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX posts_that_revoke ON posts (topic, author, received_at)
        WHERE revokes IS NOT NULL;
    CREATE TABLE revoked (
        topic      BLOB NOT NULL,
        author     BLOB NOT NULL,
        writer     BLOB NOT NULL,
        revocation BLOB NOT NULL,
        PRIMARY KEY (topic, author, writer)
    ) STRICT, WITHOUT ROWID;
",
];

/// An open database.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    limits: Limits,
    /// Which gaps the next answer to `Holdings` shows, see `core::ranges::bound`.
    turn: Cell<u64>,
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
    pub fn open(file: &Path, limits: Limits) -> Result<Self, OpenError> {
        make_private(file);
        let opened = Connection::open(file).map_err(DbError::from);
        let mut connection = opened.map_err(|error| failed(file, error))?;
        set_up(&connection).map_err(|error| failed(file, error))?;
        check_owner(&connection, file)?;
        check_writable(&connection, file)?;
        migrate(&mut connection, file)?;
        Ok(Self {
            connection,
            limits,
            turn: Cell::new(0),
        })
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
}

impl DbError {
    /// Another process has the file: what was asked for is not the reason.
    pub fn is_busy(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Row(_) => None,
        };
        matches!(
            code,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }
}

impl From<&DbError> for StoreError {
    fn from(error: &DbError) -> Self {
        let text = error.to_string();
        let error = match error {
            // 0, or too high for a column: what was to be written is wrong. Anything else was read.
            DbError::Row(RowError::Number(0..)) => return Self::Failed(text),
            DbError::Row(_) => return Self::Corrupt(text),
            DbError::Sqlite(error) => error,
        };
        if matches!(
            error,
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        ) {
            return Self::Corrupt(text);
        }
        let Some(&ffi::Error {
            code,
            extended_code,
        }) = error.sqlite_error()
        else {
            return Self::Failed(text);
        };
        match (code, extended_code) {
            // The file of the shared memory can't grow: what a full disk says at the opening.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => Self::DiskFull(text),
            (ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen, _) => {
                Self::ReadOnly(text)
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Self::Corrupt(text),
            (_, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_SHORT_READ) => Self::Corrupt(text),
            _ => Self::Failed(text),
        }
    }
}

/// Makes the file for its owner only, before SQLite makes it for everybody: posts of secret topics
/// are in the clear inside. SQLite gives its log the permissions of the file.
fn make_private(file: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // It is there already, or can't be made: SQLite will say what is wrong.
    let _made = options.open(file);
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

/// SQLite falls back to reading alone where it may not write: better known at the start than with
/// the first post.
fn check_writable(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let read_only = connection.is_readonly(rusqlite::MAIN_DB);
    match read_only.map_err(|error| failed(file, error.into()))? {
        false => Ok(()),
        true => Err(OpenError::Open {
            file: file.to_owned(),
            source: StoreError::ReadOnly("it opens for reading only".to_owned()),
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
        source: StoreError::from(&error),
    }
}
