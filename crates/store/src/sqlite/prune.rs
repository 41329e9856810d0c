//! Retention: drops what is too old or too much, in small steps.

use std::collections::BTreeMap;

use kukuri_contract::{TopicId, UnixMillis};
use rusqlite::{OptionalExtension, params};

use super::{Database, DbError};
use crate::core::row;

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
                let next = match dropped < ROWS_PER_STEP {
                    true => Cursor::Posts(Some(topic)),
                    false => at,
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
        let mut count = self
            .connection
            .prepare_cached("SELECT count(*) FROM posts WHERE topic = ?1")?;
        let there: i64 = count.query_row([topic.as_bytes()], |row| row.get(0))?;
        let kept = row::to_column(self.config.max_posts_per_topic as u64)?;
        let mut too_many = there.saturating_sub(kept);
        let oldest = row::to_column(self.config.oldest_post(now).0)?;

        let mut select = self.connection.prepare_cached(
            "SELECT rowid, author, seq, received_at FROM posts
             WHERE topic = ?1 ORDER BY received_at, rowid LIMIT ?2",
        )?;
        let mut rows = select.query(params![topic.as_bytes(), ROWS_PER_STEP as i64])?;
        let (mut dropped, mut floors) = (Vec::new(), BTreeMap::<[u8; 32], i64>::new());
        while let Some(row) = rows.next()? {
            let received_at: i64 = row.get(3)?;
            if received_at >= oldest && too_many <= 0 {
                break;
            }
            too_many -= 1;
            dropped.push(row.get::<_, i64>(0)?);
            let (author, seq) = (row.get(1)?, row.get(2)?);
            let floor = floors.entry(author).or_insert(seq);
            *floor = seq.max(*floor);
        }
        self.raise_floors(topic, &floors)?;
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM posts WHERE rowid = ?1")?;
        for rowid in &dropped {
            delete.execute([rowid])?;
        }
        Ok(dropped.len())
    }

    fn raise_floors(
        &self,
        topic: TopicId,
        floors: &BTreeMap<[u8; 32], i64>,
    ) -> Result<(), DbError> {
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
        let oldest = row::to_column(self.config.oldest_peer(now).0)?;
        Ok(delete.execute(params![oldest, ROWS_PER_STEP as i64])?)
    }
}
