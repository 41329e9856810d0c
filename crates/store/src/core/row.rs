//! How values look in a row, and what is wrong with a row that can't be read.

use std::net::SocketAddr;

use kukuri_contract::{AuthorId, Offense, Revocation, Source};

/// Why a row can't be read, or a value not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// An id has the wrong length.
    #[error("an id has {0} bytes")]
    Id(usize),
    /// A number that SQLite can't hold, or a negative one.
    #[error("the number {0} is out of range")]
    Number(i128),
    /// No socket address.
    #[error("{0:?} is no socket address")]
    Address(String),
    /// No source of peers.
    #[error("{0:?} is no source of peers")]
    Source(String),
    /// No offense of peers.
    #[error("{0:?} is no offense of peers")]
    Offense(String),
    /// No revocation.
    #[error("{0} bytes are no revocation")]
    Revocation(usize),
}

/// An id from a column.
///
/// # Errors
/// Its length is wrong.
pub fn id<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RowError> {
    bytes.try_into().map_err(|_| RowError::Id(bytes.len()))
}

/// A number for a column: SQLite's integers have a sign.
///
/// # Errors
/// It is above `i64::MAX`.
pub fn to_column(number: u64) -> Result<i64, RowError> {
    i64::try_from(number).map_err(|_| RowError::Number(number.into()))
}

/// The number of a post for a column.
///
/// # Errors
/// It is 0, or above `i64::MAX`.
pub fn seq_to_column(seq: u64) -> Result<i64, RowError> {
    match seq {
        0 => Err(RowError::Number(0)),
        _ => to_column(seq),
    }
}

/// A number from a column.
///
/// # Errors
/// It is negative.
pub fn from_column(number: i64) -> Result<u64, RowError> {
    u64::try_from(number).map_err(|_| RowError::Number(number.into()))
}

/// Addresses for a column: with a blank between.
pub fn join_addresses(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// Addresses from a column.
///
/// # Errors
/// One is no address.
pub fn split_addresses(text: &str) -> Result<Vec<SocketAddr>, RowError> {
    let parse = |part: &str| part.parse().map_err(|_| RowError::Address(part.to_owned()));
    text.split_ascii_whitespace().map(parse).collect()
}

/// A source from a column.
///
/// # Errors
/// There is no such source.
pub fn source(text: &str) -> Result<Source, RowError> {
    let mut known = Source::ALL.into_iter();
    let found = known.find(|source| source.as_str() == text);
    found.ok_or_else(|| RowError::Source(text.to_owned()))
}

/// An offense from a column.
///
/// # Errors
/// There is no such offense.
pub fn offense(text: &str) -> Result<Offense, RowError> {
    let mut known = Offense::ALL.into_iter();
    let found = known.find(|offense| offense.as_str() == text);
    found.ok_or_else(|| RowError::Offense(text.to_owned()))
}

/// A revocation for a column: the writer, and each range as two numbers of 8 bytes, big endian.
pub fn revocation_to_column(revocation: &Revocation) -> Vec<u8> {
    let mut bytes = revocation.writer.as_bytes().to_vec();
    for (first, last) in &revocation.kept {
        bytes.extend(first.to_be_bytes());
        bytes.extend(last.to_be_bytes());
    }
    bytes
}

/// A revocation from a column.
///
/// # Errors
/// Its length is wrong.
pub fn revocation_from_column(bytes: &[u8]) -> Result<Revocation, RowError> {
    let wrong = || RowError::Revocation(bytes.len());
    let (writer, ranges) = bytes.split_first_chunk().ok_or_else(wrong)?;
    let (ranges, rest) = ranges.as_chunks::<16>();
    let number = |bytes: &[u8]| u64::from_be_bytes(std::array::from_fn(|at| bytes[at]));
    let range = |range: &[u8; 16]| (number(&range[..8]), number(&range[8..]));
    match rest.is_empty() {
        true => Ok(Revocation {
            writer: AuthorId::from_bytes(*writer),
            kept: ranges.iter().map(range).collect(),
        }),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_source_and_every_offense_has_a_column() {
        for known in Source::ALL {
            assert_eq!(source(known.as_str()), Ok(known));
        }
        assert_eq!(source("smoke"), Err(RowError::Source("smoke".into())));
        for known in Offense::ALL {
            assert_eq!(offense(known.as_str()), Ok(known));
        }
        assert_eq!(offense("smoke"), Err(RowError::Offense("smoke".into())));
    }

    proptest! {
        #[test]
        fn addresses_round_trip(addresses: Vec<SocketAddr>) {
            // A flow label and a scope are no part of an address that others are told.
            let plain: Vec<_> = addresses
                .iter()
                .map(|a| SocketAddr::new(a.ip(), a.port()))
                .collect();
            prop_assert_eq!(split_addresses(&join_addresses(&plain)), Ok(plain));
        }

        #[test]
        fn garbage_is_a_typed_error_or_an_address(text in "\\PC{0,40}") {
            if let Ok(addresses) = split_addresses(&text) {
                prop_assert_eq!(split_addresses(&join_addresses(&addresses)), Ok(addresses));
            }
        }

        #[test]
        fn revocations_round_trip_or_are_refused(
            writer: [u8; 32],
            kept: Vec<(u64, u64)>,
            garbage: Vec<u8>,
        ) {
            let writer = AuthorId::from_bytes(writer);
            let revocation = Revocation { writer, kept };
            let column = revocation_to_column(&revocation);
            prop_assert_eq!(revocation_from_column(&column), Ok(revocation));
            match revocation_from_column(&garbage) {
                Ok(read) => prop_assert_eq!(revocation_to_column(&read), garbage),
                Err(error) => prop_assert_eq!(error, RowError::Revocation(garbage.len())),
            }
        }

        #[test]
        fn numbers_round_trip_or_are_refused(number: u64) {
            match to_column(number) {
                Ok(column) => prop_assert_eq!(from_column(column), Ok(number)),
                Err(error) => prop_assert_eq!(error, RowError::Number(number.into())),
            }
        }
    }
}
