//! The text form of an author link: what one node of a person hands to another, in one line.
//!
//! ```text
//! kukuri-link-1:<base32, lower case, no padding, of content | check 4>
//! content = author 32 | writer 32 | issued at, ms 8 | signature by the author 64
//! check   = the first 4 bytes of SHA-256("kukuri/1 link text\0" || content)
//! ```
//!
//! It is no secret: it is of use to the writer only, and stands in each post of the writer's.

use ed25519_dalek::VerifyingKey;
use kukuri_contract::{AuthorId, AuthorLink, SignRequest, Signature, UnixMillis};

use super::line::{CHECK_BYTES, Form, LineError};

/// Version of the text form.
pub const VERSION: u8 = 1;
/// Longest text that a link has, in bytes.
pub const TEXT_BYTES: usize = PREFIX.len() + 2 + LETTERS;

const PREFIX: &str = "kukuri-link-";
/// What it is one of.
const FORM: Form = Form {
    prefix: PREFIX,
    version: VERSION,
    label: b"kukuri/1 link text\0",
};
const CONTENT_BYTES: usize = 32 + 32 + 8 + 64;
/// Letters of 140 bytes in base32.
const LETTERS: usize = (CONTENT_BYTES + CHECK_BYTES) * 8 / 5;

/// Why a text is no author link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing is there.
    #[error("it is empty; the author's node makes a link with `kukuri identity link`")]
    Empty,
    /// It does not start like a link.
    #[error(
        "it does not start with `{PREFIX}{VERSION}:`; the author's node makes a link with `kukuri \
         identity link`"
    )]
    NoLink,
    /// A version that this program does not know.
    #[error("its version {0:?} is unknown, this program knows {VERSION}; update kukuri")]
    Version(String),
    /// Letters are missing, or there are too many.
    #[error("after the `:` it has {got} letters instead of {LETTERS}; copy all of it")]
    Length {
        /// Letters that it has.
        got: usize,
    },
    /// A letter that does not occur in links.
    #[error("letter {at} after the `:` does not occur in links (they have a-z and 2-7)")]
    Letter {
        /// Which letter, from 1 on.
        at: usize,
    },
    /// The check bytes don't fit: a typing error.
    #[error("a letter is wrong: the check at its end does not fit; copy it again")]
    Check,
    /// The check fits, and the author has not signed it.
    #[error("it is not signed by the author that it names; ask for a new one")]
    BadSignature,
}

impl From<LineError> for LinkError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Empty => Self::Empty,
            LineError::Prefix => Self::NoLink,
            LineError::Version(version) => Self::Version(version),
            LineError::Letter(at) => Self::Letter { at },
            LineError::Check => Self::Check,
        }
    }
}

/// Whether the author that a link names has signed it, and lets somebody else write.
pub fn is_signed(link: &AuthorLink) -> bool {
    let statement = SignRequest::Link {
        author: link.author,
        writer: link.writer,
        issued_at: link.issued_at,
    };
    let signature = link.signature.as_bytes().into();
    let key = VerifyingKey::from_bytes(link.author.as_bytes());
    let signed = key.and_then(|key| key.verify_strict(&statement.preimage(), &signature));
    link.author != link.writer && signed.is_ok()
}

/// The text form of a link.
pub fn format_link(link: &AuthorLink) -> String {
    let mut bytes = Vec::with_capacity(CONTENT_BYTES);
    bytes.extend(link.author.as_bytes());
    bytes.extend(link.writer.as_bytes());
    bytes.extend(link.issued_at.0.to_be_bytes());
    bytes.extend(link.signature.as_bytes());
    FORM.format(&bytes).to_string()
}

/// Reads the text form of a link. White space around it is fine, and so are capital letters. What
/// comes out is signed.
///
/// # Errors
/// See [`LinkError`].
pub fn parse_link(text: &str) -> Result<AuthorLink, LinkError> {
    let letters = FORM.letters(text)?;
    let got = letters.chars().count();
    if got != LETTERS || letters.len() != LETTERS {
        return Err(LinkError::Length { got });
    }
    let content = FORM.content(letters)?;
    let link = read(&content).ok_or(LinkError::Check)?;
    match is_signed(&link) {
        true => Ok(link),
        false => Err(LinkError::BadSignature),
    }
}

