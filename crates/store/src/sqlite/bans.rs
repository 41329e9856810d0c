//! Peers that are banned, or were.

use kukuri_contract::{Ban, Bans, EndpointId, SaveBan};
use rusqlite::{Row, params};

use super::{Database, DbError};
use crate::core::limits::MAX_BANS;
use crate::core::row;

impl Database {
    /// Keeps a ban in place of an earlier one of the same peer.
    pub fn save_ban(&self, SaveBan(ban): &SaveBan) -> Result<(), DbError> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO bans (endpoint, until, times, reason) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (endpoint) DO UPDATE SET
                 until = excluded.until, times = excluded.times, reason = excluded.reason",
        )?;
        upsert.execute(params![
            ban.peer.as_bytes(),
            row::to_column(ban.until.0)?,
            ban.times,
            ban.reason.as_str(),
        ])?;
        let mut forget = self.connection.prepare_cached(
            "DELETE FROM bans WHERE endpoint IN (
                 SELECT endpoint FROM bans ORDER BY until DESC, endpoint LIMIT -1 OFFSET ?1)",
        )?;
        forget.execute([row::to_column(MAX_BANS as u64)?])?;
        Ok(())
    }

    /// The bans, those that end last first.
    pub fn bans(&self, request: &Bans) -> Result<Vec<Ban>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT endpoint, until, times, reason FROM bans
             ORDER BY until DESC, endpoint LIMIT ?1",
        )?;
        let limit = row::to_column(request.limit.min(MAX_BANS) as u64)?;
        let mut rows = select.query([limit])?;
        let mut bans = Vec::new();
        while let Some(row) = rows.next()? {
            bans.push(read_ban(row)?);
        }
        Ok(bans)
    }
}

fn read_ban(row: &Row<'_>) -> Result<Ban, DbError> {
    let endpoint: Vec<u8> = row.get(0)?;
    let reason: String = row.get(3)?;
    Ok(Ban {
        peer: EndpointId::from_bytes(row::id(&endpoint)?),
        until: kukuri_contract::UnixMillis(row::from_column(row.get(1)?)?),
        times: row.get(2)?,
        reason: row::offense(&reason)?,
    })
}
