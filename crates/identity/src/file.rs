//! Small files that nobody else may read: the only file that touches the file system.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::error::KeyStoreError;

/// Longest file that is read: far more than keys and passphrases need.
const MAX_BYTES: usize = 4096;

/// The content of a small file; `None` if there is no such file.
pub fn read(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
    read_up_to(file, MAX_BYTES)
}

/// The same of a file that may have so many bytes.
pub fn read_up_to(file: &Path, most: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
    open(file, most, |_| Ok(()))
}

/// The same of a file that holds a secret: refused if others may read it.
pub fn read_secret(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
    read_secret_up_to(file, MAX_BYTES)
}

/// The same of a file that may have this many bytes.
pub fn read_secret_up_to(
    file: &Path,
    most: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
    open(file, most, |open| {
        // Of what is open, not of the name, which may be another file by now.
        let exposed = others_may_read(open).map_err(|source| failed_read(file, source))?;
        match exposed {
            true => Err(KeyStoreError::Exposed(file.to_owned())),
            false => Ok(()),
        }
    })
}

fn open(
    file: &Path,
    most: usize,
    check: impl FnOnce(&File) -> Result<(), KeyStoreError>,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
    let open = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        open => open.map_err(|source| failed_read(file, source))?,
    };
    check(&open)?;
    // One byte of room more, so that a file that is too long is seen, and nothing moves in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    open.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| failed_read(file, source))?;
    match bytes.len() > most {
        true => Err(KeyStoreError::TooLong(file.to_owned())),
        false => Ok(Some(bytes)),
    }
}

fn failed_read(file: &Path, source: io::Error) -> KeyStoreError {
    KeyStoreError::Read {
        file: file.to_owned(),
        source,
    }
}

/// Writes a new file for its owner only: all of it or nothing, on disk when this returns, and
/// never over one that is there.
pub fn write_new(file: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
    write(file, bytes, |new| new.persist_noclobber(file))
}

/// The same over a file that is there: at any moment there is either the old one or the new one.
pub fn replace(file: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
    write(file, bytes, |new| new.persist(file))
}

/// Moves a file over another one of the same directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), KeyStoreError> {
    let dir = to.parent().unwrap_or(Path::new("."));
    let renamed = fs::rename(from, to).and_then(|()| sync_dir(dir));
    renamed.map_err(|source| KeyStoreError::Write {
        file: to.to_owned(),
        source,
    })
}

fn write(
    file: &Path,
    bytes: &[u8],
    persist: impl FnOnce(NamedTempFile) -> Result<File, tempfile::PersistError>,
) -> Result<(), KeyStoreError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        // Made with mode 0600 on Unix.
        let mut temporary = NamedTempFile::new_in(dir)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        persist(temporary)?;
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
fn others_may_read(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    let me = rustix::process::geteuid().as_raw();
    Ok(exposed(metadata.mode(), metadata.uid(), me))
}

/// A file of root may be readable by a group: so containers hand over secrets to a user of their own
/// (Kubernetes with `fsGroup`), and root has chosen the group.
#[cfg(unix)]
const fn exposed(mode: u32, owner: u32, me: u32) -> bool {
    let of_root_for_me = owner == 0 && me != 0;
    mode & if of_root_for_me { 0o037 } else { 0o077 } != 0
}

/// On Windows a file in the user's profile is the user's by what it inherits.
#[cfg(not(unix))]
fn others_may_read(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_never_written_over_and_a_replaced_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        assert!(read_secret(&file).unwrap().is_none());
        write_new(&file, b"keys").unwrap();
        let again = write_new(&file, b"others").unwrap_err();
        assert!(matches!(again, KeyStoreError::Write { .. }), "{again}");
        assert_eq!(read_secret(&file).unwrap().unwrap().as_slice(), b"keys");
        replace(&file, b"others").unwrap();
        assert_eq!(read_secret(&file).unwrap().unwrap().as_slice(), b"others");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read_in_part() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        for (len, fits) in [(MAX_BYTES, true), (MAX_BYTES + 1, false)] {
            replace(&file, &vec![b'x'; len]).unwrap();
            assert_eq!(read(&file).is_ok(), fits, "{len}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_group_may_read_a_secret_that_root_gave_it() {
        const ME: u32 = 1000;
        for (mode, owner, me, is_exposed) in [
            (0o440, 0, ME, false),
            (0o640, 0, ME, false),
            (0o660, 0, ME, true),
            (0o644, 0, ME, true),
            (0o440, ME, ME, true),
            (0o440, 0, 0, true),
            (0o400, ME, ME, false),
        ] {
            assert_eq!(exposed(mode, owner, me), is_exposed, "{mode:o} of {owner}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_a_secret() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        write_new(&file, b"keys").unwrap();
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        for exposed in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&file, fs::Permissions::from_mode(exposed)).unwrap();
            let error = read_secret(&file).unwrap_err();
            assert!(matches!(error, KeyStoreError::Exposed(_)), "{error}");
            assert!(read(&file).is_ok(), "no secret");
        }
        replace(&file, b"others").unwrap();
        assert_eq!(mode(), 0o600);
    }
}
