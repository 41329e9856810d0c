//! Files with the secret of a topic.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use kukuri::{TopicSecret, parse_secret};

use super::Failure;

/// Why a secret can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("can't read the secret file {file}: {source}")]
    Read {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("the secret in {file} can't be used: {source}")]
    Parse { file: PathBuf, source: Failure },
    #[error(
        "{0} exists already and is left as it is, because a lost secret is lost for good; give \
         another name to --out"
    )]
    Exists(PathBuf),
    #[error("can't write the secret file {file}: {source}; check the folder and its permissions")]
    Write {
        file: PathBuf,
        source: std::io::Error,
    },
}

/// Reads the secret of a topic; without a file the topic is public.
pub fn read(file: Option<&Path>) -> Result<Option<TopicSecret>, SecretFileError> {
    let Some(file) = file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(file)
        .map(zeroize::Zeroizing::new)
        .map_err(|source| SecretFileError::Read {
            file: file.to_owned(),
            source,
        })?;
    let secret = parse_secret(&text).map_err(|error| SecretFileError::Parse {
        file: file.to_owned(),
        source: error.into(),
    })?;
    Ok(Some(secret))
}

/// A file that is to be written must not be there yet.
pub fn must_be_new(file: &Path) -> Result<(), SecretFileError> {
    match file.exists() {
        true => Err(SecretFileError::Exists(file.to_owned())),
        false => Ok(()),
    }
}

/// Writes a secret as a line to a new file that only its owner can read.
pub fn write_new(file: &Path, secret: &str) -> Result<(), SecretFileError> {
    let line = zeroize::Zeroizing::new(format!("{secret}\n"));
    write_new_bytes(file, line.as_bytes())
}

/// Writes a new file that only its owner can read.
pub fn write_new_bytes(file: &Path, bytes: &[u8]) -> Result<(), SecretFileError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => SecretFileError::Exists(file.to_owned()),
        _ => SecretFileError::Write {
            file: file.to_owned(),
            source,
        },
    };
    let mut open = OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut new = open.open(file).map_err(failed)?;
    let written = new.write_all(bytes).and_then(|()| new.sync_all());
    written.map_err(|error| {
        // Half a secret is of no use, and would be in the way of the next try.
        let _removed = std::fs::remove_file(file);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_secret_file_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tea.secret");
        let missing = read(Some(&file)).unwrap_err().to_string();
        assert!(missing.contains("tea.secret"), "{missing}");
        std::fs::write(&file, "\n").unwrap();
        let empty = read(Some(&file)).unwrap_err().to_string();
        assert!(
            empty.contains("tea.secret"),
            "an empty secret is no public topic: {empty}"
        );
    }

    #[test]
    fn a_written_secret_can_be_read_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tea.secret");
        let secret = kukuri::generate_secret().unwrap();
        let text = kukuri::format_secret(&secret);
        write_new(&file, &text).unwrap();
        assert_eq!(read(Some(&file)).unwrap(), Some(secret));
        let again = write_new(&file, "other").unwrap_err();
        assert!(matches!(again, SecretFileError::Exists(_)), "{again}");
        let nowhere = write_new(&dir.path().join("no/such"), "x").unwrap_err();
        assert!(matches!(nowhere, SecretFileError::Write { .. }));
    }
}
