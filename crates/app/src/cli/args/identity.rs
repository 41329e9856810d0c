//! Flags of `kukuri identity`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kukuri::AuthorId;

use super::HomeArgs;

/// Flags of `kukuri identity`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IdentityArgs {
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
    /// What to do; `show` if nothing is said.
    #[command(subcommand)]
    pub command: Option<IdentityCommand>,
}

/// What to do with an identity.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Print who this node is, and where its keys are kept; makes its identity on first use.
    #[command(after_help = "\
Examples:
  kukuri identity show                  of the node in the platform's data directory
  kukuri identity show --data-dir ./a   of another one")]
    Show(HomeArgs),
    /// Replace the endpoint key, so that nobody can link this node to what it was on the network. The
    /// author of its posts and its topics stay. The node must not run.
    #[command(after_help = "\
Examples:
  kukuri identity rotate            another endpoint, the same author
  kukuri identity rotate --author   another author too: others see somebody new

The keys before are gone for good; `kukuri identity export` makes a backup of them.")]
    Rotate(RotateArgs),
    /// Write an encrypted backup of the keys, under a passphrase of its own.
    #[command(after_help = "\
Examples:
  kukuri identity export --out kukuri.backup

The topics that were added are in `topics.sealed` in the data directory, which only these keys open:
copy it too.")]
    Export(ExportArgs),
    /// Take in the keys of a backup, for a data directory that has none.
    #[command(after_help = "\
Examples:
  kukuri identity import kukuri.backup --data-dir ./a

Only one node may run with these keys at a time.")]
    Import(ImportArgs),
    /// Let another node of yours write in your name: make a link for it.
    #[command(after_help = "\
Examples:
  kukuri identity link WRITER_ID                    to standard output
  kukuri identity link WRITER_ID --out phone.link   into a new file

WRITER_ID is what `kukuri id` prints on the other node: its writer, or, without one, its author. Run
`kukuri identity use-link` there. A link is no secret, and of no use to anybody else.")]
    Link(LinkArgs),
    /// Write in the name of another node of yours: take a link from standard input.
    #[command(after_help = "\
Examples:
  kukuri identity use-link                paste the link, then press Enter
  kukuri identity use-link < phone.link")]
    UseLink(HomeArgs),
    /// Let another node write in your name no longer, for good.
    #[command(after_help = "\
Examples:
  kukuri identity revoke WRITER_ID

Each topic hears of it when this node takes part there. What this node has got of the other one by then
stays good; nobody who has heard of it takes anything else. A topic that this node never joins again
does not hear of it.")]
    Revoke(RevokeArgs),
    /// Make a key file, to encrypt a node's keys with instead of a passphrase.
    #[command(after_help = "\
Examples:
  kukuri identity new-key --out /etc/kukuri/key            a new one
  kukuri identity new-key --out /keys/key --if-missing     or none, in a script that runs each time
  kukuri join tea --key-file /etc/kukuri/key               a node that uses it

Keep it apart from the data directory and from backups of that: whoever has both is the node.")]
    NewKey(NewKeyArgs),
}

/// Flags of `kukuri identity rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Replace the author key too.
    #[arg(long)]
    pub author: bool,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri identity export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Write it to this new file, which only its owner can read.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// File with the passphrase of the backup. Default: a question on the terminal.
    #[arg(long, value_name = "FILE")]
    pub backup_passphrase_file: Option<PathBuf>,
    /// Whose.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri identity import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The backup.
    pub file: PathBuf,
    /// File with the passphrase of the backup. Default: a question on the terminal.
    #[arg(long, value_name = "FILE")]
    pub backup_passphrase_file: Option<PathBuf>,
    /// Whose it becomes.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri identity link`.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// The writer of the other node.
    #[arg(value_name = "WRITER_ID")]
    pub writer: AuthorId,
    /// Write it to this new file instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Whose name it is.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri identity revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The writer of the other node.
    #[arg(value_name = "WRITER_ID")]
    pub writer: AuthorId,
    /// Whose name it was.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Flags of `kukuri identity new-key`.
#[derive(Debug, Args)]
pub struct NewKeyArgs {
    /// Write it to this new file, which only its owner can read.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Leave a file that is there as it is, instead of failing.
    #[arg(long)]
    pub if_missing: bool,
}
