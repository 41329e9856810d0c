//! `kukuri join`: take part in a topic.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kukuri::contract::MAX_DIRECT_ADDRESSES;
use kukuri::{
    Config, EndpointAddr, GaveUp, JoinOptions, Node, NodeInfo, Topic, TopicEvent, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::args::{JoinArgs, PeerArg};
use super::output::Output;
use super::{
    EXIT_GAVE_UP, Failure, follow, identity, input, interrupted, keys, post, saved,
    unless_interrupted,
};

/// Lines that are pasted on a terminal come within so long; nobody sees the delay.
const PASTE: Duration = Duration::from_millis(20);
/// With `--exit-after-input`: longest wait for a first neighbor to send to.
const FIRST_NEIGHBOR: Duration = Duration::from_secs(30);
/// A search that takes longer is shown as such. Lines that were typed ahead are read by then.
const SPINNER_DELAY: Duration = Duration::from_millis(500);
/// With `--exit-after-input`: time for the last post to leave; gossip acknowledges nothing.
const LINGER: Duration = Duration::from_secs(1);

/// Runs the command.
pub async fn run(
    args: JoinArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut config = Config::load(file, &args.overrides())?;
    args.bind_others(&mut config);
    let told = saved::by_flags(&args.secret)?;
    let peers = resolve(&args.peer).await?;
    let mut builder = Node::builder().config(config);
    if let Some(prompt) = keys::prompt() {
        builder = builder.passphrase_prompt(prompt);
    }
    let node = unless_interrupted(builder.spawn()).await??;
    say_started(node.info(), output);
    let chosen = match told {
        Some(chosen) => chosen,
        None => saved::look_up(node.topics(), &args.topic).await?,
    };
    let kind = match chosen.secret {
        Some(_) => "secret",
        None => "public",
    };
    let secret = chosen.saved.then(|| chosen.secret.clone());
    let options = JoinOptions {
        secret: chosen.secret,
        former: chosen.former,
        peers: [peers, chosen.peers].concat(),
    };
    let topic = node.join(args.topic.clone(), options).await?;
    output.note(format!(
        "Joined the {kind} topic {:?}. Looking for peers; what you type is posted. Ctrl-C leaves.",
        topic.name().as_str()
    ));
    let (joined, has_joined) = watch::channel(false);
    let (rotated, topic) = watch::channel(topic);
    let code = tokio::select! {
        () = interrupted() => ExitCode::SUCCESS,
        // Never ends: where a secret can't be taken, the one that is used goes on.
        never = follow::secret(&node, secret, &rotated, output) => match never {},
        reason = until_given_up(&node, topic.clone(), &joined, output) => {
            output.event(
                &json!({ "event": "gave_up", "service": reason.service, "message": reason.to_string() }),
                format!("! the node gave up: {reason}"),
            );
            ExitCode::from(EXIT_GAVE_UP)
        }
        code = post_lines(&topic, has_joined, args.exit_after_input, output) => code,
    };
    node.shutdown().await;
    output.event(&json!({ "event": "stopped" }), "Left.");
    Ok(code)
}

/// Why a peer can't be dialed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    #[error(
        "--peer {peer} names no host that can be found; check the name, or give its IP address"
    )]
    NoSuchHost {
        peer: PeerArg,
        source: std::io::Error,
    },
    #[error("--peer {peer} names a host without addresses; give its IP address")]
    NoAddress { peer: PeerArg },
}

/// Looks up the hosts of peers.
pub(super) async fn resolve(peers: &[PeerArg]) -> Result<Vec<EndpointAddr>, PeerError> {
    let mut resolved = Vec::<EndpointAddr>::with_capacity(peers.len());
    for peer in peers {
        let found = tokio::net::lookup_host(&peer.address).await;
        let found = found.map_err(|source| PeerError::NoSuchHost {
            peer: peer.clone(),
            source,
        })?;
        let direct: Vec<_> = found.take(MAX_DIRECT_ADDRESSES).collect();
        if direct.is_empty() {
            return Err(PeerError::NoAddress { peer: peer.clone() });
        }
        // Named twice, it is one peer with more addresses.
        if let Some(known) = resolved.iter_mut().find(|known| known.id == peer.id) {
            known.direct.extend(direct);
            known.direct.truncate(MAX_DIRECT_ADDRESSES);
            continue;
        }
        resolved.push(EndpointAddr {
            id: peer.id,
            direct,
            relay: None,
        });
    }
    Ok(resolved)
}

