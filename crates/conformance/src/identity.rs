//! The clauses of identity.

mod signatures;
mod topics;

use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use kukuri_contract::{
    IdentityDeps, IdentityPort, IdentityRunning, KeyBytes, Links, WallClock, Whoami,
};

use crate::every::end;
use crate::kit::{Clause, Held, Service, Stage, clauses, ensure, ensure_eq, service_port};
use signatures::*;
use topics::*;

/// The identity service.
#[derive(Debug)]
pub struct Identity;

service_port!(IdentityPort, whoami, Whoami);

impl Service for Identity {
    type Port = IdentityPort;
    type Deps = IdentityDeps;
    type Running = IdentityRunning;
    const CLAUSES: &'static [Clause<Self>] = &clauses![
        it_is_who_it_says:
            "Whoami tells what was told at the start: an endpoint whose key was handed over, and \
             another key as author.",
        a_restart_is_the_same_identity:
            "Started again, a node has the same keys; another node has others.",
        a_topic_is_its_name_and_secret:
            "The same name and secret are the same topic, on every node; anything else is another.",
        members_derive_the_same_keys:
            "Nodes with the same topic have the same keys in an epoch, each for one use.",
        keys_are_those_of_the_protocol:
            "A topic's id and keys are those of docs/PROTOCOL.md, section 3: else nobody else is met.",
        keys_change_with_the_epoch:
            "In another epoch all keys of a topic are others.",
        topics_are_kept_apart:
            "Another topic has other keys.",
        only_a_secret_topic_seals_its_posts:
            "The posts of a public topic are in the clear: it has no key for them.",
        an_unknown_topic_is_refused:
            "Of a topic that was not added, or is removed, there are no keys; removing it is fine.",
        no_more_topics_than_the_bound:
            "A topic beyond the bound is refused until one is removed; one that is there always fits.",
        a_statement_is_signed_by_the_key_that_it_is_of:
            "Records and heartbeats are signed by the endpoint, posts and links by the author, over \
             the preimage.",
        no_link_in_anothers_name:
            "A link that names another author is not signed.",
        links_are_told_as_they_are:
            "A new node has no author links, at the start and when asked.",
    ];

    fn deps(_: u64, data_dir: PathBuf) -> IdentityDeps {
        IdentityDeps {
            data_dir,
            clock: WallClock::system(),
        }
    }

    fn port(running: &IdentityRunning) -> &IdentityPort {
        &running.port
    }
}

/// The public half of a secret key.
fn public(key: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(key).verifying_key().to_bytes()
}

async fn it_is_who_it_says(on: &Stage<'_, Identity>) -> Held {
    let running = on.begin(1).await;
    let info = running.port.whoami(Whoami).await?;
    ensure_eq!(info, running.info, "who it is");
    let endpoint = public(running.endpoint_key.expose());
    ensure_eq!(
        *info.endpoint.as_bytes(),
        endpoint,
        "the endpoint of its key"
    );
    ensure!(*info.author.as_bytes() != endpoint, "one key for both");
    end(on, &running.port).await
}

async fn a_restart_is_the_same_identity(on: &Stage<'_, Identity>) -> Held {
    let all = |running: &IdentityRunning| -> (_, _, KeyBytes) {
        let endpoint = *running.endpoint_key.expose();
        (running.info.clone(), endpoint, running.book_key.clone())
    };
    let first = on.begin(1).await;
    end(on, &first.port).await?;
    let again = on.begin(1).await;
    // Not compared by `ensure_eq`, which prints what differs.
    ensure!(all(&first) == all(&again), "a restart is another identity");
    let other = on.begin(2).await;
    let (one, two) = (&again.info, &other.info);
    let differs = one.endpoint != two.endpoint && one.author != two.author;
    ensure!(
        differs && again.book_key != other.book_key,
        "two nodes share a key"
    );
    end(on, &again.port).await?;
    end(on, &other.port).await
}

async fn links_are_told_as_they_are(on: &Stage<'_, Identity>) -> Held {
    let running = on.begin(1).await;
    let links = running.port.links(Links).await?;
    ensure_eq!(links, running.info.links, "links");
    let (used, revoked) = (links.used, links.revoked);
    ensure!(
        used.is_none() && revoked.is_empty(),
        "a new node uses {used:?}, revokes {revoked:?}"
    );
    end(on, &running.port).await
}
