//! Where the author links of a node are kept: a file of its data directory. They are no secret.

use std::path::{Path, PathBuf};

use kukuri_contract::{AuthorId, AuthorLinks};

use crate::core::links::{Links, LinksError, MAX_BYTES};
use crate::error::KeyStoreError;
use crate::file;

/// Name of the file in the data directory.
const FILE: &str = "author.links";

/// Why the links can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinksFileError {
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] KeyStoreError),
    /// What it says can't be used.
    #[error("the author links in {file} can't be used ({source}); restore it from a backup")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: LinksError,
    },
}

/// The links of a data directory; without a file there are none.
///
/// # Errors
/// See [`LinksFileError`].
pub fn read_links(data_dir: &Path) -> Result<Links, LinksFileError> {
    let path = data_dir.join(FILE);
    let Some(bytes) = file::read_up_to(&path, MAX_BYTES)? else {
        return Ok(Links::default());
    };
    let text = String::from_utf8_lossy(&bytes);
    Links::from_text(&text).map_err(|source| LinksFileError::Unusable { file: path, source })
}

/// Keeps the links of a data directory: at any moment there are either the old ones or these.
///
/// # Errors
/// [`LinksFileError::File`].
pub fn write_links(data_dir: &Path, links: &Links) -> Result<(), LinksFileError> {
    let path = data_dir.join(FILE);
    Ok(file::replace(&path, links.to_text().as_bytes())?)
}

/// What the rest of a node needs of the links. A link for another writer, such as the one that this
/// node had before its author key was replaced, is of no use.
pub(crate) fn told(links: Links, own: AuthorId) -> AuthorLinks {
    let Links { used, revoked, .. } = links;
    let used = used.filter(|link| link.writer == own);
    AuthorLinks { used, revoked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_damage_is_told_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_links(dir.path()).unwrap(), Links::default());
        let links = Links {
            revoked: vec![AuthorId::from_bytes([7; 32])],
            ..Links::default()
        };
        write_links(dir.path(), &links).unwrap();
        assert_eq!(read_links(dir.path()).unwrap(), links);
        std::fs::write(dir.path().join(FILE), b"kukuri-links-1\n\xff\n").unwrap();
        let error = read_links(dir.path()).unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains("line 2"), "{error}");
    }
}
