//! What can go wrong at the start.

use std::io;
use std::path::PathBuf;

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A setting is wrong.
    #[error("{field} of the discovery `folder` is wrong: {problem}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The folder can't be read.
    #[error("the shared folder {dir} can't be read: {source}; is it there, and mounted?")]
    Unreadable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}
