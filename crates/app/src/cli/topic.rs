//! `kukuri topic`: the topics of this node and their secrets, and invites.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use kukuri::contract::{UnixMillis, WallClock};
use kukuri::{
    Config, EndpointAddr, Invite, InviteError, SavedTopic, TopicBook, TopicBookError, TopicName,
    TopicSecret, format_invite, format_secret, generate_secret, parse_invite, who_is,
};
use serde_json::json;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::args::{
    AcceptArgs, AddArgs, HomeArgs, InviteArgs, NewSecretArgs, RemoveArgs, TopicArgs, TopicCommand,
    TopicRotateArgs,
};
use super::join::resolve;
use super::output::Output;
use super::{Failure, input, keys, saved, secret, since, unless_interrupted};

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
    #[error(
        "no topic {0:?} was added here: add it with `kukuri topic add`, name its secret with \
         --secret-file, or say --public"
    )]
    NotAdded(String),
    #[error(
        "the topic {0:?} was added here with another secret, and the invite does not say that it was \
         replaced; say with --overlap how long both shall be used (0s: only the new one)"
    )]
    OtherSecret(String),
    #[error("the topic {0:?} is public: there is no secret to write into a file; leave out --out")]
    NoSecret(String),
}

/// Runs the command.
pub async fn run(
    args: TopicArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match args.command {
        TopicCommand::Add(args) => add(args, file, output).await,
        TopicCommand::List(home) => list(&home, file, output).await,
        TopicCommand::Remove(args) => remove(args, file, output).await,
        TopicCommand::Rotate(args) => rotate(args, file, output).await,
        TopicCommand::Invite(args) => invite(args, file, output).await,
        TopicCommand::Accept(args) => accept(args, file, output).await,
        TopicCommand::NewSecret(args) => new_secret(args, output),
    }
}

// --- the topics of this node ---------------------------------------------------------------------

/// Does something with the topics of this node.
async fn with_book<T: Send + 'static>(
    home: &HomeArgs,
    file: Option<&Path>,
    work: impl FnOnce(&TopicBook, UnixMillis) -> Result<T, TopicBookError> + Send + 'static,
) -> Result<T, Failure> {
    let config = Config::load(file, &home.overrides())?;
    let who = unless_interrupted(who_is(config, keys::prompt())).await??;
    let now = WallClock::system().now();
    Ok(tokio::task::spawn_blocking(move || work(&who.topics, now)).await??)
}

fn saved_topic(
    name: TopicName,
    secret: Option<TopicSecret>,
    peers: Vec<EndpointAddr>,
) -> SavedTopic {
    SavedTopic {
        name,
        secret,
        former: None,
        earlier: Vec::new(),
        peers,
    }
}

fn kind(secret: bool) -> &'static str {
    if secret { "secret" } else { "public" }
}

/// The secret in a file, or a new one.
fn given_or_new(file: Option<&Path>) -> Result<TopicSecret, Failure> {
    match secret::read(file)? {
        Some(given) => Ok(given),
        None => Ok(generate_secret()?),
    }
}

async fn add(args: AddArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let secret = match args.public {
        true => None,
        false => Some(given_or_new(args.secret_file.as_deref())?),
    };
    let (kind, is_secret) = (kind(secret.is_some()), secret.is_some());
    let topic = saved_topic(args.topic.clone(), secret, Vec::new());
    let new = with_book(&args.home, file, move |book, now| book.add(topic, now)).await?;
    let name = shlex::try_quote(args.topic.as_str())?;
    let mut text = match new {
        true => format!("Added the {kind} topic {:?}.", args.topic.as_str()),
        false => format!(
            "The {kind} topic {:?} was added already.",
            args.topic.as_str()
        ),
    };
    text.push_str(&format!(" Join with\n  kukuri join {name}"));
    if is_secret {
        text.push_str(&format!(
            "\nInvite others with\n  kukuri topic invite {name}"
        ));
    }
    output.event(
        &json!({ "event": "topic_added", "topic": args.topic.as_str(), "secret": is_secret, "new": new }),
        text,
    );
    Ok(ExitCode::SUCCESS)
}

