//! `kukuri topic`: secrets of topics.

use std::process::ExitCode;

use kukuri::{format_secret, generate_secret};
use serde_json::json;

use super::args::{NewSecretArgs, TopicArgs, TopicCommand};
use super::output::Output;
use super::{Failure, secret};

/// Runs the command.
pub fn run(args: TopicArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        TopicCommand::NewSecret(args) => new_secret(args, output),
    }
}

fn new_secret(args: NewSecretArgs, output: &Output) -> Result<ExitCode, Failure> {
    let text = format_secret(&generate_secret()?);
    match args.out {
        None => {
            let event = json!({ "event": "secret", "secret": text.as_str() });
            output.event(&event, text.as_str());
        }
        Some(file) => {
            secret::write_new(&file, &text)?;
            output.event(
                &json!({ "event": "secret_written", "file": file }),
                format!(
                    "The secret is in {0}. Give it to each member over a channel that you trust; \
                     join with --secret-file {0}",
                    file.display()
                ),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
