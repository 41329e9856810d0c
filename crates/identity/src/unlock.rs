//! Where the passphrase or the key comes from that opens the file of keys.
//!
//! The first of these that there is, and none after it:
//!
//! 1. the key file `identity.key_file`,
//! 2. the passphrase file `identity.passphrase_file` (also `KUKURI_PASSPHRASE_FILE`),
//! 3. the systemd credential `kukuri-passphrase`,
//! 4. a user at a terminal, if the program has handed over a [`Prompt`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::{
    BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding, HEXLOWER_PERMISSIVE,
};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::core::sealed::{KEY_BYTES, Unlock};
use crate::error::KeyStoreError;
use crate::file;

/// Name of the systemd credential that holds the passphrase.
pub const CREDENTIAL: &str = "kukuri-passphrase";

/// What a user at a terminal is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// For a new passphrase: the file is made, or encrypted for the first time. Ask twice.
    New(PathBuf),
    /// For the passphrase of a file.
    Open(PathBuf),
    /// The same again: the last one was wrong.
    Again(PathBuf),
}

type Ask = dyn Fn(&Question) -> io::Result<Zeroizing<String>> + Send + Sync;

/// Asks the user for a passphrase. A library does not know whether there is one, so the program says
/// how to ask. It may block.
#[derive(Clone)]
pub struct Prompt(Arc<Ask>);

impl Prompt {
    /// Asks like this.
    pub fn new(
        ask: impl Fn(&Question) -> io::Result<Zeroizing<String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prompt(..)")
    }
}

/// A passphrase or a key, and where it is from in words.
#[derive(Debug)]
pub struct Given {
    /// What opens the file.
    pub unlock: Unlock,
    /// Where it is from, as in "encrypted with ...".
    pub from: String,
}

/// All there is to ask.
#[derive(Debug, Default)]
pub struct Sources {
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    /// Where systemd has put the credentials of this service.
    credentials: Option<PathBuf>,
    prompt: Option<Prompt>,
}

impl Sources {
    /// What the config, the service manager and the program give. `credentials`: the directory of
    /// systemd's credentials.
    pub fn new(config: &Config, credentials: Option<PathBuf>, prompt: Option<Prompt>) -> Self {
        Self {
            key_file: config.key_file.clone(),
            passphrase_file: config.passphrase_file.clone(),
            credentials,
            prompt,
        }
    }

    /// A passphrase from this file or, if none is named, from a user.
    pub fn of_passphrase(passphrase_file: Option<PathBuf>, prompt: Option<Prompt>) -> Self {
        Self {
            passphrase_file,
            prompt,
            ..Self::default()
        }
    }

    /// Whether a key file is named.
    pub fn has_key_file(&self) -> bool {
        self.key_file.is_some()
    }

    /// Whether a user answers, who may be mistaken.
    pub fn is_typed(&self) -> bool {
        let asked_before = self.key_file.is_some() || self.passphrase_file.is_some();
        !asked_before && self.credential().is_none() && self.prompt.is_some()
    }

    /// A passphrase or a key; `None` where nobody gives one.
    ///
    /// # Errors
    /// The first source that there is can't be used. No other is asked then: a wrong guess of what
    /// was meant would lock the file with something else.
    pub fn ask(&self, question: &Question) -> Result<Option<Given>, KeyStoreError> {
        if let Some(file) = &self.key_file {
            let unlock = Unlock::Key(parse_key(&self.read(file)?, file)?);
            let from = format!("the key in {}", file.display());
            return Ok(Some(Given { unlock, from }));
        }
        if let Some(file) = &self.passphrase_file {
            return self.passphrase(file, format!("the passphrase in {}", file.display()));
        }
        if let Some(file) = self.credential() {
            return self.passphrase(&file, format!("the systemd credential {CREDENTIAL}"));
        }
        let Some(Prompt(ask)) = &self.prompt else {
            return Ok(None);
        };
        let typed = ask(question).map_err(KeyStoreError::Prompt)?;
        let from = "a passphrase that is typed".to_owned();
        given(typed.as_bytes(), from).map(Some)
    }

    fn credential(&self) -> Option<PathBuf> {
        let file = self.credentials.as_ref()?.join(CREDENTIAL);
        file.exists().then_some(file)
    }

    fn passphrase(&self, file: &Path, from: String) -> Result<Option<Given>, KeyStoreError> {
        let bytes = self.read(file)?;
        // Editors and `echo` end a file with a line break.
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        given(line.strip_suffix(b"\r").unwrap_or(line), from).map(Some)
    }

    fn read(&self, file: &Path) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        // systemd lets the service's user in by an access list, which shows as a bit of the group;
        // nobody else gets into that directory.
        let by_systemd = self.credentials.as_deref() == file.parent();
        let bytes = match by_systemd && self.credentials.is_some() {
            true => file::read(file)?,
            false => file::read_secret(file)?,
        };
        bytes.ok_or_else(|| KeyStoreError::NoFile(file.to_owned()))
    }
}

fn given(passphrase: &[u8], from: String) -> Result<Given, KeyStoreError> {
    if passphrase.is_empty() {
        return Err(KeyStoreError::EmptyPassphrase(from));
    }
    let unlock = Unlock::Passphrase(Zeroizing::new(passphrase.to_vec()));
    Ok(Given { unlock, from })
}

