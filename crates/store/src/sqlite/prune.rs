//! Retention: drops what is too old or too much, in small steps.

use std::collections::BTreeMap;

use kukuri_contract::{TopicId, UnixMillis};
use rusqlite::{OptionalExtension, Row, params};

use super::{Database, DbError};
use crate::core::row;
use crate::core::shares::{self, Author};

/// Most rows that one step drops. 256, as many as one transaction writes at most: who waits for a
/// step waits no longer than for a full group commit.
const ROWS_PER_STEP: usize = 256;

/// How far a run of the retention has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// At the topics after this one; `None`: at the first.
    Posts(Option<TopicId>),
    /// At the peers.
    Peers,
    /// At the end.
    Done,
}

/// A post to be dropped.
struct Dropped {
    row: i64,
    author: Author,
    seq: i64,
}

impl Dropped {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(0)?,
            author: row.get(1)?,
            seq: row.get(2)?,
        })
    }
}

impl Database {
    /// One step: looks at one topic, or at the peers, and drops a bounded number of rows. Tells
    /// where to go on, and how many posts and peers were dropped.
    pub fn prune(&self, at: Cursor, now: UnixMillis) -> Result<(Cursor, u64, u64), DbError> {
        match at {
            Cursor::Posts(after) => {
                let Some(topic) = self.topic_after(after)? else {
                    return Ok((Cursor::Peers, 0, 0));
                };
                let dropped = self.prune_posts(topic, now)?;
                let next = match dropped {
                    0 => Cursor::Posts(Some(topic)),
                    _ => at,
                };
                Ok((next, dropped as u64, 0))
            }
            Cursor::Peers => {
                let dropped = self.prune_peers(now)?;
                let next = match dropped < ROWS_PER_STEP {
                    true => Cursor::Done,
                    false => at,
                };
                Ok((next, 0, dropped as u64))
            }
            Cursor::Done => Ok((at, 0, 0)),
        }
    }

    fn topic_after(&self, after: Option<TopicId>) -> Result<Option<TopicId>, DbError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT topic FROM posts WHERE topic > ?1 ORDER BY topic LIMIT 1")?;
        // Every id comes after an empty one.
        let after = after.as_ref().map_or(&[][..], |topic| topic.as_bytes());
        let topic: Option<[u8; 32]> = select.query_row([after], |row| row.get(0)).optional()?;
        Ok(topic.map(TopicId::from_bytes))
    }

    fn prune_posts(&self, topic: TopicId, now: UnixMillis) -> Result<usize, DbError> {
        let mut drop = self.old_posts(topic, now)?;
        let room = ROWS_PER_STEP.saturating_sub(drop.len());
        let kept = self.limits.max_posts_per_topic as u64;
        let there = self.posts_of(topic)?.saturating_sub(drop.len() as u64);
        let over = there.saturating_sub(kept).min(room as u64);
        // Not in the step that drops old ones: they count for their authors still.
        if over > 0 && drop.is_empty() {
            drop = self.posts_of_those_with_most(topic, over)?;
        }
        let mut floors = BTreeMap::<Author, i64>::new();
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM posts WHERE rowid = ?1")?;
        for Dropped { row, author, seq } in &drop {
            let floor = floors.entry(*author).or_insert(*seq);
            *floor = (*seq).max(*floor);
            delete.execute([row])?;
        }
        self.raise_floors(topic, &floors)?;
        Ok(drop.len())
    }

    fn posts_of(&self, topic: TopicId) -> Result<u64, DbError> {
        let mut count = self
            .connection
            .prepare_cached("SELECT count(*) FROM posts WHERE topic = ?1")?;
        let posts: i64 = count.query_row([topic.as_bytes()], |row| row.get(0))?;
        Ok(row::from_column(posts)?)
    }

    /// Posts that came too long ago.
    fn old_posts(&self, topic: TopicId, now: UnixMillis) -> Result<Vec<Dropped>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT rowid, author, seq FROM posts
             WHERE topic = ?1 AND received_at < ?2 ORDER BY received_at, rowid LIMIT ?3",
        )?;
        let oldest = row::to_column(self.limits.oldest_post(now).0)?;
        let ask = params![topic.as_bytes(), oldest, ROWS_PER_STEP as i64];
        let read = |row: &Row<'_>| Dropped::read(row);
        let rows = select.query_map(ask, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// So many posts of the authors that have the most, of each the lowest numbers.
    fn posts_of_those_with_most(&self, topic: TopicId, over: u64) -> Result<Vec<Dropped>, DbError> {
        // No more authors can be touched than posts are dropped.
        let mut most = self.connection.prepare_cached(
            "SELECT author, count(*) AS posts FROM posts WHERE topic = ?1
             GROUP BY author ORDER BY posts DESC, author LIMIT ?2",
        )?;
        let mut rows = most.query(params![topic.as_bytes(), row::to_column(over)?])?;
        let mut counts = Vec::new();
        while let Some(row) = rows.next()? {
            counts.push((row.get(0)?, row::from_column(row.get(1)?)?));
        }
        let mut select = self.connection.prepare_cached(
            "SELECT rowid, author, seq FROM posts
             WHERE topic = ?1 AND author = ?2 ORDER BY seq LIMIT ?3",
        )?;
        let mut drop = Vec::new();
        for (author, posts) in shares::to_drop(counts, over) {
            let ask = params![topic.as_bytes(), author, row::to_column(posts)?];
            let read = |row: &Row<'_>| Dropped::read(row);
            let rows = select.query_map(ask, read)?;
            drop.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(drop)
    }

    fn raise_floors(&self, topic: TopicId, floors: &BTreeMap<Author, i64>) -> Result<(), DbError> {
        let mut raise = self.connection.prepare_cached(
            "INSERT INTO floors (topic, author, seq) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic, author) DO UPDATE SET seq = max(seq, excluded.seq)",
        )?;
        for (author, seq) in floors {
            raise.execute(params![topic.as_bytes(), author, seq])?;
        }
        Ok(())
    }

    fn prune_peers(&self, now: UnixMillis) -> Result<usize, DbError> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM peers WHERE (topic, endpoint) IN (
                 SELECT topic, endpoint FROM peers WHERE seen_at < ?1 LIMIT ?2)",
        )?;
        let oldest = row::to_column(self.limits.oldest_peer(now).0)?;
        Ok(delete.execute(params![oldest, ROWS_PER_STEP as i64])?)
    }
}
