//! Keys in a file that only its owner may read: the only file that touches the file system.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kukuri_contract::SecretStoreKind;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::error::KeyStoreError;
use crate::store::KeyStore;

/// Name of the file in the data directory.
const FILE: &str = "identity.key";
/// Longest file that is read: far more than keys need.
const MAX_BYTES: u64 = 4096;

/// A file of keys. It is not encrypted: whoever reads it, is this node.
#[derive(Debug)]
pub struct FileStore {
    file: PathBuf,
}

impl FileStore {
    /// The store of a data directory.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            file: data_dir.join(FILE),
        }
    }
}

impl KeyStore for FileStore {
    fn kind(&self) -> SecretStoreKind {
        SecretStoreKind::File
    }

    fn holds_keys(&self) -> bool {
        self.file.exists()
    }

    fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        let file = &self.file;
        let read = read(file).map_err(|source| KeyStoreError::Read {
            file: file.clone(),
            source,
        })?;
        if read.is_some() && others_may_read(file) {
            return Err(KeyStoreError::Exposed { file: file.clone() });
        }
        Ok(read)
    }

    fn save(&self, keys: &[u8]) -> Result<(), KeyStoreError> {
        write_new(&self.file, keys)
    }

    fn describe(&self) -> String {
        let file = self.file.display();
        format!("the file {file} (only its owner may read it; it is not encrypted)")
    }
}

/// The content of a small file; `None` if there is no such file.
pub fn read(file: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let open = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        open => open?,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
    io::Read::read_to_end(&mut io::Read::take(open, MAX_BYTES), &mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a new file for its owner only: all of it or nothing, on disk when this returns, and
/// never over one that is there.
pub fn write_new(file: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        // Made with mode 0600 on Unix.
        let mut temporary = NamedTempFile::new_in(dir)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist_noclobber(file)?;
        sync_dir(dir)
    };
    write().map_err(|source| KeyStoreError::Write {
        file: file.to_owned(),
        source,
    })
}

/// The name of a new file is on disk only when its directory is.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn others_may_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path());
        assert!(store.load().unwrap().is_none());
        store.save(b"keys").unwrap();
        assert_eq!(store.load().unwrap().unwrap().as_slice(), b"keys");
        let again = store.save(b"others").unwrap_err();
        assert!(matches!(again, KeyStoreError::Write { .. }), "{again}");
        assert_eq!(store.load().unwrap().unwrap().as_slice(), b"keys");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path());
        store.save(b"keys").unwrap();
        let mode = fs::metadata(&store.file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&store.file, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = store.load().unwrap_err();
        assert!(
            matches!(exposed, KeyStoreError::Exposed { .. }),
            "{exposed}"
        );
    }
}
