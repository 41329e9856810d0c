//! Posts: saved once, read newest first.

use bytes::Bytes;
use kukuri_contract::{AuthorId, LastSeq, Post, Posts, SavePost, Saved, TopicId, UnixMillis};
use rusqlite::{Row, params};

use super::{Database, DbError};
use crate::core::row;

impl Database {
    /// Saves a post. One of the same topic, writer and number stays as it is, and one that the
    /// retention has dropped, or would have, does not come back.
    ///
    /// Of a post whose author has revoked its writer only the number is kept, until the retention
    /// drops it like any other: it is settled, and neither shown nor handed on.
    pub fn save_post(&self, SavePost(post): &SavePost, now: UnixMillis) -> Result<Saved, DbError> {
        let revoked = self.is_revoked(post)?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO posts (topic, author, seq, time, body, envelope, received_at,
                 person, revokes, dropped)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE NOT EXISTS (
                 SELECT 1 FROM floors WHERE topic = ?1 AND author = ?2 AND seq >= ?3)
             ON CONFLICT DO NOTHING",
        )?;
        let (body, envelope) = match revoked {
            true => (&[][..], &[][..]),
            false => (&post.body[..], &post.envelope[..]),
        };
        let person = (post.author != post.writer).then_some(post.author.as_bytes());
        let inserted = insert.execute(params![
            post.topic.as_bytes(),
            post.writer.as_bytes(),
            row::seq_to_column(post.seq)?,
            row::to_column(post.time.0)?,
            body,
            envelope,
            row::to_column(now.0)?,
            person,
            post.revokes.as_ref().map(row::revocation_to_column),
            revoked,
        ])?;
        // Of a post that is here already, too: it may be from before there were revocations.
        if let Some(revocation) = &post.revokes {
            self.revoke(post.topic, post.author, revocation)?;
        }
        let inserted = inserted > 0;
        Ok(Saved {
            new: inserted && !revoked,
            revoked: inserted && revoked,
        })
    }

    /// The newest posts of a topic, oldest first.
    pub fn posts(&self, request: &Posts) -> Result<Vec<Post>, DbError> {
        let Posts {
            topic,
            since,
            limit,
        } = *request;
        let mut select = self.connection.prepare_cached(
            "SELECT author, seq, time, body, envelope, person, revokes FROM posts
             WHERE topic = ?1 AND time >= ?2 AND revokes IS NULL AND NOT dropped
             ORDER BY time DESC, author, seq DESC LIMIT ?3",
        )?;
        let limit = limit.min(self.limits.max_posts_per_query) as u64;
        let since = row::to_column(since.0)?;
        let mut rows = select.query(params![topic.as_bytes(), since, row::to_column(limit)?])?;
        let mut posts = Vec::new();
        while let Some(row) = rows.next()? {
            posts.push(read_post(topic, row)?);
        }
        posts.reverse();
        Ok(posts)
    }

    /// The highest number of a writer's posts in a topic. A dropped post counts: its number is
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

/// A post from a row of writer, number, time, body, envelope, author if another, revocation if it is
/// one.
pub fn read_post(topic: TopicId, row: &Row<'_>) -> Result<Post, DbError> {
    let writer: Vec<u8> = row.get(0)?;
    let writer = AuthorId::from_bytes(row::id(&writer)?);
    let (body, envelope): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let (person, revokes): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(5)?, row.get(6)?);
    let person = person.as_deref().map(row::id).transpose()?;
    let revokes = revokes.as_deref().map(row::revocation_from_column);
    Ok(Post {
        topic,
        author: person.map_or(writer, AuthorId::from_bytes),
        writer,
        seq: row::from_column(row.get(1)?)?,
        time: UnixMillis(row::from_column(row.get(2)?)?),
        body: Bytes::from(body),
        revokes: revokes.transpose()?,
        envelope: Bytes::from(envelope),
    })
}
