//! Author links: made, used, revoked.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use kukuri::{Config, give_author_link, revoke_author_link, use_author_link};
use serde_json::json;

use crate::cli::args::{HomeArgs, LinkArgs, RevokeArgs};
use crate::cli::output::Output;
use crate::cli::{Failure, input, keys, topic, unless_interrupted};

/// Makes a link for another node.
pub async fn give(
    args: LinkArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &args.home.overrides())?;
    let made = give_author_link(config, keys::prompt(), args.writer);
    let text = unless_interrupted(made).await??;
    topic::hand_out("link", &text, args.out.as_deref(), output, |_| {
        "Bring it to the other node, and run `kukuri identity use-link` there".to_owned()
    })
}

/// Takes a link, and writes under it.
pub async fn take(
    home: HomeArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &home.overrides())?;
    let text = match std::io::stdin().is_terminal() {
        true => unless_interrupted(topic::pasted("link")).await??,
        false => input::line().unwrap_or_default().into(),
    };
    let used = use_author_link(config, keys::prompt(), &text);
    let author = unless_interrupted(used).await??;
    output.event(
        &json!({ "event": "link_used", "author": author }),
        format!(
            "This node writes in the name of the author {author}; one that runs, within seconds."
        ),
    );
    Ok(ExitCode::SUCCESS)
}

/// Lets another node write no longer.
pub async fn revoke(
    args: RevokeArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let writer = args.writer;
    let config = Config::load(file, &args.home.overrides())?;
    let revoked = revoke_author_link(config, keys::prompt(), writer);
    let was_linked = unless_interrupted(revoked).await??;
    output.event(
        &json!({ "event": "writer_revoked", "writer": writer, "was_linked": was_linked }),
        format!(
            "The writer {writer} is revoked. If this node runs, the topics that it has joined hear of \
             it within seconds; all others when it joins them next."
        ),
    );
    if !was_linked {
        output.aside("No link for it was known here; it is revoked all the same.");
    }
    Ok(ExitCode::SUCCESS)
}
