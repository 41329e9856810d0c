//! Peers of topics, and contacts of the DHT.

use std::net::SocketAddr;

use kukuri_contract::{
    Contacts, EndpointAddr, EndpointId, KnownPeer, KnownPeers, Remember, RememberContacts,
    UnixMillis,
};
use rusqlite::{Row, params};

use super::{Database, DbError};
use crate::core::limits::MAX_CONTACTS;
use crate::core::row::{self, RowError};

impl Database {
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
        let kept = self.limits.max_peers_per_topic as u64;
        forget.execute(params![topic.as_bytes(), row::to_column(kept)?])?;
        Ok(())
    }

    /// The peers of a topic that are not too old, last seen first.
    pub fn known_peers(
        &self,
        request: &KnownPeers,
        now: UnixMillis,
    ) -> Result<Vec<KnownPeer>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT endpoint, addresses, relay, source, seen_at FROM peers
             WHERE topic = ?1 AND seen_at >= ?3 ORDER BY seen_at DESC LIMIT ?2",
        )?;
        let limit = request.limit.min(self.limits.max_peers_per_topic) as u64;
        let oldest = row::to_column(self.limits.oldest_peer(now).0)?;
        let ask = params![request.topic.as_bytes(), row::to_column(limit)?, oldest];
        let mut rows = select.query(ask)?;
        let mut peers = Vec::new();
        while let Some(row) = rows.next()? {
            peers.push(read_peer(row)?);
        }
        Ok(peers)
    }

    /// Keeps contacts of the DHT, up to [`MAX_CONTACTS`] of them.
    pub fn remember_contacts(&self, request: &RememberContacts) -> Result<(), DbError> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO contacts (address, seen_at) VALUES (?1, ?2)
             ON CONFLICT (address) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)",
        )?;
        let seen_at = row::to_column(request.seen_at.0)?;
        for contact in request.contacts.iter().take(MAX_CONTACTS) {
            upsert.execute(params![contact.to_string(), seen_at])?;
        }
        let mut forget = self.connection.prepare_cached(
            "DELETE FROM contacts WHERE address IN (
                 SELECT address FROM contacts ORDER BY seen_at DESC, address LIMIT -1 OFFSET ?1)",
        )?;
        forget.execute([row::to_column(MAX_CONTACTS as u64)?])?;
        Ok(())
    }

    /// Contacts of the DHT, last seen first.
    pub fn contacts(&self, request: &Contacts) -> Result<Vec<SocketAddr>, DbError> {
        let mut select = self.connection.prepare_cached(
            "SELECT address FROM contacts ORDER BY seen_at DESC, address LIMIT ?1",
        )?;
        let limit = row::to_column(request.limit.min(MAX_CONTACTS) as u64)?;
        let mut rows = select.query([limit])?;
        let mut contacts = Vec::new();
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            let address = text.parse().map_err(|_| RowError::Address(text));
            contacts.push(address?);
        }
        Ok(contacts)
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
