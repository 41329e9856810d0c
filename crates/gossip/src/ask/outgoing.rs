//! Streams that are written to.

use bytes::Bytes;
use iroh::endpoint::{SendStream, VarInt, WriteError};

/// Code of a stream that was not written to its end.
const CUT_SHORT: VarInt = VarInt::from_u32(2);

/// A stream that counts as cut short unless it was written to its end: dropped, QUIC would end it
/// as if all had been sent.
pub struct Outgoing {
    /// The stream.
    pub stream: SendStream,
    finished: bool,
}

impl Outgoing {
    /// Nothing is written yet.
    pub fn new(stream: SendStream) -> Self {
        let finished = false;
        Self { stream, finished }
    }

    /// Writes all there is, and ends the stream.
    ///
    /// # Errors
    /// The other side wants no more, or is gone.
    pub async fn write(&mut self, head: &[u8], payload: Bytes) -> Result<(), WriteError> {
        self.stream.write_all(head).await?;
        self.stream.write_chunk(payload).await?;
        self.stream.finish()?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.finished {
            // An error means that the stream has ended otherwise.
            let _ended = self.stream.reset(CUT_SHORT);
        }
    }
}