async fn list(home: &HomeArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let topics = with_book(home, file, |book, now| book.topics(now)).await?;
    for topic in &topics {
        let until = topic.former.as_ref().map(|former| former.until);
        let event = json!({
            "event": "topic",
            "topic": topic.name.as_str(),
            "topic_id": topic.id(),
            "secret": topic.secret.is_some(),
            "overlap_until": until,
        });
        let mut text = format!("{}  {}", kind(topic.secret.is_some()), topic.name);
        if let Some(until) = until {
            let until = since::format(until);
            text.push_str(&format!("  (the secret before counts until {until})"));
        }
        output.event(&event, text);
    }
    if topics.is_empty() {
        output.aside("No topics were added; `kukuri topic add` does.".to_owned());
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(
    args: RemoveArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let name = args.topic.clone();
    with_book(&args.home, file, move |book, now| book.remove(&name, now)).await?;
    output.event(
        &json!({ "event": "topic_removed", "topic": args.topic.as_str() }),
        format!(
            "Removed {:?} and its secret. A node that is in it stays there until it leaves.",
            args.topic.as_str()
        ),
    );
    Ok(ExitCode::SUCCESS)
}

async fn rotate(
    args: TopicRotateArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let secret = Some(given_or_new(args.secret_file.as_deref())?);
    let (name, overlap) = (args.topic.clone(), args.overlap);
    let until = with_book(&args.home, file, move |book, now| {
        let until = UnixMillis(now.0.saturating_add(overlap.0));
        book.rotate(&name, secret, until, now)?;
        Ok(until)
    })
    .await?;
    say_rotated(&args.topic, until, "Invite those who stay with", output)?;
    Ok(ExitCode::SUCCESS)
}

fn say_rotated(
    topic: &TopicName,
    until: UnixMillis,
    advice: &str,
    output: &Output,
) -> Result<(), Failure> {
    let name = shlex::try_quote(topic.as_str())?;
    let at = since::format(until);
    output.event(
        &json!({ "event": "topic_rotated", "topic": topic.as_str(), "overlap_until": until }),
        format!(
            "{:?} has another secret. The one before counts until {at}: up to then this node takes part \
             under both, and posts go to both. A node that runs takes it within seconds.\n\
             {advice}\n  kukuri topic invite {name}",
            topic.as_str()
        ),
    );
    Ok(())
}

// --- invites ---------------------------------------------------------------------------------------

async fn invite(
    args: InviteArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if args.peer.len() > MAX_PEERS {
        return Err(Refused::TooManyPeers(args.peer.len()).into());
    }
    let chosen = match saved::by_flags(&args.secret)? {
        Some(chosen) => chosen,
        None => {
            let config = Config::load(file, &args.home.overrides())?;
            let chosen = saved::added(&args.topic, config).await?;
            let not_added = || Refused::NotAdded(args.topic.as_str().to_owned());
            chosen.saved.then_some(chosen).ok_or_else(not_added)?
        }
    };
    let invite = Invite {
        topic: args.topic,
        secret: chosen.secret,
        overlap_until: chosen.former.map(|former| former.until),
        peers: resolve(&args.peer).await?,
    };
    let text = format_invite(&invite);
    hand_out("invite", &text, args.out.as_deref(), output, |_| {
        "Whoever has it can take part: hand it on over a channel that you trust".to_owned()
    })
}

fn new_secret(args: NewSecretArgs, output: &Output) -> Result<ExitCode, Failure> {
    let text = format_secret(&generate_secret()?);
    hand_out("secret", &text, args.out.as_deref(), output, |file| {
        format!(
            "Give it to each member over a channel that you trust; join with --secret-file {file}"
        )
    })
}

/// Prints a text, which may be a secret, or writes it to a new file, and says what to do with that.
pub(super) fn hand_out(
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

async fn accept(
    args: AcceptArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let text = match std::io::stdin().is_terminal() {
        true => unless_interrupted(pasted("invite")).await??,
        false => Zeroizing::new(input::line().unwrap_or_default()),
    };
    let invite = parse_invite(&text).map_err(Refused::from)?;
    match &args.out {
        Some(out) => write_accepted(invite, out, output),
        None => add_accepted(invite, args, file, output).await,
    }
}

/// Adds the topic of an invite, or gives one that was added the secret of the invite.
async fn add_accepted(
    invite: Invite,
    args: AcceptArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let Invite {
        topic,
        secret,
        overlap_until,
        peers,
    } = invite;
    let is_secret = secret.is_some();
    let (name, told) = (topic.clone(), args.overlap);
    // Until when both secrets count, where there was another one.
    let done = with_book(&args.home, file, move |book, now| {
        let there = book.get(&name, now)?;
        if there.is_none_or(|there| there.secret == secret) {
            let new = book.add(saved_topic(name, secret, peers), now)?;
            return Ok(Some((new, None)));
        }
        let from_now = |span: since::Span| UnixMillis(now.0.saturating_add(span.0));
        let Some(until) = told.map(from_now).or(overlap_until) else {
            return Ok(None);
        };
        book.rotate(&name, secret, until, now)?;
        Ok(Some((false, Some(until))))
    })
    .await?;
    let Some((new, rotated)) = done else {
        return Err(Refused::OtherSecret(topic.as_str().to_owned()).into());
    };
    if let Some(until) = rotated {
        say_rotated(&topic, until, "Others are invited with", output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = shlex::try_quote(topic.as_str())?;
    output.event(
        &json!({ "event": "invite_accepted", "topic": topic.as_str(), "secret": is_secret, "new": new }),
        format!(
            "You are invited to the {} topic {:?}. Join with\n  kukuri join {name}",
            kind(is_secret),
            topic.as_str()
        ),
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes the secret of an invite to a file, and says how to join with it.
fn write_accepted(invite: Invite, out: &Path, output: &Output) -> Result<ExitCode, Failure> {
    let topic = invite.topic.as_str();
    let secret = invite.secret.as_ref();
    let secret = secret.ok_or_else(|| Refused::NoSecret(topic.to_owned()))?;
    secret::write_new(out, &format_secret(secret))?;
    let file = out.display().to_string();
    let mut command = format!(
        "kukuri join {} --secret-file {}",
        shlex::try_quote(topic)?,
        shlex::try_quote(&file)?
    );
    let peers: Vec<_> = invite.peers.iter().flat_map(flags).collect();
    command.extend(peers.iter().map(|peer| format!(" --peer {peer}")));
    output.event(
        &json!({ "event": "secret_written", "topic": topic, "file": out, "peers": peers }),
        format!("The secret of the topic {topic:?} is in {file}. Join with\n  {command}"),
    );
    Ok(ExitCode::SUCCESS)
}

/// Asks on a thread of its own, because a blocked read can't be interrupted.
pub(super) async fn pasted(what: &'static str) -> std::io::Result<Zeroizing<String>> {
    let (tx, answer) = oneshot::channel();
    std::thread::spawn(move || {
        let ask = format!("Paste the {what} (it is not shown), then press Enter: ");
        _ = tx.send(keys::read(&ask));
    });
    answer.await.map_err(std::io::Error::other)?
}

/// What `--peer` takes, for each address of a peer.
fn flags(peer: &EndpointAddr) -> impl Iterator<Item = String> {
    let addresses = peer.direct.iter();
    addresses.map(|address| format!("{}@{address}", peer.id))
}
