//! The text form of a topic secret.
//!
//! ```text
//! kukuri-secret-1:<base32, lower case, no padding, of secret 32 | check 4>
//! check = the first 4 bytes of SHA-256("kukuri/1 secret text\0" || secret)
//! ```
//!
//! The prefix says what it is and which version, the check bytes find typing errors. There is no
//! way from an empty or a damaged text to a topic: both are errors.

use kukuri_contract::{SECRET_BYTES, TopicSecret};
use zeroize::Zeroizing;

use super::line::{CHECK_BYTES, Form, LineError};

/// Version of the text form.
pub const VERSION: u8 = 1;

const PREFIX: &str = "kukuri-secret-";
/// What it is one of.
const FORM: Form = Form {
    prefix: PREFIX,
    version: VERSION,
    label: b"kukuri/1 secret text\0",
};
/// Letters of 36 bytes in base32.
const LETTERS: usize = (SECRET_BYTES + CHECK_BYTES) * 8 / 5 + 1;

/// Why a text is no topic secret. Says nothing of the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Nothing is there.
    #[error("it is empty; make a secret with `kukuri topic new-secret`")]
    Empty,
    /// It does not start like a secret.
    #[error(
        "it does not start with `{PREFIX}{VERSION}:`; make a secret with `kukuri topic new-secret`"
    )]
    NoSecret,
    /// A version that this program does not know.
    #[error("its version {0:?} is unknown, this program knows {VERSION}; update kukuri")]
    Version(String),
    /// Letters are missing, or there are too many.
    #[error("after the `:` it has {got} letters instead of {LETTERS}; copy all of it")]
    Length {
        /// Letters that it has.
        got: usize,
    },
    /// A letter that does not occur in secrets.
    #[error("letter {at} after the `:` does not occur in secrets (they have a-z and 2-7)")]
    Letter {
        /// Which letter, from 1 on.
        at: usize,
    },
    /// The check bytes don't fit: a typing error.
    #[error("a letter is wrong: the check at its end does not fit; copy it again")]
    Check,
}

impl From<LineError> for SecretError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Empty => Self::Empty,
            LineError::Prefix => Self::NoSecret,
            LineError::Version(version) => Self::Version(version),
            LineError::Letter(at) => Self::Letter { at },
            LineError::Check => Self::Check,
        }
    }
}

/// The text form of a secret.
pub fn format_secret(secret: &TopicSecret) -> Zeroizing<String> {
    FORM.format(secret.expose())
}

/// Reads the text form of a secret. White space around it is fine, and so are capital letters.
///
/// # Errors
/// See [`SecretError`]; an empty text is an error, never a public topic.
pub fn parse_secret(text: &str) -> Result<TopicSecret, SecretError> {
    let letters = FORM.letters(text)?;
    let got = letters.chars().count();
    if got != LETTERS || letters.len() != LETTERS {
        return Err(SecretError::Length { got });
    }
    let content = FORM.content(letters)?;
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    secret.copy_from_slice(&content);
    Ok(TopicSecret::from_bytes(*secret))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> String {
        format_secret(&TopicSecret::from_bytes([7; 32])).to_string()
    }

    #[test]
    fn each_mistake_has_its_error() {
        let good = text();
        assert_eq!(parse_secret(" \n"), Err(SecretError::Empty));
        assert_eq!(parse_secret("hunter2"), Err(SecretError::NoSecret));
        let newer = good.replace("secret-1:", "secret-2:");
        assert_eq!(parse_secret(&newer), Err(SecretError::Version("2".into())));
        let short = &good[..good.len() - 1];
        assert_eq!(parse_secret(short), Err(SecretError::Length { got: 57 }));
        let mut strange = good.clone();
        strange.replace_range(16..17, "1");
        assert_eq!(parse_secret(&strange), Err(SecretError::Letter { at: 1 }));
    }

    #[test]
    fn capitals_and_white_space_are_fine() {
        let good = text();
        let (prefix, letters) = good.split_once(':').unwrap();
        let loud = format!("  {prefix}:{}\r\n", letters.to_ascii_uppercase());
        assert_eq!(parse_secret(&loud), Ok(TopicSecret::from_bytes([7; 32])));
    }

    proptest! {
        #[test]
        fn round_trip(bytes: [u8; 32]) {
            let secret = TopicSecret::from_bytes(bytes);
            prop_assert_eq!(parse_secret(&format_secret(&secret)), Ok(secret));
        }

        #[test]
        fn a_wrong_letter_is_noticed(at in 16usize..74, letter in "[a-z2-7]") {
            let good = text();
            let mut wrong = good.clone();
            wrong.replace_range(at..=at, &letter);
            prop_assert_eq!(parse_secret(&wrong).is_ok(), wrong == good);
        }

        #[test]
        fn garbage_is_a_typed_error(text in "\\PC{0,100}") {
            prop_assert!(parse_secret(&text).is_err());
        }

        #[test]
        fn garbage_after_the_prefix_is_a_typed_error(rest in "\\PC{0,80}") {
            let text = format!("kukuri-secret-1:{rest}");
            prop_assert!(parse_secret(&text).is_err());
        }
    }
}