fn say_started(info: &NodeInfo, output: &Output) {
    let event = json!({
        "event": "started",
        "endpoint_id": info.endpoint,
        "author": info.author,
        "writer": info.writer,
        "bound": info.bound,
        "addresses": info.advertised.direct,
        "hello": info.hello,
        "metrics": info.http,
        "store": info.secret_store,
        "store_note": info.secret_store_note,
        "data_dir": info.data_dir,
    });
    let bound: Vec<_> = info.bound.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "endpoint  {}\nauthor    {}\nlistens   {}\nkeys in   {}\ndata in   {}",
        info.endpoint,
        identity::author(info.author, info.writer),
        bound.join(", "),
        info.secret_store_note,
        info.data_dir.display(),
    );
    if let Some(http) = info.http {
        text.push_str(&format!("\nmetrics   http://{http}/metrics"));
    }
    output.event(&event, text);
}

/// The events of a topic end with the node.
async fn until_given_up(
    node: &Node,
    mut topic: watch::Receiver<Topic>,
    joined: &watch::Sender<bool>,
    output: &Output,
) -> GaveUp {
    let say = async {
        loop {
            let present = topic.borrow_and_update().clone();
            say_events(node, &present, joined, output).await;
            // With another secret, there is another handle.
            if topic.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = say => node.gave_up().await,
        reason = node.gave_up() => reason,
    }
}

async fn say_events(node: &Node, topic: &Topic, joined: &watch::Sender<bool>, output: &Output) {
    let mut events = topic.events();
    let mut looking = None;
    let mut doing = "looking for the first neighbor";
    let soon = tokio::time::sleep(SPINNER_DELAY);
    tokio::pin!(soon);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut soon, if looking.is_none() && !*joined.borrow() => {
                looking = Some(output.spinner(doing));
                continue;
            }
        };
        let Some(event) = event else {
            return;
        };
        match &event {
            TopicEvent::Joined { .. } => {
                looking = None;
                joined.send_replace(true);
            }
            TopicEvent::Verdict(verdict) => {
                doing = verdict.hint();
                if let Some(looking) = &looking {
                    looking.say(doing);
                }
            }
            TopicEvent::OverlapEnded => follow::wipe_former(node).await,
            _ => {}
        }
        match describe(topic, &event) {
            // For scripts: who chats does not want to know who the root is.
            Some((json, None)) if output.is_json() => output.event(&json, ""),
            Some((json, Some(text))) => output.event(&json, text),
            _ => {}
        }
    }
}

