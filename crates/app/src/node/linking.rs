//! Author links, made, used and revoked without a node; one that runs sees them within seconds.

use kukuri_contract::{AuthorId, AuthorLink, IdentityRunning, Sign, SignRequest, WallClock};
use kukuri_identity::{Links, Prompt, format_link, parse_link, read_links, write_links};

use super::identity::with_identity;
use crate::config::Config;
use crate::error::LinkingError;

/// Lets another node write in the name of this one's author. Gives the text form of the link, which
/// is no secret; `writer` uses it with [`use_author_link`]. The same writer gets the same link again.
///
/// # Errors
/// See [`LinkingError`].
pub async fn give_author_link(
    config: Config,
    prompt: Option<Prompt>,
    writer: AuthorId,
) -> Result<String, LinkingError> {
    change(config, prompt, async move |links, own| {
        let author = own.info.author;
        let issued_at = links.give(author, writer, WallClock::system().now())?;
        let statement = SignRequest::Link {
            author,
            writer,
            issued_at,
        };
        let signature = own.port.sign(Sign(statement)).await?;
        Ok(format_link(&AuthorLink {
            author,
            writer,
            issued_at,
            signature,
        }))
    })
    .await
}

/// Has this node write in the name of the author that made the link. Says whose that is.
///
/// # Errors
/// See [`LinkingError`].
pub async fn use_author_link(
    config: Config,
    prompt: Option<Prompt>,
    text: &str,
) -> Result<AuthorId, LinkingError> {
    let link = parse_link(text)?;
    change(config, prompt, async move |links, own| {
        let author = link.author;
        links.take(own.info.author, link)?;
        Ok(author)
    })
    .await
}

/// Lets another node write no longer in the name of this one's author. The node tells each topic of
/// it. Says whether it is known here that it could write.
///
/// # Errors
/// See [`LinkingError`].
pub async fn revoke_author_link(
    config: Config,
    prompt: Option<Prompt>,
    writer: AuthorId,
) -> Result<bool, LinkingError> {
    change(config, prompt, async move |links, own| {
        Ok(links.revoke(own.info.author, writer)?)
    })
    .await
}

async fn change<T: Send + 'static>(
    config: Config,
    prompt: Option<Prompt>,
    change: impl AsyncFnOnce(&mut Links, &IdentityRunning) -> Result<T, LinkingError> + Send + 'static,
) -> Result<T, LinkingError> {
    with_identity(config, prompt, async move |data_dir, own| {
        let mut links = read_links(&data_dir)?;
        let done = change(&mut links, &own).await?;
        write_links(&data_dir, &links)?;
        Ok(done)
    })
    .await?
}
