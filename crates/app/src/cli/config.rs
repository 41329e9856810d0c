//! `kukuri config`: the settings of this node.

use std::path::Path;
use std::process::ExitCode;

use kukuri::{CONFIG_FILE, Config, ENV_PREFIX};
use serde_json::json;

use super::Failure;
use super::args::{ConfigArgs, ConfigCommand};
use super::output::Output;

/// Runs the command.
pub fn run(args: ConfigArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &json!({}))?;
    match args.command {
        ConfigCommand::Show => {
            let text = toml::to_string_pretty(&config)?;
            output.note(format!(
                "# Settings in force. Change them in a file given with --config (or {CONFIG_FILE} in\n\
                 # the data directory), or in variables such as {ENV_PREFIX}GOSSIP__BIND.\n"
            ));
            output.event(
                &json!({ "event": "config", "config": config }),
                text.trim_end(),
            );
        }
        ConfigCommand::Check => {
            output.event(&json!({ "event": "config_ok" }), "The settings are fine.");
        }
    }
    Ok(ExitCode::SUCCESS)
}
