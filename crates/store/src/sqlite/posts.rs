//! Posts: saved once, read newest first.

use bytes::Bytes;
use kukuri_contract::{AuthorId, LastSeq, Post, Posts, SavePost, Saved, TopicId, UnixMillis};
use rusqlite::{Row, params};

use super::{Database, DbError};
use crate::core::row;

impl Database {
    /// Saves a post. One of the same topic, author and number stays as it is, and one that the
    /// retention has dropped, or would have, does not come back.
    pub fn save_post(&self, SavePost(post): &SavePost, now: UnixMillis) -> Result<Saved, DbError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO posts (topic, author, seq, time, body, envelope, received_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (
                 SELECT 1 FROM floors WHERE topic = ?1 AND author = ?2 AND seq >= ?3)
             ON CONFLICT DO NOTHING",
        )?;
        let inserted = insert.execute(params![
            post.topic.as_bytes(),
            post.author.as_bytes(),
            row::to_column(post.seq)?,
            row::to_column(post.time.0)?,
            &post.body[..],
            &post.envelope[..],
            row::to_column(now.0)?,
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

    /// The highest number of an author's posts in a topic. A dropped post counts: its number is
    /// never used again.
    pub fn last_seq(&self, request: &LastSeq) -> Result<Option<u64>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT max(seq) FROM (
                 SELECT max(seq) AS seq FROM posts WHERE topic = ?1 AND author = ?2
                 UNION ALL SELECT seq FROM floors WHERE topic = ?1 AND author = ?2)",
        )?;
        let ids = params![request.topic.as_bytes(), request.author.as_bytes()];
        let seq: Option<i64> = select.query_row(ids, |row| row.get(0))?;
        Ok(seq.map(row::from_column).transpose()?)
    }
}

/// A post from a row of author, number, time, body, envelope.
pub fn read_post(topic: TopicId, row: &Row<'_>) -> Result<Post, DbError> {
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
