//! Flags of `kukuri topic`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kukuri::TopicName;

use super::PeerArg;

/// Flags of `kukuri topic`.
#[derive(Debug, Args)]
pub struct TopicArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TopicCommand,
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Make a new secret and print it. Whoever has it can find, read and write the topic.
    #[command(after_help = "\
Examples:
  kukuri topic new-secret --out tea.secret   into a file that only you can read
  kukuri topic new-secret                    to standard output

Give the file to each member over a channel that you trust. Each of them joins with
  kukuri join tea --secret-file tea.secret")]
    NewSecret(NewSecretArgs),
    /// Make an invite: one line with all that somebody needs to take part in a topic.
    #[command(after_help = "\
Examples:
  kukuri topic invite tea --secret-file tea.secret --out tea.invite
  kukuri topic invite tea --secret-file tea.secret --peer ENDPOINT_ID@192.0.2.1:4433

The invite of a secret topic has its secret: hand it on over a channel that you trust. Whoever got it
runs `kukuri topic accept`.")]
    Invite(InviteArgs),
    /// Take an invite from standard input, and say how to join.
    #[command(after_help = "\
Examples:
  kukuri topic accept --out tea.secret               paste the invite, then press Enter
  kukuri topic accept --out tea.secret < tea.invite")]
    Accept(AcceptArgs),
}

/// Flags of `kukuri topic new-secret`.
#[derive(Debug, Args)]
pub struct NewSecretArgs {
    /// Write it to this new file, which only its owner can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Flags of `kukuri topic invite`.
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// File with the topic's secret. Without it the topic is public.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Member that whoever accepts shall dial at once; up to four times. `kukuri join` prints the
    /// endpoint id and the addresses.
    #[arg(long, value_name = "ENDPOINT_ID@HOST:PORT")]
    pub peer: Vec<PeerArg>,
    /// Write it to this new file, which only its owner can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Flags of `kukuri topic accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// New file for the topic's secret, which only its owner can read. An invite to a public topic has
    /// none.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
