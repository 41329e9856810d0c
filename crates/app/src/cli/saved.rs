//! Which topic of a name is meant: one with the secret in a file, one that was added, the public one.

use kukuri::contract::WallClock;
use kukuri::{
    Config, EndpointAddr, Former, SavedTopic, TopicBook, TopicId, TopicName, TopicSecret, who_is,
};

use super::args::SecretArgs;
use super::{Failure, keys, secret, unless_interrupted};

/// A topic as it is to be used.
#[derive(Debug, Default)]
pub struct Chosen {
    /// Its secret; a topic without one is public.
    pub secret: Option<TopicSecret>,
    /// The secret before, while both are used.
    pub former: Option<Former>,
    /// The topics of earlier secrets.
    pub earlier: Vec<TopicId>,
    /// Members to dial at once.
    pub peers: Vec<EndpointAddr>,
    /// It was added, so its secret may be replaced while a node runs.
    pub saved: bool,
}

impl From<SavedTopic> for Chosen {
    fn from(topic: SavedTopic) -> Self {
        Self {
            secret: topic.secret,
            former: topic.former,
            earlier: topic.earlier,
            peers: topic.peers,
            saved: true,
        }
    }
}

/// Which topic the flags mean, unless it takes the list of topics to know that.
pub fn by_flags(args: &SecretArgs) -> Result<Option<Chosen>, Failure> {
    let secret = secret::read(args.secret_file.as_deref())?;
    let told = args.public || secret.is_some();
    Ok(told.then(|| Chosen {
        secret,
        ..Chosen::default()
    }))
}

/// The topic of this name that was added, else the public one.
pub async fn look_up(book: &TopicBook, name: &TopicName) -> Result<Chosen, Failure> {
    let (book, name) = (book.clone(), name.clone());
    let now = WallClock::system().now();
    let found = tokio::task::spawn_blocking(move || book.get(&name, now)).await??;
    Ok(found.map(Chosen::from).unwrap_or_default())
}

/// Which topic is meant, where no node runs.
pub async fn choose(
    name: &TopicName,
    args: &SecretArgs,
    config: Config,
) -> Result<Chosen, Failure> {
    match by_flags(args)? {
        Some(chosen) => Ok(chosen),
        None => added(name, config).await,
    }
}

/// The same without flags. Opens the node's keys only if a topic was ever added.
pub async fn added(name: &TopicName, config: Config) -> Result<Chosen, Failure> {
    if !TopicBook::is_in(&config.data_dir()?) {
        return Ok(Chosen::default());
    }
    let who = unless_interrupted(who_is(config, keys::prompt())).await??;
    look_up(&who.topics, name).await
}