/// 32 bytes as they are, or as text in hex or base64.
fn parse_key(bytes: &[u8], file: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyStoreError> {
    let bad = || KeyStoreError::BadKeyFile(file.to_owned());
    if let Ok(key) = bytes.try_into() {
        return Ok(Zeroizing::new(key));
    }
    let text = bytes.trim_ascii();
    let form: &Encoding = match (text.len(), text.iter().any(|b| matches!(b, b'-' | b'_'))) {
        (64, _) => &HEXLOWER_PERMISSIVE,
        (44, false) => &BASE64,
        (44, true) => &BASE64URL,
        (43, false) => &BASE64_NOPAD,
        (43, true) => &BASE64URL_NOPAD,
        _ => return Err(bad()),
    };
    // The decoder's own error would name a letter of the key.
    let decoded = Zeroizing::new(form.decode(text).map_err(|_| bad())?);
    let key = decoded.as_slice().try_into().map_err(|_| bad())?;
    Ok(Zeroizing::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; KEY_BYTES] = [0xfb; KEY_BYTES];

    fn write(file: &Path, bytes: &[u8]) {
        file::replace(file, bytes).unwrap();
    }

    fn question() -> Question {
        Question::Open("identity.key".into())
    }

    fn unlock(sources: &Sources) -> Unlock {
        sources.ask(&question()).unwrap().unwrap().unlock
    }

    fn is_passphrase(unlock: &Unlock, text: &str) -> bool {
        matches!(unlock, Unlock::Passphrase(bytes) if bytes.as_slice() == text.as_bytes())
    }

    #[test]
    fn the_first_source_counts_and_no_other_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let credentials = path("credentials");
        write(&path("key"), &KEY);
        write(&path("passphrase"), b"from a file\n");
        write(&credentials.join(CREDENTIAL), b"from systemd");
        let mut sources = Sources {
            key_file: Some(path("key")),
            passphrase_file: Some(path("passphrase")),
            credentials: Some(credentials),
            prompt: Some(Prompt::new(|_| Ok(Zeroizing::new("typed".to_owned())))),
        };
        assert!(matches!(unlock(&sources), Unlock::Key(key) if *key == KEY));
        sources.key_file = None;
        assert!(is_passphrase(&unlock(&sources), "from a file"));
        // Named and not there: not the next one.
        sources.passphrase_file = Some(path("missing"));
        let missing = sources.ask(&question()).unwrap_err();
        assert!(matches!(missing, KeyStoreError::NoFile(_)), "{missing}");
        sources.passphrase_file = None;
        assert!(is_passphrase(&unlock(&sources), "from systemd"));
        assert!(!sources.is_typed());
        sources.credentials = Some(path("no credentials"));
        assert!(is_passphrase(&unlock(&sources), "typed"));
        assert!(sources.is_typed());
        sources.prompt = None;
        assert!(sources.ask(&question()).unwrap().is_none());
    }

    #[test]
    fn a_passphrase_is_a_line_and_never_empty() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passphrase");
        let sources = Sources {
            passphrase_file: Some(file.clone()),
            ..Sources::default()
        };
        for (content, passphrase) in [
            ("tea", "tea"),
            ("tea\n", "tea"),
            ("tea\r\n", "tea"),
            (" two words \n\n", " two words \n"),
        ] {
            write(&file, content.as_bytes());
            assert!(is_passphrase(&unlock(&sources), passphrase), "{content:?}");
        }
        for empty in ["", "\n"] {
            write(&file, empty.as_bytes());
            let error = sources.ask(&question()).unwrap_err();
            assert!(
                matches!(error, KeyStoreError::EmptyPassphrase(_)),
                "{error}"
            );
        }
    }

    #[test]
    fn a_key_file_has_32_bytes_in_one_of_three_forms() {
        let file = Path::new("key");
        for text in [
            HEXLOWER_PERMISSIVE.encode(&KEY),
            HEXLOWER_PERMISSIVE.encode(&KEY).to_uppercase() + "\n",
            BASE64.encode(&KEY) + "\n",
            BASE64_NOPAD.encode(&KEY),
            BASE64URL.encode(&KEY),
            BASE64URL_NOPAD.encode(&KEY),
        ] {
            assert_eq!(*parse_key(text.as_bytes(), file).unwrap(), KEY, "{text}");
        }
        for bad in [
            "",
            "short",
            &"x".repeat(64),
            &"!".repeat(43),
            &"a".repeat(63),
        ] {
            let error = parse_key(bad.as_bytes(), file).unwrap_err();
            assert!(matches!(error, KeyStoreError::BadKeyFile(_)), "{error}");
            assert!(
                bad.is_empty() || !error.to_string().contains(bad),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused_but_for_credentials() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(CREDENTIAL);
        write(&file, b"tea");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o440)).unwrap();
        let mut sources = Sources {
            passphrase_file: Some(file),
            ..Sources::default()
        };
        let error = sources.ask(&question()).unwrap_err();
        assert!(matches!(error, KeyStoreError::Exposed(_)), "{error}");
        sources.credentials = Some(dir.path().to_owned());
        assert!(is_passphrase(&unlock(&sources), "tea"));
        sources.passphrase_file = None;
        assert!(is_passphrase(&unlock(&sources), "tea"));
    }
}
