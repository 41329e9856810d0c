//! What the text forms of secrets, invites and author links have in common: one line that says what it
//! is and in which version, with a check at its end that finds typing errors.
//!
//! ```text
//! <prefix><version>:<base32, lower case, no padding, of content | check 4>
//! check = the first 4 bytes of SHA-256(label || content)
//! ```
//!
//! All that is in between is wiped: the content may be a secret.

use data_encoding::{BASE32_NOPAD, DecodeKind};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Length of the check in bytes.
pub const CHECK_BYTES: usize = 4;

/// One kind of line.
#[derive(Debug)]
pub struct Form {
    /// How it starts, before the version.
    pub prefix: &'static str,
    /// Its version.
    pub version: u8,
    /// What its check is over, before the content.
    pub label: &'static [u8],
}

/// Why a text is no such line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// Nothing is there.
    Empty,
    /// It starts in another way.
    Prefix,
    /// Another version.
    Version(String),
    /// The letter of this number, from 1 on, is none of base32.
    Letter(usize),
    /// The check does not fit.
    Check,
}

impl Form {
    /// The line of a content.
    pub fn format(&self, content: &[u8]) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(content.len() + CHECK_BYTES));
        bytes.extend(content);
        bytes.extend(self.check(content));
        let upper = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
        let letters = Zeroizing::new(upper.to_ascii_lowercase());
        let Self {
            prefix, version, ..
        } = self;
        Zeroizing::new(format!("{prefix}{version}:{}", letters.as_str()))
    }

    /// The letters of a line. White space around it is fine.
    ///
    /// # Errors
    /// It is empty, something else, or of another version.
    pub fn letters<'a>(&self, text: &'a str) -> Result<&'a str, LineError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LineError::Empty);
        }
        let rest = text.strip_prefix(self.prefix).ok_or(LineError::Prefix)?;
        let (version, letters) = rest.split_once(':').ok_or(LineError::Prefix)?;
        match version == self.version.to_string() {
            true => Ok(letters),
            false => Err(LineError::Version(version.to_owned())),
        }
    }

    /// The content of these letters. Capital ones are fine.
    ///
    /// # Errors
    /// [`LineError::Letter`] or [`LineError::Check`].
    pub fn content(&self, letters: &str) -> Result<Zeroizing<Vec<u8>>, LineError> {
        let upper = Zeroizing::new(letters.to_ascii_uppercase());
        let decoded = BASE32_NOPAD.decode(upper.as_bytes());
        let mut bytes = Zeroizing::new(decoded.map_err(|error| match error.kind {
            DecodeKind::Symbol => LineError::Letter(error.position + 1),
            DecodeKind::Length | DecodeKind::Trailing | DecodeKind::Padding => LineError::Check,
        })?);
        let end = bytes.len().checked_sub(CHECK_BYTES);
        let end = end.ok_or(LineError::Check)?;
        if bytes[end..] != self.check(&bytes[..end]) {
            return Err(LineError::Check);
        }
        bytes.truncate(end);
        Ok(bytes)
    }

    /// The check of a content.
    pub fn check(&self, content: &[u8]) -> [u8; CHECK_BYTES] {
        let hash = Sha256::new()
            .chain_update(self.label)
            .chain_update(content)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }
}
