//! `kukuri posts`: what is stored, without any network.

use std::path::Path;
use std::process::ExitCode;

use kukuri::contract::{UnixMillis, WallClock};
use kukuri::{Config, stored_posts};

use super::args::PostsArgs;
use super::output::Output;
use super::{Failure, post, saved, since};

/// Runs the command.
pub async fn run(
    args: PostsArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &args.home.overrides())?;
    let chosen = saved::choose(&args.topic, &args.secret, config.clone()).await?;
    let now = WallClock::system().now();
    let from = args.since.map_or(UnixMillis(0), |since| since.at(now));
    let limit = usize::try_from(args.limit)?;
    let (secret, earlier) = (chosen.secret.as_ref(), &chosen.earlier);
    let posts = stored_posts(config, &args.topic, secret, earlier, from, limit).await?;
    for post in &posts {
        let time = since::format(post.time);
        output.event(
            &post::as_json(post),
            format!("{time} {}", post::as_text(post)),
        );
    }
    if posts.is_empty() {
        output.aside(nothing(&args, chosen.secret.is_some()));
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing(args: &PostsArgs, secret: bool) -> String {
    let kind = if secret { "secret" } else { "public" };
    let mut text = format!(
        "There are no posts of this topic here ({kind} topic {:?}",
        args.topic.as_str()
    );
    text.push_str(match args.since {
        Some(_) => ", since the given time).",
        None => ").",
    });
    if !secret {
        text.push_str(
            " Those of a secret topic need its --secret-file, unless it was added with `kukuri topic`.",
        );
    }
    text
}
