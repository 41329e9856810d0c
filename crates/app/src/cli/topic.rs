//! `kukuri topic`: secrets of topics, and invites.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use kukuri::{
    EndpointAddr, Invite, InviteError, format_invite, format_secret, generate_secret, parse_invite,
};
use serde_json::json;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::args::{AcceptArgs, InviteArgs, NewSecretArgs, TopicArgs, TopicCommand};
use super::join::resolve;
use super::output::Output;
use super::{Failure, input, keys, secret, unless_interrupted};

/// Peers that fit an invite.
const MAX_PEERS: usize = kukuri::MAX_INVITE_PEERS;

/// Why there is no invite, or none is accepted.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "an invite has at most {MAX_PEERS} peers, and --peer was given {0} times; leave some out"
    )]
    TooManyPeers(usize),
    #[error("the invite can't be used: {0}")]
    Invite(#[from] InviteError),
    #[error("the topic {0} has a secret; say with --out into which new file it shall go")]
    NoFile(String),
}

/// Runs the command.
pub async fn run(args: TopicArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        TopicCommand::NewSecret(args) => new_secret(args, output),
        TopicCommand::Invite(args) => invite(args, output).await,
        TopicCommand::Accept(args) => accept(args, output).await,
    }
}

fn new_secret(args: NewSecretArgs, output: &Output) -> Result<ExitCode, Failure> {
    let text = format_secret(&generate_secret()?);
    hand_out("secret", &text, args.out.as_deref(), output, |file| {
        format!(
            "Give it to each member over a channel that you trust; join with --secret-file {file}"
        )
    })
}

async fn invite(args: InviteArgs, output: &Output) -> Result<ExitCode, Failure> {
    if args.peer.len() > MAX_PEERS {
        return Err(Refused::TooManyPeers(args.peer.len()).into());
    }
    let invite = Invite {
        topic: args.topic,
        secret: secret::read(args.secret_file.as_deref())?,
        peers: resolve(&args.peer).await?,
    };
    let text = format_invite(&invite);
    hand_out("invite", &text, args.out.as_deref(), output, |_| {
        "Whoever has it can take part: hand it on over a channel that you trust".to_owned()
    })
}

/// Prints a text that is a secret, or writes it to a new file, and says what to do with that.
fn hand_out(
    what: &str,
    text: &str,
    file: Option<&Path>,
    output: &Output,
    advice: impl FnOnce(std::path::Display<'_>) -> String,
) -> Result<ExitCode, Failure> {
    match file {
        None => output.event(&json!({ "event": what, what: text }), text),
        Some(file) => {
            secret::write_new(file, text)?;
            output.event(
                &json!({ "event": format!("{what}_written"), "file": file }),
                format!(
                    "The {what} is in {}. {}",
                    file.display(),
                    advice(file.display())
                ),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn accept(args: AcceptArgs, output: &Output) -> Result<ExitCode, Failure> {
    let text = match std::io::stdin().is_terminal() {
        true => unless_interrupted(pasted()).await??,
        false => Zeroizing::new(input::line().unwrap_or_default()),
    };
    let Invite {
        topic,
        secret,
        peers,
    } = parse_invite(&text).map_err(Refused::from)?;
    let name = shlex::try_quote(topic.as_str())?;
    let mut command = format!("kukuri join {name}");
    let file = match (&secret, &args.out) {
        (None, _) => None,
        (Some(_), None) => return Err(Refused::NoFile(format!("{:?}", topic.as_str())).into()),
        (Some(secret), Some(file)) => {
            secret::write_new(file, &format_secret(secret))?;
            let quoted = file.display().to_string();
            command += &format!(" --secret-file {}", shlex::try_quote(&quoted)?);
            Some(file)
        }
    };
    let peers: Vec<_> = peers.iter().flat_map(flags).collect();
    command.extend(peers.iter().map(|peer| format!(" --peer {peer}")));
    let event = json!({
        "event": "invite_accepted",
        "topic": topic.as_str(),
        "secret_file": file,
        "peers": peers,
    });
    let kind = if secret.is_some() { "secret" } else { "public" };
    output.event(
        &event,
        format!(
            "You are invited to the {kind} topic {:?}. Join with\n  {command}",
            topic.as_str()
        ),
    );
    Ok(ExitCode::SUCCESS)
}

/// Asks on a thread of its own, because a blocked read can't be interrupted.
async fn pasted() -> std::io::Result<Zeroizing<String>> {
    let (tx, answer) = oneshot::channel();
    std::thread::spawn(move || {
        _ = tx.send(keys::read(
            "Paste the invite (it is not shown), then press Enter: ",
        ));
    });
    answer.await.map_err(std::io::Error::other)?
}

/// What `--peer` takes, for each address of a peer.
fn flags(peer: &EndpointAddr) -> impl Iterator<Item = String> {
    let addresses = peer.direct.iter();
    addresses.map(|address| format!("{}@{address}", peer.id))
}