fn read(content: &[u8]) -> Option<AuthorLink> {
    let (author, rest) = content.split_first_chunk()?;
    let (writer, rest) = rest.split_first_chunk()?;
    let (issued_at, rest) = rest.split_first_chunk()?;
    Some(AuthorLink {
        author: AuthorId::from_bytes(*author),
        writer: AuthorId::from_bytes(*writer),
        issued_at: UnixMillis(u64::from_be_bytes(*issued_at)),
        signature: Signature::from_bytes(rest.try_into().ok()?),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use data_encoding::BASE32_NOPAD;
    use proptest::prelude::*;

    use super::*;
    use crate::core::keys::Keys;

    /// A link of node n for the writer of the next one.
    pub fn link(n: u8) -> AuthorLink {
        let node = |n: u8| Keys::new(&[n; 32], &[n + 100; 32], UnixMillis(1));
        let (author, writer) = (node(n).author_id(), node(n + 1).author_id());
        let issued_at = UnixMillis(1_780_000_000_000);
        let statement = SignRequest::Link {
            author,
            writer,
            issued_at,
        };
        AuthorLink {
            author,
            writer,
            issued_at,
            signature: node(n).sign(&statement).unwrap(),
        }
    }

    fn of_content(content: &[u8]) -> String {
        let letters = BASE32_NOPAD.encode(&[content, &FORM.check(content)].concat());
        format!("{PREFIX}1:{}", letters.to_lowercase())
    }

    #[test]
    fn what_was_written_is_read_also_in_capitals_and_between_white_space() {
        let text = format_link(&link(1));
        assert_eq!(text.len(), TEXT_BYTES);
        assert_eq!(parse_link(&text), Ok(link(1)));
        let (prefix, letters) = text.split_once(':').unwrap();
        let loud = format!("  {prefix}:{}\r\n", letters.to_ascii_uppercase());
        assert_eq!(parse_link(&loud), Ok(link(1)));
    }

    #[test]
    fn each_mistake_has_its_error() {
        let good = format_link(&link(1));
        assert_eq!(parse_link(" \n"), Err(LinkError::Empty));
        assert_eq!(parse_link("hunter2"), Err(LinkError::NoLink));
        let newer = good.replace("link-1:", "link-2:");
        assert_eq!(parse_link(&newer), Err(LinkError::Version("2".into())));
        let short = &good[..good.len() - 1];
        assert_eq!(parse_link(short), Err(LinkError::Length { got: 223 }));
        let mut strange = good.clone();
        strange.replace_range(14..15, "1");
        assert_eq!(parse_link(&strange), Err(LinkError::Letter { at: 1 }));
    }

    #[test]
    fn nobody_links_for_another_author_or_for_itself() {
        let stolen = AuthorLink {
            writer: link(5).writer,
            ..link(1)
        };
        let foreign = AuthorLink {
            author: link(5).author,
            ..link(1)
        };
        let later = AuthorLink {
            issued_at: UnixMillis(2),
            ..link(1)
        };
        for link in [stolen, foreign, later] {
            let read = parse_link(&format_link(&link));
            assert_eq!(read, Err(LinkError::BadSignature));
        }
        let node = Keys::new(&[1; 32], &[101; 32], UnixMillis(1));
        let (author, issued_at) = (node.author_id(), UnixMillis(1));
        let writer = author;
        let statement = SignRequest::Link {
            author,
            writer,
            issued_at,
        };
        let signature = node.sign(&statement).unwrap();
        assert!(!is_signed(&AuthorLink {
            author,
            writer,
            issued_at,
            signature
        }));
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error(content in proptest::collection::vec(any::<u8>(), CONTENT_BYTES)) {
            prop_assert_eq!(parse_link(&of_content(&content)), Err(LinkError::BadSignature));
        }

        #[test]
        fn garbage_after_the_prefix_is_a_typed_error(rest in "\\PC{0,230}") {
            let text = format!("kukuri-link-1:{rest}");
            prop_assert!(parse_link(&text).is_err());
        }

        #[test]
        fn any_other_letter_is_noticed(at in 14usize..TEXT_BYTES, letter in "[a-z2-7]") {
            let good = format_link(&link(1));
            let mut other = good.clone();
            other.replace_range(at..=at, &letter);
            prop_assert_eq!(parse_link(&other).is_ok(), other == good);
        }
    }
}
