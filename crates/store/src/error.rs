//! Why the store can't start.

use std::path::PathBuf;

use kukuri_contract::StoreError;

use crate::core::limits::Limits;

/// Why the store can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A field of the config is wrong.
    #[error("store.{field} is wrong: {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The database can't be opened.
    #[error("can't open the database {file}: {source}")]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The file is a database of another program.
    #[error("{file} is a database of another program; take another --data-dir")]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The database was written by a newer version of kukuri.
    #[error(
        "the database {file} has schema {found}, this kukuri knows {known}; update kukuri, or take \
         another --data-dir"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
}

impl OpenError {
    /// Checks that no number of a config is 0: of these, and of the bounds.
    pub(crate) fn check(numbers: &[(&'static str, usize)], limits: &Limits) -> Result<(), Self> {
        let zero = numbers.iter().find(|(_, number)| *number == 0);
        let field = zero.map(|(field, _)| *field).or_else(|| limits.zero());
        match field {
            Some(field) => Err(Self::Config {
                field,
                problem: "it must be at least 1".to_owned(),
            }),
            None => Ok(()),
        }
    }
}
