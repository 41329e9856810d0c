//! The author links of a node: under which one it writes, to whom its author has given some, and
//! whom it has revoked. They are public, so they are kept apart from the keys, as text:
//!
//! ```text
//! kukuri-links-1
//! uses LINK                    the text form of a link, at most once
//! gave WRITER ISSUED_AT        an id in hex, and milliseconds
//! revoked WRITER
//! ```

use std::fmt::Write;

use kukuri_contract::{AuthorId, AuthorLink, MAX_REVOKED, UnixMillis};

use super::link::{LinkError, TEXT_BYTES, format_link, parse_link};

/// Version of the form.
pub const VERSION: u8 = 1;
/// Most writers that an author lets write at a time. 64: as many as can be revoked.
pub const MAX_GIVEN: usize = MAX_REVOKED;
/// Longest form in bytes: all lines as long as they may be.
pub const MAX_BYTES: usize = 32 + (5 + TEXT_BYTES + 1) + MAX_GIVEN * 91 + MAX_REVOKED * 73;

const PREFIX: &str = "kukuri-links-";

/// The author links of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    /// Under which this node writes.
    pub used: Option<AuthorLink>,
    /// Who may write for this node's author, and since when.
    pub given: Vec<(AuthorId, UnixMillis)>,
    /// Who may no longer.
    pub revoked: Vec<AuthorId>,
}

/// Why links can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinksError {
    /// It does not start like links.
    #[error("it does not start with `{PREFIX}{VERSION}`")]
    NotLinks,
    /// A version that this program does not know.
    #[error("its version {0:?} is unknown, this program knows {VERSION}; update kukuri")]
    Version(String),
    /// A line can't be read.
    #[error("line {0} can't be read")]
    Line(usize),
    /// The link in a line can't be used.
    #[error("the link in line {line} can't be used: {source}")]
    Link {
        /// Which line, from 1 on.
        line: usize,
        /// Why.
        source: LinkError,
    },
    /// More than there may be.
    #[error("it has more than {MAX_GIVEN} writers of a kind, or more than one link to use")]
    TooMany,
}

/// Why a link is not given, used or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkRefused {
    /// The writer is this node.
    #[error(
        "{0} is this node's own writer; name that of another node, as its `kukuri id` prints it"
    )]
    Own(AuthorId),
    /// This node is not the main one.
    #[error(
        "this node writes for the author {0}; only the node whose own key that is can let others \
         write for it"
    )]
    NotMain(AuthorId),
    /// Others write for this node.
    #[error(
        "other nodes write for this one's author, and would stay behind; revoke them first with \
         `kukuri identity revoke`"
    )]
    IsMain,
    /// The writer was revoked.
    #[error("the writer {0} was revoked, which is for good; give that node another identity")]
    Revoked(AuthorId),
    /// The link is for another node.
    #[error("the link is for the writer {wanted}, and this node is {own}; use it there")]
    ForAnother {
        /// For whom it is.
        wanted: AuthorId,
        /// Who this node is.
        own: AuthorId,
    },
    /// No more writers.
    #[error("{MAX_GIVEN} writers are the most that there can be")]
    TooMany,
}

impl Links {
    /// Lets a writer write for this node's own author. Says since when: who asks again gets the same
    /// link.
    ///
    /// # Errors
    /// See [`LinkRefused`].
    pub fn give(
        &mut self,
        own: AuthorId,
        writer: AuthorId,
        now: UnixMillis,
    ) -> Result<UnixMillis, LinkRefused> {
        if writer == own {
            return Err(LinkRefused::Own(writer));
        }
        if let Some(used) = &self.used {
            return Err(LinkRefused::NotMain(used.author));
        }
        if self.revoked.contains(&writer) {
            return Err(LinkRefused::Revoked(writer));
        }
        if let Some((_, since)) = self.given.iter().find(|(given, _)| *given == writer) {
            return Ok(*since);
        }
        if self.given.len() >= MAX_GIVEN {
            return Err(LinkRefused::TooMany);
        }
        self.given.push((writer, now));
        Ok(now)
    }

    /// Writes under a link from now on, in place of another one.
    ///
    /// # Errors
    /// See [`LinkRefused`].
    pub fn take(&mut self, own: AuthorId, link: AuthorLink) -> Result<(), LinkRefused> {
        if link.writer != own {
            let wanted = link.writer;
            return Err(LinkRefused::ForAnother { wanted, own });
        }
        if !self.given.is_empty() {
            return Err(LinkRefused::IsMain);
        }
        self.used = Some(link);
        Ok(())
    }

    /// Lets a writer write no longer. Says whether it could until now.
    ///
    /// # Errors
    /// See [`LinkRefused`].
    pub fn revoke(&mut self, own: AuthorId, writer: AuthorId) -> Result<bool, LinkRefused> {
        if writer == own {
            return Err(LinkRefused::Own(writer));
        }
        if self.revoked.contains(&writer) {
            return Ok(false);
        }
        if self.revoked.len() >= MAX_REVOKED {
            return Err(LinkRefused::TooMany);
        }
        let before = self.given.len();
        self.given.retain(|(given, _)| *given != writer);
        self.revoked.push(writer);
        Ok(self.given.len() < before)
    }

