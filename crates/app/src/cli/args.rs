//! Commands and flags. Their docs are what `--help`, the man pages and the completions say.

#[cfg(feature = "discovery-mainline")]
mod dht;
mod doctor;
mod health;
mod identity;
mod join;
mod keys;
mod topic;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use kukuri::TopicName;

#[cfg(feature = "discovery-mainline")]
pub use dht::{DemoArgs, DhtCommand, TestnetArgs};
pub use doctor::DoctorArgs;
pub use health::HealthArgs;
pub use identity::{
    ExportArgs, IdentityArgs, IdentityCommand, ImportArgs, LinkArgs, NewKeyArgs, RevokeArgs,
    RotateArgs,
};
pub use join::{JoinArgs, PeerArg};
pub use keys::HomeArgs;
pub use topic::{
    AcceptArgs, AddArgs, InviteArgs, NewSecretArgs, RemoveArgs, SecretArgs, TopicArgs,
    TopicCommand, TopicRotateArgs,
};

use super::EXIT_GAVE_UP;
use super::since::Since;

/// Serverless peer discovery: find the peers of a topic on the BitTorrent Mainline DHT and talk to
/// them. No server, no account.
#[derive(Debug, Parser)]
#[command(
    name = "kukuri",
    version,
    arg_required_else_help = true,
    after_help = overview()
)]
pub struct Cli {
    /// Print one JSON object per line, each with a field `event`, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Read settings from this file (see `kukuri config show`).
    #[arg(long, global = true, value_name = "FILE", env = "KUKURI_CONFIG")]
    pub config: Option<PathBuf>,
    /// Which log events to print to standard error, such as `info` or `kukuri_discovery=debug`.
    #[arg(long, global = true, value_name = "FILTER", env = "KUKURI_LOG")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn overview() -> String {
    format!(
        "\
Examples:
  kukuri demo                   see it work on this machine alone
  kukuri join tea               talk on a topic, over the internet
  kukuri topic add den          keep one among friends: a topic with a secret, then
  kukuri topic invite den       invite them, and
  kukuri join den               join
  kukuri posts tea --since 2h   what was said, without any network

Exit codes:
  0  all right
  1  failed: a message says why, and what to do
  2  wrong usage
  {EXIT_GAVE_UP}  the node gave up; whoever runs it should start it again"
    )
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What needs a DHT on this machine.
    #[cfg(feature = "discovery-mainline")]
    #[command(flatten)]
    Dht(DhtCommand),
    /// Join a topic: lines typed are posted, posts of others are printed.
    #[command(after_help = "\
Examples:
  kukuri join tea                                  over the public DHT
  kukuri join den                                  one that was added with `kukuri topic add`
  kukuri join tea --secret-file tea.secret         only with those who have the secret
  kukuri join tea --passphrase-file /etc/kukuri/p  on a machine without a keyring
  kukuri join tea --metrics 127.0.0.1:9100         with Prometheus metrics at /metrics
  echo hello | kukuri join tea --exit-after-input  post and go

On one machine, without internet:
  kukuri testnet                                   prints the address of a local DHT
  kukuri join tea --bind 127.0.0.1:0 --dht-bootstrap 127.0.0.1:PORT --data-dir ./a")]
    Join(Box<JoinArgs>),
    /// Show the stored posts of a topic, oldest first. Needs no network, and no node; a running one
    /// is not disturbed.
    #[command(after_help = "\
Examples:
  kukuri posts tea                             the newest 50
  kukuri posts tea --since 2h                  of the last two hours
  kukuri posts tea --since 2026-11-24 --json   since that day (UTC), as JSON lines
  kukuri posts tea --secret-file tea.secret    of the secret topic of that name
  kukuri posts tea --public                    of the public topic of that name")]
    Posts(PostsArgs),
    /// Show who this node is; replace, back up or bring back its keys; have several nodes write in one
    /// name.
    #[command(
        visible_alias = "id",
        after_help = "\
Examples:
  kukuri id                                       who this node is, and where its keys are
  kukuri identity rotate                          another endpoint key
  kukuri identity export --out kukuri.backup      an encrypted backup
  kukuri identity import kukuri.backup --data-dir ./a
  kukuri identity link WRITER_ID                  let another node write in this one's name"
    )]
    Identity(Box<IdentityArgs>),
    /// Keep topics and their secrets with this node's keys, replace secrets, and invite others.
    #[command(after_help = "\
Examples:
  kukuri topic add tea        a topic with a new secret; then `kukuri join tea`
  kukuri topic invite tea     one line for somebody else to take part
  kukuri topic accept         what that somebody runs
  kukuri topic rotate tea     a new secret, because somebody should be out
  kukuri topic list           what was added")]
    Topic(Box<TopicArgs>),
    /// Check whether a node can work here: config, keys, clock, disk, ports, DHT, router; each with
    /// what to do.
    #[command(after_help = "\
Examples:
  kukuri doctor             all checks, some 15 seconds
  kukuri doctor --offline   this machine only
  kukuri doctor --json      a line for each check, for scripts

It ends with 1 if something does not work. A node that runs is not disturbed; where there is no identity
yet, it is made.")]
    Doctor(DoctorArgs),
    /// Ask a running node whether it is well; ends with 1 if it is not. For health checks.
    #[command(after_help = "\
Examples:
  kukuri health                         the node that these settings are of (`node.http`)
  kukuri health --http 127.0.0.1:9100   the node that serves its metrics there")]
    Health(HealthArgs),
    /// Print or check the settings of this node.
    #[command(after_help = "\
Examples:
  kukuri config show                        all settings in force
  kukuri config check --config kukuri.toml  whether a file can be used")]
    Config(ConfigArgs),
    /// Print the completions for a shell.
    #[command(after_help = "\
Examples:
  kukuri completions bash > ~/.local/share/bash-completion/completions/kukuri
  kukuri completions zsh > ~/.zfunc/_kukuri    (a folder in $fpath)
  kukuri completions fish > ~/.config/fish/completions/kukuri.fish
  kukuri completions powershell >> $PROFILE")]
    Completions(CompletionsArgs),
    /// Print the man page, or write those of all commands into a directory.
    #[command(after_help = "\
Examples:
  kukuri man | man -l -                       read it
  kukuri man --out ~/.local/share/man/man1    install all: then `man kukuri-join`")]
    Man(ManArgs),
}

/// Flags of `kukuri posts`.
#[derive(Debug, Args)]
pub struct PostsArgs {
    /// Name of the topic.
    pub topic: TopicName,
    /// Which topic of that name.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// Only posts written since then, by their authors' clocks: a span back from now (`90s`, `15m`,
    /// `2h`, `3d`), a time (`2026-11-24T08:00:00Z`), or a date (UTC).
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// Only the newest so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Whose posts.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print all settings in force as TOML: defaults, file, environment.
    #[command(after_help = "\
Examples:
  kukuri config show                 what is in force
  kukuri config show > kukuri.toml   a file to start from")]
    Show,
    /// Check the settings and say what is wrong.
    #[command(after_help = "\
Examples:
  kukuri config check                       the settings in force
  kukuri config check --config kukuri.toml  a file, before a node uses it")]
    Check,
    /// List the implementations that a config can choose, for each section.
    #[command(after_help = "\
Examples:
  kukuri config kinds          what this build has, and what is used by default
  kukuri config kinds --json   the same as one JSON object")]
    Kinds,
}

/// Flags of `kukuri completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell.
    pub shell: Shell,
}

/// Flags of `kukuri man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this directory; it is made if need be.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
