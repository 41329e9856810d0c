//! Gap repair: which posts are here, and which of them somebody else lacks.

use kukuri_contract::{AuthorId, Beyond, Holding, Holdings, PostsBeyond, TopicId};
use rusqlite::{OptionalExtension, params};

use super::posts::read_post;
use super::{Database, DbError};
use crate::core::parcel::{Have, Parcel};
use crate::core::ranges::{self, Range};
use crate::core::row;

impl Database {
    /// What is settled of each author, in the order of their ids.
    ///
    /// The rows come in order, so the ranges grow in one walk over an index, which ends with the
    /// last author asked for.
    pub fn holdings(&self, request: &Holdings) -> Result<Vec<Holding>, DbError> {
        let Holdings { topic, from, limit } = *request;
        let mut select = self.connection.prepare_cached(
            "SELECT author, seq AS first, seq AS last FROM posts
             WHERE topic = ?1 AND author >= ?2
             UNION ALL SELECT author, 1, seq FROM floors
             WHERE topic = ?1 AND author >= ?2 AND seq > 0
             ORDER BY author, first",
        )?;
        let mut rows = select.query(params![topic.as_bytes(), from.as_bytes()])?;
        let mut holdings: Vec<Holding> = Vec::new();
        while let Some(row) = rows.next()? {
            let author: [u8; 32] = row.get(0)?;
            let author = AuthorId::from_bytes(author);
            let range = (
                row::from_column(row.get(1)?)?,
                row::from_column(row.get(2)?)?,
            );
            match holdings.last_mut() {
                Some(last) if last.author == author => ranges::add(&mut last.ranges, range),
                last => {
                    if let Some(done) = last {
                        self.bound(done);
                    }
                    if holdings.len() == limit {
                        return Ok(holdings);
                    }
                    let ranges = vec![range];
                    holdings.push(Holding { author, ranges });
                }
            }
        }
        if let Some(done) = holdings.last_mut() {
            self.bound(done);
        }
        Ok(holdings)
    }

    fn bound(&self, holding: &mut Holding) {
        let ranges = std::mem::take(&mut holding.ranges);
        holding.ranges = ranges::bound(ranges, self.turn.get());
        self.turn.set(ranges::next_turn(self.turn.get()));
    }

    /// The posts that somebody with `have` lacks, in the order of author and number.
    ///
    /// Goes from author to author and from gap to gap by the index, so that what is not given is
    /// not read either.
    pub fn posts_beyond(&self, request: &PostsBeyond) -> Result<Beyond, DbError> {
        let mut have = Have::new(&request.have);
        let mut parcel = Parcel::new(request, &self.limits);
        let mut from = Some(*request.from.as_bytes());
        while let Some(at_least) = from {
            let Some(author) = self.author_from(request.topic, at_least, request.to)? else {
                break;
            };
            for gap in have.gaps(author) {
                if !self.fill(&mut parcel, request.topic, author, gap)? {
                    return Ok(parcel.sealed(true));
                }
            }
            from = successor(*author.as_bytes());
        }
        Ok(parcel.sealed(false))
    }

    /// The first author of posts from an id on.
    fn author_from(
        &self,
        topic: TopicId,
        from: [u8; 32],
        to: AuthorId,
    ) -> Result<Option<AuthorId>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT author FROM posts WHERE topic = ?1 AND author >= ?2 AND author <= ?3
             ORDER BY author LIMIT 1",
        )?;
        let ask = params![topic.as_bytes(), from, to.as_bytes()];
        let author: Option<[u8; 32]> = select.query_row(ask, |row| row.get(0)).optional()?;
        Ok(author.map(AuthorId::from_bytes))
    }

    /// Adds the posts of a gap. False: one did not fit.
    fn fill(
        &self,
        parcel: &mut Parcel,
        topic: TopicId,
        author: AuthorId,
        (first, last): Range,
    ) -> Result<bool, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT author, seq, time, body, envelope, person, revokes FROM posts
             WHERE topic = ?1 AND author = ?2 AND seq BETWEEN ?3 AND ?4 AND NOT dropped
             ORDER BY seq",
        )?;
        let (first, last) = (row::to_column(first)?, row::to_column(last)?);
        let mut rows = select.query(params![topic.as_bytes(), author.as_bytes(), first, last])?;
        while let Some(row) = rows.next()? {
            if !parcel.put(read_post(topic, row)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The id after an id.
fn successor(mut id: [u8; 32]) -> Option<[u8; 32]> {
    for byte in id.iter_mut().rev() {
        let (next, overflow) = byte.overflowing_add(1);
        *byte = next;
        if !overflow {
            return Some(id);
        }
    }
    None
}
