//! The bytes of a question to a neighbor, and of what comes back.
//!
//! ```text
//! question = version 1 | topic id 32 | payload, to the end of the stream
//! answer   = status 1 | payload, to the end of the stream
//! ```

use bytes::Bytes;
use kukuri_contract::TopicId;

/// The version of both formats.
pub const VERSION: u8 = 1;
/// Bytes of a question before its payload.
pub const HEADER_BYTES: usize = 1 + TopicId::LEN;
/// Bytes of an answer before its payload.
pub const STATUS_BYTES: usize = 1;

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The answer follows.
    Answer = 0,
    /// The node does not want to answer.
    Refused = 1,
    /// Too many questions are being answered.
    Busy = 2,
    /// The question can't be read, or has another version.
    Malformed = 3,
    /// The asker is no neighbor in the topic here, whatever it believes itself.
    Stranger = 4,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Answer,
        Self::Refused,
        Self::Busy,
        Self::Malformed,
        Self::Stranger,
    ];
}

/// Why the header of a question can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Too short.
    #[error("a question begins with {HEADER_BYTES} bytes, this one has {0}")]
    Length(usize),
    /// Another version.
    #[error("version {0}, but this node speaks {VERSION}")]
    Version(u8),
}

/// Why there is no payload in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing came.
    #[error("it sent nothing")]
    Empty,
    /// [`Status::Refused`].
    #[error("it refuses")]
    Refused,
    /// [`Status::Busy`].
    #[error("it is busy")]
    Busy,
    /// [`Status::Malformed`].
    #[error("it does not understand the question")]
    Malformed,
    /// [`Status::Stranger`].
    #[error("it does not know this node as a neighbor")]
    Stranger,
    /// A status that this version does not have.
    #[error("it says {0}, which this version does not know")]
    Status(u8),
}

/// The bytes before a question's payload.
pub fn write_header(topic: TopicId) -> [u8; HEADER_BYTES] {
    let mut header = [VERSION; HEADER_BYTES];
    header[1..].copy_from_slice(topic.as_bytes());
    header
}

/// Reads the bytes before a question's payload; what follows them is not looked at.
///
/// # Errors
/// See [`HeaderError`].
pub fn read_header(bytes: &[u8]) -> Result<TopicId, HeaderError> {
    let short = HeaderError::Length(bytes.len());
    // The version first: another one may have another length.
    match bytes.first() {
        None => return Err(short),
        Some(&VERSION) => {}
        Some(&other) => return Err(HeaderError::Version(other)),
    }
    let topic = bytes.get(1..HEADER_BYTES).ok_or(short)?;
    let topic = topic.try_into().map_err(|_| short)?;
    Ok(TopicId::from_bytes(topic))
}

/// Reads a whole answer. What follows a status other than [`Status::Answer`] is ignored.
///
/// # Errors
/// See [`NoAnswer`].
pub fn read_answer(mut bytes: Bytes) -> Result<Bytes, NoAnswer> {
    let status = *bytes.first().ok_or(NoAnswer::Empty)?;
    let known = Status::ALL.into_iter().find(|known| *known as u8 == status);
    match known {
        Some(Status::Answer) => Ok(bytes.split_off(STATUS_BYTES)),
        Some(Status::Refused) => Err(NoAnswer::Refused),
        Some(Status::Busy) => Err(NoAnswer::Busy),
        Some(Status::Malformed) => Err(NoAnswer::Malformed),
        Some(Status::Stranger) => Err(NoAnswer::Stranger),
        None => Err(NoAnswer::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(topic: [u8; 32], payload: Vec<u8>) {
            let topic = TopicId::from_bytes(topic);
            let mut bytes = write_header(topic).to_vec();
            bytes.extend(payload);
            prop_assert_eq!(read_header(&bytes), Ok(topic));
        }

        #[test]
        fn any_bytes_are_a_header_or_a_typed_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            match read_header(&bytes) {
                Ok(topic) => prop_assert_eq!(&write_header(topic)[..], &bytes[..HEADER_BYTES]),
                Err(HeaderError::Version(other)) => prop_assert_ne!(other, VERSION),
                Err(HeaderError::Length(got)) => prop_assert!(got < HEADER_BYTES),
            }
        }

        #[test]
        fn any_bytes_are_an_answer_or_a_typed_error(bytes: Vec<u8>) {
            let answer = read_answer(bytes.clone().into());
            match bytes.split_first() {
                None => prop_assert_eq!(answer, Err(NoAnswer::Empty)),
                Some((0, payload)) => prop_assert_eq!(answer, Ok(payload.to_vec().into())),
                Some((1, _)) => prop_assert_eq!(answer, Err(NoAnswer::Refused)),
                Some((2, _)) => prop_assert_eq!(answer, Err(NoAnswer::Busy)),
                Some((3, _)) => prop_assert_eq!(answer, Err(NoAnswer::Malformed)),
                Some((4, _)) => prop_assert_eq!(answer, Err(NoAnswer::Stranger)),
                Some((other, _)) => prop_assert_eq!(answer, Err(NoAnswer::Status(*other))),
            }
        }
    }
}