/// An event for scripts and, unless it is for them only, for people.
fn describe(topic: &Topic, event: &TopicEvent) -> Option<(Value, Option<String>)> {
    let said = match event {
        TopicEvent::Joined { source, after } => {
            let (name, after_ms) = (topic.name().as_str(), after.as_millis() as u64);
            (
                json!({ "event": "joined", "topic": name, "source": source, "after_ms": after_ms }),
                format!("* first neighbor after {after_ms} ms, found by {source}"),
            )
        }
        TopicEvent::NeighborUp {
            endpoint,
            neighbors,
        } => (
            json!({ "event": "neighbor_up", "endpoint_id": endpoint, "neighbors": neighbors }),
            format!("* neighbor {} came ({neighbors} now)", endpoint.short()),
        ),
        TopicEvent::NeighborDown {
            endpoint,
            neighbors,
        } => (
            json!({ "event": "neighbor_down", "endpoint_id": endpoint, "neighbors": neighbors }),
            format!("* neighbor {} went ({neighbors} now)", endpoint.short()),
        ),
        TopicEvent::Post(post) => (post::as_json(post), post::as_text(post)),
        TopicEvent::Revoked { author, writer } => (
            json!({ "event": "revoked", "author": author, "writer": writer }),
            format!(
                "* <{}> writes no longer on {}",
                author.short(),
                writer.short()
            ),
        ),
        // `joined` and `neighbor_up` have said so already.
        TopicEvent::Verdict(Verdict::Joined { .. }) => return None,
        TopicEvent::Verdict(verdict) => (
            json!({ "event": "verdict", "outcome": verdict.as_str(), "hint": verdict.hint() }),
            format!("! {}", verdict.hint()),
        ),
        TopicEvent::Swarm { root, members } => {
            let swarm = json!({ "event": "swarm", "root": root, "members": members });
            return Some((swarm, None));
        }
        TopicEvent::OverlapEnded => (
            json!({ "event": "overlap_ended", "topic": topic.name().as_str() }),
            "* the secret before does not count any more".to_owned(),
        ),
        TopicEvent::Lagged(missed) => (
            json!({ "event": "lagged", "missed": missed }),
            format!("! {missed} events were missed: this reader is too slow"),
        ),
        _ => return None,
    };
    let (json, text) = said;
    Some((json, Some(text)))
}

/// A line that was typed, with those that were pasted together with it. Told to the screen, because
/// the terminal has echoed them wherever its cursor was.
async fn typed_with(
    first: String,
    lines: &mut mpsc::Receiver<String>,
    output: &Output,
) -> Vec<String> {
    let mut typed = vec![first];
    if output.is_typed_on() {
        tokio::time::sleep(PASTE).await;
        typed.extend(std::iter::from_fn(|| lines.try_recv().ok()));
        output.typed(&typed);
    }
    typed.retain(|line| !line.is_empty());
    typed
}

/// Posts a line, and says what came of it.
async fn post_line(topic: &Topic, line: String, output: &Output) -> ExitCode {
    match topic.post(line).await {
        Ok(seq) => {
            if output.is_json() {
                output.event(&json!({ "event": "posted", "seq": seq }), "");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            output.event(
                &json!({ "event": "post_failed", "message": error.to_string() }),
                format!("! not posted: {error}"),
            );
            ExitCode::FAILURE
        }
    }
}

/// Posts each line of the input. Returns only when it is time to leave.
async fn post_lines(
    topic: &watch::Receiver<Topic>,
    mut joined: watch::Receiver<bool>,
    exit_after_input: bool,
    output: &Output,
) -> ExitCode {
    let mut lines = input::lines();
    let mut code = ExitCode::SUCCESS;
    while let Some(line) = lines.recv().await {
        for line in typed_with(line, &mut lines, output).await {
            let present = topic.borrow().clone();
            if post_line(&present, line, output).await == ExitCode::FAILURE {
                code = ExitCode::FAILURE;
            }
        }
    }
    if !exit_after_input {
        std::future::pending::<()>().await;
    }
    let neighbor = joined.wait_for(|joined| *joined);
    match tokio::time::timeout(FIRST_NEIGHBOR, neighbor).await {
        Ok(_) => {
            tokio::time::sleep(LINGER).await;
            code
        }
        Err(_) => {
            output.event(
                &json!({ "event": "unsent", "message": "no neighbor to send to" }),
                "! nobody was there to send to; the posts are in the store",
            );
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_of_peers_are_looked_up() {
        let id = "ab".repeat(32);
        let peer = |host: &str| format!("{id}@{host}").parse::<PeerArg>().unwrap();
        let found = resolve(&[peer("127.0.0.1:7"), peer("[::1]:8")])
            .await
            .unwrap();
        let both = ["127.0.0.1:7", "[::1]:8"].map(|address| address.parse().unwrap());
        assert_eq!(found.len(), 1, "one peer with two addresses");
        assert_eq!(found[0].direct, both);
        let error = resolve(&[peer("no-such-host.invalid:7")])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("no-such-host.invalid"),
            "{error}"
        );
    }
}
