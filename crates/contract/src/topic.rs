//! What names a topic: a public name and, for a secret topic, a secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Longest topic name in bytes; a name is hashed, so this bounds memory and log lines only.
pub const MAX_TOPIC_NAME_BYTES: usize = 255;

/// Length of a topic secret in bytes: as strong as every key derived from it.
pub const SECRET_BYTES: usize = 32;

/// The name of a topic: 1 to [`MAX_TOPIC_NAME_BYTES`] bytes of UTF-8 without control characters
/// and without white space at its ends (such names look alike and would never meet).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(String);

/// Why a text is no topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicNameError {
    /// Nothing is there.
    #[error("a topic name must not be empty")]
    Empty,
    /// More than [`MAX_TOPIC_NAME_BYTES`] bytes.
    #[error("a topic name has at most {MAX_TOPIC_NAME_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A control character such as a line break or a tab.
    #[error("a topic name must not hold the control character {0:?}")]
    Control(char),
    /// White space at its start or end.
    #[error("a topic name must not start or end with white space")]
    Blank,
}

impl TopicName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicName {
    type Err = TopicNameError;

    fn from_str(text: &str) -> Result<Self, TopicNameError> {
        if text.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if text.len() > MAX_TOPIC_NAME_BYTES {
            return Err(TopicNameError::TooLong(text.len()));
        }
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(TopicNameError::Control(c));
        }
        if text.trim() != text {
            return Err(TopicNameError::Blank);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TopicName {
    type Error = TopicNameError;

    fn try_from(text: String) -> Result<Self, TopicNameError> {
        text.parse()
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> Self {
        name.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret of a topic. Wiped from memory when dropped; `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TopicSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl TopicSecret {
    /// Takes 32 random bytes.
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for key derivation inside the identity service.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for TopicSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TopicSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!("".parse::<TopicName>(), Err(TopicNameError::Empty));
        assert_eq!(
            "a\nb".parse::<TopicName>(),
            Err(TopicNameError::Control('\n'))
        );
        assert_eq!(" a".parse::<TopicName>(), Err(TopicNameError::Blank));
        assert_eq!(
            "a".repeat(256).parse::<TopicName>(),
            Err(TopicNameError::TooLong(256))
        );
        assert_eq!(
            "山びこ 1".parse::<TopicName>().unwrap().as_str(),
            "山びこ 1"
        );
    }

    #[test]
    fn debug_of_a_secret_prints_nothing_of_it() {
        let text = format!("{:?}", TopicSecret::from_bytes([0x5a; 32]));
        assert_eq!(text, "TopicSecret(..)");
    }
}
