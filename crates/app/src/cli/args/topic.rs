//! Flags of `kukuri topic`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kukuri::TopicName;

use super::{HomeArgs, PeerArg};
use crate::cli::since::Span;

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
    /// Add a topic to those of this node: with a new secret, unless told otherwise.
    #[command(after_help = "\
Examples:
  kukuri topic add tea                            with a new secret
  kukuri topic add tea --secret-file tea.secret   with one that there is
  kukuri topic add tea --public                   whoever knows its name can take part

The secret is kept in the data directory, encrypted so that only this node's keys open it.")]
    Add(AddArgs),
    /// Show the topics that were added; no secrets.
    List(HomeArgs),
    /// Take out a topic, with its secret. Its posts stay.
    #[command(after_help = "\
Examples:
  kukuri topic remove tea

A secret that nobody else has is lost then.")]
    Remove(RemoveArgs),
    /// Give a topic another secret, so that whoever has only the old one is out.
    #[command(after_help = "\
Examples:
  kukuri topic rotate tea                a new secret; the old one counts for one more day
  kukuri topic rotate tea --overlap 0s   at once
  kukuri topic invite tea                then invite those who stay

Until the overlap ends, this node takes part under both secrets, and posts go to both: whoever has the
old one reads them. A node that runs takes the new secret within seconds.")]
    Rotate(TopicRotateArgs),
    /// Make an invite: one line with all that somebody needs to take part in a topic.
    #[command(after_help = "\
Examples:
  kukuri topic invite tea                                   of a topic that was added
  kukuri topic invite tea --secret-file tea.secret --out tea.invite
  kukuri topic invite tea --peer ENDPOINT_ID@192.0.2.1:4433

The invite of a secret topic has its secret: hand it on over a channel that you trust. Whoever got it
runs `kukuri topic accept`.")]
    Invite(InviteArgs),
    /// Take an invite from standard input: adds the topic, or takes its new secret.
    #[command(after_help = "\
Examples:
  kukuri topic accept                                paste the invite, then press Enter
  kukuri topic accept < tea.invite
  kukuri topic accept --out tea.secret < tea.invite  only write the secret to a file")]
    Accept(AcceptArgs),
    /// Make a new secret and print it, without adding a topic.
    #[command(after_help = "\
Examples:
  kukuri topic new-secret --out tea.secret   into a file that only you can read
  kukuri topic new-secret                    to standard output

Give the file to each member over a channel that you trust. Each of them joins with
  kukuri join tea --secret-file tea.secret")]
    NewSecret(NewSecretArgs),
}

/// Which topic of a name is meant. Default: the one that was added; else the public one.
#[derive(Debug, Args)]
#[command(next_help_heading = "Topic")]
pub struct SecretArgs {
    /// File with the topic's secret (made by `kukuri topic new-secret`). Default: the secret of the
    /// topic that was added under this name; where there is none, the topic is public: whoever knows
    /// its name can take part.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The public topic of this name, whatever was added.
    #[arg(long, conflicts_with = "secret_file")]
    pub public: bool,
}

/// Flags of `kukuri topic add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// File with the secret that it has. Default: a new one is made.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Without a secret: whoever knows its name can take part.
    #[arg(long, conflicts_with = "secret_file")]
    pub public: bool,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri topic remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri topic rotate`.
#[derive(Debug, Args)]
pub struct TopicRotateArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// How long this node takes part under both secrets: `90m`, `36h`, `7d`; at most 30 days.
    #[arg(long, value_name = "SPAN", default_value = "1d")]
    pub overlap: Span,
    /// File with the secret that it gets. Default: a new one is made.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
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
    /// Which topic of that name.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Member that whoever accepts shall dial at once; up to four times. `kukuri join` prints the
    /// endpoint id and the addresses.
    #[arg(long, value_name = "ENDPOINT_ID@HOST:PORT")]
    pub peer: Vec<PeerArg>,
    /// Write it to this new file, which only its owner can read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri topic accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Write the topic's secret to this new file, which only its owner can read, instead of adding the
    /// topic. An invite to a public topic has none.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the topic was added with another secret: how long this node takes part under both.
    /// Default: as long as the invite says.
    #[arg(long, value_name = "SPAN", conflicts_with = "out")]
    pub overlap: Option<Span>,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
}
