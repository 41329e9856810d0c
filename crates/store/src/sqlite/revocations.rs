//! Which writers an author no longer lets write in a topic, and for how long that is told.
//!
//! What is known here outlives the posts that said so: those the retention drops.

use kukuri_contract::{
    AuthorId, MAX_KEPT, MAX_REVOKED, Post, Revocation, RevocationsDue, TopicId, UnixMillis,
};
use rusqlite::{OptionalExtension, params};

use super::{Database, DbError};
use crate::core::{ranges, row};

impl Database {
    /// Whether a post is of a writer that its author has revoked, and none of those that stay good.
    pub(super) fn is_revoked(&self, post: &Post) -> Result<bool, DbError> {
        if post.author == post.writer {
            return Ok(false);
        }
        let known = self.revocation(post.topic, post.author, post.writer)?;
        Ok(known.is_some_and(|revocation| !revocation.keeps(post.seq)))
    }

    /// Takes in a revocation. The first one of a writer by an author stays: later ones repeat it.
    pub(super) fn revoke(
        &self,
        topic: TopicId,
        author: AuthorId,
        revocation: &Revocation,
    ) -> Result<(), DbError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO revoked (topic, author, writer, revocation)
             SELECT ?1, ?2, ?3, ?4 WHERE ?5 > (
                 SELECT count(*) FROM revoked WHERE topic = ?1 AND author = ?2)
             ON CONFLICT DO NOTHING",
        )?;
        insert.execute(params![
            topic.as_bytes(),
            author.as_bytes(),
            revocation.writer.as_bytes(),
            row::revocation_to_column(revocation),
            MAX_REVOKED as i64,
        ])?;
        Ok(())
    }

    fn revocation(
        &self,
        topic: TopicId,
        author: AuthorId,
        writer: AuthorId,
    ) -> Result<Option<Revocation>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT revocation FROM revoked WHERE topic = ?1 AND author = ?2 AND writer = ?3",
        )?;
        let ids = params![topic.as_bytes(), author.as_bytes(), writer.as_bytes()];
        let known: Option<Vec<u8>> = select.query_row(ids, |row| row.get(0)).optional()?;
        let known = known.as_deref().map(row::revocation_from_column);
        Ok(known.transpose()?)
    }

    /// What an author has to say again: the retention of those who heard it last is half over, or
    /// it was never said here, or it is gone. It says the same each time.
    pub fn revocations_due(
        &self,
        request: &RevocationsDue,
        now: UnixMillis,
    ) -> Result<Vec<Revocation>, DbError> {
        let RevocationsDue {
            topic,
            author,
            writers,
        } = request;
        let mut select = self.connection.prepare_cached(
            "SELECT revokes FROM posts
             WHERE topic = ?1 AND author = ?2 AND received_at >= ?3 AND revokes IS NOT NULL",
        )?;
        let since = row::to_column(self.limits.half_a_retention_ago(now).0)?;
        let mut rows = select.query(params![topic.as_bytes(), author.as_bytes(), since])?;
        let mut said = Vec::new();
        while let Some(row) = rows.next()? {
            let revokes: Vec<u8> = row.get(0)?;
            said.push(row::revocation_from_column(&revokes)?.writer);
        }
        let mut due = Vec::new();
        for writer in writers.iter().filter(|writer| !said.contains(writer)) {
            due.push(match self.revocation(*topic, *author, *writer)? {
                Some(known) => known,
                None => Revocation {
                    writer: *writer,
                    kept: self.settled(*topic, *writer)?,
                },
            });
        }
        Ok(due)
    }

    /// The longest ranges of a writer's numbers that are settled.
    fn settled(&self, topic: TopicId, writer: AuthorId) -> Result<Vec<ranges::Range>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT seq AS first, seq AS last FROM posts WHERE topic = ?1 AND author = ?2
             UNION ALL SELECT 1, seq FROM floors WHERE topic = ?1 AND author = ?2 AND seq > 0
             ORDER BY first",
        )?;
        let mut rows = select.query(params![topic.as_bytes(), writer.as_bytes()])?;
        let mut settled = Vec::new();
        while let Some(row) = rows.next()? {
            let (first, last) = (row.get(0)?, row.get(1)?);
            let range = (row::from_column(first)?, row::from_column(last)?);
            ranges::add(&mut settled, range);
        }
        Ok(ranges::longest(settled, MAX_KEPT))
    }
}