    /// The form that is kept.
    pub fn to_text(&self) -> String {
        let mut text = format!("{PREFIX}{VERSION}\n");
        let mut line = |line: std::fmt::Arguments<'_>| {
            // Writing to a string can't fail.
            let _written = text.write_fmt(format_args!("{line}\n"));
        };
        if let Some(used) = &self.used {
            line(format_args!("uses {}", format_link(used)));
        }
        for (writer, since) in &self.given {
            line(format_args!("gave {writer} {}", since.0));
        }
        for writer in &self.revoked {
            line(format_args!("revoked {writer}"));
        }
        text
    }

    /// Reads the form that is kept; a link in it is verified.
    ///
    /// # Errors
    /// See [`LinksError`].
    pub fn from_text(text: &str) -> Result<Self, LinksError> {
        let mut lines = (1..).zip(text.lines());
        let first = lines.next().map_or("", |(_, line)| line);
        let version = first.strip_prefix(PREFIX).ok_or(LinksError::NotLinks)?;
        if version != VERSION.to_string() {
            return Err(LinksError::Version(version.to_owned()));
        }
        let mut links = Self::default();
        for (at, line) in lines {
            links.read_line(at, line)?;
        }
        let fits = links.given.len() <= MAX_GIVEN && links.revoked.len() <= MAX_REVOKED;
        fits.then_some(links).ok_or(LinksError::TooMany)
    }

    fn read_line(&mut self, at: usize, line: &str) -> Result<(), LinksError> {
        let wrong = || LinksError::Line(at);
        let id = |text: &str| text.parse::<AuthorId>().map_err(|_| wrong());
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("uses"), Some(link), None, _) => {
                let link = parse_link(link).map_err(|source| LinksError::Link { line: at, source });
                if self.used.replace(link?).is_some() {
                    return Err(LinksError::TooMany);
                }
            }
            (Some("gave"), Some(writer), Some(since), None) => {
                let since = since.parse().map_err(|_| wrong())?;
                self.given.push((id(writer)?, UnixMillis(since)));
            }
            (Some("revoked"), Some(writer), None, _) => self.revoked.push(id(writer)?),
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::link::tests::link;
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
    const OWN: AuthorId = id(1);

    const fn id(n: u8) -> AuthorId {
        AuthorId::from_bytes([n; 32])
    }

    #[test]
    fn a_link_is_given_once_and_never_after_its_revocation() {
        let mut links = Links::default();
        assert_eq!(links.give(OWN, OWN, NOW), Err(LinkRefused::Own(OWN)));
        assert_eq!(links.give(OWN, id(2), NOW), Ok(NOW));
        assert_eq!(links.give(OWN, id(2), UnixMillis(9)), Ok(NOW));
        assert_eq!(links.revoke(OWN, OWN), Err(LinkRefused::Own(OWN)));
        assert_eq!(links.revoke(OWN, id(2)), Ok(true));
        assert_eq!(links.revoke(OWN, id(2)), Ok(false));
        assert_eq!(links.revoke(OWN, id(3)), Ok(false), "the file may be lost");
        assert_eq!((links.given.len(), links.revoked.len()), (0, 2));
        let revoked = Err(LinkRefused::Revoked(id(2)));
        assert_eq!(links.give(OWN, id(2), NOW), revoked);
    }

    #[test]
    fn a_node_is_main_or_writes_for_another() {
        let (link, mut links) = (link(1), Links::default());
        let (author, own) = (link.author, link.writer);
        let elsewhere = LinkRefused::ForAnother {
            wanted: own,
            own: OWN,
        };
        assert_eq!(links.take(OWN, link.clone()), Err(elsewhere));
        links.give(own, id(2), NOW).unwrap();
        assert_eq!(links.take(own, link.clone()), Err(LinkRefused::IsMain));
        links.revoke(own, id(2)).unwrap();
        links.take(own, link).unwrap();
        let not_main = Err(LinkRefused::NotMain(author));
        assert_eq!(links.give(own, id(3), NOW), not_main);
    }

    #[test]
    fn there_is_an_end_and_the_largest_can_be_read() {
        let mut links = Links::default();
        for n in 2..66 {
            links.revoke(OWN, id(n)).unwrap();
        }
        assert_eq!(links.revoke(OWN, id(99)), Err(LinkRefused::TooMany));
        for n in 100..164 {
            links.give(OWN, id(n), UnixMillis(u64::MAX)).unwrap();
        }
        assert_eq!(links.give(OWN, id(99), NOW), Err(LinkRefused::TooMany));
        links.used = Some(link(1));
        let text = links.to_text();
        assert!(text.len() <= MAX_BYTES, "{}", text.len());
        assert_eq!(Links::from_text(&text), Ok(links));
        let more = format!("{text}revoked {}\n", id(9));
        assert_eq!(Links::from_text(&more), Err(LinksError::TooMany));
    }

    #[test]
    fn each_damage_has_its_error() {
        let read = |text: &str| Links::from_text(text).unwrap_err();
        assert_eq!(read(""), LinksError::NotLinks);
        assert_eq!(read("kukuri-links-2"), LinksError::Version("2".into()));
        let first = "kukuri-links-1\n";
        for line in [
            "",
            "revoked 12",
            "gave x 1",
            "uses",
            "revoked a b c",
            "hello",
        ] {
            assert_eq!(read(&format!("{first}{line}\n")), LinksError::Line(2));
        }
        let damaged = read(&format!("{first}uses kukuri-link-1:aa\n"));
        let source = LinkError::Length { got: 2 };
        assert_eq!(damaged, LinksError::Link { line: 2, source });
        let uses = format!("uses {}\n", format_link(&link(1)));
        assert_eq!(read(&format!("{first}{uses}{uses}")), LinksError::TooMany);
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error_or_links(text in "(kukuri-links-1\n)?[a-z0-9 \n]{0,200}") {
            if let Ok(links) = Links::from_text(&text) {
                prop_assert_eq!(Links::from_text(&links.to_text()), Ok(links));
            }
        }
    }
}
