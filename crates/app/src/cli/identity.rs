//! `kukuri identity`: who this node is, what is done with its keys, and several nodes of one person.

mod link;

use std::path::Path;
use std::process::ExitCode;

use kukuri::contract::IdentityInfo;
use kukuri::{
    AuthorId, BackupLock, Config, WhoIs, export_identity, generate_key_file, import_identity,
    rotate_identity, who_is,
};
use serde_json::{Value, json};

use super::args::{
    ExportArgs, HomeArgs, IdentityArgs, IdentityCommand, ImportArgs, NewKeyArgs, RotateArgs,
};
use super::output::Output;
use super::{Failure, keys, secret, unless_interrupted};

/// Runs the command.
pub async fn run(
    args: IdentityArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match args.command {
        None => show(args.home, file, output).await,
        Some(IdentityCommand::Show(home)) => show(home, file, output).await,
        Some(IdentityCommand::Rotate(args)) => rotate(args, file, output).await,
        Some(IdentityCommand::Export(args)) => export(args, file, output).await,
        Some(IdentityCommand::Import(args)) => import(args, file, output).await,
        Some(IdentityCommand::Link(args)) => link::give(args, file, output).await,
        Some(IdentityCommand::UseLink(home)) => link::take(home, file, output).await,
        Some(IdentityCommand::Revoke(args)) => link::revoke(args, file, output).await,
        Some(IdentityCommand::NewKey(args)) => new_key(&args, output),
    }
}

async fn show(home: HomeArgs, file: Option<&Path>, output: &Output) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &home.overrides())?;
    let who = unless_interrupted(who_is(config, keys::prompt())).await??;
    let WhoIs {
        info, store_note, ..
    } = who;
    output.event(
        &as_json("id", &info, &store_note),
        as_text(&info, &store_note),
    );
    Ok(ExitCode::SUCCESS)
}

async fn rotate(
    args: RotateArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &args.home.overrides())?;
    let rotated = rotate_identity(config, keys::prompt(), args.author);
    let rotated = unless_interrupted(rotated).await??;
    let (info, note) = (&rotated.after, &rotated.store_note);
    let mut event = as_json("identity_rotated", info, note);
    event["endpoint_id_before"] = json!(rotated.before.endpoint);
    event["author_before"] = json!(rotated.before.author);
    let text = format!(
        "This node is another one from now on. Invites that name it as a peer are out of date.\n{}",
        as_text(info, note)
    );
    output.event(&event, text);
    Ok(ExitCode::SUCCESS)
}

async fn export(
    args: ExportArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &args.home.overrides())?;
    // Before anybody types a passphrase for nothing.
    secret::must_be_new(&args.out)?;
    let lock = BackupLock {
        passphrase_file: args.backup_passphrase_file,
        prompt: keys::prompt(),
    };
    let backup = export_identity(config, keys::prompt(), lock, args.out.clone());
    let backup = unless_interrupted(backup).await??;
    secret::write_new_bytes(&args.out, &backup)?;
    output.event(
        &json!({ "event": "identity_exported", "file": args.out }),
        format!(
            "The backup is in {}. Whoever has it and its passphrase is this node; without the \
             passphrase it is worth nothing.",
            args.out.display()
        ),
    );
    Ok(ExitCode::SUCCESS)
}

async fn import(
    args: ImportArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(file, &args.home.overrides())?;
    let lock = BackupLock {
        passphrase_file: args.backup_passphrase_file,
        prompt: keys::prompt(),
    };
    let taken = import_identity(config, keys::prompt(), lock, args.file);
    let (info, note) = unless_interrupted(taken).await??;
    output.event(
        &as_json("identity_imported", &info, &note),
        as_text(&info, &note),
    );
    Ok(ExitCode::SUCCESS)
}

fn new_key(args: &NewKeyArgs, output: &Output) -> Result<ExitCode, Failure> {
    let file = args.out.display();
    if args.if_missing && args.out.exists() {
        output.event(
            &json!({ "event": "key_kept", "file": args.out }),
            format!("{file} is there already, and stays as it is."),
        );
        return Ok(ExitCode::SUCCESS);
    }
    secret::write_new(&args.out, &generate_key_file()?)?;
    output.event(
        &json!({ "event": "key_written", "file": args.out }),
        format!("The key is in {file}. Start the node with --key-file {file}"),
    );
    Ok(ExitCode::SUCCESS)
}

/// In whose name a node writes, and with which key, if that is another one.
pub fn author(author: AuthorId, writer: AuthorId) -> String {
    match author == writer {
        true => author.to_string(),
        false => format!("{author}\nwriter    {writer}"),
    }
}

fn as_json(event: &str, info: &IdentityInfo, note: &str) -> Value {
    json!({
        "event": event,
        "endpoint_id": info.endpoint,
        "author": name(info),
        "writer": info.author,
        "store": info.store,
        "store_note": note,
    })
}

fn as_text(info: &IdentityInfo, note: &str) -> String {
    format!(
        "endpoint  {}\nauthor    {}\nkept in   {note}",
        info.endpoint,
        author(name(info), info.author)
    )
}

/// Whose name it writes in.
fn name(info: &IdentityInfo) -> AuthorId {
    let used = info.links.used.as_ref();
    used.map_or(info.author, |link| link.author)
}
