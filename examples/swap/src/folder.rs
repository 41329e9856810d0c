//! The shared folder: the one file that touches a disk. All of it blocks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use kukuri_contract::{EndpointId, EpochKeys};

use crate::core::entry::MAX_BYTES;

/// Most files of a topic that are read at one look. Whoever can write to the folder can fill it.
const MAX_FILES: usize = 1024;
/// How the name of a member's file ends.
const MEMBER: &str = ".member";
/// How the name of a file ends that is not written yet.
const UNFINISHED: &str = ".new";

/// The subfolder of a topic in an epoch.
pub fn of_topic(dir: &Path, keys: &EpochKeys) -> PathBuf {
    dir.join(HEXLOWER.encode(keys.infohash.as_bytes()))
}

/// Writes a member's file in one step: nobody reads half of one.
pub fn write(place: &Path, who: EndpointId, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(place)?;
    let unfinished = place.join(format!("{who}{UNFINISHED}"));
    fs::write(&unfinished, bytes)?;
    fs::rename(unfinished, place.join(format!("{who}{MEMBER}")))
}

/// Takes a member's file away, and the subfolder with the last one.
pub fn remove(place: &Path, who: EndpointId) {
    // Neither may be there, and others may still be in it.
    let _gone = fs::remove_file(place.join(format!("{who}{MEMBER}")));
    let _gone = fs::remove_dir(place);
}

/// The content of the members' files, each up to one byte more than it may have. One that can't be read is
/// none: its member may just be replacing it.
pub fn read(place: &Path) -> io::Result<Vec<Vec<u8>>> {
    let files = match fs::read_dir(place) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let members = files.flatten().map(|file| file.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(MEMBER))
    });
    let content = |path: PathBuf| {
        let mut bytes = Vec::new();
        let mut file = File::open(path).ok()?.take(MAX_BYTES as u64 + 1);
        file.read_to_end(&mut bytes).ok().map(|_| bytes)
    };
    Ok(members.take(MAX_FILES).filter_map(content).collect())
}
