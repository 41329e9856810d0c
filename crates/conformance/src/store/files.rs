//! Clauses of the files of a store.

use std::fs;
use std::io;
use std::path::Path;

use super::*;
use crate::every::end;
use crate::kit::{Held, Stage, ensure_eq};

pub async fn a_copy_of_the_files_has_what_was_acknowledged(on: &Stage<'_, Store>) -> Held {
    let port = on.begin(1).await.port;
    save(&port, &[post(1, 1, 1)]).await?;
    remember(&port, TOPIC, &[sight(1, 1, ago(0))]).await?;
    // What another start would find, were this the moment of a crash.
    copy(&on.dir(1), &on.dir(2))?;
    let crashed = on.begin(2).await.port;
    ensure_eq!(texts(&crashed).await?, [post(1, 1, 1)], "posts");
    let peers = crashed.known_peers(known(TOPIC, 9)).await?;
    ensure_eq!(peers.len(), 1, "peers");
    end(on, &crashed).await?;
    end(on, &port).await
}

/// Copies the files of a directory; each must be for its owner only.
fn copy(from: &Path, to: &Path) -> Held {
    for entry in fs::read_dir(from)? {
        let (from, to) = (entry?.path(), to);
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            fs::create_dir(&to)?;
            copy(&from, &to)?;
            continue;
        }
        is_private(&from)?;
        match fs::copy(&from, &to) {
            // Gone meanwhile: a file for a moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => _ = copied?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_private(file: &Path) -> Held {
    use std::os::unix::fs::PermissionsExt;
    let mode = match file.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?.permissions().mode() & 0o777,
    };
    crate::kit::ensure!(mode & 0o077 == 0, "{} has {mode:o}", file.display());
    Ok(())
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> Held {
    Ok(())
}
