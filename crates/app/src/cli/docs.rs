//! `kukuri completions` and `kukuri man`: made from the definition of the flags.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::Man;
use serde_json::json;

use super::Failure;
use super::args::{Cli, CompletionsArgs, ManArgs};
use super::output::Output;

/// Runs `kukuri completions`. With --json too: a shell reads it.
pub fn completions(args: CompletionsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kukuri", &mut text);
    output.raw(&text);
    Ok(ExitCode::SUCCESS)
}

/// Why the pages are not written.
#[derive(Debug, thiserror::Error)]
#[error("can't write man pages into {dir}: {source}; check its permissions, or give another --out")]
struct ManError {
    dir: PathBuf,
    source: std::io::Error,
}

/// Runs `kukuri man`.
pub fn man(args: ManArgs, output: &Output) -> Result<ExitCode, Failure> {
    let Some(dir) = args.out else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        output.raw(&page);
        return Ok(ExitCode::SUCCESS);
    };
    let pages = write_pages(&dir).map_err(|source| ManError {
        dir: dir.clone(),
        source,
    })?;
    output.event(
        &json!({ "event": "man_written", "dir": dir, "pages": pages }),
        format!("{pages} man pages are in {}.", dir.display()),
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for each command, and says how many.
fn write_pages(dir: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(dir)?;
    let mut root = Cli::command().disable_help_subcommand(true);
    // Names the pages of nested commands in full, such as `kukuri-topic-new-secret`.
    root.build();
    let mut left = vec![root];
    let mut pages = 0;
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        Man::new(command).generate_to(dir)?;
        pages += 1;
    }
    Ok(pages)
}
