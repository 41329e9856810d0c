//! `kukuri id`: who this node is.

use std::path::Path;
use std::process::ExitCode;

use kukuri::{Config, identity};
use serde_json::json;

use super::args::IdArgs;
use super::output::Output;
use super::{Failure, keys, unless_interrupted};

/// Runs the command.
pub async fn run(args: IdArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let node = match args.data_dir {
        Some(dir) => json!({ "data_dir": dir }),
        None => json!({}),
    };
    let flags = json!({ "node": node, "identity": args.keys.overrides() });
    let config = Config::load(file, &flags)?;
    let (info, note) = unless_interrupted(identity(config, keys::prompt())).await??;
    output.event(
        &json!({
            "event": "id",
            "endpoint_id": info.endpoint,
            "author": info.author,
            "store": info.store,
            "store_note": note,
        }),
        format!(
            "endpoint  {}\nauthor    {}\nkept in   {note}",
            info.endpoint, info.author
        ),
    );
    Ok(ExitCode::SUCCESS)
}
