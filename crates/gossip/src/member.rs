//! Proofs of membership over a connection, before it carries anything else.

use std::sync::Arc;

use iroh::endpoint::{Connection, ConnectionError, ReadError, ReadToEndError, SendStream};
use iroh::endpoint::{VarInt, WriteError};
use kukuri_contract::{EndpointId, MemberKeys, ProofDrop};

use crate::core::member::{
    ANSWER_BYTES, BINDING_BYTES, BINDING_LABEL, CLAIM_BYTES, Channel, answer, claim,
};
use crate::endpoint::from_iroh;
use crate::rooms::Rooms;
use crate::swarm::Room;

/// The name of the protocol in the TLS handshake: a proof, then iroh-gossip's messages of one topic.
pub const GOSSIP_ALPN: &[u8] = b"kukuri/gossip/1";

/// Codes that connections are ended with.
const BUSY: VarInt = VarInt::from_u32(1);
const REFUSED: VarInt = VarInt::from_u32(2);

/// Ends a connection that proves nothing. The other side is told whether it may come again soon, and
/// nothing of the topics here.
pub fn refuse(connection: &Connection, why: ProofDrop) {
    let code = match why {
        ProofDrop::Busy => BUSY,
        _ => REFUSED,
    };
    connection.close(code, b"");
}

/// The side that has dialed: proves to be a member, and has the other side prove the same.
///
/// # Errors
/// One of them is none, as far as the other one sees.
pub async fn prove(
    connection: &Connection,
    me: EndpointId,
    keys: &MemberKeys,
) -> Result<(), ProofDrop> {
    let channel = Channel {
        binding: binding(connection)?,
        initiator: me,
        responder: from_iroh(connection.remote_id()),
    };
    let (claimed, bytes) = claim(channel, keys);
    let (mut send, mut recv) = connection.open_bi().await.map_err(lost)?;
    write(&mut send, &bytes).await?;
    let answered = recv.read_to_end(ANSWER_BYTES).await.map_err(unread)?;
    claimed.check(&answered)
}

/// A member that has proven itself, and waits for the answer.
#[derive(Debug)]
pub struct Guest {
    /// Where it belongs.
    pub room: Arc<Room>,
    send: SendStream,
    answer: [u8; ANSWER_BYTES],
}

impl Guest {
    /// Proves to the guest that this node is a member too.
    ///
    /// # Errors
    /// [`ProofDrop::Lost`].
    pub async fn answer(mut self) -> Result<Arc<Room>, ProofDrop> {
        write(&mut self.send, &self.answer).await?;
        Ok(self.room)
    }
}

/// The side that was dialed: has the other side prove which room it belongs to.
///
/// # Errors
/// It belongs to none.
pub async fn hear(
    connection: &Connection,
    me: EndpointId,
    rooms: &Rooms,
) -> Result<Guest, ProofDrop> {
    let channel = Channel {
        binding: binding(connection)?,
        initiator: from_iroh(connection.remote_id()),
        responder: me,
    };
    let (send, mut recv) = connection.accept_bi().await.map_err(lost)?;
    let claim = recv.read_to_end(CLAIM_BYTES).await.map_err(unread)?;
    let rooms = rooms.all();
    let keys: Vec<_> = rooms.iter().map(|room| room.keys()).collect();
    let topics = rooms.iter().map(|room| room.topic).zip(&keys);
    let (topic, answer) = answer(&channel, &claim, topics)?;
    let room = rooms.into_iter().find(|room| room.topic == topic);
    Ok(Guest {
        room: room.ok_or(ProofDrop::NotMember)?,
        send,
        answer,
    })
}

/// What only the two ends of this connection know (RFC 9266).
fn binding(connection: &Connection) -> Result<[u8; BINDING_BYTES], ProofDrop> {
    let mut binding = [0; BINDING_BYTES];
    let exported = connection.export_keying_material(&mut binding, BINDING_LABEL, b"");
    // It fails for lengths beyond what the hash can give only (RFC 8446, section 7.5).
    exported.map_err(|_| ProofDrop::Lost)?;
    Ok(binding)
}

async fn write(to: &mut SendStream, bytes: &[u8]) -> Result<(), ProofDrop> {
    to.write_all(bytes).await.map_err(|error| match error {
        WriteError::ConnectionLost(error) => lost(error),
        _ => ProofDrop::Lost,
    })?;
    to.finish().map_err(|_| ProofDrop::Lost)
}

fn unread(error: ReadToEndError) -> ProofDrop {
    match error {
        ReadToEndError::TooLong => ProofDrop::Malformed,
        ReadToEndError::Read(ReadError::ConnectionLost(error)) => lost(error),
        ReadToEndError::Read(_) => ProofDrop::Malformed,
    }
}

fn lost(error: ConnectionError) -> ProofDrop {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == BUSY => ProofDrop::Busy,
        ConnectionError::ApplicationClosed(close) if close.error_code == REFUSED => {
            ProofDrop::Refused
        }
        _ => ProofDrop::Lost,
    }
}
