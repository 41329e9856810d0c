//! `kukuri id`: who this node is.

use std::path::Path;
use std::process::ExitCode;

use kukuri::{Config, identity};
use serde_json::json;

use super::Failure;
use super::args::IdArgs;
use super::output::Output;

/// Runs the command.
pub async fn run(args: IdArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let flags = match args.data_dir {
        Some(dir) => json!({ "node": { "data_dir": dir } }),
        None => json!({}),
    };
    let config = Config::load(file, &flags)?;
    let (info, note) = identity(config).await?;
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
