//! What needs a DHT on this machine: `kukuri demo` and `kukuri testnet`.

mod demo;
mod testnet;

use std::process::ExitCode;

use super::Failure;
use super::args::DhtCommand;
use super::output::Output;

/// Runs the command.
pub async fn run(command: DhtCommand, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        DhtCommand::Demo(args) => demo::run(args, output).await,
        DhtCommand::Testnet(args) => testnet::run(args, output).await,
    }
}
