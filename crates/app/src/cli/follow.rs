//! A running `kukuri join` follows what is done to its topic in the list of topics.

use std::convert::Infallible;
use std::time::Duration;

use kukuri::contract::{UnixMillis, WallClock};
use kukuri::{Node, Topic, TopicSecret};
use serde_json::json;
use tokio::sync::watch;

use super::output::Output;
use super::saved;

/// How often it is looked whether the secret of the topic was replaced.
const LOOK: Duration = Duration::from_secs(2);

/// Takes the secret of a topic that was added, whenever it is replaced in the list.
pub async fn secret(
    node: &Node,
    secret: Option<Option<TopicSecret>>,
    topic: &watch::Sender<Topic>,
    output: &Output,
) -> Infallible {
    let Some(mut secret) = secret else {
        return std::future::pending().await;
    };
    let book = node.topics();
    let mut seen = book.written_at();
    loop {
        tokio::time::sleep(LOOK).await;
        let written = book.written_at();
        if written == seen {
            continue;
        }
        seen = written;
        let name = topic.borrow().name().clone();
        let chosen = match saved::look_up(book, &name).await {
            Ok(chosen) if chosen.saved && chosen.secret != secret => chosen,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "the list of topics can't be read");
                continue;
            }
        };
        let until = chosen.former.map_or(UnixMillis(0), |former| former.until);
        let present = topic.borrow().clone();
        match present.rotate(chosen.secret.clone(), until).await {
            Ok(next) => {
                secret = chosen.secret;
                topic.send_replace(next);
                let event = json!({ "event": "topic_rotated", "topic": name.as_str(), "overlap_until": until });
                output.event(&event, "* the topic has another secret from now on");
            }
            Err(error) => tracing::warn!(%error, "the topic's other secret can't be used"),
        }
    }
}

/// The secret before is not needed any more.
pub async fn wipe_former(node: &Node) {
    let (book, now) = (node.topics().clone(), WallClock::system().now());
    let wiped = tokio::task::spawn_blocking(move || book.expire(now)).await;
    if let Ok(Err(error)) = wiped {
        tracing::warn!(%error, "the secret before is still in the list of topics");
    }
}
