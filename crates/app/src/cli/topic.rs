//! `kukuri topic`: secrets of topics.

use std::process::ExitCode;

use kukuri::{format_secret, generate_secret};
use serde_json::json;

use super::Failure;
use super::args::{TopicArgs, TopicCommand};
use super::output::Output;

/// Runs the command.
pub fn run(args: TopicArgs, output: Output) -> Result<ExitCode, Failure> {
    match args.command {
        TopicCommand::NewSecret => {
            let secret = format_secret(&generate_secret()?);
            let event = json!({ "event": "secret", "secret": secret.as_str() });
            output.event(&event, secret.as_str());
        }
    }
    Ok(ExitCode::SUCCESS)
}
