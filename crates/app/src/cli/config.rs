//! `kukuri config`: the settings of this node.

use std::path::Path;
use std::process::ExitCode;

use kukuri::{CONFIG_FILE, Config, ENV_PREFIX, kinds};
use serde_json::json;

use super::Failure;
use super::args::{ConfigArgs, ConfigCommand};
use super::output::Output;

/// Runs the command.
pub fn run(args: ConfigArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    // Also where the config names one that is not there.
    if let ConfigCommand::Kinds = args.command {
        kinds(output);
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(file, &json!({}))?;
    match args.command {
        ConfigCommand::Kinds => {}
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

fn kinds(output: &Output) {
    let mut sections = serde_json::Map::new();
    let mut lines = Vec::new();
    for (section, kinds, default) in kinds::all() {
        let as_json = |kind: &kinds::Kind| {
            json!({
                "kind": kind.name,
                "built": kind.built,
                "default": kind.name == default,
                "feature": kind.feature,
            })
        };
        sections.insert(section.to_owned(), kinds.iter().map(as_json).collect());
        for kind in kinds {
            let (name, feature) = (kind.name, kind.feature);
            let note = match (name == default, kind.built) {
                (true, _) => "used by default".to_owned(),
                (false, true) => String::new(),
                (false, false) => format!("not in this build; its feature is {feature}"),
            };
            let line = format!("{:30} {note}", format!("{section}.kind = {name:?}"));
            lines.push(line.trim_end().to_owned());
        }
    }
    output.event(
        &json!({ "event": "kinds", "kinds": sections }),
        lines.join("\n"),
    );
}
