//! The data directory: one node at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::StartError;

const LOCK_FILE: &str = "node.lock";

/// A data directory that is this node's until the value is dropped, or the process is gone.
#[derive(Debug)]
pub struct DataDirLock(#[expect(dead_code, reason = "held for its lock")] File);

/// Makes the data directory, for its owner only, and takes its lock.
///
/// # Errors
/// It can't be made or written, or another node has it.
pub fn lock(dir: &Path) -> Result<DataDirLock, StartError> {
    let failed = |source| StartError::DataDir {
        dir: dir.to_owned(),
        source,
    };
    let mut make = DirBuilder::new();
    make.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
    make.create(dir).map_err(failed)?;
    let mut open = OpenOptions::new();
    open.create(true).truncate(false).write(true);
    let file = open.open(dir.join(LOCK_FILE)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock(file)),
        Err(TryLockError::WouldBlock) => Err(StartError::DataDirInUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether a node runs on this data directory.
pub fn is_running(dir: &Path) -> bool {
    let file = File::open(dir.join(LOCK_FILE));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("deep/inside");
        assert!(!is_running(&dir));
        let first = lock(&dir).unwrap();
        assert!(is_running(&dir));
        assert!(matches!(lock(&dir), Err(StartError::DataDirInUse(_))));
        drop(first);
        lock(&dir).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = lock(&file.join("data")).unwrap_err();
        assert!(matches!(error, StartError::DataDir { .. }));
    }
}
