//! `kukuri posts`: what is stored, without any network.

use std::path::Path;
use std::process::ExitCode;

use kukuri::contract::{UnixMillis, WallClock};
use kukuri::{Config, stored_posts};
use serde_json::json;

use super::args::PostsArgs;
use super::output::Output;
use super::{Failure, post, secret, since};

/// Runs the command.
pub async fn run(
    args: PostsArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let flags = match &args.data_dir {
        Some(dir) => json!({ "node": { "data_dir": dir } }),
        None => json!({}),
    };
    let config = Config::load(file, &flags)?;
    let secret = secret::read(args.secret_file.as_deref())?;
    let now = WallClock::system().now();
    let from = args.since.map_or(UnixMillis(0), |since| since.at(now));
    let limit = usize::try_from(args.limit)?;
    let posts = stored_posts(config, &args.topic, secret.as_ref(), from, limit).await?;
    for post in &posts {
        let time = since::format(post.time);
        output.event(
            &post::as_json(post),
            format!("{time} {}", post::as_text(post)),
        );
    }
    if posts.is_empty() {
        output.aside(nothing(&args));
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing(args: &PostsArgs) -> String {
    let kind = match args.secret_file {
        Some(_) => "secret",
        None => "public",
    };
    let mut text = format!(
        "There are no posts of this topic here ({kind} topic {:?}",
        args.topic.as_str()
    );
    text.push_str(match args.since {
        Some(_) => ", since the given time).",
        None => ").",
    });
    if args.secret_file.is_none() {
        text.push_str(" Those of a secret topic need its --secret-file.");
    }
    text
}
