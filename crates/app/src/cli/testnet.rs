//! `kukuri testnet`: a local DHT until Ctrl-C.

use std::process::ExitCode;

use kukuri::LocalDht;
use serde_json::json;

use super::args::TestnetArgs;
use super::output::Output;
use super::{Failure, interrupted};

/// Runs the command.
pub async fn run(args: TestnetArgs, output: &Output) -> Result<ExitCode, Failure> {
    let nodes = args.nodes;
    output.note(format!("Starting a local DHT of {nodes} nodes ..."));
    let start = move || LocalDht::start(nodes.into(), args.port);
    let starting = output.spinner(format!("starting {nodes} DHT nodes"));
    let dht = tokio::select! {
        dht = tokio::task::spawn_blocking(start) => dht??,
        () = interrupted() => return Ok(ExitCode::SUCCESS),
    };
    drop(starting);
    let bootstrap = dht.bootstrap();
    output.event(
        &json!({ "event": "ready", "bootstrap": bootstrap.to_string(), "nodes": nodes }),
        format!(
            "Ready at {bootstrap}. In other terminals, with a different --data-dir each:\n\n  \
             kukuri join tea --bind 127.0.0.1:0 --dht-bootstrap {bootstrap} --data-dir ./a\n\n\
             Ctrl-C ends it."
        ),
    );
    interrupted().await;
    Ok(ExitCode::SUCCESS)
}
