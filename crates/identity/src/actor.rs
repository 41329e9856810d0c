//! The actor: translates messages into what the keys and topics say.

mod kinds;

use std::path::PathBuf;

use actix::{Actor, ActorContext, Context, Handler, ResponseFuture};
use kukuri_contract::{
    AddTopic, AddTopicError, AuthorLinks, EpochKeys, IdentityDeps, IdentityInfo, IdentityPort,
    IdentityRunning, Limits, Links, LinksError, Never, Probe, RemoveTopic, SecretStoreKind, Sign,
    SignError, Signature, Stop, TopicId, TopicKeys, TopicKeysError, Whoami,
};
use tokio::task::spawn_blocking;

pub use self::kinds::{FileIdentity, KeyringIdentity, MemoryIdentity};
use crate::config::Config;
use crate::core::keys::Keys;
use crate::core::topics::Topics;
use crate::error::IdentityError;
use crate::links::{read_links, told};
use crate::store::{MemoryStore, Opened, Place, open};
use crate::unlock::{Prompt, Sources};

/// Where systemd tells a service that its credentials are.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// What the keys of a node are opened with, by the settings `C` of an implementation. Clones share the
/// keys once they are open: an actor that is started again needs no passphrase.
#[derive(Debug, Clone, Default)]
pub struct Setup<C = Config> {
    /// The settings.
    pub config: C,
    /// Where the keys of the running node are.
    pub memory: MemoryStore,
    /// How to ask a user for a passphrase, if there is one.
    pub prompt: Option<Prompt>,
}

impl<C> From<C> for Setup<C> {
    fn from(config: C) -> Self {
        Self {
            config,
            memory: MemoryStore::default(),
            prompt: None,
        }
    }
}

impl<C: Into<Config>> Setup<C> {
    /// The same in the settings that have all choices. It shares the open keys.
    pub fn general(self) -> Setup {
        Setup {
            config: self.config.into(),
            memory: self.memory,
            prompt: self.prompt,
        }
    }
}

impl Setup {
    /// Where a passphrase or key comes from here.
    pub(crate) fn sources(&self) -> Sources {
        let credentials = std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from);
        Sources::new(&self.config, credentials, self.prompt.clone())
    }
}

fn check(config: &Config) -> Result<(), IdentityError> {
    let wrong = |field, problem: &str| {
        let problem = problem.to_owned();
        Err(IdentityError::Config { field, problem })
    };
    let both = config.key_file.is_some() && config.passphrase_file.is_some();
    match config {
        _ if config.max_topics == 0 => wrong("max_topics", "it must be at least 1"),
        _ if config.keyring_timeout_ms == 0 => wrong("keyring_timeout_ms", "it must be at least 1"),
        _ if both => wrong(
            "key_file",
            "a passphrase_file (or KUKURI_PASSPHRASE_FILE) is named too; keep one of them",
        ),
        _ => Ok(()),
    }
}

async fn spawn(setup: Setup, deps: IdentityDeps) -> Result<IdentityRunning, IdentityError> {
    check(&setup.config)?;
    let IdentityDeps { data_dir, clock } = deps;
    let (now, max_topics) = (clock.now(), setup.config.max_topics);
    // Files, keyrings and users block.
    let dir = data_dir.clone();
    let opened = spawn_blocking(move || {
        let sources = setup.sources();
        let opened = open(&setup.config, &dir, &setup.memory, sources, now)?;
        Ok::<_, IdentityError>((opened, read_links(&dir)?))
    });
    let (opened, links) = opened.await.expect("opening a store does not panic")?;
    let Opened { keys, place } = opened;
    say(&place);
    let info = info(&keys, &place, links);
    let (endpoint_key, book_key) = (keys.endpoint_key(), keys.book_key());
    let actor = IdentityActor {
        topics: Topics::new(max_topics),
        keys,
        info: info.clone(),
        data_dir,
    };
    Ok(IdentityRunning {
        port: IdentityPort::new(&actor.start(), Limits::default()),
        info,
        store_note: place.note,
        endpoint_key,
        book_key,
    })
}

/// Who a node with these keys is.
pub(crate) fn info(keys: &Keys, place: &Place, links: crate::core::links::Links) -> IdentityInfo {
    IdentityInfo {
        endpoint: keys.endpoint_id(),
        author: keys.author_id(),
        links: told(links, keys.author_id()),
        store: place.kind,
    }
}

/// Tells the log where the keys are; a place that protects nothing is told as a warning at every
/// start.
fn say(place: &Place) {
    let Place { kind, note } = place;
    match kind {
        SecretStoreKind::Plaintext => tracing::warn!(
            "the node's keys are not protected: whoever reads their file, or a backup of it, is this \
             node; to have it encrypted, start with a passphrase or a key file, and without \
             --insecure-plaintext-store; they are in {note}"
        ),
        _ => tracing::info!(store = kind.as_str(), "the node's keys are in {note}"),
    }
}

/// The actor behind all implementations: where its keys were from, it does not know.
struct IdentityActor {
    keys: Keys,
    topics: Topics,
    info: IdentityInfo,
    data_dir: PathBuf,
}

impl Actor for IdentityActor {
    type Context = Context<Self>;
}

impl Handler<Whoami> for IdentityActor {
    type Result = Result<IdentityInfo, Never>;

    fn handle(&mut self, _: Whoami, _: &mut Self::Context) -> Self::Result {
        Ok(self.info.clone())
    }
}

impl Handler<AddTopic> for IdentityActor {
    type Result = Result<TopicId, AddTopicError>;

    fn handle(&mut self, request: AddTopic, _: &mut Self::Context) -> Self::Result {
        self.topics.add(&request.name, request.secret.as_ref())
    }
}

impl Handler<RemoveTopic> for IdentityActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: RemoveTopic, _: &mut Self::Context) -> Self::Result {
        self.topics.remove(request.topic);
        Ok(())
    }
}

impl Handler<TopicKeys> for IdentityActor {
    type Result = Result<EpochKeys, TopicKeysError>;

    fn handle(&mut self, request: TopicKeys, _: &mut Self::Context) -> Self::Result {
        self.topics.keys(request.topic, request.epoch)
    }
}

impl Handler<Sign> for IdentityActor {
    type Result = Result<Signature, SignError>;

    fn handle(&mut self, Sign(statement): Sign, _: &mut Self::Context) -> Self::Result {
        self.keys.sign(&statement)
    }
}

impl Handler<Links> for IdentityActor {
    type Result = ResponseFuture<Result<AuthorLinks, LinksError>>;

    fn handle(&mut self, _: Links, _: &mut Self::Context) -> Self::Result {
        let (data_dir, own) = (self.data_dir.clone(), self.info.author);
        // A user may have changed the file while the node runs.
        let read = spawn_blocking(move || read_links(&data_dir));
        Box::pin(async move {
            let read = read.await.expect("reading a file does not panic");
            read.map(|links| told(links, own))
                .map_err(|error| LinksError::Unreadable(error.to_string()))
        })
    }
}

impl Handler<Probe> for IdentityActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(IdentityActor);

impl Handler<Stop> for IdentityActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Ok(())
    }
}
