//! The binary `kukuri`.

#![cfg_attr(
    not(feature = "discovery-mainline"),
    allow(dead_code, reason = "bars of progress are the demo's")
)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
